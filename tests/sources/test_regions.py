"""Decoding no more than a crop needs: the same pixels as of the whole picture."""

from __future__ import annotations

import io
import random
import tarfile

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from imagetree.errors import DatabaseError
from imagetree.sources import regions, turbojpeg
from imagetree.sources.decoding import decode_image
from imagetree.sources.regions import Box, decode_region

from ..conftest import need, shared_path

WHOLE_SIZE = 10**6
"""A side that no picture covers, so that nothing is scaled."""


@pytest.fixture(autouse=True, params=["columns too", "rows alone"])
def way(request, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test once with libjpeg-turbo's own interface and once without."""
    if request.param == "rows alone":
        monkeypatch.setattr(regions, "load_library", lambda: None)
    else:
        need(turbojpeg.load_library(), "libjpeg-turbo 3 is missing (pip install turbojpeg)")


@pytest.fixture(scope="module")
def originals() -> list[bytes]:
    """ImageNet's own files in full size."""
    with tarfile.open(shared_path("data", "ilsvrc1000", "original100.tar")) as archive:
        files = [archive.extractfile(member) for member in archive if member.isfile()]
        return [data for file in files if file and (data := file.read())[:2] == b"\xff\xd8"]


def random_boxes(seed: int, height: int, width: int) -> Box:
    rng = random.Random(seed)
    box_width, box_height = rng.randint(1, width), rng.randint(1, height)
    left, top = rng.randint(0, width - box_width), rng.randint(0, height - box_height)
    return Box(left, top, box_width, box_height)


def cut(picture: np.ndarray, box: Box) -> np.ndarray:
    return picture[box.top : box.top + box.height, box.left : box.left + box.width]


def test_regions_of_real_photographs_are_exact(originals: list[bytes]) -> None:
    """Bit for bit, whatever their subsampling, restarts and scans are."""
    assert len(originals) >= 90
    for seed, data in enumerate(originals):
        picture = decode_image(data)
        box = random_boxes(seed, *picture.shape[:2])
        assert np.array_equal(
            decode_region(data, lambda *_, b=box: b, WHOLE_SIZE), cut(picture, box)
        )


@pytest.mark.parametrize(("divisor", "side"), [(2, 60), (4, 30), (8, 15)])
def test_large_region_is_decoded_at_a_fraction(
    originals: list[bytes], divisor: int, side: int
) -> None:
    """Exactly what libjpeg-turbo makes of the whole picture at that scale."""
    box = Box(17, 33, 140, 130)
    for data in originals[:20]:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        whole = simplejpeg.decode_jpeg(
            data, colorspace="RGB", min_height=-(-height // divisor), min_width=-(-width // divisor)
        )
        assert whole.shape[:2] == (-(-height // divisor), -(-width // divisor))
        scaled = Box(*(each // divisor for each in box))
        region = decode_region(data, lambda *_: box, side)
        assert np.array_equal(region, cut(whole, scaled))
        assert min(region.shape[:2]) >= side


def encoded(picture: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"subsampling": 0}),
        ("JPEG", {"subsampling": 1}),
        ("JPEG", {"subsampling": 2}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"restart_marker_blocks": 3}),
        ("JPEG", {"exif": b"Exif\0\0" + bytes(6000)}),
        ("PNG", {}),
    ],
)
def test_kinds_of_files(kind: str, options: dict[str, object]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (150, 133, 3), dtype=np.uint8)
    data = encoded(picture, kind, **options)
    for box in (Box(5, 7, 100, 30), Box(0, 0, 133, 150), Box(132, 149, 1, 1), Box(3, 90, 9, 46)):
        region = decode_region(data, lambda *_, b=box: b, WHOLE_SIZE)
        assert np.array_equal(region, cut(decode_image(data), box))


def test_grey_picture() -> None:
    data = encoded(np.arange(120 * 90, dtype=np.uint32).reshape(120, 90).astype(np.uint8), "JPEG")
    region = decode_region(data, lambda *_: Box(1, 2, 30, 40), WHOLE_SIZE)
    assert np.array_equal(region, decode_image(data)[2:42, 1:31])


def test_truncated_file_is_refused_wherever_the_region_is(originals: list[bytes]) -> None:
    """Its end is missing: it is damaged, even if the crop would not have reached so far."""
    with pytest.raises(DatabaseError, match="damaged: "):
        decode_region(originals[0][:-2000], lambda *_: Box(0, 0, 16, 16), 16)


@pytest.mark.parametrize("length", [2, 3, 9, 21, 200])
def test_stumps_are_refused(originals: list[bytes], length: int) -> None:
    """Also those that end as a whole file does."""
    for end in (b"", b"\xff\xd9"):
        with pytest.raises(DatabaseError):
            decode_region(originals[0][:length] + end, lambda *_: Box(0, 0, 1, 1), 1)


def test_random_damage_is_an_error_or_pixels(originals: list[bytes]) -> None:
    """Never anything else: no crash, no other exception, and the shape that was asked for."""
    rng = random.Random(0)
    seen = set()
    for data in originals[:30]:
        for _ in range(10):
            damaged = bytearray(data)
            for _ in range(rng.choice((1, 20))):
                damaged[rng.randrange(2, min(len(data), rng.choice((700, 10**6))))] = rng.randrange(
                    256
                )
            try:
                region = decode_region(
                    bytes(damaged), lambda h, w: Box(0, 0, min(w, 64), min(h, 64)), 64
                )
            except DatabaseError:
                seen.add("refused")
                continue
            seen.add("decoded")
            assert max(region.shape[:2]) <= 64
            assert min(region.shape[:2]) >= 1
    assert seen == {"refused", "decoded"}
