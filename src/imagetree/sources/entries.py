"""What a scan of a source gives: the files in it, and what became of them.

A container (tar, zip, folder) gives `Entry` after `Entry`; a layout (class folders, Kaggle's, Tiny
ImageNet's, ...) says what each shows and gives `FoundImage` or `SetAside`. What is no image is
never passed over in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

IMAGE_SUFFIXES = frozenset(
    {"jpeg", "jpg", "png", "webp", "bmp", "gif", "tif", "tiff", "avif", "heic", "heif"}
)
MAX_IMAGE_BYTES = 1 << 30
_LEAVINGS = frozenset({".DS_Store", "Thumbs.db"})

Read = Callable[[int, int], bytes]
"""`read(length, offset)`: bytes of a file, from any thread; fewer only where the file ends."""

Resolve = Callable[[str], tuple[str, str]]
"""`resolve(label)`: its wnid and "", or "" and why there is none."""


class Entry(NamedTuple):
    """A file in a container.

    Args:
        name: in the container, parts separated by "/": `train/n02084071/dog.jpg`.
        offset: of its first byte in the container's file; 0 in a folder.
        length: in bytes.
        path: below the folder; None in an archive.
    """

    name: str
    offset: int
    length: int
    path: str | None = None


class FoundImage(NamedTuple):
    """An image and where it lies.

    Args:
        name: ImageNet's style, without ending: `n02084071_17`, `ILSVRC2012_val_00000293`.
        wnid: the synset that the source gives it.
        offset: of its first byte in the file it lies in; in parquet its row; 0 for a whole file.
        length: in bytes; 0 where it is not known before it is read.
        path: of the file it lies in, below the source; None where the source is that file. For a
            list it may be a URL.
    """

    name: str
    wnid: str
    offset: int
    length: int
    path: str | None


class SetAside(NamedTuple):
    """What was not imported, and why.

    Args:
        item: member or file, inner archive first: `n02084071.tar/notes.txt`; printable.
        offset: where it lies in the archive; 0 in a folder.
        reason: what is wrong; where it begins with "note: ", nothing is lost.
    """

    item: str
    offset: int
    reason: str


def fault_of_base(base: str) -> str:
    """Why a file is no image, by its name alone; empty for an image."""
    if base in _LEAVINGS or base.startswith("._"):
        return "left by a file manager, no image"
    stem, _, suffix = base.rpartition(".")
    return "" if stem and suffix.lower() in IMAGE_SUFFIXES else "no image by its name"


def fault_of_length(length: int) -> str:
    """Why a file of this length is no image; empty for an image."""
    if length > MAX_IMAGE_BYTES:
        return f"too large: {length} bytes (expected at most {MAX_IMAGE_BYTES})"
    return "" if length else "empty: 0 bytes"


def image_name(base: str, wnid: str) -> str:
    """ImageNet's name of an image of a synset, of its file's name.

    >>> image_name("17.JPEG", "n02084071"), image_name("n02084071_17.JPEG", "n02084071")
    ('n02084071_17', 'n02084071_17')
    """
    stem = stem_of(base)
    return stem if stem.startswith(f"{wnid}_") else f"{wnid}_{stem}"


def stem_of(base: str) -> str:
    """A file's name without its ending."""
    return base.rpartition(".")[0]


def base_of(name: str) -> str:
    """The last part of a name."""
    return name.rpartition("/")[2]
