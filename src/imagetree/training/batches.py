"""Batches of pixels, made in threads: read, decode, crop and resize into one uint8 array.

Libjpeg-turbo and OpenCV release the interpreter's lock, so threads suffice; a batch is uint8, and
turning it into floats is left to the device. An image that cannot be decoded never ends a run: in
training the next draw takes its place, at evaluation it is counted as not answered; both are
listed in the batch.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from imagetree.errors import DatabaseError, TrainingError
from imagetree.sources.decoding import decode_image
from imagetree.training.crops import NUM_UNIFORMS, centre_box, random_box, resize_into
from imagetree.training.randomness import mix, permutation, uniforms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from imagetree.training.config import TrainConfig

_BATCHES_AHEAD = 3
_MAX_DRAWS = 20


class Images(Protocol):
    """What batches are made of: a fixed sequence of labelled images."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class index of each image; (N,)."""

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each image; N of them."""

    def read(self, index: int) -> bytes:
        """The file of one image; safe to call from several threads."""


@dataclass(frozen=True)
class BadImage:
    """An image that could not be used, by its place in the sequence, and why."""

    index: int
    reason: str


@dataclass(frozen=True)
class Batch:
    """Pictures of one size with their labels.

    Args:
        pixels: uint8 (N, S, S, 3), RGB.
        labels: class indices; int64 (N,).
        is_readable: False where the pixels are blank because the image could not be decoded.
        bad: the images that could not be decoded.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    is_readable: NDArray[np.bool_]
    bad: tuple[BadImage, ...]


class _Slot(NamedTuple):
    """What one place of a batch was filled with."""

    label: int
    is_readable: bool
    bad: tuple[BadImage, ...]


def num_train_batches(num_images: int, batch_size: int) -> int:
    """Steps of an epoch: whole batches only, and at least one.

    >>> num_train_batches(100, 32), num_train_batches(10, 32)
    (3, 1)
    """
    return max(1, num_images // batch_size)


def iter_train_batches(
    images: Images, config: TrainConfig, epoch: int, first_step: int = 0
) -> Iterator[Batch]:
    """The batches of an epoch: shuffled, randomly cropped and mirrored.

    Every pixel is a function of (seed, epoch, image) alone: the number of threads and the step at
    which a run was broken off change nothing.

    Args:
        images: the training images.
        config: batch size, crops, seed, threads.
        epoch: counted from 0.
        first_step: batches of this epoch to leave out, because they are done.

    Raises:
        TrainingError: 20 draws in a row could not be decoded.
    """
    count = len(images.labels)
    order = permutation(count, config.seed, epoch)
    size = config.crop_size(epoch)
    batch_size = min(config.batch_size, count)
    places = (
        order[step * batch_size : (step + 1) * batch_size]
        for step in range(first_step, num_train_batches(count, config.batch_size))
    )
    fill = partial(_fill_random, images, config, epoch)
    return _iter_filled(places, fill, size, config.threads)


def iter_centre_batches(
    images: Images, size: int, *, batch_size: int = 128, threads: int = 2
) -> Iterator[Batch]:
    """All images once, in order: the largest centred square, resized to `size`."""
    indices = np.arange(len(images.labels))
    places = (indices[start : start + batch_size] for start in range(0, len(indices), batch_size))
    return _iter_filled(places, partial(_fill_centre, images), size, threads)


def _iter_filled(
    places: Iterable[NDArray[np.int64]],
    fill: Callable[[NDArray[np.uint8], int], _Slot],
    size: int,
    threads: int,
) -> Iterator[Batch]:
    """Fill batches in threads, a few ahead of the one that is handed out."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="batches")
    ahead: deque[tuple[NDArray[np.uint8], list[Future[list[_Slot]]]]] = deque()
    try:
        for indices in places:
            pixels = np.zeros((len(indices), size, size, 3), np.uint8)
            parts = np.array_split(np.arange(len(indices)), threads)
            futures = [
                pool.submit(
                    _fill_slots, fill, [(pixels[slot], int(indices[slot])) for slot in part]
                )
                for part in parts
                if len(part)
            ]
            ahead.append((pixels, futures))
            if len(ahead) > _BATCHES_AHEAD:
                yield _finished(*ahead.popleft())
        while ahead:
            yield _finished(*ahead.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _fill_slots(
    fill: Callable[[NDArray[np.uint8], int], _Slot], slots: list[tuple[NDArray[np.uint8], int]]
) -> list[_Slot]:
    return [fill(target, index) for target, index in slots]


def _finished(pixels: NDArray[np.uint8], futures: list[Future[list[_Slot]]]) -> Batch:
    slots = [slot for future in futures for slot in future.result()]
    return Batch(
        pixels,
        np.array([slot.label for slot in slots], dtype=np.int64),
        np.array([slot.is_readable for slot in slots], dtype=np.bool_),
        tuple(bad for slot in slots for bad in slot.bad),
    )


def _fill_random(
    images: Images, config: TrainConfig, epoch: int, target: NDArray[np.uint8], index: int
) -> _Slot:
    """Put a random crop of an image, or of the first good draw in its place, into the batch."""
    bad: list[BadImage] = []
    while len(bad) < _MAX_DRAWS:
        try:
            picture = decode_image(images.read(index))
        except DatabaseError as error:
            bad.append(BadImage(index, error.message))
            index = mix(config.seed, epoch, index, len(bad)) % len(images.labels)
            continue
        numbers = uniforms(NUM_UNIFORMS, config.seed, epoch, index)
        height, width, _ = picture.shape
        box = random_box(height, width, config.min_crop_area, numbers)
        resize_into(target, picture, box, flip=numbers[4] < 0.5)
        return _Slot(int(images.labels[index]), is_readable=True, bad=tuple(bad))
    raise TrainingError(
        f"{_MAX_DRAWS} draws in a row cannot be decoded, "
        f"the last {images.names[bad[-1].index]!r}: {bad[-1].reason}",
        hint="list the bad images: imagetree database check --database PATH",
    )


def _fill_centre(images: Images, target: NDArray[np.uint8], index: int) -> _Slot:
    label = int(images.labels[index])
    try:
        picture = decode_image(images.read(index))
    except DatabaseError as error:
        return _Slot(label, is_readable=False, bad=(BadImage(index, error.message),))
    height, width, _ = picture.shape
    resize_into(target, picture, centre_box(height, width))
    return _Slot(label, is_readable=True, bad=())
