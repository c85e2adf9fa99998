"""Which container a place is, and how it is laid out: seen in first bytes and in names.

A layout is judged by the first ten thousand names, on a server by the first hundred. Where nothing
fits, the error says what was looked for.
"""

from __future__ import annotations

import re
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from imagetree.errors import DatabaseError
from imagetree.sources.containers import (
    ContainerKind,
    Folder,
    List,
    Parquet,
    RemoteFolder,
    Tar,
    Zip,
)
from imagetree.sources.entries import Entry, base_of, fault_of_base, stem_of
from imagetree.sources.folders import walk_folder
from imagetree.sources.layouts import Layout, detect_layout
from imagetree.sources.listing import LISTING_SUFFIXES
from imagetree.sources.places import is_url, list_place, open_place
from imagetree.sources.tarscan import Member, scan_tar
from imagetree.sources.webdataset import is_webdataset

if TYPE_CHECKING:
    from imagetree.sources.containers import Container

_NUM_NAMES = 10_000
_NUM_REMOTE_NAMES = 100  # each may be a request
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"(\xb5": "zstd"}


def kind_of(location: str) -> ContainerKind:
    """The container at a place: by its first bytes, a list by the ending of its name.

    Raises:
        DatabaseError: nothing is there, or it is compressed as a whole.
    """
    if location.endswith("/") or Path(location).is_dir():
        return ContainerKind.PARQUET if _holds_tables(location) else ContainerKind.FOLDER
    with closing(open_place(location)) as place:
        start = place.read(4, 0)
    if start == b"PAR1":
        return ContainerKind.PARQUET
    if start in {b"PK\3\4", b"PK\5\6"}:
        return ContainerKind.ZIP
    form = next((form for magic, form in _COMPRESSED.items() if start.startswith(magic)), "")
    if form:
        raise DatabaseError(
            f"{location}: is compressed ({form}), and images are read in place",
            hint="unpack it to a plain .tar, or to a folder with one folder for each class",
        )
    if location.rpartition(".")[2].lower() not in LISTING_SUFFIXES:
        return ContainerKind.TAR
    if is_url(location):
        raise DatabaseError(
            f"{location}: a list is read from this machine's disk",
            hint="download it, and import the file",
        )
    return ContainerKind.LIST


def layout_of(location: str, container: Container, *, has_labels: bool) -> Layout:
    """How the files of a container are laid out.

    Args:
        location: of the container, for errors; a tar's name may be that of its class.
        container: open.
        has_labels: a file of labels is given.

    Raises:
        DatabaseError: nothing is in it, or no layout fits.
    """
    if isinstance(container, Parquet | List):
        return Layout.TABLE if isinstance(container, Parquet) else Layout.LIST
    names = _first_names(location, container)
    is_tar = type(container) is Tar
    has_tars = _is_tar(names[0])
    if is_tar and is_webdataset(names):
        return Layout.WEBDATASET
    if has_labels and not has_tars:
        return Layout.LABELLED
    if is_tar and not has_tars and _is_one_class(location, names):
        return Layout.ONE_CLASS
    layout = detect_layout(names, location)
    if layout is Layout.TARS and isinstance(container, Zip):
        raise DatabaseError(
            f"{location}: its tars lie in a zip, where their images have no place",
            hint=f"unpack it to a folder: unzip {location}",
        )
    if layout is Layout.TARS and _are_shards(container, names):
        return Layout.WEBDATASET
    return layout


def _holds_tables(location: str) -> bool:
    items = list_place(location) if is_url(location) else walk_folder(Path(location))
    names = [item.name for item in islice(items, _NUM_NAMES) if isinstance(item, Entry)]
    has_images = any(not fault_of_base(base_of(name)) for name in names)
    return not has_images and any(name.endswith(".parquet") for name in names)


def _first_names(location: str, container: Container) -> list[str]:
    """Names of files; of one that is cut off too, whose first images may be whole."""
    names, reason = [], "no file is in it"
    most = _NUM_REMOTE_NAMES if is_url(location) else _NUM_NAMES
    for item in islice(container.entries(), most):
        if isinstance(item, Entry):
            names.append(item.name)
        elif item.reason.startswith("truncated") and item.item != "archive":
            names.append(item.item)
        else:
            reason = item.reason
    if not names:
        raise DatabaseError(
            f"{location}: not an archive or folder with images ({reason})",
            hint="name a tar, a zip or a folder with images, a Parquet table, or a list that ends "
            "in .csv, .tsv, .txt or .jsonl",
        )
    return names


def _is_tar(name: str) -> bool:
    return name.lower().endswith(".tar")


def _is_one_class(location: str, names: list[str]) -> bool:
    """Whether the files lie side by side in a tar that is named by their wnid."""
    is_flat = not any("/" in name.removeprefix("./") for name in names)
    is_wnid = re.fullmatch(r"n[0-9]{8}", stem_of(base_of(location))) is not None
    return is_flat and is_wnid


def _are_shards(container: Container, names: list[str]) -> bool:
    """Whether tars are shards of WebDataset, by the first members of the first one."""
    if not isinstance(container, Folder | RemoteFolder):
        return False
    with container.reader(min(filter(_is_tar, names))) as read:
        found = islice(scan_tar(read, 0, 1 << 62), 100)
        return is_webdataset([item.name for item in found if isinstance(item, Member)])
