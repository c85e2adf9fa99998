"""From the bytes of an image to its pixels, trusting nothing in them.

JPEG (baseline, progressive, arithmetic-coded, CMYK as Adobe writes it) goes through libjpeg-turbo;
what that refuses, and every other format, goes through Pillow, which knows palettes, 16 bits and
alpha. The format is found in the bytes: ImageNet itself holds a PNG that is called .JPEG.
"""

from __future__ import annotations

import importlib
import io
import re
import threading
import warnings
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import simplejpeg
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
"""What is read always; and HEIF, as telephones write it, where the extra `heif` is installed."""
MAX_PIXELS = 100_000_000
"""Pictures above this are refused before their pixels are made: a bomb, or no photograph."""


class Header(NamedTuple):
    """What an image's file says of itself before its pixels are made.

    Args:
        format: one of FORMATS, or HEIF.
        width: in pixels, as stored.
        height: in pixels, as stored.
        mode: Pillow's name of how a pixel is stored: `RGB`, `L`, `CMYK`, `P`, `I;16`.
        bits: of each channel.
        has_alpha: parts may be transparent.
        num_frames: frames or pages.
        num_scans: of a progressive JPEG; 1 for all else.
        orientation: how to turn the pixels of `decode_image` upright: 1 (as they are) to 8, as EXIF
            2.32, tag 274 has them. A TIFF is always 1: its pixels come turned already.
    """

    format: str
    width: int
    height: int
    mode: str
    bits: int
    has_alpha: bool
    num_frames: int
    num_scans: int
    orientation: int


def decode_image(data: bytes, *, upright: bool = False) -> NDArray[np.uint8]:
    """The pixels of an image.

    Args:
        data: the whole file.
        upright: turn them as EXIF says that they are to be seen. Without it they are as stored,
            which networks on ImageNet are trained on everywhere: torchvision's loader does not turn
            them either, and boxes are given in stored pixels.

    Returns:
        uint8 (H, W, 3), RGB, contiguous; an alpha channel is dropped, which shows the colours under
        it as torchvision's loader does; the first of several frames.

    Raises:
        DatabaseError: it is no image of a known format, is truncated or damaged, or has more than
            MAX_PIXELS pixels.
    """
    pixels, _ = decode_with_complaint(data)
    return turn_upright(pixels, read_header(data).orientation) if upright else pixels


def decode_with_complaint(data: bytes) -> tuple[NDArray[np.uint8], str]:
    """The pixels, as `decode_image` gives them, and what was wrong with the file all the same.

    Returns:
        The pixels; and libjpeg's complaint about a JPEG that it could make something of, such as
        "Corrupt JPEG data: premature end of data segment", where the rest is grey. Empty for most.
    """
    if data[:2] != b"\xff\xd8":
        return _decode_with_pillow(data), ""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        check_size(width, height)
        return simplejpeg.decode_jpeg(data, colorspace="RGB"), ""
    except ValueError as error:
        return _decode_with_pillow(data), str(error)


def read_header(data: bytes) -> Header:
    """What the file says of itself; no pixel is made.

    Raises:
        DatabaseError: as `decode_image`, where the header is enough to tell.
    """
    with _opened(data) as image:
        # MPO is Pillow's name for a JPEG with further JPEGs behind it, as stereo cameras write them
        kind = "JPEG" if image.format == "MPO" else str(image.format)
        is_progressive = kind == "JPEG" and "progressive" in image.info
        return Header(
            format=kind,
            width=image.width,
            height=image.height,
            mode=image.mode,
            bits=_bits(image, data),
            has_alpha=image.has_transparency_data,
            num_frames=getattr(image, "n_frames", 1),
            num_scans=data.count(b"\xff\xda") if is_progressive else 1,
            orientation=1 if kind == "TIFF" else _orientation(image),
        )


