"""The meta.mat of a development kit, written as MATLAB wrote ILSVRC's own.

Numbers are MATLAB's doubles, stored in the least type that holds them, and texts are rows of
characters, so that SciPy and MATLAB read the fields, shapes and types that they read in the
published kits. Nothing is compressed: the same synsets give the same bytes with every zlib.
Source: "MAT-File Format" (MathWorks), "Level 5 MAT-File Format"; read by `sources.matfile`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from imagetree.sources.devkit import KitSynset

_HEADER = b"MATLAB 5.0 MAT-file, written by imagetree".ljust(116) + bytes(8) + b"\x00\x01IM"
_INT8, _UINT8, _UINT16, _INT32, _UINT32, _DOUBLE, _MATRIX = 1, 2, 4, 5, 6, 9, 14
_STRUCT_CLASS, _CHAR_CLASS, _DOUBLE_CLASS = 2, 4, 6
_FIELD_BYTES = 32
"""Of a field's name, as MATLAB pads it."""


def render_meta(
    year: int, synsets: Sequence[KitSynset], cost_matrix: NDArray[np.uint8] | None = None
) -> bytes:
    """The bytes of a meta.mat.

    Args:
        year: names the field of the ids.
        synsets: in the order of their ids.
        cost_matrix: of 2010's form, in levels; uint8 (K, K).
    """
    fields = (
        *(f"ILSVRC{year}_ID", "WNID", "words", "gloss", "num_children", "children"),
        *("wordnet_height", "num_train_images"),
    )
    rows = b"".join(map(_row, synsets))
    names = b"".join(name.encode().ljust(_FIELD_BYTES, b"\0") for name in fields)
    length = _element(_INT32, struct.pack("<i", _FIELD_BYTES))
    table = length + _element(_INT8, names) + rows
    costs = b"" if cost_matrix is None else _numbers(cost_matrix, "cost_matrix")
    return _HEADER + costs + _matrix(_STRUCT_CLASS, (len(synsets), 1), table, "synsets")


def _row(synset: KitSynset) -> bytes:
    children = np.array([[child.value for child in synset.children]], dtype=np.int64)
    return b"".join(
        (
            _number(synset.id.value),
            _text(synset.wnid),
            _text(synset.words),
            _text(synset.gloss),
            _number(len(synset.children)),
            _numbers(children),
            _number(synset.wordnet_height),
            _number(synset.num_train_images),
        )
    )


def _number(value: int) -> bytes:
    return _numbers(np.array([[value]], dtype=np.int64))


def _numbers(values: NDArray[np.integer], name: str = "") -> bytes:
    """A matrix of doubles, none below 0, stored as integers where one to four bytes hold them."""
    most = int(values.max(initial=0))
    stored, kind = _DOUBLE, "<f8"
    if most < 1 << 8:
        stored, kind = _UINT8, "u1"
    elif most < 1 << 16:
        stored, kind = _UINT16, "<u2"
    elif most < 1 << 31:
        stored, kind = _INT32, "<i4"
    data = _element(stored, values.astype(kind).tobytes(order="F"))
    return _matrix(_DOUBLE_CLASS, values.shape, data, name)


def _text(text: str) -> bytes:
    """A row of characters; an empty one has no row, as MATLAB's ''."""
    data = text.encode("utf-16-le")
    shape = (1, len(data) // 2) if text else (0, 0)
    return _matrix(_CHAR_CLASS, shape, _element(_UINT16, data))


def _matrix(array_class: int, shape: tuple[int, ...], data: bytes, name: str = "") -> bytes:
    flags = _element(_UINT32, struct.pack("<II", array_class, 0))
    head = _element(_INT32, struct.pack(f"<{len(shape)}i", *shape)) + _element(_INT8, name.encode())
    return _element(_MATRIX, flags + head + data)


def _element(kind: int, data: bytes) -> bytes:
    """A tag and its data; up to four bytes lie in the tag itself, more are padded to eight."""
    if 0 < len(data) <= 4:
        return struct.pack("<HH", kind, len(data)) + data.ljust(4, b"\0")
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)
