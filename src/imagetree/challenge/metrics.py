"""Errors of a list of guesses: flat and hierarchical. Pure functions of arrays, numpy only.

Definitions: ILSVRC2010 development kit, readme.txt, "evaluation criteria", and its eval_flat.m and
eval_hie.m. An error is a fraction in [0, 1] or a mean cost in levels; it becomes a percentage only
where it is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imagetree.errors import ChallengeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_GUESS = -1
"""Fills the row of an image with fewer guesses than the others; never right."""


def flat_misses(guesses: NDArray[np.int64], truth: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Which images have no right answer among their first k guesses.

    Args:
        guesses: class indices, best first; int64 (N, G), G >= k, in [0, K) or NO_GUESS.
        truth: class index of each image; int64 (N,).
        k: guesses that count, at least 1.

    Returns:
        bool (N,), True for a miss.

    Raises:
        ChallengeError: shapes disagree, there is no image, or k is not in [1, G].

    >>> flat_misses(np.array([[2, 0], [1, NO_GUESS]]), np.array([0, 1]), k=1)
    array([ True, False])
    """
    _check(guesses, truth, k)
    hits: NDArray[np.bool_] = (guesses[:, :k] == truth[:, None]).any(axis=1)
    return ~hits


def flat_error(guesses: NDArray[np.int64], truth: NDArray[np.int64], k: int) -> float:
    """Fraction of images without a right answer among their first k guesses; see `flat_misses`.

    >>> flat_error(np.array([[2, 0], [1, NO_GUESS]]), np.array([0, 1]), k=1)
    0.5
    """
    return float(flat_misses(guesses, truth, k).mean())


def hierarchical_error(
    guesses: NDArray[np.int64], truth: NDArray[np.int64], cost: NDArray[np.int16], k: int
) -> float:
    """Mean cost between each image's class and the nearest of its first k guesses.

    No guess costs as much as the worst one, `cost.max()`.

    Args:
        guesses: class indices, best first; int64 (N, G), G >= k, in [0, K) or NO_GUESS.
        truth: class index of each image; int64 (N,), in [0, K).
        cost: hierarchical cost in levels, zero diagonal; int16 (K, K).
        k: guesses that count, at least 1.

    Returns:
        Mean over images, in levels: 0.0 if all are right, at most cost.max().

    Raises:
        ChallengeError: shapes disagree, an index is outside [0, K), or k is not in [1, G].

    Source: ILSVRC2010 development kit, readme.txt "hierarchical criteria", evaluation/eval_hie.m.

    >>> hierarchical_error(np.array([[1, 0]]), np.array([0]), np.array([[0, 3], [3, 0]]), k=1)
    3.0
    """
    _check(guesses, truth, k)
    num_classes = len(cost)
    used = guesses[:, :k]
    if truth.min() < 0 or truth.max() >= num_classes or used.max() >= num_classes:
        raise ChallengeError(f"a class index is outside [0, {num_classes}), the cost matrix")
    costs = cost[truth[:, None], np.maximum(used, 0)]
    costs = np.where(used == NO_GUESS, cost.max(), costs)
    return float(costs.min(axis=1).mean())


def guesses_from_scores(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """The k classes of highest score of each image, best first; equal scores by class index.

    Args:
        scores: (N, K), any scale, finite.
        k: guesses to take, in [1, K].

    Returns:
        int64 (N, k).

    Raises:
        ChallengeError: k is greater than the number of classes, or a score is not finite.

    >>> guesses_from_scores(np.array([[0.2, 0.5, 0.5]], dtype=np.float32), k=2)
    array([[1, 2]])
    """
    if not 1 <= k <= scores.shape[1]:
        raise ChallengeError(
            f"top-{k} needs {k} guesses, but there are {scores.shape[1]} classes",
            hint=f"choose k between 1 and {scores.shape[1]}",
        )
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
        raise ChallengeError(f"image {row}: a score is not a finite number")
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def _check(guesses: NDArray[np.int64], truth: NDArray[np.int64], k: int) -> None:
    if guesses.ndim != 2 or truth.ndim != 1 or len(guesses) != len(truth):
        raise ChallengeError(
            f"guesses have shape {guesses.shape} and the truth {truth.shape} "
            "(expected (N, G) and (N,))"
        )
    if len(truth) == 0:
        raise ChallengeError("there is no image to score")
    if not 1 <= k <= guesses.shape[1]:
        raise ChallengeError(f"top-{k} needs {k} guesses an image, there are {guesses.shape[1]}")
