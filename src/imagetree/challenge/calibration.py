"""Whether probabilities mean what they say: calibration error, reliability, proper scores.

Sources: expected calibration error as in Guo, Pleiss, Sun and Weinberger, On calibration of modern
neural networks, ICML 2017, section 2, with bins of equal mass in place of equal width: with these a
bin never has too few images to have a mean. Brier, Monthly Weather Review 78, 1950.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imagetree.errors import ChallengeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUM_BINS = 15


@dataclass(frozen=True)
class ReliabilityBin:
    """Images of like confidence.

    Args:
        num_images: in it.
        low: least confidence.
        high: greatest confidence.
        confidence: mean probability of the first guess.
        accuracy: share of first guesses that are right.
    """

    num_images: int
    low: float
    high: float
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """How good probabilities are.

    Args:
        error: expected calibration error, the mean over images of the distance between confidence
            and accuracy of their bin; a fraction.
        brier: mean over images of the squared distance of the probabilities from the truth, in
            [0, 2].
        log_loss: mean of -ln of the probability of the class, in nats; None where it is infinite.
        num_impossible: images whose class was given probability 0, for which it is.
        bins: of rising confidence.
    """

    error: float
    brier: float
    log_loss: float | None
    num_impossible: int
    bins: tuple[ReliabilityBin, ...]


def calibrate(
    probabilities: NDArray[np.floating], truth: NDArray[np.int64], *, num_bins: int = NUM_BINS
) -> Calibration:
    """Calibration of the first guesses, and proper scores of all probabilities.

    The bins have equally many images, but equal confidences are never parted, so that the order of
    the images does not matter; so there may be fewer bins.

    Args:
        probabilities: of each class; (N, K), in [0, 1], each row's sum about 1.
        truth: class index of each image; int64 (N,), in [0, K).
        num_bins: how many, at least 1.

    Raises:
        ChallengeError: shapes disagree, there is no image, a value is not in [0, 1], or there is no
            bin.

    >>> sure = calibrate(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1]), num_bins=1)
    >>> sure.error, sure.brier
    (0.0, 0.375)
    """
    num_images = len(truth)
    if probabilities.ndim != 2 or truth.shape != (len(probabilities),) or not num_images:
        raise ChallengeError(
            f"probabilities have shape {probabilities.shape} and the truth {truth.shape} "
            "(expected (N, K) and (N,), N >= 1)"
        )
    if num_bins < 1 or not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ChallengeError("a probability is not in [0, 1], or there is no bin to sort them into")
    images = np.arange(num_images)
    first = probabilities.argmax(axis=1)  # the first of equal ones, as for guesses
    of_truth = np.sort(probabilities[images, truth].astype(np.float64))
    squares = np.einsum("nk,nk->n", probabilities, probabilities, dtype=np.float64)
    brier = np.sort(squares - 2 * probabilities[images, truth] + 1).mean()
    num_impossible = int((of_truth == 0).sum())
    confidence = probabilities[images, first].astype(np.float64)
    bins = _bins(confidence, first == truth, num_bins)
    apart = sum(each.num_images * abs(each.accuracy - each.confidence) for each in bins)
    return Calibration(
        error=apart / num_images,
        brier=float(brier),
        log_loss=None if num_impossible else float(-np.log(of_truth).mean()),
        num_impossible=num_impossible,
        bins=bins,
    )


def _bins(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], num_bins: int
) -> tuple[ReliabilityBin, ...]:
    order = np.lexsort((is_right, confidence))
    confidence, is_right = confidence[order], is_right[order]
    rank = np.searchsorted(confidence, confidence)  # that of the first with the same confidence
    starts = np.flatnonzero(np.diff(rank * num_bins // len(rank), prepend=-1))
    return tuple(
        ReliabilityBin(
            end - start,
            float(confidence[start]),
            float(confidence[end - 1]),
            float(confidence[start:end].mean()),
            float(is_right[start:end].mean()),
        )
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(rank)], strict=True)
    )
