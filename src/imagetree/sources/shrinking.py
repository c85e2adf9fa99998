"""From any image to a small JPEG of it, for pages.

A JPEG is decoded at the smallest of libjpeg's scales that is enough: most pixels of a large
photograph are never made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from PIL import Image

from imagetree.errors import DatabaseError
from imagetree.sources.decoding import (
    Header,
    check_num_pixels,
    decode_image,
    read_header,
    turn_upright,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUALITY = 82
"""Of the JPEGs that are made, out of 100."""

MAX_UNSCALED_PIXELS = 40_000_000
"""Of an image that is no JPEG: its pixels must all be made, three bytes each."""


def encode_small_jpeg(data: bytes, longest: int, quality: int = QUALITY) -> bytes:
    """A JPEG of an image that fits into a square; one that is smaller keeps its size.

    Upright, RGB, without metadata; the first of several frames; alpha as in `decode_image`. The
    same bytes come out of the same bytes.

    Args:
        data: the whole file, of any format.
        longest: pixels of the longer side, at most.
        quality: of JPEG, 1 to 100.

    Raises:
        DatabaseError: it cannot be decoded, or that would be too much work for a page.
    """
    header = read_header(data)
    size = f"{header.width} x {header.height}"
    # Thousands of scans may stand in a few bytes, and each goes over all pixels.
    num_pixels = header.width * header.height
    check_num_pixels(f"{header.num_scans} scans of {size}", num_pixels * header.num_scans // 20)
    if header.format != "JPEG" and num_pixels > MAX_UNSCALED_PIXELS:
        raise DatabaseError(
            f"too large to be shown: {size} pixels (expected at most {MAX_UNSCALED_PIXELS})"
        )
    scale = min(1.0, longest / max(header.width, header.height))
    pixels = turn_upright(_decode(data, header, scale), header.orientation)
    if max(pixels.shape[:2]) > longest:
        pixels = _resize(pixels, longest)
    small: bytes = simplejpeg.encode_jpeg(pixels, quality=quality, colorsubsampling="420")
    return small


def _decode(data: bytes, header: Header, scale: float) -> NDArray[np.uint8]:
    """Pixels, as few as will do."""
    if header.format == "JPEG" and scale < 1:
        least = {
            "min_height": max(1, round(header.height * scale)),
            "min_width": max(1, round(header.width * scale)),
        }
        try:
            found: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colorspace="RGB", **least)
        except ValueError:  # a flaw, or colours that libjpeg does not turn into RGB
            return decode_image(data)
        return found
    return decode_image(data)


def _resize(pixels: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    scale = longest / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.ascontiguousarray(np.asarray(picture))
