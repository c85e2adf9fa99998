"""The three kinds of places that images are imported from, and the images in each.

A tar of tars (ILSVRC2012_img_train.tar: one `WNID.tar` for each synset), a flat tar with a labels
file (ILSVRC2012_img_val.tar), and a folder with one folder for each synset. The kind is seen in the
content. No image is opened here: an image is one by the ending of its name, which `verify` checks.

What is no image is never passed over in silence: each item comes out as `SetAside`, the leavings of
file managers (.DS_Store, ._*, Thumbs.db) included. Directories inside tars are no items.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from imagetree.errors import DatabaseError, WordnetError
from imagetree.sources.entries import (
    FoundImage,
    SetAside,
    base_of,
    fault_of_base,
    fault_of_length,
    image_name,
    stem_of,
)
from imagetree.sources.labels import Archive, Labels, assign_labels, load_labels
from imagetree.sources.tarscan import Member, Problem, fault_of_name, printable, scan_tar
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"(\xb5": "zstd", b"PK": "zip"}


class SourceKind(StrEnum):
    """How a source is laid out."""

    TAR_OF_TARS = "tar of tars"
    FLAT_TAR = "flat tar"
    FOLDER = "folder per class"


@dataclass(frozen=True)
class SourceOptions:
    """What a source does not say of itself.

    Args:
        labels: file with the labels of a flat tar.
    """

    labels: Path | None = None


@dataclass(frozen=True)
class Source:
    """A place to import from, as it was found.

    Args:
        location: absolute path.
        kind: how it is laid out.
        size_bytes: of an archive; 0 for a folder, whose files are looked at one by one.
        version: time of an archive's last change; empty for a folder.
        labels: the labels of a flat tar, None for the other kinds.
    """

    location: str
    kind: SourceKind
    size_bytes: int
    version: str
    labels: Labels | None

    @property
    def labels_path(self) -> Path | None:
        """Of the labels."""
        return self.labels.path if self.labels else None

    @property
    def labels_sha256(self) -> str | None:
        """Of the labels."""
        return self.labels.sha256 if self.labels else None


class Batch(NamedTuple):
    """Some images of a source, in its order.

    Args:
        images: what was found.
        set_aside: what was not taken, and why.
        done_bytes: how far the scan is, of the source's size.
        resume: given to `scan_source`, the scan goes on after this batch.
    """

    images: list[FoundImage]
    set_aside: list[SetAside]
    done_bytes: int
    resume: str


def find_source(location: str | Path, options: SourceOptions | None = None) -> Source:
    """See what a path holds.

    Raises:
        DatabaseError: nothing is there, it is neither tar nor folder, or the labels are missing,
            faulty or not wanted.
    """
    path = Path(location).resolve()
    labels_path = options.labels if options else None
    if any("\ud800" <= c <= "\udfff" for c in str(path)):
        raise DatabaseError(f"{printable(str(path))}: the path is not UTF-8")
    if path.is_dir():
        kind, size_bytes, version = SourceKind.FOLDER, 0, ""
    else:
        with _opened(path) as (fd, facts):
            kind = _kind_of_tar(path, fd, facts.st_size)
            size_bytes, version = facts.st_size, str(facts.st_mtime_ns)
    if kind is SourceKind.FLAT_TAR and labels_path is None:
        raise DatabaseError(
            f"{path}: the images lie in one flat archive, which does not say what they show",
            hint="name the file of their labels: --labels FILE, with a file name and a wnid a line",
        )
    if kind is not SourceKind.FLAT_TAR and labels_path is not None:
        raise DatabaseError(
            f"{path}: labels are for a flat archive (this is a {kind}, which names its synsets)",
            hint="import it without --labels",
        )
    labels = load_labels(labels_path.resolve()) if labels_path else None
    return Source(str(path), kind, size_bytes, version, labels)


def scan_source(source: Source, resume: str = "") -> Iterator[Batch]:
    """The images of a source, and what is set aside.

    Raises:
        DatabaseError: the source cannot be read, has changed since it was found, or its labels do
            not fit.
    """
    items = _scan(source, fault_of_wnid)
    number = int(resume or 0)
    for _ in islice(items, number):
        pass
    while chunk := list(islice(items, _BATCH)):
        number += len(chunk)
        images = [item for item in chunk if isinstance(item, FoundImage)]
        set_aside = [item for item in chunk if isinstance(item, SetAside)]
        last = images[-1] if images else None
        yield Batch(images, set_aside, last.offset + last.length if last else 0, str(number))


_BATCH = 5000


@cache
def fault_of_wnid(wnid: str) -> str:
    """Why a wnid is refused; empty for a noun of WordNet 3.0.

    >>> fault_of_wnid("n02084071"), fault_of_wnid("dog")[:17]
    ('', "'dog' is no wnid ")
    """
    try:
        load_nouns().index_of(wnid)
    except WordnetError as error:
        return error.message
    return ""


def _scan(source: Source, fault_of_wnid: Callable[[str], str]) -> Iterator[FoundImage | SetAside]:
    try:
        if source.kind is SourceKind.FOLDER:
            yield from _scan_folder(Path(source.location), fault_of_wnid)
            return
        with _opened(Path(source.location)) as (fd, _):
            if source.kind is SourceKind.TAR_OF_TARS:
                yield from _scan_tar_of_tars(fd, source.size_bytes, fault_of_wnid)
            else:
                yield from _scan_flat_tar(fd, source, fault_of_wnid)
            facts = os.fstat(fd)
            if (facts.st_size, str(facts.st_mtime_ns)) != (source.size_bytes, source.version):
                raise DatabaseError(
                    f"{source.location}: changed while it was imported",
                    hint="import it again when nothing writes to it any more",
                )
    except OSError as error:
        raise DatabaseError(f"{source.location}: cannot be read ({error.strerror})") from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[int, os.stat_result]]:
    """A descriptor of a regular file, and its size and time."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise DatabaseError(
            f"{path}: cannot be opened ({error.strerror})",
            hint="name a tar archive, or a folder with one folder for each wnid",
        ) from error
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise DatabaseError(f"{path}: neither an archive nor a folder")
        yield fd, facts
    finally:
        os.close(fd)


