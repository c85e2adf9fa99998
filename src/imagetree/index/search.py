"""Nearest neighbours in an index: first by codes, all of them; then the likeliest by features.

Scanning the codes of 100,000 images reads 13 to 51 MB, as one product of a matrix and a vector.
Nothing is left to a graph's luck: the same question has the same answer, and what codes cost in
recall was measured when the index was made. At fourteen million images and codes of 32, 1.8 GB, it
takes 0.07 s at the speed of two cores' memory and a tenth of it on a server's channels; beyond
that the codes are shared out to machines by rows, and the answers of each are merged by their
distances. The features, 116 GB, stay on the disk: a question reads some hundred rows of 8 KiB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from usearch.compiled import MetricKind
from usearch.index import search

from imagetree.errors import TrainingError
from imagetree.files import sha256_of
from imagetree.index.projection import encode
from imagetree.index.store import (
    CODES,
    FEATURES,
    PROJECTION,
    read_array,
    read_info,
    read_names,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from imagetree.index.store import IndexInfo

_TOGETHER = 256  # questions whose codes are compared at once
_BLOCK = 16  # rows of which the least is looked at first
# NumPy converts float16 one by one where there is no AVX512-FP16: five times as slow
_AS_FLOAT32 = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


class Found(NamedTuple):
    """An image of the index.

    Args:
        row: its place in the index.
        name: of the image.
        wnid: its class; empty where it is not known.
        distance: Euclidean, of the features.
    """

    row: int
    name: str
    wnid: str
    distance: float


class Pair(NamedTuple):
    """Two images of the index; the first stands before the second in it."""

    first: Found
    second: Found


class VectorIndex:
    """An index that can be searched, from any number of threads.

    Args:
        folder: where it is.
        checkpoint: that questions are made with; None asks for features of the right one.

    Raises:
        TrainingError: it is missing, not whole, damaged, or was made with another checkpoint.
    """

    def __init__(self, folder: Path, checkpoint: Path | None = None) -> None:
        self.info: IndexInfo = read_info(folder)
        self.folder = folder
        if checkpoint is not None and sha256_of(checkpoint) != self.info.identity.checkpoint:
            raise TrainingError(
                f"{folder}: made with another checkpoint than {checkpoint}, whose features mean "
                "something else",
                hint="make it anew in another folder: imagetree index build RUN FOLDER",
            )
        rows, width, length = self.info.num_rows, self.info.width, self.info.length
        self.features = read_array(folder, FEATURES, np.float16, (rows, width))
        self._projection = np.array(read_array(folder, PROJECTION, np.float32, (1 + length, width)))
        self._codes = read_array(folder, CODES, np.float16, (rows, length)).astype(np.float32)
        self._squares = np.einsum("nc,nc->n", self._codes, self._codes)
        self.names = read_names(folder, rows)

    def search(self, features: NDArray[np.float32], count: int) -> tuple[tuple[Found, ...], ...]:
        """The nearest images for each of some features, nearest first; equally near ones by row.

        Args:
            features: float32 (Q, D).
            count: how many for each.

        Raises:
            TrainingError: the index has fewer images, or the features are not of its width, not
                finite, or beyond what float16 holds.
        """
        if features.ndim != 2 or features.shape[1] != self.info.width:
            raise TrainingError(
                f"features have shape {features.shape} (expected (N, {self.info.width}))"
            )
        if not 1 <= count <= self.info.num_rows:
            raise TrainingError(
                f"{count} neighbours cannot be found among {self.info.num_rows} images",
                hint="ask for another number with --count",
            )
        most = max(count, self.info.candidates)
        return tuple(
            self._named(*ranked(self.features, query, rows, count))
            for query, rows in zip(features, self.candidates(features, most), strict=True)
        )

    def candidates(self, features: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """The rows whose codes are nearest; int64 (Q, count), rising."""
        with np.errstate(over="ignore", invalid="ignore"):  # it is told
            codes = encode(features, self._projection).astype(np.float32)
        if not np.isfinite(codes).all():
            raise TrainingError("features are not finite, or beyond what float16 holds")
        most = min(count, self.info.num_rows)
        found = np.empty((len(codes), most), np.int64)
        for row, code in zip(found, codes, strict=True):
            far = self._codes @ code  # |a - b|^2 = |a|^2 - 2 a.b, and what is the same for all a
            far *= -2
            far += self._squares
            row[:] = least(far, most)
        return found

    def iter_pairs(self, progress: Callable[[int, int], None] | None = None) -> Iterator[Pair]:
        """Each image with its nearest neighbour, once for each pair; in the order of the rows.

        Args:
            progress: called with (images done, images in all).
        """
        total, most = self.info.num_rows, max(2, min(self.info.candidates, self.info.num_rows))
        seen: set[tuple[int, int]] = set()
        for start in range(0, total if total > 1 else 0, _TOGETHER):
            own = range(start, min(start + _TOGETHER, total))
            queries = self.features[own.start : own.stop].astype(np.float32)
            for row, query, rows in zip(own, queries, self.candidates(queries, most), strict=True):
                near, distances = ranked(self.features, query, rows[rows != row], 1)
                first, second = sorted((row, int(near[0])))
                if (first, second) not in seen:
                    seen.add((first, second))
                    yield Pair(
                        *self._named(np.array([first, second]), np.array([0.0, distances[0]]))
                    )
            if progress:
                progress(own.stop, total)

    def _named(self, rows: NDArray[np.int64], distances: NDArray[np.float64]) -> tuple[Found, ...]:
        pairs = zip(rows.tolist(), distances.tolist(), strict=True)
        named = ((row, self.names[row], distance) for row, distance in pairs)
        return tuple(Found(row, name, wnid, distance) for row, (name, wnid), distance in named)


def least(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Places of the least values, rising.

    Beyond the `count` least of what the blocks have as their least there is none of them, so most
    values are compared once and never moved.

    Args:
        values: finite; (N,).
        count: how many, at most N.
    """
    blocks = len(values) // _BLOCK
    if blocks < count:
        return np.sort(np.argpartition(values, count - 1)[:count])
    of_blocks = values[: _BLOCK * blocks].reshape(_BLOCK, blocks).min(0)
    places = np.flatnonzero(values <= np.partition(of_blocks, count - 1)[count - 1])
    return np.sort(places[np.argpartition(values[places], count - 1)[:count]])


def ranked(
    features: NDArray[np.float16], query: NDArray[np.float32], rows: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The nearest of some rows, by their features, and their distances.

    Args:
        features: of all rows; float16 (N, D).
        query: float32 (D,).
        rows: rising; int64 (R,).
        count: how many, at most R.
    """
    difference = np.take(_AS_FLOAT32, features[rows].view(np.uint16))
    difference -= query
    squares = np.einsum("nd,nd->n", difference, difference).astype(np.float64)
    order = np.argsort(squares, kind="stable")[:count]
    return rows[order], np.sqrt(squares[order])


def scan(rows: NDArray[np.float16], queries: NDArray[np.float16], count: int) -> NDArray[np.int64]:
    """The nearest rows of each query by squared Euclidean distance, all of them looked at.

    Args:
        rows: features or codes; (N, C).
        queries: (Q, C).
        count: how many, at most N.

    Returns:
        int64 (Q, count), nearest first.
    """
    found = search(rows, queries, count, MetricKind.L2sq, exact=True)
    return np.asarray(found.keys, np.int64).reshape(len(queries), count)
