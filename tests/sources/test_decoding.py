"""Pixels out of bytes: every format that ImageNet holds, and none of what is no image."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from imagetree.errors import DatabaseError
from imagetree.sources.decoding import decode_image

from ..conftest import shared_path


def encode(mode: str, kind: str, **options: object) -> bytes:
    """A picture of 20 x 10, red left and blue right, in a mode and format."""
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, :10, 0] = pixels[:, 10:, 2] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGB", "JPEG", {"quality": 95, "subsampling": 0}),
        ("RGB", "JPEG", {"quality": 95, "subsampling": 0, "progressive": True}),
        ("CMYK", "JPEG", {"quality": 95, "subsampling": 0}),
        ("RGB", "PNG", {}),
        ("RGBA", "PNG", {}),
        ("P", "PNG", {}),
        ("P", "GIF", {}),
        ("RGB", "BMP", {}),
        ("RGB", "WEBP", {"lossless": True}),
        ("RGB", "TIFF", {}),
        ("RGB", "AVIF", {"quality": 95}),
        ("RGB", "HEIF", {"quality": 95}),
    ],
)
def test_formats_and_modes(mode: str, kind: str, options: dict[str, object]) -> None:
    """Found by content: red stays left and blue right, in RGB."""
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    pixels = decode_image(encode(mode, kind, **options))
    assert pixels.shape == (10, 20, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels[5, 3].astype(int) - (255, 0, 0)).max() < 30
    assert np.abs(pixels[5, 16].astype(int) - (0, 0, 255)).max() < 30


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.bool_])
def test_grey_becomes_three_equal_channels(dtype: type) -> None:
    """8 bits, 16 bits and one bit; half of the range stays half of the range."""
    full = {np.uint8: 255, np.uint16: 65535, np.bool_: 1}[dtype]
    picture = np.zeros((8, 8), dtype)
    picture[:, 4:] = full
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    pixels = decode_image(buffer.getvalue())
    assert pixels.shape == (8, 8, 3)
    assert (pixels[:, :4] == 0).all()
    assert (pixels[:, 4:] == 255).all()


def test_sixteen_bits_are_scaled() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), 0x8000, np.uint16)).save(buffer, "PNG")
    assert (decode_image(buffer.getvalue()) == 0x80).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an image: 0 bytes"),
        (b"hello, this is text", "not an image: 19 bytes that begin with b'hello, t'"),
        (b"<svg xmlns='x'></svg>", "not an image"),
        (b"\xff\xd8\xff", "not an image"),
        (encode("RGB", "JPEG")[:300], "damaged"),
        (encode("RGB", "PNG")[:60], "damaged"),
    ],
)
def test_refused(data: bytes, message: str) -> None:
    with pytest.raises(DatabaseError, match=message):
        decode_image(data)


def test_bomb_is_refused_before_its_pixels_are_made() -> None:
    """A PNG of some hundred bytes that claims 65,000 x 65,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 65000, 65000, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))
    with pytest.raises(DatabaseError, match=r"too large: 4225000000 pixels \(expected"):
        decode_image(data + chunk(b"IEND", b""))


def test_large_jpeg_is_refused_by_its_header() -> None:
    """The size of a JPEG is read before anything is decoded."""
    data = bytearray(encode("RGB", "JPEG"))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", 60000, 60000)
    with pytest.raises(DatabaseError, match="too large: 60000 x 60000 pixels"):
        decode_image(bytes(data))


def test_real_images_equal_pillow() -> None:
    """Full-size ImageNet originals: the same pixels as Pillow's decoder within rounding."""
    import tarfile

    with tarfile.open(shared_path("data", "ilsvrc1000", "original100.tar")) as archive:
        for member in archive.getmembers()[:20]:
            data = archive.extractfile(member).read()
            expected = np.array(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
            assert np.abs(decode_image(data).astype(int) - expected).mean() < 1
