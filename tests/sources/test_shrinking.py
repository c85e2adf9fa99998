"""Small JPEGs of images: as large as asked for, upright, and never at the price of a bomb."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from imagetree.errors import DatabaseError
from imagetree.sources.decoding import decode_image
from imagetree.sources.shrinking import encode_small_jpeg

from ..conftest import shared_path


def encode(picture, kind="JPEG", **more) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **more)
    return file.getvalue()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1000, 500), (100, 50)),
        ((500, 1000), (50, 100)),
        ((100, 7), (100, 7)),
        ((30, 20), (30, 20)),
        ((3000, 2), (100, 1)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_longer_side_is_bounded_and_nothing_is_enlarged(size, expected, kind):
    data = encode_small_jpeg(encode(Image.new("RGB", size, (250, 0, 0)), kind), 100)
    small = Image.open(io.BytesIO(data))
    assert (small.format, small.size) == ("JPEG", expected)
    assert np.asarray(small)[0, 0, 0] > 235


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_it_stands_upright_and_says_nothing_else(mode, orientation):
    """As the whole image does; of grey and of printers' colours too."""
    picture = Image.linear_gradient("L").resize((400, 200)).convert(mode)
    exif = Image.Exif()
    exif[274] = orientation
    data = encode(picture, exif=exif)
    small = decode_image(encode_small_jpeg(data, 50)).astype(int)
    whole = decode_image(data, upright=True)
    expected = np.asarray(Image.fromarray(whole).resize(small.shape[1::-1])).astype(int)
    assert np.abs(small - expected).mean() < 3
    assert b"Exif" not in encode_small_jpeg(data, 50)


def test_real_photographs_look_like_themselves():
    """Ten of ImageNet's: against Pillow's own reduction of the whole image."""
    with tarfile.open(shared_path("data", "ilsvrc1000", "original100.tar")) as archive:
        for member in archive.getmembers()[:10]:
            file = archive.extractfile(member)
            assert file is not None
            data = file.read()
            small = decode_image(encode_small_jpeg(data, 240, 95)).astype(int)
            whole = Image.fromarray(decode_image(data, upright=True))
            size = small.shape[1::-1]
            expected = np.asarray(whole.resize(size, Image.Resampling.LANCZOS)).astype(int)
            assert max(size) <= 240
            assert np.abs(small - expected).mean() < 6  # colours are kept at half the resolution


def test_the_same_bytes_come_out_of_the_same_bytes():
    data = encode(Image.effect_noise((300, 300), 60).convert("RGB"))
    assert encode_small_jpeg(data, 100) == encode_small_jpeg(data, 100)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg/>",
        encode(Image.new("RGB", (300, 300)))[:400],
        encode(Image.new("1", (8000, 8000)), "PNG"),  # 8 KB that would be 192 MB of pixels
        encode(Image.new("L", (64, 64)), "GIF")[:20],
    ],
    ids=["empty", "svg", "cut", "bomb", "head"],
)
def test_what_is_no_image_or_a_bomb_is_refused(data):
    with pytest.raises(DatabaseError):
        encode_small_jpeg(data, 100)


def test_many_scans_are_refused():
    """A progressive JPEG with its last scan a thousand times over."""
    data = encode(Image.new("RGB", (2000, 2000)), progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(DatabaseError, match="scans"):
        encode_small_jpeg(data[:-2] + scan * 1000 + data[-2:], 100)
