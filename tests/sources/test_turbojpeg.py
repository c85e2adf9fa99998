"""libjpeg-turbo's own interface: found or missed without harm, and held to its bounds."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from imagetree.sources import turbojpeg

from ..conftest import need

if TYPE_CHECKING:
    from ctypes import CDLL


def jpeg(side: int, **options: object) -> bytes:
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.fixture
def library() -> CDLL:
    found = turbojpeg.load_library()
    need(found, "libjpeg-turbo 3 is missing (pip install turbojpeg)")
    assert found is not None
    return found


@pytest.mark.parametrize(("subsampling", "width"), [(0, 8), (1, 16), (2, 16)])
def test_header(library: CDLL, subsampling: int, width: int) -> None:
    """4:4:4, 4:2:2 and 4:2:0."""
    with turbojpeg.Jpeg(library, jpeg(100, subsampling=subsampling)) as found:
        assert (found.height, found.width, found.block_width) == (100, 100, width)


def test_header_that_is_missing(library: CDLL) -> None:
    """Nothing at all, a stump, and tables without a picture."""
    for data in (b"", jpeg(64)[:9] + b"\xff\xd9", jpeg(64)[:20] + b"\xff\xd9"):
        with pytest.raises(ValueError, match=r"\w"):
            turbojpeg.Jpeg(library, data)


def test_region_outside_is_refused(library: CDLL) -> None:
    """And so is one that begins within a block: no memory is written that is not the array's."""
    data = jpeg(64, subsampling=0)
    for region in ((0, 0, 65, 8), (0, 60, 8, 8), (3, 0, 8, 8), (64, 0, 8, 8)):
        with turbojpeg.Jpeg(library, data) as found, pytest.raises(ValueError, match="region"):
            found.decode(data, region, 1)


def test_library_of_an_earlier_version_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library without the functions, and a place where there is none."""
    monkeypatch.setattr(turbojpeg, "_places", lambda: iter(["libc.so.6", "/nowhere/lib.so"]))
    turbojpeg.load_library.cache_clear()
    try:
        assert turbojpeg.load_library() is None
    finally:
        turbojpeg.load_library.cache_clear()
