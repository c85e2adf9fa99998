"""How bad mistakes are: by hand, by the laws, and against plain loops over sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetree.challenge.hierarchy import Hierarchy, hierarchy_of
from imagetree.challenge.hierarchy_metrics import (
    errors_by_level,
    score_synsets,
    set_scores,
    severity,
)
from imagetree.challenge.metrics import NO_GUESS
from imagetree.wordnet.taxonomy import closure

CHIHUAHUA, TABBY, PLANE, CAR = "n02085620", "n02123045", "n02691156", "n02958343"
WNIDS = (CHIHUAHUA, TABBY, PLANE, CAR)


@pytest.fixture
def hierarchy() -> Hierarchy:
    return hierarchy_of(WNIDS)


def label(hierarchy: Hierarchy, wnid: str) -> int:
    return hierarchy.labels.index(wnid)


def test_error_falls_with_the_height_up_to_which_synsets_are_one() -> None:
    levels = errors_by_level(np.array([0, 6, 6, 19.0]), range(20))
    assert [(level.height, level.num_misses) for level in levels[5:8]] == [(5, 3), (6, 1), (7, 1)]
    assert (levels[0].error, levels[6].error, levels[19].error) == (0.75, 0.25, 0)


def by_sets(guesses: np.ndarray, truth: np.ndarray, labels: tuple[str, ...]) -> tuple[float, float]:
    """Precision and recall, image by image, with sets of wnids."""
    common = answers = classes = 0
    for guess, index in zip(guesses[:, 0].tolist(), truth.tolist(), strict=True):
        mine = set(closure([labels[index]])) - {"n00001740"}
        theirs = set() if guess < 0 else set(closure([labels[guess]])) - {"n00001740"}
        common += len(mine & theirs)
        answers += len(theirs)
        classes += len(mine)
    return common / answers if answers else 0, common / classes


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 30)), min_size=1, max_size=8))
def test_precision_and_recall_are_those_of_sets(pairs: list[tuple[int, int]]) -> None:
    """Ancestors once each, whatever the ways; without the root; no guess implies nothing."""
    hierarchy = hierarchy_of(WNIDS)
    truth = np.array([index for index, _ in pairs])
    guesses = np.array([[min(guess, len(hierarchy.labels) - 1)] for _, guess in pairs])
    scores = set_scores(guesses, truth, hierarchy)
    precision, recall = by_sets(guesses, truth, hierarchy.labels)
    assert scores.precision == pytest.approx(precision)
    assert scores.recall == pytest.approx(recall)
    both = precision + recall
    assert scores.f1 == pytest.approx(2 * precision * recall / both if both else 0)


def test_right_answers_have_it_all_and_the_root_nothing(hierarchy: Hierarchy) -> None:
    truth = np.arange(4)
    right = set_scores(truth[:, None], truth, hierarchy)
    assert (right.precision, right.recall, right.f1) == (1, 1, 1)
    root = np.full((4, 1), label(hierarchy, "n00001740"))
    assert set_scores(root, truth, hierarchy).f1 == 0
    above = set_scores(np.array([[label(hierarchy, "n02075296")]] * 2), np.arange(2), hierarchy)
    assert above.precision == 1
    assert 0 < above.recall < 1


def test_severity_is_the_mean_over_mistakes_alone(hierarchy: Hierarchy) -> None:
    """A tabby for a chihuahua is 6 levels off, a car for it many more."""
    cost = hierarchy.cost
    guesses = np.array([[0, 1], [1, 0], [3, 0]])
    truth = np.zeros(3, np.int64)
    found = severity(guesses, truth, hierarchy, (1, 2))
    assert found.num_mistakes == 2
    assert found.mean_height == (6 + cost[0, 3]) / 2
    assert found.distance[1] == pytest.approx((0 + 6 + cost[0, 3]) / 3)
    assert found.distance[2] == pytest.approx((0 + 6 + 6 + 0 + cost[0, 3] + 0) / 6)


def test_no_guess_is_a_mistake_as_far_as_the_farthest_class(hierarchy: Hierarchy) -> None:
    found = severity(np.array([[NO_GUESS]]), np.array([1]), hierarchy, (1,))
    assert (found.num_mistakes, found.mean_height) == (1, hierarchy.max_cost)


def test_without_mistakes_there_is_no_severity(hierarchy: Hierarchy) -> None:
    found = severity(np.array([[2]]), np.array([2]), hierarchy, (1,))
    assert (found.num_mistakes, found.mean_height, found.distance) == (0, None, {1: 0.0})


def test_hierarchical_answers_are_true_above_the_class(hierarchy: Hierarchy) -> None:
    """Class, carnivore over it (1 of 2 bits), the root (0 bits), and carnivore for a plane."""
    carnivore, root = label(hierarchy, "n02075296"), label(hierarchy, "n00001740")
    guesses = np.array([[0], [carnivore], [root], [carnivore]])
    truth = np.array([0, 1, 3, 2])
    found = score_synsets(guesses, truth, hierarchy)
    assert found.accuracy == 0.75
    assert found.information == pytest.approx((2 + 1 + 0 + 0) / 4 / 2)
    heights = hierarchy.heights
    assert found.heights == {int(heights[0]): 1, int(heights[carnivore]): 2, 19: 1}


def test_no_guess_is_never_true(hierarchy: Hierarchy) -> None:
    found = score_synsets(np.array([[NO_GUESS], [0]]), np.array([0, 0]), hierarchy)
    assert (found.accuracy, found.information) == (0.5, 0.5)
