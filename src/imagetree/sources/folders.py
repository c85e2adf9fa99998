"""The files below a folder, in the order of their names; links are never followed.

Names come from the file system as they are: one that is not UTF-8, a link, a device or a pipe comes
out as `SetAside`, and so does a folder that cannot be read. Each file is looked at once.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imagetree.errors import DatabaseError
from imagetree.sources.entries import Entry, SetAside
from imagetree.sources.tarscan import fault_of_name, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_DEPTH = 32
"""Folders inside one another that are walked; below are mounts in a loop, no images."""


def walk_folder(root: Path) -> Iterator[Entry | SetAside]:
    """The regular files below a folder, each folder's in the order of the names in it.

    Args:
        root: where to begin; it may itself be a link.

    Returns:
        Entries with the name relative to `root`, which is also the path. Folders come out not at
        all, unless they cannot be read.

    Raises:
        DatabaseError: `root` is no folder, or cannot be read.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "n02084071").mkdir()
    ...     _ = (Path(folder) / "n02084071" / "dog.jpg").write_bytes(b"dog")
    ...     list(walk_folder(Path(folder)))
    [Entry(name='n02084071/dog.jpg', offset=0, length=3, path='n02084071/dog.jpg')]
    """
    try:
        stack = [(_list_folder(str(root)), "")]
    except OSError as error:
        raise DatabaseError(
            f"{printable(str(root))}: the folder cannot be read ({error.strerror})",
            hint="name a folder that holds images",
        ) from error
    while stack:
        entries, prefix = stack[-1]
        if not entries:
            stack.pop()
            continue
        entry = entries.pop()
        name = prefix + entry.name
        if not entry.is_dir(follow_symlinks=False):
            yield _judge(entry, name)
            continue
        fault = fault_of_name(name)
        if not fault and len(stack) == MAX_DEPTH:
            fault = f"more than {MAX_DEPTH} folders inside one another"
        try:
            below = [] if fault else _list_folder(entry.path)
        except OSError as error:
            fault = f"the folder cannot be read ({error.strerror})"
        if fault:
            yield SetAside(printable(name), 0, fault)
        else:
            stack.append((below, f"{name}/"))


def _list_folder(path: str) -> list[os.DirEntry[str]]:
    """What lies in a folder, the first name last, to be taken from the end."""
    with os.scandir(path) as entries:
        return sorted(entries, key=lambda entry: entry.name, reverse=True)


def _judge(entry: os.DirEntry[str], name: str) -> Entry | SetAside:
    if entry.is_symlink():
        fault = "link, no regular file"
    elif not entry.is_file(follow_symlinks=False):
        fault = "device or pipe, no regular file"
    else:
        fault = fault_of_name(name)
    if not fault:
        try:
            return Entry(name, 0, entry.stat(follow_symlinks=False).st_size, name)
        except OSError as error:  # gone since its folder was read
            fault = f"cannot be looked at ({error.strerror})"
    return SetAside(printable(name), 0, fault)
