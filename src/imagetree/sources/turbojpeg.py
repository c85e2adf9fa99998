"""libjpeg-turbo 3 by its own interface: it decodes a region of a JPEG and leaves the rest alone.

Some systems have it, Debian 12 has version 2. No package for Python offers regions; the wheels of
`turbojpeg` hold the library, but a pre-release of 2023, so the tests alone ask for it. Where it
is missing, `regions` decodes more than it needs; the pixels are the same, bit for bit.

Source: the library's `turbojpeg.h`, version 3; in earlier ones these functions are not.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from imagetree.files import Closable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_PACKAGE = "turbojpeg"
_SYSTEM = {"darwin": "libturbojpeg.dylib", "win32": "turbojpeg.dll"}
_DECOMPRESS = 1  # TJINIT_DECOMPRESS
_RGB = 0  # TJPF_RGB
_WARNING = 0  # TJERR_WARNING: pixels were made all the same
_SUBSAMPLING, _WIDTH, _HEIGHT, _PRECISION = 4, 5, 6, 7  # TJPARAM_...
_BLOCK_WIDTHS = {0: 8, 1: 16, 2: 16, 3: 8, 4: 8, 5: 32, 6: 8}  # tjMCUWidth by TJSAMP_...


class _Region(ctypes.Structure):
    _fields_ = (
        ("x", ctypes.c_int),
        ("y", ctypes.c_int),
        ("w", ctypes.c_int),
        ("h", ctypes.c_int),
    )


class _Factor(ctypes.Structure):
    _fields_ = (("num", ctypes.c_int), ("denom", ctypes.c_int))


_FUNCTIONS = {
    "tj3Init": ((ctypes.c_int,), ctypes.c_void_p),
    "tj3Destroy": ((ctypes.c_void_p,), None),
    "tj3DecompressHeader": ((ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t), ctypes.c_int),
    "tj3Get": ((ctypes.c_void_p, ctypes.c_int), ctypes.c_int),
    "tj3SetScalingFactor": ((ctypes.c_void_p, _Factor), ctypes.c_int),
    "tj3SetCroppingRegion": ((ctypes.c_void_p, _Region), ctypes.c_int),
    "tj3Decompress8": (
        (
            *(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t),
            *(ctypes.c_void_p, ctypes.c_int, ctypes.c_int),
        ),
        ctypes.c_int,
    ),
    "tj3GetErrorCode": ((ctypes.c_void_p,), ctypes.c_int),
    "tj3GetErrorStr": ((ctypes.c_void_p,), ctypes.c_char_p),
}


class Jpeg(Closable):
    """A JPEG whose header was read; close it, or use it as a context manager.

    Each has a decoder of its own, which costs two microseconds: in one that is used again the
    tables of a damaged file would live on.

    Args:
        library: as `load_library` gives it.
        data: the whole file.

    Raises:
        ValueError: it has no header, more than 8 bits a channel, or unusual blocks.
    """

    def __init__(self, library: ctypes.CDLL, data: bytes) -> None:
        self._library = library
        self._handle = library.tj3Init(_DECOMPRESS)
        if not self._handle:
            raise MemoryError("libjpeg-turbo has no memory for a decoder")
        try:
            self._check(library.tj3DecompressHeader(self._handle, data, len(data)))
            precision, subsampling, self.height, self.width = (
                library.tj3Get(self._handle, each)
                for each in (_PRECISION, _SUBSAMPLING, _HEIGHT, _WIDTH)
            )
            if precision != 8 or subsampling not in _BLOCK_WIDTHS or self.width < 1:
                raise ValueError(f"{precision} bits a channel, subsampling {subsampling}")
            self.block_width = _BLOCK_WIDTHS[subsampling]
            """Pixels that are coded as one, side by side: 8, 16 or 32."""
        except ValueError:
            self.close()
            raise

    def close(self) -> None:
        """Free the decoder."""
        if self._handle:
            self._library.tj3Destroy(self._handle)
            self._handle = None

    def decode(
        self, data: bytes, region: tuple[int, int, int, int], divisor: int
    ) -> NDArray[np.uint8]:
        """A region's pixels, RGB; those at its left and right end may have others' colours.

        Args:
            data: the file; or the same with a smaller height, in which the region ends all the
                same.
            region: left, top, width, height in pixels of the scaled picture, inside it; left is a
                multiple of the scaled `block_width`.
            divisor: of the scale: 1, 2, 4 or 8.

        Raises:
            ValueError: it cannot be decoded, the region is none of it, or its colours are not to be
                turned into RGB.
        """
        library, handle = self._library, self._handle
        self._check(library.tj3SetScalingFactor(handle, _Factor(1, divisor)))
        self._check(library.tj3SetCroppingRegion(handle, _Region(*region)))
        pixels = np.empty((region[3], region[2], 3), np.uint8)
        address = pixels.ctypes.data
        self._check(library.tj3Decompress8(handle, data, len(data), address, 0, _RGB))
        return pixels

    def _check(self, status: int) -> None:
        if status and self._library.tj3GetErrorCode(self._handle) != _WARNING:
            text: bytes = self._library.tj3GetErrorStr(self._handle)
            raise ValueError(text.decode(errors="replace"))


@cache
def load_library() -> ctypes.CDLL | None:
    """The library of the system or that of the package; None where neither has version 3."""
    for place in _places():
        with suppress(OSError, AttributeError):  # it is not there, or of an earlier version
            library = ctypes.CDLL(place)
            for name, (arguments, result) in _FUNCTIONS.items():
                function = getattr(library, name)
                function.argtypes, function.restype = arguments, result
            return library
    return None


def _places() -> Iterator[str]:
    """Where it may be: what the system's loader finds first, which is kept up to date."""
    yield _SYSTEM.get(sys.platform, "libturbojpeg.so.0")
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.files(_PACKAGE) or ():
            is_library = file.parent.name.endswith((".libs", ".dylibs"))
            if is_library and "turbojpeg" in file.name:
                yield str(file.locate())
