"""MATLAB's files of level 5, as far as a development kit uses them: numbers, texts, structs.

Files come from strangers, and SciPy's reader ends the process on some that are damaged (found by
changing single bytes). Here every length is held to the bytes that are there, and what a file
decompresses to is bounded. Cells, objects, sparse and complex arrays and level 7.3 are not read.
Source: "MAT-File Format" (MathWorks), "Level 5 MAT-File Format".
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Value: TypeAlias = "str | NDArray[Any] | list[dict[str, Value]]"
"""A text, an array of numbers, or the elements of an array of structs in MATLAB's order."""

_HEADER = 128
_INT8, _INT32, _UINT32 = 1, 5, 6
_MATRIX, _COMPRESSED = 14, 15
_STRUCT, _CHAR = 2, 4
_NUMBERS = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4"},
    **{9: "f8", 12: "i8", 13: "u8"},
}
_CLASSES = {
    **{6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2"},
    **{11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"},
}
_WIDE_TEXTS, _TEXTS = {4, 17}, {1, 2, 4, 16, 17}
_COMPLEX_FLAG = 0x0800
_MAX_DEPTH = 8
_MAX_DIMENSIONS = 32


class _Element(NamedTuple):
    kind: int
    data: memoryview


class _Matrix(NamedTuple):
    """An element that is an array: its head, and the elements that follow in it."""

    kind: int
    shape: tuple[int, ...]
    name: str
    rest: Iterator[_Element]


def read_mat(data: bytes, max_bytes: int) -> dict[str, Value]:
    """The variables of a file.

    Args:
        data: the whole file.
        max_bytes: most that may come of it when it is decompressed.

    Returns:
        By name: a text for a row of characters, an array as MATLAB shows it for numbers, and a list
        of its elements for an array of structs, column by column.

    Raises:
        ValueError: it is no such file, damaged, larger than `max_bytes`, or holds something else.
    """
    if len(data) < _HEADER or data[126:128] not in {b"IM", b"MI"}:
        raise ValueError("no MAT-file of level 5")
    order = "little" if data[126:128] == b"IM" else "big"
    file = _File(order, max_bytes)
    if int.from_bytes(data[124:126], file.order) != 0x0100:
        raise ValueError("a MAT-file of another level than 5")
    found: dict[str, Value] = {}
    for element in file.elements(memoryview(data)[_HEADER:]):
        if element.kind == _COMPRESSED:
            element = file.decompress(element.data)
        if element.kind == _MATRIX:
            matrix = file.matrix(element.data)
            found[matrix.name] = file.value(matrix, 0)
    return found


class _File:
    """What is the same for all of a file."""

    def __init__(self, order: str, max_bytes: int) -> None:
        self.order: Any = order
        self._sign = "<" if order == "little" else ">"
        self._left = max_bytes

    def elements(self, data: memoryview) -> Iterator[_Element]:
        """The elements that lie one after another; each is padded to eight bytes."""
        at = 0
        while at + 8 <= len(data):
            kind, size = self._integer(data[at : at + 4]), self._integer(data[at + 4 : at + 8])
            start = at + 8
            if kind >> 16:  # a small one, with its data in the tag
                kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            end = start + size
            if end > len(data) or (start == at + 4 and size > 4):
                raise ValueError(f"an element of {size} bytes in {len(data) - at}")
            yield _Element(kind, data[start:end])
            at = end if kind == _COMPRESSED else at + 8 + -(-(end - at - 8) // 8) * 8

    def decompress(self, data: memoryview) -> _Element:
        """The one element that a compressed one holds."""
        try:
            plain = zlib.decompressobj().decompress(data, self._left + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        self._left -= len(plain)
        if self._left < 0:
            raise ValueError("more bytes in it than are allowed")
        return self._next(self.elements(memoryview(plain)))

    def matrix(self, data: memoryview) -> _Matrix:
        """The head of an array: flags, dimensions, name. An empty element is an empty array."""
        if not data:
            return _Matrix(6, (0, 0), "", iter([_Element(9, data)]))
        rest = self.elements(data)
        flags = self._integer(self._next(rest, _UINT32).data[:4])
        shape = tuple(self._numbers(self._next(rest, _INT32), "i4").tolist())
        if flags & _COMPLEX_FLAG or len(shape) > _MAX_DIMENSIONS or min(shape, default=0) < 0:
            raise ValueError("an array of complex numbers, or without a shape")
        name = bytes(self._next(rest, _INT8).data).decode("ascii", "replace")
        return _Matrix(flags & 0xFF, shape, name, rest)

    def value(self, matrix: _Matrix, depth: int) -> Value:
        """What an array holds."""
        size = math.prod(matrix.shape)
        if matrix.kind == _STRUCT:
            return self._structs(matrix, size, depth)
        element = next(matrix.rest, _Element(_INT8, memoryview(b"")))
        if matrix.kind == _CHAR:
            if element.kind not in _TEXTS or (size and size != max(matrix.shape)):
                raise ValueError("a text that is no row of characters")
            wide = "utf-16-le" if self._sign == "<" else "utf-16-be"
            return bytes(element.data).decode(wide if element.kind in _WIDE_TEXTS else "utf-8")
        if matrix.kind not in _CLASSES:
            raise ValueError(f"an array of class {matrix.kind}")
        numbers = self._numbers(element, _CLASSES[matrix.kind])
        return numbers.reshape(matrix.shape, order="F")

    def _structs(self, matrix: _Matrix, size: int, depth: int) -> list[dict[str, Value]]:
        if depth == _MAX_DEPTH:
            raise ValueError(f"more than {_MAX_DEPTH} structs inside one another")
        length = int(self._numbers(self._next(matrix.rest, _INT32), "i4").item())
        data = bytes(self._next(matrix.rest, _INT8).data)
        if not 0 < length <= len(data) or len(data) % length:
            raise ValueError(f"names of fields of {length} bytes in {len(data)}")
        starts = range(0, len(data), length)
        names = [data[at : at + length].split(b"\0")[0].decode("ascii", "replace") for at in starts]
        found = []
        for _ in range(size):  # ends where the elements do, whatever the shape says
            fields = [self.matrix(self._next(matrix.rest, _MATRIX).data) for _ in names]
            values = [self.value(field, depth + 1) for field in fields]
            found.append(dict(zip(names, values, strict=True)))
        return found

    def _numbers(self, element: _Element, kind: str) -> NDArray[Any]:
        """Numbers, which may be stored in a smaller type than is theirs."""
        stored = _NUMBERS.get(element.kind)
        if stored is None:
            raise ValueError(f"numbers of type {element.kind}")
        return np.frombuffer(element.data, f"{self._sign}{stored}").astype(kind)

    def _next(self, elements: Iterator[_Element], kind: int | None = None) -> _Element:
        element = next(elements, None)
        if element is None or kind not in {None, element.kind}:
            raise ValueError("damaged: an element is missing, or of another type")
        return element

    def _integer(self, data: memoryview) -> int:
        return int.from_bytes(data, self.order)
