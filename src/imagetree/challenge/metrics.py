"""Errors of a list of guesses: flat and hierarchical. Pure functions of arrays, numpy only.

Definitions: ILSVRC2010 development kit, readme.txt, "evaluation criteria", and its eval_flat.m and
eval_hie.m. An error is a fraction in [0, 1] or a mean cost in levels; it becomes a percentage only
where it is shown. An image may have several labels: its error is the mean over them, and a row of
the truth is filled up with NO_GUESS.
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
    check_shapes(guesses, truth, k)
    if truth.ndim != 1:
        raise ChallengeError("an image with several labels is not right or wrong: see flat_errors")
    hits: NDArray[np.bool_] = (guesses[:, :k] == truth[:, None]).any(axis=1)
    return ~hits


def flat_errors(
    guesses: NDArray[np.int64], truth: NDArray[np.int64], k: int
) -> NDArray[np.float64]:
    """Share of each image's labels that are not among its first k guesses.

    Args:
        guesses: class indices, best first; int64 (N, G), G >= k, in [0, K) or NO_GUESS.
        truth: class indices; int64 (N,), or (N, M) for up to M labels an image, filled up with
            NO_GUESS behind the first.
        k: guesses that count, at least 1.

    Returns:
        float64 (N,), in [0, 1]; 0 or 1 where an image has one label.

    Raises:
        ChallengeError: shapes disagree, there is no image or one without a label, or k is not in
            [1, G].

    >>> flat_errors(np.array([[2, 0], [1, 2]]), np.array([[0, 2], [1, NO_GUESS]]), k=1).tolist()
    [0.5, 0.0]
    """
    check_shapes(guesses, truth, k)
    used = guesses[:, :k]
    return _mean_over_labels(
        [(used != labels[:, None]).all(axis=1) for labels in _columns(truth)], truth
    )


def flat_error(guesses: NDArray[np.int64], truth: NDArray[np.int64], k: int) -> float:
    """Mean over images of `flat_errors`: with one label each, the fraction of misses.

    >>> flat_error(np.array([[2, 0], [1, NO_GUESS]]), np.array([0, 1]), k=1)
    0.5
    """
    return float(flat_errors(guesses, truth, k).mean())


def hierarchical_errors(
    guesses: NDArray[np.int64], truth: NDArray[np.int64], cost: NDArray[np.integer], k: int
) -> NDArray[np.float64]:
    """Cost between each image's class and the nearest of its first k guesses.

    No guess costs as much as the worst one that names a class.

    Args:
        guesses: labels, best first; int64 (N, G), G >= k, in [0, L) or NO_GUESS.
        truth: class indices; int64 (N,) or (N, M), as for `flat_errors`, in [0, K).
        cost: hierarchical cost in levels of answering label l for class c, zero where they are the
            same; integers (K, L). The labels are the K classes, behind which others may follow.
        k: guesses that count, at least 1.

    Returns:
        Levels; float64 (N,).

    Raises:
        ChallengeError: shapes disagree, an index is outside its range, there is no image or one
            without a label, or k is not in [1, G].

    Source: ILSVRC2010 development kit, readme.txt "hierarchical criteria", evaluation/eval_hie.m.

    >>> hierarchical_errors(np.array([[1, 0]]), np.array([0]), np.array([[0, 3], [3, 0]]), 1)
    array([3.])
    """
    check_shapes(guesses, truth, k)
    num_classes, num_labels = cost.shape
    used = guesses[:, :k]
    if truth.max() >= num_classes or used.max() >= num_labels or used.min() < NO_GUESS:
        raise ChallengeError(f"a class index is outside [0, {num_classes}), the cost matrix")
    no_guess = cost[:, :num_classes].max()
    found = []
    for labels in _columns(truth):
        costs = cost[np.maximum(labels, 0)[:, None], np.maximum(used, 0)]
        found.append(np.where(used == NO_GUESS, no_guess, costs).min(axis=1))
    return _mean_over_labels(found, truth)


def hierarchical_error(
    guesses: NDArray[np.int64], truth: NDArray[np.int64], cost: NDArray[np.integer], k: int
) -> float:
    """Mean over images of `hierarchical_errors`, in levels: 0.0 if all are right.

    >>> hierarchical_error(np.array([[1, 0]]), np.array([0]), np.array([[0, 3], [3, 0]]), k=1)
    3.0
    """
    return float(hierarchical_errors(guesses, truth, cost, k).mean())


def guesses_from_scores(scores: NDArray[np.floating], k: int) -> NDArray[np.int64]:
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


def check_shapes(guesses: NDArray[np.int64], truth: NDArray[np.int64], k: int) -> None:
    """Hold guesses and truth to each other.

    Raises:
        ChallengeError: shapes disagree, there is no image or one without a label, or k is not in
            [1, G].
    """
    if guesses.ndim != 2 or truth.ndim not in {1, 2} or len(guesses) != len(truth):
        raise ChallengeError(
            f"guesses have shape {guesses.shape} and the truth {truth.shape} "
            "(expected (N, G) and (N,) or (N, M))"
        )
    if truth.size == 0:
        raise ChallengeError("there is no image to score")
    if not 1 <= k <= guesses.shape[1]:
        raise ChallengeError(f"top-{k} needs {k} guesses an image, there are {guesses.shape[1]}")
    if truth.min() < (0 if truth.ndim == 1 else NO_GUESS) or (_columns(truth)[0] < 0).any():
        raise ChallengeError("a class index of the truth is below 0, or an image has no label")


def _columns(truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first label of each image, the second and so on; int64 (M, N)."""
    return truth[None] if truth.ndim == 1 else truth.T


def _mean_over_labels(
    errors: list[NDArray[np.bool_]] | list[NDArray[np.integer]], truth: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The errors for each label, as columns of `truth`, to one for each image; float64 (N,)."""
    is_label = _columns(truth) != NO_GUESS
    total = np.where(is_label, np.array(errors), 0).sum(axis=0)
    mean: NDArray[np.float64] = total / is_label.sum(axis=0)
    return mean
