"""The part of a picture that a crop needs, and no more of its JPEG than that.

Three quarters of the time of decoding a photograph go into its Huffman codes, which can only be
read from the top; but nothing has to be read beneath the crop, no pixel has to be made above or
beside it where libjpeg-turbo's version 3 is at hand (`turbojpeg`), and a crop that is to be shrunk
by two or more can be decoded at half the size. docs/log.md has what they save.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import simplejpeg

from imagetree.sources.decoding import check_size, decode_image
from imagetree.sources.turbojpeg import Jpeg, load_library

if TYPE_CHECKING:
    from collections.abc import Callable
    from ctypes import CDLL

    import numpy as np
    from numpy.typing import NDArray

_END = b"\xff\xd9"
_TAIL = 64
"""Bytes behind a JPEG's end that are forgiven, as cameras pad their files."""

_CONTEXT = 4
"""Rows beneath the crop whose colours reach into its last one, by smooth upsampling."""

_BESIDE = 2
"""Columns beside the crop whose colours reach into its outer ones, likewise."""

_MCU = 16
"""Most rows that are coded as one, with colours at half the resolution."""


class Box(NamedTuple):
    """A region of a picture in pixels."""

    left: int
    top: int
    width: int
    height: int


def cut(picture: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """A region of a picture (H, W, 3), as a view."""
    return picture[box.top : box.top + box.height, box.left : box.left + box.width]


def decode_region(data: bytes, choose: Callable[[int, int], Box], side: int) -> NDArray[np.uint8]:
    """The pixels of a region, at the least scale of decoding that covers `side`.

    At full scale they are bit for bit those of `decode_image`. A fault of the file that lies
    beneath the region is not found.

    Args:
        data: the whole file.
        choose: the region, given height and width of the picture.
        side: what the region will be resized to, in pixels; halving it by decoding ends above that.

    Returns:
        uint8 (h, w, 3), RGB, a view; h and w are at least `side` where the region's are, and less
        than twice `side` unless the file is no JPEG or is more than 16 times as large.

    Raises:
        DatabaseError: as `decode_image`.
    """
    if data[:2] == b"\xff\xd8" and _END in data[-_TAIL:]:  # else it is truncated: found out below
        try:
            library = load_library()
            if library is None:
                return _decode_rows(data, choose, side)
            return _decode_columns(library, data, choose, side)
        except ValueError:
            pass  # what libjpeg-turbo refuses goes the long way, which knows why
    picture = decode_image(data)
    return cut(picture, choose(*picture.shape[:2]))


class _Plan(NamedTuple):
    """What of a JPEG is decoded: its upper rows, at a scale; and what of these is the region."""

    data: bytes
    height: int
    width: int
    divisor: int
    box: Box


def _plan(
    data: bytes, size: tuple[int, int], choose: Callable[[int, int], Box], side: int
) -> _Plan:
    height, width = size
    check_size(width, height)
    box = choose(height, width)
    divisor = 1
    while divisor < 8 and min(box.width, box.height) >= 2 * divisor * side:
        divisor *= 2
    rows = -(-(box.top + box.height + _CONTEXT * divisor) // _MCU) * _MCU
    if rows < height:
        data, height = _with_rows(data, rows, height)
    scaled = Box(*(each // divisor for each in box))
    return _Plan(data, -(-height // divisor), -(-width // divisor), divisor, scaled)


def _decode_rows(data: bytes, choose: Callable[[int, int], Box], side: int) -> NDArray[np.uint8]:
    """The region, of all columns of these rows."""
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    plan = _plan(data, (height, width), choose, side)
    scale = {"min_height": plan.height, "min_width": plan.width}
    picture = simplejpeg.decode_jpeg(
        plan.data, colorspace="RGB", strict=False, **(scale if plan.divisor > 1 else {})
    )
    return cut(picture, plan.box)


def _decode_columns(
    library: CDLL, data: bytes, choose: Callable[[int, int], Box], side: int
) -> NDArray[np.uint8]:
    """The region, of no more than its own columns and those beside that reach into it."""
    with Jpeg(library, data) as jpeg:
        plan = _plan(data, (jpeg.height, jpeg.width), choose, side)
        box, block_width = plan.box, jpeg.block_width // plan.divisor
        left = max(0, box.left - _BESIDE) // block_width * block_width
        right = min(plan.width, box.left + box.width + _BESIDE)
        region = (left, box.top, right - left, box.height)
        found = jpeg.decode(plan.data, region, plan.divisor)
    return found[:, box.left - left : box.left - left + box.width]


def _with_rows(data: bytes, rows: int, height: int) -> tuple[bytes, int]:
    """A JPEG whose header says that it ends after `rows` rows, and the rows that it now has.

    Only one that is coded in a single scan (baseline or extended, Huffman) can end early; any other
    is given back as it is.
    """
    place = 2
    while place + 9 < len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker in (0xC0, 0xC1):
            return data[: place + 5] + rows.to_bytes(2, "big") + data[place + 7 :], rows
        if marker in (0xC2, 0xDA):
            break
        place += 2 + length
    return data, height
