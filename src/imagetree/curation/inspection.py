"""What an image is: format, size, hashes, and what is unusual about it.

Everything is found by content: what a file is called says nothing. Each image is decoded in full,
once, by the decoder that training uses, so that what passes here can be trained on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING

import cv2
import imagehash
import numpy as np
from PIL import Image

from imagetree.errors import DatabaseError
from imagetree.sources.decoding import (
    check_num_pixels,
    decode_with_complaint,
    read_header,
    turn_upright,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imagetree.sources.decoding import Header

_HASH_SIDE = 32
_MIN_CONTRAST = 8
"""Grey levels, of 256, between darkest and lightest part; below it a hash is of JPEG's noise."""
_MISSING_DATA = "premature end of data segment"
_ENDINGS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82", "GIF": b";"}


class Trait(IntFlag):
    """What is unusual about an image that can be decoded; each one is converted when it is read."""

    GREY = 1  # stored with one channel
    CMYK = 2  # stored with four inks, YCCK too
    PALETTE = 4
    SIXTEEN_BIT = 8  # a channel has more than 8 bits
    ALPHA = 16  # may be transparent somewhere
    ROTATED = 32  # EXIF says that it is to be turned or mirrored
    ANIMATED = 64  # several frames, pages or pictures, of which the first is taken
    FLAWED = 128  # libjpeg complained of it and went on
    TRAILING = 256  # other bytes follow the picture: padding, or a second file


@dataclass(frozen=True)
class ImageFacts:
    """What was found out about an image.

    Args:
        format: by content: JPEG, PNG, WEBP, BMP, GIF or TIFF.
        width: in pixels, as stored.
        height: in pixels, as stored.
        traits: what is unusual about it.
        sha256: of the whole file, 32 bytes.
        phash: perceptual hash of the upright picture, 64 bits; None where it is of one colour.
    """

    format: str
    width: int
    height: int
    traits: Trait
    sha256: bytes
    phash: int | None

    @property
    def is_plain(self) -> bool:
        """Whether every JPEG decoder gives the same upright RGB picture of it."""
        return self.format == "JPEG" and not self.traits


def inspect_image(data: bytes) -> ImageFacts:
    """Decode an image in full and say what it is.

    Args:
        data: the whole file.

    Raises:
        DatabaseError: it is no image, is truncated or damaged, or would be more than MAX_PIXELS
            pixels with all its frames, or with all its scans decoded one after another.
    """
    header = read_header(data)
    _check_work(header)
    pixels, complaint = decode_with_complaint(data)
    if _MISSING_DATA in complaint:
        raise DatabaseError(f"truncated: {complaint}")
    traits = _traits_of(header)
    if complaint:
        traits |= Trait.FLAWED
    if _has_trailing_bytes(header.format, data):
        traits |= Trait.TRAILING
    return ImageFacts(
        format=header.format,
        width=header.width,
        height=header.height,
        traits=traits,
        sha256=hashlib.sha256(data).digest(),
        phash=perceptual_hash(pixels, header.orientation),
    )


def perceptual_hash(pixels: NDArray[np.uint8], orientation: int = 1) -> int | None:
    """The pHash of imagehash: 64 signs of the lowest frequencies of a picture reduced to 32 x 32.

    Args:
        pixels: uint8 (H, W, 3), RGB.
        orientation: of EXIF, so that a turned copy has the hash of its original.

    Returns:
        64 bits, the lowest frequency first; None where there is nothing but one colour.
    """
    small = turn_upright(_reduce(pixels), orientation)
    if int(small.max()) - int(small.min()) < _MIN_CONTRAST:
        return None
    bits = imagehash.phash(Image.fromarray(small)).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _check_work(header: Header) -> None:
    """Refuse bombs whose single frame, or single scan, is small enough.

    A progressive JPEG can name thousands of scans in a few bytes each, and every one of them goes
    over all pixels; a photograph has about ten, which are allowed at MAX_PIXELS / 10 and more.
    """
    size = f"{header.width} x {header.height}"
    num_pixels = header.width * header.height
    check_num_pixels(f"{header.num_frames} frames of {size}", num_pixels * header.num_frames)
    check_num_pixels(f"{header.num_scans} scans of {size}", num_pixels * header.num_scans // 20)


def _traits_of(header: Header) -> Trait:
    mode = header.mode
    found = {
        Trait.GREY: mode == "1" or mode[0] in "LIF",
        Trait.CMYK: mode == "CMYK",
        Trait.PALETTE: mode in {"P", "PA"},
        Trait.SIXTEEN_BIT: header.bits > 8,
        Trait.ALPHA: header.has_alpha,
        Trait.ROTATED: header.orientation != 1,
        Trait.ANIMATED: header.num_frames > 1,
    }
    return Trait(sum(trait for trait, is_so in found.items() if is_so))


def _has_trailing_bytes(kind: str, data: bytes) -> bool:
    """Whether a file goes on after its picture, zeros aside; not known of a TIFF."""
    if kind == "WEBP":
        return len(data.rstrip(b"\0")) > 8 + int.from_bytes(data[4:8], "little") + 1
    if kind == "BMP":
        return len(data.rstrip(b"\0")) > int.from_bytes(data[2:6], "little")
    return not data.rstrip(b"\0").endswith(_ENDINGS.get(kind, b""))


def _reduce(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """32 x 32 grey levels, each the mean of its part of the picture.

    OpenCV takes means over a whole number of pixels many times faster than over a fraction, and 128
    rows show what 32 need: this costs a quarter of the plain way and moves few bits of the hash.
    What is left out at two edges is less than a sixty-fourth of the picture.
    """
    grey = cv2.cvtColor(pixels[:: max(1, len(pixels) // (4 * _HASH_SIDE))], cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    down, across = (max(1, side // (2 * _HASH_SIDE)) for side in (height, width))
    whole = (width // across, height // down)
    part = grey[: whole[1] * down, : whole[0] * across]
    coarse = cv2.resize(part, whole, interpolation=cv2.INTER_AREA)
    small = cv2.resize(coarse, (_HASH_SIDE, _HASH_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)
