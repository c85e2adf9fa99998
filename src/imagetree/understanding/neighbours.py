"""Nearest neighbours by Euclidean distance, exact, in memory that does not grow with the set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from imagetree.training.batches import BadImage
    from imagetree.understanding.features import FeatureBatch

_BLOCK = 256  # rows of which all differences to a query are held at once


@dataclass(frozen=True)
class Neighbours:
    """The k nearest of a set for each of Q queries, nearest first; equally near ones by index.

    Args:
        indices: in the set; int64 (Q, k).
        distances: Euclidean; float64 (Q, k).
        bad: the images of the set that could not be decoded and are nobody's neighbour.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float64]
    bad: tuple[BadImage, ...]


def nearest(
    queries: NDArray[np.float32], batches: Iterable[FeatureBatch], count: int
) -> Neighbours:
    """Find the nearest neighbours of some feature vectors in a set that comes in batches.

    Differences are squared and summed in float64. The short way |a|^2 - 2ab + |b|^2 would lose
    the small distances, and its products round otherwise on another number of threads.

    Args:
        queries: float32 (Q, D).
        batches: features of the set, each (B, D).
        count: neighbours for each query, k.

    Raises:
        TrainingError: the set has fewer than k usable images, k is less than 1, sizes differ, or a
            feature is no finite number.
    """
    if count < 1:
        raise TrainingError(f"number of neighbours is {count} (expected at least 1)")
    _check_finite(queries, "query")
    indices = np.empty((len(queries), 0), dtype=np.int64)
    squares = np.empty((len(queries), 0), dtype=np.float64)
    bad: list[BadImage] = []
    for batch in batches:
        bad.extend(batch.bad)
        for start in range(0, len(batch.indices), _BLOCK):
            block = batch.values[start : start + _BLOCK]
            _check_block(block, queries)
            here = np.broadcast_to(
                batch.indices[start : start + _BLOCK], (len(queries), len(block))
            )
            indices = np.concatenate([indices, here], axis=1)
            squares = np.concatenate([squares, _squared_distances(queries, block)], axis=1)
            order = np.lexsort((indices, squares), axis=1)[:, :count]
            indices = np.take_along_axis(indices, order, axis=1)
            squares = np.take_along_axis(squares, order, axis=1)
    if indices.shape[1] < count:
        raise TrainingError(
            f"{count} neighbours cannot be found among {indices.shape[1]} usable images",
            hint="ask for fewer with --count",
        )
    return Neighbours(indices, np.sqrt(squares), tuple(bad))


def _squared_distances(
    queries: NDArray[np.float32], block: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Float64 (Q, B), query by query."""
    wide = block.astype(np.float64)
    squares = np.empty((len(queries), len(block)), dtype=np.float64)
    for row, query in zip(squares, queries, strict=True):
        difference = wide - query
        row[:] = np.square(difference, out=difference).sum(axis=1)
    return squares


def _check_block(block: NDArray[np.float32], queries: NDArray[np.float32]) -> None:
    if block.shape[1:] != queries.shape[1:]:
        raise TrainingError(
            f"features of the set have {block.shape[1]} values "
            f"(expected {queries.shape[1]}, as the queries)"
        )
    _check_finite(block, "set")


def _check_finite(values: NDArray[np.float32], where: str) -> None:
    if not np.isfinite(values).all():
        raise TrainingError(
            f"{where}: a feature is no finite number, the network has diverged",
            hint="train again with a lower learning rate: imagetree train CHALLENGE RUN --lr",
        )
