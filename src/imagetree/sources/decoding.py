"""From the bytes of an image to its pixels, trusting nothing in them.

Baseline and progressive JPEG go through libjpeg-turbo; what that refuses, and every other format,
goes through Pillow, which knows CMYK, palettes, 16 bits and alpha. The format is found in the
bytes: ImageNet itself holds a PNG that is called .JPEG.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 100_000_000
"""Pictures above this are refused before their pixels are made: a bomb, or no photograph."""


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """The pixels of an image.

    Args:
        data: the whole file.

    Returns:
        uint8 (H, W, 3), RGB, contiguous; transparent parts over black, the first of several frames.

    Raises:
        DatabaseError: it is no image of a known format, is truncated or damaged, or has more than
            MAX_PIXELS pixels.
    """
    if data[:2] == b"\xff\xd8":
        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(data)
            _check_size(width, height)
            pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colorspace="RGB")
        except ValueError:
            return _decode_with_pillow(data)
        return pixels
    return _decode_with_pillow(data)


def _decode_with_pillow(data: bytes) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged EXIF and the like; the size is checked here
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_size(*image.size)
                return _to_rgb(image)
    except UnidentifiedImageError:
        raise DatabaseError(
            f"not an image: {len(data)} bytes that begin with {data[:8]!r} "
            f"(expected one of {', '.join(FORMATS)})"
        ) from None
    except Image.DecompressionBombError as error:
        raise DatabaseError(f"too large: {error}") from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError) as error:
        raise DatabaseError(f"damaged: {error}") from None


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Pixels of any mode as RGB; 16 bits are scaled to 8, which Pillow would cut off at 255."""
    if image.mode.startswith("I"):
        high = np.asarray(image).astype(np.int64).clip(0, 65535) >> 8
        return np.repeat(high.astype(np.uint8)[..., None], 3, axis=2)
    return np.array(image.convert("RGB"))


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise DatabaseError(f"too large: {width} x {height} pixels (expected at most {MAX_PIXELS})")
