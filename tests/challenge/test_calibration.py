"""Calibration by hand, and by its laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetree.challenge.calibration import calibrate
from imagetree.errors import ChallengeError


def rows(confidences: list[float]) -> np.ndarray:
    """Probabilities of two classes, the first with each confidence."""
    return np.array([[c, 1 - c] for c in confidences])


def test_textbook_case() -> None:
    """Ten sure answers of which nine are right, ten doubtful ones of which nine are right."""
    probabilities = rows([0.9] * 10 + [0.6] * 10)
    truth = np.array([0] * 9 + [1] + [0] * 9 + [1])
    found = calibrate(probabilities, truth, num_bins=2)
    assert [(b.num_images, b.confidence, b.accuracy) for b in found.bins] == [
        (10, pytest.approx(0.6), pytest.approx(0.9)),
        (10, pytest.approx(0.9), pytest.approx(0.9)),
    ]
    assert found.error == pytest.approx((0.3 + 0) / 2)
    brier = (9 * 2 * 0.1**2 + 2 * 0.9**2 + 9 * 2 * 0.4**2 + 2 * 0.6**2) / 20
    assert found.brier == pytest.approx(brier)
    loss = -(9 * math.log(0.9) + math.log(0.1) + 9 * math.log(0.6) + math.log(0.4)) / 20
    assert found.log_loss == pytest.approx(loss)


@given(st.lists(st.tuples(st.sampled_from([0.5, 0.6, 0.75, 0.99]), st.booleans()), min_size=1))
def test_the_order_of_the_images_means_nothing(pairs: list[tuple[float, bool]]) -> None:
    """Equal confidences are never parted, so that every digit is the same."""
    pairs_sorted = sorted(pairs)
    found, other = (
        calibrate(rows([c for c, _ in each]), np.array([int(wrong) for _, wrong in each]))
        for each in (pairs, pairs_sorted)
    )
    assert found == other
    assert sum(b.num_images for b in found.bins) == len(pairs)
    for one, next_one in zip(found.bins, found.bins[1:], strict=False):
        assert one.high < next_one.low


def test_bins_have_equally_many_images() -> None:
    probabilities = rows(np.linspace(0.5, 1, 90).tolist())
    found = calibrate(probabilities, np.zeros(90, np.int64), num_bins=15)
    assert [b.num_images for b in found.bins] == [6] * 15


def test_a_class_that_was_ruled_out_makes_the_loss_infinite() -> None:
    found = calibrate(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([1, 0]))
    assert (found.log_loss, found.num_impossible) == (None, 1)
    assert found.brier == pytest.approx((2 + 0.5) / 2)


def test_of_equal_probabilities_the_first_class_is_the_guess() -> None:
    found = calibrate(np.array([[0.5, 0.5]] * 2), np.array([0, 1]))
    assert found.bins[0].accuracy == 0.5


def test_single_precision_is_summed_in_double() -> None:
    """A thousand classes of 0.001: each square is 1e-6, and 100,000 rows keep their digits."""
    probabilities = np.full((2000, 1000), 0.001, dtype=np.float32)
    found = calibrate(probabilities, np.zeros(2000, np.int64))
    assert found.brier == pytest.approx(0.999, abs=1e-9)


def test_what_has_no_calibration_is_refused() -> None:
    good = np.array([[1.0, 0.0]])
    for probabilities, truth in ((good[0], [0]), (good, [0, 1]), (good[:0], [])):
        with pytest.raises(ChallengeError, match="probabilities have shape"):
            calibrate(probabilities, np.array(truth, dtype=np.int64))
    for bad in (np.nan, -0.1, 1.1):
        with pytest.raises(ChallengeError, match=r"not in \[0, 1\]"):
            calibrate(np.array([[bad, 0.0]]), np.array([0]))
    with pytest.raises(ChallengeError, match="no bin"):
        calibrate(good, np.array([0]), num_bins=0)
