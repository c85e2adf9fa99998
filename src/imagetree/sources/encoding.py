"""From any image to a JPEG that every program shows alike."""

from __future__ import annotations

import simplejpeg

from imagetree.errors import DatabaseError
from imagetree.sources.decoding import decode_image

QUALITY = 95
"""Of the JPEGs that are made, out of 100."""


def encode_plain_jpeg(data: bytes, quality: int = QUALITY) -> bytes:
    """An image as a baseline JPEG that every decoder reads alike.

    Upright, RGB, full colour resolution, without metadata; the first of several frames; alpha as in
    `decode_image`. The same bytes come out of the same bytes.

    Args:
        data: the whole file, of any format.
        quality: of JPEG, 1 to 100.

    Raises:
        DatabaseError: it cannot be decoded, or is wider or higher than a JPEG can be.
    """
    pixels = decode_image(data, upright=True)
    try:
        plain: bytes = simplejpeg.encode_jpeg(pixels, quality=quality, colorsubsampling="444")
    except ValueError as error:
        height, width, _ = pixels.shape
        raise DatabaseError(f"too large for a JPEG: {width} x {height} pixels ({error})") from None
    return plain
