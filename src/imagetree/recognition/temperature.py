"""Probabilities that mean what they say: one temperature for all of a network's answers.

softmax(z / T) is the softmax's own probabilities p to the power 1 / T, summed to 1 again, so the
temperature is found and used on probabilities: nothing has to keep the logits, and the mean over
several crops is softened like any other.

Source: Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, ICML 2017,
section 4.2 (temperature scaling).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST, GREATEST = 0.05, 20.0
"""Temperatures that are looked at. Where every answer is right the likelihood grows for ever as the
temperature falls, and where all are by chance as it rises; then the answer is the bound."""

_HALVINGS = 40  # of the range of ln T, which is 6: to 6e-12
_SMALLEST = float(np.finfo(np.float32).tiny)
"""Probabilities below are taken for this one: a softmax in float32 gives 0 for ever less likely."""


def soften(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Probabilities at another temperature; the order of the classes stays.

    Args:
        probabilities: (N, K); a row of zeros, an image that could not be read, stays zeros.
        temperature: above 1 less sure, below 1 surer, 1 as they are.

    Returns:
        float64 (N, K), each row's sum 1, or 0.

    >>> soften(np.array([[0.8, 0.2], [0.0, 0.0]]), 2.0).round(3).tolist()
    [[0.667, 0.333], [0.0, 0.0]]
    """
    is_readable = probabilities.any(axis=1, keepdims=True)
    return np.where(is_readable, _softmax(_logs(probabilities) / temperature), 0.0)


def log_loss(
    probabilities: NDArray[np.floating], truth: NDArray[np.int64], temperature: float = 1.0
) -> float:
    """Mean of -ln of the probability of the class at a temperature, in nats."""
    logs = _logs(probabilities) / temperature
    top = logs.max(axis=1)
    sums = np.log(np.exp(logs - top[:, None]).sum(axis=1)) + top
    return float((sums - logs[np.arange(len(truth)), truth]).mean())


def find_temperature(probabilities: NDArray[np.floating], truth: NDArray[np.int64]) -> float:
    """The temperature of the least log loss.

    The loss is convex in 1 / T, so its one minimum is where its derivative, the mean over images of
    (expected log probability - that of the class), changes sign: found by bisection of ln T.

    Args:
        probabilities: of images that the network was not trained on; (N, K), rows' sums 1.
        truth: class index of each image; int64 (N,).

    Returns:
        The temperature to far better than 1e-3, within [LEAST, GREATEST].

    Raises:
        TrainingError: there is no image.
    """
    if not len(truth):
        raise TrainingError("no image to find a temperature on")
    logs = _logs(probabilities)
    of_truth = float(logs[np.arange(len(truth)), truth].mean())
    low, high = np.log(LEAST), np.log(GREATEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        expected = float((_softmax(logs / np.exp(middle)) * logs).sum(axis=1).mean())
        low, high = (middle, high) if expected > of_truth else (low, middle)
    return float(np.exp((low + high) / 2))


def _logs(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    logs: NDArray[np.float64] = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))
    return logs


def _softmax(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    sums: NDArray[np.float64] = powers.sum(axis=1, keepdims=True)
    return np.asarray(powers / sums)
