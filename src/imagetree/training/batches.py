"""Batches of pixels: shuffled and randomly cropped to train on, in order and centred to evaluate.

A batch is uint8, and turning it into floats is left to the device. An image that cannot be decoded
never ends a run: in training the next draw takes its place, at evaluation it is counted as not
answered; both are listed in the batch.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from imagetree.errors import TrainingError
from imagetree.training.crops import CentreCrop
from imagetree.training.feeder import num_bytes
from imagetree.training.filling import Draw
from imagetree.training.randomness import mix, permutation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from imagetree.training.config import TrainConfig
    from imagetree.training.crops import Crop
    from imagetree.training.feeder import Feeder, Filled
    from imagetree.training.filling import Reader

_MAX_DRAWS = 20
_EVAL_BATCH = 128


class Images(Protocol):
    """What batches are made of: a fixed sequence of labelled images."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class index of each image; (N,)."""

    @property
    def names(self) -> Sequence[str]:
        """Name of each image; N of them."""

    @property
    def rows(self) -> Sequence[Any]:
        """What the reader reads, for each image; N of them."""

    @property
    def reader(self) -> Reader:
        """Gives the files of the images."""


@dataclass(frozen=True)
class BadImage:
    """An image that could not be used, by its place in the sequence, and why."""

    index: int
    reason: str


@dataclass(frozen=True)
class Batch:
    """Pictures of one size with their labels.

    Args:
        pixels: uint8 (N, S, S, 3), RGB; written anew once the next batch is asked for.
        labels: class indices; int64 (N,).
        indices: place of each image among the images; int64 (N,).
        is_readable: False where the pixels are blank because the image could not be decoded.
        bad: the images that could not be decoded.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    is_readable: NDArray[np.bool_]
    bad: tuple[BadImage, ...]


class EpochPart(NamedTuple):
    """Which batches of an epoch, and which images of each.

    Args:
        epoch: counted from 0.
        first_step: batches to leave out, because they are done.
        rank: of this process; it gets every `size`-th image of a batch, from `rank` on.
        size: number of processes.
    """

    epoch: int
    first_step: int = 0
    rank: int = 0
    size: int = 1


class Shard:
    """Every n-th of some images, for one of several processes.

    Args:
        images: all of them.
        rank: of this process.
        size: number of processes.
    """

    def __init__(self, images: Images, rank: int, size: int) -> None:
        self.labels = images.labels[rank::size]
        self.names, self.rows = images.names[rank::size], images.rows[rank::size]
        self.reader = images.reader


def num_train_batches(num_images: int, batch_size: int) -> int:
    """Steps of an epoch: whole batches only, and at least one.

    >>> num_train_batches(100, 32), num_train_batches(10, 32)
    (3, 1)
    """
    return max(1, num_images // batch_size)


def train_batch_bytes(config: TrainConfig) -> int:
    """Size of the largest batch that a run trains on."""
    return max(
        num_bytes(config.batch_size, size) for size in (config.start_size, config.input_size)
    )


def eval_batch_bytes(size: int) -> int:
    """Size of a batch at evaluation, which never depends on the machine: answers would, too."""
    return num_bytes(_EVAL_BATCH, size)


def iter_train_batches(
    feeder: Feeder, images: Images, config: TrainConfig, part: EpochPart
) -> Iterator[Batch]:
    """The batches of an epoch: shuffled, randomly cropped and mirrored.

    Every pixel is a function of (seed, epoch, image) alone: the number of workers and the step at
    which a run was broken off change nothing.

    Args:
        feeder: fills them; its reader is the images'.
        images: the training images.
        config: batch size, crops, seed.
        part: which epoch, and what of it.

    Raises:
        TrainingError: 20 draws in a row could not be decoded.
    """
    count = len(images.labels)
    epoch = part.epoch
    order = permutation(count, config.seed, epoch)
    size, crop = config.crop_size(epoch), config.crops_of(epoch)
    batch_size = min(config.batch_size, count)
    places = (
        order[step * batch_size : (step + 1) * batch_size][part.rank :: part.size]
        for step in range(part.first_step, num_train_batches(count, config.batch_size))
    )
    with closing(feeder.iter_filled(images.rows, places, crop, size)) as batches:
        for filled in batches:
            indices, bad = _replace_bad(feeder, images, filled, crop, (config.seed, epoch))
            is_readable = np.ones(len(indices), np.bool_)
            yield Batch(filled.pixels, images.labels[indices], indices, is_readable, bad)


def iter_centre_batches(feeder: Feeder, images: Images, size: int) -> Iterator[Batch]:
    """All images once, in order: the largest centred square, resized to `size`.

    Args:
        feeder: fills them; its reader is the images', its batches have `eval_batch_bytes(size)`.
        images: what to look at.
        size: side of a batch's images in pixels.
    """
    indices = np.arange(len(images.labels))
    starts = range(0, len(indices), _EVAL_BATCH)
    places = (indices[start : start + _EVAL_BATCH] for start in starts)
    with closing(feeder.iter_filled(images.rows, places, CentreCrop(), size)) as batches:
        for filled in batches:
            is_readable = np.array([fault is None for fault in filled.faults], dtype=np.bool_)
            labels = images.labels[filled.indices]
            yield Batch(filled.pixels, labels, filled.indices, is_readable, _bad(filled))


def _bad(filled: Filled) -> tuple[BadImage, ...]:
    return tuple(
        BadImage(int(index), fault)
        for index, fault in zip(filled.indices, filled.faults, strict=True)
        if fault is not None
    )


def _replace_bad(
    feeder: Feeder, images: Images, filled: Filled, crop: Crop, counters: tuple[int, int]
) -> tuple[NDArray[np.int64], tuple[BadImage, ...]]:
    """Draw other images for the bad ones; the images that fill the batch, and the bad ones."""
    bad = list(_bad(filled))
    if not bad:
        return filled.indices, ()
    indices = filled.indices.copy()
    for place in np.flatnonzero([fault is not None for fault in filled.faults]):
        index, fault, draws = int(indices[place]), filled.faults[place], 1
        while fault is not None:
            if draws == _MAX_DRAWS:
                raise TrainingError(
                    f"{draws} draws in a row cannot be decoded, the last "
                    f"{images.names[index]!r}: {fault}",
                    hint="list the bad images: imagetree database check --database PATH",
                )
            index = mix(*counters, index, draws) % len(images.labels)
            fault = feeder.refill(filled, int(place), Draw(index, images.rows[index]), crop)
            draws += 1
            if fault is not None:
                bad.append(BadImage(index, fault))
        indices[place] = index
    return indices, tuple(bad)
