"""Confusion: counts by class and answer, and by the synset in which they meet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetree.challenge.confusion import confusion_by_common_hypernym, confusion_matrix
from imagetree.errors import ChallengeError
from imagetree.wordnet import load_nouns
from imagetree.wordnet.taxonomy import hierarchical_cost, lowest_common_hypernyms

WNIDS = ("n02085620", "n02085782", "n02123045", "n02691156", "n02958343")
"""Chihuahua, Japanese spaniel, tabby, airplane, car."""


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=40))
def test_cells_are_counts(pairs: list[tuple[int, int]]) -> None:
    guesses, truth = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    matrix = confusion_matrix(guesses, truth, 5)
    assert matrix.dtype == np.int64
    for row in range(5):
        for column in range(5):
            assert matrix[row, column] == pairs.count((column, row))


def test_mistaken_arguments_are_refused() -> None:
    with pytest.raises(ChallengeError, match=r"shape \(2,\) and the truth \(1,\)"):
        confusion_matrix(np.array([0, 0]), np.array([0]), 1)
    for guess in (-1, 2):
        with pytest.raises(ChallengeError, match=r"outside \[0, 2\)"):
            confusion_matrix(np.array([guess]), np.array([0]), 2)
    with pytest.raises(ChallengeError, match=r"shape \(2, 2\) \(expected \(5, 5\)\)"):
        confusion_by_common_hypernym(np.zeros((2, 2), np.int64), WNIDS)


def test_errors_meet_in_the_lowest_common_hypernym() -> None:
    """Of several the least high: dogs and the cat meet in domestic animal, not in carnivore."""
    matrix = np.array(
        [[9, 3, 1, 0, 0], [2, 9, 1, 0, 0], [0, 1, 9, 0, 0], [0, 0, 0, 9, 3], [1, 0, 0, 0, 9]]
    )
    found = confusion_by_common_hypernym(matrix, WNIDS)
    words = [(load_nouns().synset(m.wnid).lemma, m.count) for m in found]
    assert words[:3] == [("toy dog", 5), ("domestic animal", 3), ("vehicle", 3)]
    assert sum(m.share for m in found) == pytest.approx(1)
    assert found[0].share == 5 / 12
    assert [m.height for m in found[:2]] == [3, 6]


def test_of_equal_height_the_first_wnid() -> None:
    """Bomber and fighter meet in airplane and in warplane, both of height 2."""
    matrix = np.array([[0, 4], [1, 0]])
    (found,) = confusion_by_common_hypernym(matrix, ("n02867715", "n03335030"))
    assert (found.wnid, found.height, found.count, found.share) == ("n02691156", 2, 5, 1)


def test_heights_add_up_to_the_hierarchical_cost() -> None:
    rng = np.random.default_rng(5)
    matrix = rng.integers(0, 9, (5, 5))
    found = confusion_by_common_hypernym(matrix, WNIDS)
    assert sum(m.height * m.count for m in found) == (matrix * hierarchical_cost(WNIDS)).sum()
    names = {lowest_common_hypernyms(a, b)[0] for a in WNIDS for b in WNIDS if a != b}
    assert {m.wnid for m in found} == names
    assert list(found) == sorted(found, key=lambda m: (-m.count, m.height, m.wnid))


def test_without_errors_there_is_nothing() -> None:
    assert confusion_by_common_hypernym(np.eye(5, dtype=np.int64), WNIDS) == ()
