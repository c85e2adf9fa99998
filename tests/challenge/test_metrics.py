"""Errors by hand, against a sort, and by their laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetree.challenge.metrics import (
    NO_GUESS,
    flat_error,
    flat_errors,
    flat_misses,
    guesses_from_scores,
    hierarchical_error,
    hierarchical_errors,
)
from imagetree.errors import ChallengeError

COST = np.array([[0, 1, 4], [1, 0, 3], [4, 3, 0]], dtype=np.int16)


def test_textbook_case() -> None:
    """Three images of class 0, 1, 2: right at once, right at the second guess, never right."""
    guesses = np.array([[0, 1], [2, 1], [0, 1]])
    truth = np.array([0, 1, 2])
    assert flat_misses(guesses, truth, 1).tolist() == [False, True, True]
    assert flat_error(guesses, truth, 2) == pytest.approx(1 / 3)
    assert hierarchical_error(guesses, truth, COST, 1) == pytest.approx((0 + 3 + 4) / 3)
    assert hierarchical_error(guesses, truth, COST, 2) == pytest.approx((0 + 0 + 3) / 3)


def test_no_guess_costs_as_much_as_the_worst() -> None:
    guesses = np.array([[NO_GUESS, NO_GUESS]])
    assert flat_error(guesses, np.array([0]), 2) == 1.0
    assert hierarchical_error(guesses, np.array([0]), COST, 2) == 4.0


@given(st.data())
def test_error_never_rises_with_k_and_ignores_order(data: st.DataObject) -> None:
    """One guess more is never worse, the order of the images means nothing."""
    n = data.draw(st.integers(1, 20))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    scores = rng.random((n, 3)).astype(np.float32)
    truth = rng.integers(0, 3, n)
    guesses = guesses_from_scores(scores, 3)
    flat = [flat_error(guesses, truth, k) for k in (1, 2, 3)]
    cost = [hierarchical_error(guesses, truth, COST, k) for k in (1, 2, 3)]
    assert flat == sorted(flat, reverse=True)
    assert cost == sorted(cost, reverse=True)
    assert flat[-1] == cost[-1] == 0.0
    order = rng.permutation(n)
    assert flat_error(guesses[order], truth[order], 1) == flat[0]


@given(st.integers(0, 1000))
def test_guesses_equal_a_plain_sort(seed: int) -> None:
    """Our top k against Python's stable sort, with ties."""
    scores = np.random.default_rng(seed).integers(0, 4, (5, 6)).astype(np.float32)
    expected = [sorted(range(6), key=lambda c: -row[c])[:3] for row in scores]
    assert guesses_from_scores(scores, 3).tolist() == expected


def test_k_above_the_classes_is_refused() -> None:
    with pytest.raises(ChallengeError, match="top-5 needs 5 guesses, but there are 3 classes"):
        guesses_from_scores(np.zeros((1, 3), np.float32), 5)


def test_nan_scores_are_refused() -> None:
    scores = np.array([[0.1, 0.2], [np.nan, 0.0]], dtype=np.float32)
    with pytest.raises(ChallengeError, match="image 1: a score is not a finite number"):
        guesses_from_scores(scores, 1)


def test_shapes_and_emptiness_are_checked() -> None:
    with pytest.raises(ChallengeError, match=r"guesses have shape \(2, 1\) and the truth \(3,\)"):
        flat_error(np.zeros((2, 1), np.int64), np.zeros(3, np.int64), 1)
    with pytest.raises(ChallengeError, match="there is no image to score"):
        flat_error(np.zeros((0, 1), np.int64), np.zeros(0, np.int64), 1)
    with pytest.raises(ChallengeError, match="top-2 needs 2 guesses an image, there are 1"):
        flat_error(np.zeros((1, 1), np.int64), np.zeros(1, np.int64), 2)
    with pytest.raises(ChallengeError, match=r"outside \[0, 3\)"):
        hierarchical_error(np.array([[3]]), np.array([0]), COST, 1)


def test_several_labels_of_an_image_are_averaged() -> None:
    """As the official scorer: one of two labels found is half an error, and half the levels."""
    truth = np.array([[0, 2], [1, NO_GUESS]])
    guesses = np.array([[0, 2], [2, NO_GUESS]])
    assert flat_errors(guesses, truth, 1).tolist() == [0.5, 1]
    assert flat_errors(guesses, truth, 2).tolist() == [0, 1]
    assert hierarchical_errors(guesses, truth, COST, 1).tolist() == [2, 3]
    assert flat_error(guesses, truth, 2) == 0.5
    with pytest.raises(ChallengeError, match="several labels is not right or wrong"):
        flat_misses(guesses, truth, 1)


def test_one_label_a_row_is_as_one_label() -> None:
    rng = np.random.default_rng(3)
    guesses, truth = rng.integers(-1, 3, (50, 2)), rng.integers(0, 3, 50)
    for k in (1, 2):
        assert np.array_equal(flat_errors(guesses, truth, k), flat_misses(guesses, truth, k))
        filled = np.stack([truth, np.full(50, NO_GUESS)], axis=1)
        levels = hierarchical_errors(guesses, truth, COST, k)
        assert np.array_equal(levels, hierarchical_errors(guesses, filled, COST, k))


def test_labels_behind_the_classes_may_be_guessed() -> None:
    """Columns of the cost matrix behind the classes; no guess costs what the worst class does."""
    cost = np.hstack([COST, [[9], [8], [7]]])
    guesses = np.array([[3], [NO_GUESS]])
    assert hierarchical_errors(guesses, np.array([1, 1]), cost, 1).tolist() == [8, 4]


@pytest.mark.parametrize("truth", [[-1, 0], [[0, 1], [-1, 0]]])
def test_an_image_without_a_label_is_refused(truth: list) -> None:
    with pytest.raises(ChallengeError, match="truth is below 0, or an image has no label"):
        flat_errors(np.zeros((2, 1), np.int64), np.array(truth), 1)
