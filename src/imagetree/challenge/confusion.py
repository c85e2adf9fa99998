"""What was taken for what: counts by class and answer, and by the synset in which the two meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imagetree.challenge.hierarchy import hierarchy_of
from imagetree.errors import ChallengeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Meeting:
    """A synset that is the lowest common hypernym of class and answer of some errors.

    Args:
        wnid: the synset.
        height: longest way down to a leaf of WordNet, in levels: what each of the errors costs.
        count: errors, at least 1.
        share: of all errors.
    """

    wnid: str
    height: int
    count: int
    share: float


def confusion_matrix(
    guesses: NDArray[np.int64], truth: NDArray[np.int64], num_classes: int
) -> NDArray[np.int64]:
    """How many images of each class were answered with each class.

    Args:
        guesses: class index of each image's first answer; int64 (N,), in [0, K). Images without an
            answer are left out by the caller.
        truth: class index of each image; int64 (N,), in [0, K).
        num_classes: K.

    Returns:
        int64 (K, K), row the class, column the answer; the right answers are on the diagonal.

    Raises:
        ChallengeError: shapes disagree, or an index is outside [0, K).

    >>> confusion_matrix(np.array([1, 1, 0]), np.array([0, 1, 0]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    if guesses.ndim != 1 or guesses.shape != truth.shape:
        raise ChallengeError(
            f"guesses have shape {guesses.shape} and the truth {truth.shape} (expected (N,) twice)"
        )
    for indices in (guesses, truth):
        if len(indices) and not 0 <= indices.min() <= indices.max() < num_classes:
            raise ChallengeError(f"a class index is outside [0, {num_classes})")
    cells = np.bincount(truth * num_classes + guesses, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes).astype(np.int64, copy=False)


def confusion_by_common_hypernym(
    matrix: NDArray[np.int64], wnids: Sequence[str]
) -> tuple[Meeting, ...]:
    """The errors of a confusion matrix by the lowest common hypernym of class and answer.

    Of several lowest common hypernyms the one of least height counts, as in the hierarchical cost;
    of those with the same height the first wnid.

    Args:
        matrix: images by class and answer; int64 (K, K). Its diagonal does not count.
        wnids: of the classes, in the order of its rows.

    Returns:
        Most errors first, then the lowest, then by wnid; empty where there is no error.

    Raises:
        ChallengeError: the matrix is not (K, K).
        WordnetError: a wnid is no noun of WordNet 3.0.

    >>> dogs_and_cat = ("n02085620", "n02085782", "n02123045")  # Chihuahua, Japanese spaniel, tabby
    >>> taken = np.array([[5, 2, 1], [0, 5, 0], [0, 0, 5]])
    >>> [(m.wnid, m.height, m.count) for m in confusion_by_common_hypernym(taken, dogs_and_cat)]
    [('n02085374', 3, 2), ('n01317541', 6, 1)]
    """
    num_classes = len(wnids)
    if matrix.shape != (num_classes, num_classes):
        raise ChallengeError(
            f"a confusion matrix of shape {matrix.shape} (expected ({num_classes}, {num_classes}))"
        )
    errors = matrix.copy()
    np.fill_diagonal(errors, 0)
    hierarchy = hierarchy_of(tuple(wnids))
    rows, columns = np.nonzero(errors)
    counts = np.zeros(len(hierarchy.labels), dtype=np.int64)
    np.add.at(counts, hierarchy.common[rows, columns], errors[rows, columns])
    total = int(counts.sum())
    found = [
        Meeting(hierarchy.labels[i], int(hierarchy.heights[i]), int(counts[i]), counts[i] / total)
        for i in np.flatnonzero(counts).tolist()
    ]
    return tuple(sorted(found, key=lambda each: (-each.count, each.height, each.wnid)))
