"""Tars of one class each: inside one tar, as ILSVRC's training set has them, or side by side.

The inner archives of a local tar are scanned by several processes, those of a remote one by many
threads, each of which waits for its own answers; the images come out in the archive's order.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from imagetree.sources.containers import headers_of
from imagetree.sources.entries import (
    Entry,
    FoundImage,
    SetAside,
    base_of,
    fault_of_base,
    fault_of_length,
    image_name,
)
from imagetree.sources.layouts import tars_in
from imagetree.sources.tarpool import scan_windows
from imagetree.sources.tarscan import Member, Problem, printable, scan_tar
from imagetree.sources.webdataset import scan_shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imagetree.sources.containers import Folder, RemoteFolder
    from imagetree.sources.entries import Resolve
    from imagetree.sources.places import Place

_REMOTE_THREADS = 32


class _Inner(NamedTuple):
    """An inner archive: its name, its synset, and the bytes [start, end) of the outer one."""

    name: str
    wnid: str
    start: int
    end: int


def scan_tar_of_tars(
    place: Place, resolve: Resolve, first: int = 0
) -> Iterator[tuple[list[FoundImage | SetAside], int]]:
    """What each item of the outer archive gives, and the byte after it.

    Args:
        place: the outer archive.
        resolve: the synset of an inner archive's name.
        first: how many items to leave out.
    """
    items = list(_outer(place, resolve))[first:]
    inner = [item for item in items if isinstance(item, _Inner)]
    windows = [(item.start, item.end) for item in inner]
    scans = (
        _scan_remote(place, windows) if place.is_remote else scan_windows(place.location, windows)
    )
    for item in items:
        if isinstance(item, SetAside):
            yield [item], item.offset
        else:
            found = next(scans)
            yield [_judge(each, item.wnid, f"{printable(item.name)}/") for each in found], item.end


def scan_folder_of_tars(
    folder: Folder | RemoteFolder, resolve: Resolve
) -> Iterator[FoundImage | SetAside]:
    """The images of the tars in a folder; their path is that of the tar."""
    for tar in tars_in(folder.entries(), resolve):
        if isinstance(tar, SetAside):
            yield tar
            continue
        name = tar.entry.name
        with folder.reader(name) as read:
            for found in scan_tar(read, 0, tar.entry.length):
                item = _judge(found, tar.wnid, f"{printable(name)}/")
                yield item._replace(path=name) if isinstance(item, FoundImage) else item


def scan_folder_of_shards(
    folder: Folder | RemoteFolder, resolve: Resolve, classes: Sequence[str] | None
) -> Iterator[FoundImage | SetAside]:
    """The images of WebDataset's shards in a folder; their path is that of the shard."""
    for entry in folder.entries():
        if isinstance(entry, SetAside):
            yield entry
        elif not entry.name.lower().endswith(".tar"):
            yield SetAside(printable(entry.name), 0, "no shard NAME.tar")
        else:
            with folder.reader(entry.name) as read:
                for item in scan_shard(read, entry.length, resolve, classes=classes):
                    if isinstance(item, FoundImage):
                        yield item._replace(path=entry.name)
                    else:
                        yield item._replace(item=f"{printable(entry.name)}/{item.item}")


def _outer(place: Place, resolve: Resolve) -> Iterator[_Inner | SetAside]:
    for found in scan_tar(headers_of(place), 0, place.size):
        end = place.size
        if isinstance(found, Problem):
            yield SetAside(found.name or "archive", found.offset, found.reason)
            if not (found.is_end and found.name):  # else cut off: its first images may be whole
                continue
        else:
            end = found.offset + found.length
        (tar,) = tars_in([Entry(found.name, found.offset, end - found.offset)], resolve)
        yield tar if isinstance(tar, SetAside) else _Inner(found.name, tar.wnid, found.offset, end)


def _scan_remote(place: Place, windows: list[tuple[int, int]]) -> Iterator[list[Member | Problem]]:
    def scan(window: tuple[int, int]) -> list[Member | Problem]:
        return list(scan_tar(headers_of(place), *window))

    with ThreadPoolExecutor(_REMOTE_THREADS, thread_name_prefix="scan") as pool:
        yield from pool.map(scan, windows)


def _judge(found: Member | Problem, wnid: str, inner: str) -> FoundImage | SetAside:
    """An image of an inner archive, or the reason why not."""
    if isinstance(found, Problem):
        return SetAside(f"{inner}{found.name}" if found.name else inner, found.offset, found.reason)
    base = base_of(found.name)
    fault = fault_of_base(base) or fault_of_length(found.length)
    if fault:
        return SetAside(printable(f"{inner}{found.name}"), found.offset, fault)
    return FoundImage(image_name(base, wnid), wnid, found.offset, found.length, None)
