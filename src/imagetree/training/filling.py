"""What a worker does: read images, decode what their crops need, and put them into a batch.

Nothing here knows of processes, and nothing imports torch: each worker would pay for it in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from imagetree.errors import DatabaseError
from imagetree.sources.regions import decode_region
from imagetree.training.crops import resize_into

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from imagetree.training.crops import Crop


class Reader(Protocol):
    """Gives the files of images; picklable: a worker that gets one opens what it needs anew."""

    def read(self, row: Any) -> bytes:
        """The file of the image that `row` stands for.

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
    pixels: NDArray[np.uint8], draws: Iterable[Draw], crop: Crop, reader: Reader
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
    return [
        _fill_one(target, draw, crop, reader) for target, draw in zip(pixels, draws, strict=True)
    ]


def _fill_one(target: NDArray[np.uint8], draw: Draw, crop: Crop, reader: Reader) -> str | None:
    try:
        data = reader.read(draw.row)
        part = decode_region(data, lambda *size: crop.box(draw.number, *size), len(target))
    except DatabaseError as error:
        target[:] = 0
        return error.message
    resize_into(target, part, flip=crop.flips(draw.number))
    return None