def _kind_of_tar(path: Path, fd: int, size: int) -> SourceKind:
    """By the first regular file: `.tar` in a tar of tars."""
    reason = "no file is in it"
    for found in scan_tar(fd, 0, size):
        cut_off = isinstance(found, Problem) and found.reason.startswith("truncated") and found.name
        if isinstance(found, Member) or cut_off:
            is_tar = found.name.lower().endswith(".tar")
            return SourceKind.TAR_OF_TARS if is_tar else SourceKind.FLAT_TAR
        reason = found.reason
    form = _COMPRESSED.get(os.pread(fd, 2, 0))
    if form:
        raise DatabaseError(
            f"{path}: is compressed ({form}), and images are read in place",
            hint="unpack it to a plain .tar, or to a folder with one folder for each wnid",
        )
    raise DatabaseError(
        f"{path}: not a tar archive with images ({reason})",
        hint="name a tar archive, or a folder with one folder for each wnid",
    )


def _scan_tar_of_tars(
    fd: int, size: int, fault_of_wnid: Callable[[str], str]
) -> Iterator[FoundImage | SetAside]:
    for outer in scan_tar(fd, 0, size):
        end = size
        if isinstance(outer, Problem):
            yield _set_aside(outer)
            if not (outer.is_end and outer.name):  # else cut off: its first images may be whole
                continue
        else:
            end = outer.offset + outer.length
        stem, _, suffix = base_of(outer.name).rpartition(".")
        fault = fault_of_wnid(stem) if suffix.lower() == "tar" else "no inner archive WNID.tar"
        if fault:
            yield SetAside(printable(outer.name), outer.offset, fault)
            continue
        for found in scan_tar(fd, outer.offset, end):
            yield _judge(found, stem, f"{printable(outer.name)}/")


def _scan_flat_tar(
    fd: int, source: Source, fault_of_wnid: Callable[[str], str]
) -> Iterator[FoundImage | SetAside]:
    found = list(scan_tar(fd, 0, source.size_bytes))
    images = {m: "" for m in found if isinstance(m, Member) and not fault_of_base(base_of(m.name))}
    archive = Archive(
        images=[_plain(member.name) for member in images],
        others={_plain(item.name) for item in found if item not in images},
        is_cut=any(isinstance(item, Problem) and item.is_end for item in found),
    )
    assert source.labels is not None  # find_source refuses a flat tar without
    wnids, missing = assign_labels(source.labels, archive, fault_of_wnid)
    if missing:
        reason = f"{len(missing)} labelled images are not in what is left of the archive"
        yield SetAside(source.labels.path.name, 0, reason)
    images.update(zip(images, wnids, strict=True))
    for item in found:
        yield _judge(item, images.get(item, "") if isinstance(item, Member) else "", None)


def _scan_folder(
    folder: Path, fault_of_wnid: Callable[[str], str]
) -> Iterator[FoundImage | SetAside]:
    with os.scandir(folder) as entries:
        classes = sorted(entries, key=lambda entry: entry.name)
    if not any(entry.is_dir(follow_symlinks=False) for entry in classes):
        raise DatabaseError(
            f"{folder}: no folder is in it",
            hint="name a folder with one folder for each wnid, and the images in these",
        )
    for entry in classes:
        if entry.is_dir(follow_symlinks=False):
            fault = fault_of_wnid(entry.name)
        else:
            fault = _fault_of_entry(entry) or "no folder WNID"
        if fault:
            yield SetAside(printable(entry.name), 0, fault)
            continue
        yield from _scan_class(entry.path, entry.name)


def _scan_class(folder: str, wnid: str) -> Iterator[FoundImage | SetAside]:
    with os.scandir(folder) as entries:
        files = sorted(entries, key=lambda entry: entry.name)
    for entry in files:
        item, fault = f"{wnid}/{entry.name}", _fault_of_entry(entry)
        if not fault and entry.is_dir(follow_symlinks=False):
            fault = "a folder inside the folder of a synset"
        length = 0 if fault else entry.stat(follow_symlinks=False).st_size
        fault = fault or fault_of_base(entry.name) or fault_of_length(length)
        if fault:
            yield SetAside(printable(item), 0, fault)
        else:
            yield FoundImage(image_name(entry.name, wnid), wnid, 0, length, item)


def _fault_of_entry(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "link, no regular file"
    if not entry.is_file(follow_symlinks=False) and not entry.is_dir(follow_symlinks=False):
        return "device or pipe, no regular file"
    return fault_of_name(entry.name)


def _judge(found: Member | Problem, wnid: str, inner: str | None) -> FoundImage | SetAside:
    """An image, or the reason why not; `inner` is the archive around it, None in a flat tar."""
    if isinstance(found, Problem):
        return _set_aside(found, inner or "")
    base = base_of(found.name)
    fault = fault_of_base(base) or fault_of_length(found.length)
    if fault:
        return SetAside(printable(f"{inner or ''}{found.name}"), found.offset, fault)
    name = stem_of(base) if inner is None else image_name(base, wnid)
    return FoundImage(name, wnid, found.offset, found.length, None)


def _set_aside(problem: Problem, inner: str = "") -> SetAside:
    return SetAside(f"{inner}{problem.name}" or "archive", problem.offset, problem.reason)


def _plain(name: str) -> str:
    return name.removeprefix("./")