def turn_upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Pixels turned as they are to be seen.

    Args:
        pixels: uint8 (H, W) or (H, W, C).
        orientation: of EXIF, 1 to 8; see `Header`.

    Returns:
        uint8 of the same shape, or with H and W exchanged; contiguous.

    >>> turn_upright(np.array([[1, 2]], np.uint8), 6).tolist()
    [[1], [2]]
    """
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def check_num_pixels(what: str, number: int) -> None:
    """Refuse to make more than MAX_PIXELS pixels.

    Raises:
        DatabaseError: it would be more.
    """
    if number > MAX_PIXELS:
        raise DatabaseError(f"too large: {what} pixels (expected at most {MAX_PIXELS})")


def _decode_with_pillow(data: bytes) -> NDArray[np.uint8]:
    with _opened(data) as image:
        return _to_rgb(image)


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Pixels of any mode as RGB; 16 bits are scaled to 8, which Pillow would cut off at 255."""
    if image.mode.startswith("I"):
        high = np.asarray(image).astype(np.int64).clip(0, 65535) >> 8
        return np.repeat(high.astype(np.uint8)[..., None], 3, axis=2)
    return np.array(image.convert("RGB"))


def check_size(width: int, height: int) -> None:
    """Refuse a picture of more than MAX_PIXELS pixels.

    Raises:
        DatabaseError: it has more.
    """
    check_num_pixels(f"{width} x {height}", width * height)


def _bits(image: Image.Image, data: bytes) -> int:
    """Bits of a channel; Pillow itself gives the upper 8 of colours with 16."""
    if image.format == "PNG":
        return data[24]  # the bit depth in IHDR, which is always the first chunk
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(max(image.tag_v2.get(ExifTags.Base.BitsPerSample, (1,))))
    return 8


def _orientation(image: Image.Image) -> int:
    """What EXIF or XMP says; 1 where they are missing, damaged or say nothing sensible."""
    try:  # by the base class: a PNG's own would decode it all for an EXIF after the pixels
        found = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001  damaged EXIF raises anything, and is no fault of the pixels
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """An image of Pillow whose size is allowed; its errors are ours."""
    try:
        with _QUIET, Image.open(io.BytesIO(data), formats=_formats()) as image:
            check_size(*image.size)
            yield image
    except UnidentifiedImageError:
        raise DatabaseError(
            f"not an image: {len(data)} bytes that begin with {data[:8]!r} "
            f"(expected one of {', '.join(_formats())}){_libjpeg_on(data)}{_heif_on(data)}"
        ) from None
    except Image.DecompressionBombError as error:
        number = re.search(r"\d+", str(error))  # Pillow tells it in its sentence alone
        what = f"{number[0]} pixels" if number else str(error)
        raise DatabaseError(f"too large: {what} (expected at most {MAX_PIXELS})") from None
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow's readers raise on purpose
        raise DatabaseError(f"damaged: {error}") from None
    except DatabaseError:
        raise
    except Exception as error:  # noqa: BLE001  what they run into: struct.error, TypeError, ...
        raise DatabaseError(f"damaged: {type(error).__name__}, {error}") from None


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """The formats that are read here."""
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError:
        return FORMATS
    return (*FORMATS, "HEIF")


def _heif_on(data: bytes) -> str:
    """What a HEIF wants, where it cannot be read."""
    is_heif = data[4:8] == b"ftyp" and "HEIF" not in _formats()
    return "; for HEIC: pip install 'imagetree[heif]'" if is_heif else ""


def _libjpeg_on(data: bytes) -> str:
    """Why a JPEG is none for Pillow, which itself does not say; such as 12 bits a channel."""
    try:
        if data[:2] == b"\xff\xd8":
            simplejpeg.decode_jpeg(data)
    except ValueError as error:
        return f"; libjpeg: {error}"
    return ""


class _Quiet:
    """Keeps Pillow from warning of damaged EXIF and the like while any thread is inside.

    `catch_warnings` alone puts back what it found, and two threads that overlap would find each
    other's filters; here the first one in sets them and the last one out puts them back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._num_inside = 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._num_inside == 0:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
            self._num_inside += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._num_inside -= 1
            if self._num_inside == 0:
                self._caught.__exit__(None, None, None)


_QUIET = _Quiet()
