"""Temperature: found where the log loss is least, and what it does to probabilities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from imagetree.errors import TrainingError
from imagetree.recognition.temperature import (
    GREATEST,
    LEAST,
    find_temperature,
    log_loss,
    soften,
)


def drawn(temperature: float, count: int = 4000, classes: int = 7):
    """Logits, and truths drawn from their softmax at a temperature."""
    random = np.random.default_rng(3)
    logits = random.normal(0, 2, (count, classes))
    meant = torch.tensor(logits / temperature).softmax(1).numpy()
    truth = (meant.cumsum(1) < random.random((count, 1))).sum(1).clip(max=classes - 1)
    return logits, torch.tensor(logits).softmax(1).numpy(), truth


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_found_exactly_and_near_the_one_drawn_with(temperature) -> None:
    """To 1e-3 where another minimiser finds it, which knows nothing of the derivative."""
    _, probabilities, truth = drawn(temperature)
    found = find_temperature(probabilities, truth)
    other = minimize_scalar(
        lambda log: log_loss(probabilities, truth, float(np.exp(log))), (-1, 1), tol=1e-9
    )
    assert found == pytest.approx(np.exp(other.x), abs=1e-4)
    assert found == pytest.approx(temperature, rel=0.1)


def test_softened_is_the_softmax_of_logits_over_the_temperature() -> None:
    logits, probabilities, _ = drawn(1.0, 50)
    expected = torch.tensor(logits / 1.7).softmax(1).numpy()
    np.testing.assert_allclose(soften(probabilities, 1.7), expected, rtol=1e-9)
    np.testing.assert_allclose(soften(probabilities, 1.0), probabilities, rtol=1e-9)


def test_log_loss_is_torchs() -> None:
    logits, probabilities, truth = drawn(1.0, 50)
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(logits / 0.6), torch.tensor(truth)
    ).item()
    assert log_loss(probabilities, truth, 0.6) == pytest.approx(expected)


def test_unreadable_images_stay_without_probability() -> None:
    assert not soften(np.zeros((2, 3), np.float32), 0.5).any()


def test_no_infinities_where_float32_gave_zero() -> None:
    """A class of probability 0 that is the truth costs much, and the temperature rises."""
    probabilities = np.array([[1, 0], [1, 0], [1, 0]], np.float32)
    truth = np.array([0, 0, 1])
    found = find_temperature(probabilities, truth)
    assert 1 < found < GREATEST * 10
    assert np.isfinite(log_loss(probabilities, truth))


def test_bounds_where_all_are_right_or_all_are_chance() -> None:
    right = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert find_temperature(right, np.array([0, 1])) == pytest.approx(LEAST)
    assert find_temperature(right, np.array([1, 0])) == pytest.approx(GREATEST)


def test_no_images() -> None:
    with pytest.raises(TrainingError, match="no image"):
        find_temperature(np.zeros((0, 3)), np.zeros(0, np.int64))
