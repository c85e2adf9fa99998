"""What a worker does: read images, decode what their crops need, and put them into a batch.

Nothing here knows of processes, and nothing imports torch: each worker would pay for it in memory.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from imagetree.errors import DatabaseError
from imagetree.sources.decoding import decode_image
from imagetree.sources.regions import cut, decode_region
from imagetree.training.crops import resize_into

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from imagetree.training.crops import Crop


class Reader(Protocol):
    """Gives the files of images; picklable: a worker that gets one opens what it needs anew."""

    def read(self, row: Any) -> bytes | NDArray[np.uint8]:
        """The file of the image that `row` stands for, or its pixels, uint8 (H, W, 3).

        Raises:
            DatabaseError: it cannot be read.
        """


class Draw(NamedTuple):
    """An image that is to fill a place of a batch.

    Args:
        number: its index among the images, which its crop depends on.
        row: what the reader is to read; picklable.
    """

    number: int
    row: Any


def fill(
    pixels: NDArray[np.uint8], draws: Sequence[Draw], crop: Crop, reader: Reader
) -> list[str | None]:
    """Put each image's crop into its place.

    Args:
        pixels: uint8 (N, S, S, 3), written; blank where an image could not be decoded.
        draws: N of them.
        crop: which part of each.
        reader: gives their files.

    Returns:
        For each image None, or the reason why it could not be read or decoded.
    """
    numbers = crop.numbers(np.array([draw.number for draw in draws], np.int64))
    return [
        _fill_one(target, draw.row, (crop, own), reader)
        for target, draw, own in zip(pixels, draws, numbers, strict=True)
    ]


def read_picture(reader: Reader, row: Any) -> NDArray[np.uint8]:
    """A whole picture, uint8 (H, W, 3), RGB.

    Raises:
        DatabaseError: it cannot be read or decoded.
    """
    found = reader.read(row)
    return decode_image(found) if isinstance(found, bytes) else found


def _fill_one(
    target: NDArray[np.uint8], row: Any, chosen: tuple[Crop, Sequence[float]], reader: Reader
) -> str | None:
    crop, numbers = chosen
    try:
        found = reader.read(row)
        if isinstance(found, bytes):
            part = decode_region(found, partial(crop.box, numbers), len(target))
        else:
            part = cut(found, crop.box(numbers, *found.shape[:2]))
    except DatabaseError as error:
        target[:] = 0
        return error.message
    resize_into(target, part, flip=crop.flips(numbers))
    return None
