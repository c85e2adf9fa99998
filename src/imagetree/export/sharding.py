"""Exports cut into files of like size: planned from what the database knows, written in order."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

from imagetree.database.reading import ImageReader
from imagetree.errors import DatabaseError
from imagetree.export.content import ending_of
from imagetree.export.parts import File, Fingerprints, Part, PartStore, changed_meanwhile
from imagetree.export.prefetch import Prepared, iter_lengths, prefetch
from imagetree.export.selection import Running, set_aside
from imagetree.export.tarwriter import HashingFile
from imagetree.files import atomic_writer
from imagetree.sources.tarscan import fault_of_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from imagetree.database.queries import ImageRow
    from imagetree.database.store import Database
    from imagetree.export.selection import ExportReport, Selection
    from imagetree.sources.entries import SetAside


class Content(NamedTuple):
    """An image as it goes into a shard.

    Args:
        data: its bytes, as they are.
        ending: by these bytes: jpg, png, ...
    """

    data: bytes
    ending: str


class ClassIndex:
    """The class indices of an export, from 0, in the order of sorted wnids.

    Args:
        wnids: of the classes.
    """

    def __init__(self, wnids: Iterable[str]) -> None:
        self.wnids = tuple(sorted(wnids))
        self._indices = {wnid: index for index, wnid in enumerate(self.wnids)}

    def index_of(self, row: ImageRow) -> int:
        """The class index of an image.

        Raises:
            DatabaseError: its synset had no images when the export was begun.
        """
        if row.wnid not in self._indices:
            raise changed_meanwhile()
        return self._indices[row.wnid]


class Format(Protocol):
    """A kind of shard."""

    @property
    def sharding(self) -> Sharding:
        """Names and limits."""

    @property
    def style(self) -> object:
        """All that the bytes of a shard depend on besides its images."""

    def name_of(self, number: int, total: int) -> str:
        """The file name of a shard; numbers count from 0."""

    def size_of(self, row: ImageRow, length: int) -> int:
        """About how many bytes an image takes in a shard."""

    def write(self, file: HashingFile, images: Iterator[tuple[ImageRow, Content]]) -> None:
        """Write a shard."""


@dataclass(frozen=True)
class Sharding:
    """How shards are called, and when one is full.

    Args:
        name: that their file names begin with.
        max_images: most images of a shard.
        max_bytes: about the most bytes of a shard, unless one image alone has more.

    Raises:
        DatabaseError: the name is that of no file, or a limit leaves no room for an image.
    """

    name: str
    max_images: int
    max_bytes: int

    def __post_init__(self) -> None:
        if min(self.max_images, self.max_bytes) < 1:
            raise DatabaseError(
                f"no shard has at most {self.max_images} images and {self.max_bytes} bytes"
            )
        if fault_of_name(self.name) or "/" in self.name or self.name.startswith("."):
            raise DatabaseError(f"{self.name!r} is no beginning of a file name")


class _Planned(NamedTuple):
    num_images: int
    fingerprint: str


def write_sharded(
    database: Database,
    folder: Path,
    selection: Selection,
    kind: Format,
    running: Running | None,
) -> ExportReport:
    """Write shards into a folder; those that an earlier run has completed are kept.

    Args:
        database: where the images are.
        folder: to write into.
        selection: which images.
        kind: of the shards.
        running: threads and progress.

    Raises:
        DatabaseError: there are no images, a source is missing, the folder holds something else, or
            the database is written meanwhile.
        ImagetreeError: a file cannot be written.
    """
    running = running or Running()
    total = sum(selection.counts(database).values())
    prints = Fingerprints(database, kind.style)
    store = PartStore(folder)
    with ImageReader(database) as reader, closing(selection.rows(database)) as rows:
        with closing(selection.rows(database)) as ahead:
            planned = list(_plan(iter_lengths(reader, ahead), kind, prints))
        names = [kind.name_of(number, len(planned)) for number in range(len(planned))]
        num_done = 0
        for name, (number, fingerprint) in zip(names, planned, strict=True):
            chunk = prints.watch(islice(rows, number), fingerprint)
            if store.find(name, fingerprint) is not None:
                for _ in chunk:
                    pass
            else:
                told = _telling(running, num_done, total)
                found = prefetch(reader, chunk, _read(reader), running.threads)
                store.add(_write_shard(folder / name, kind, fingerprint, map(told, found)))
            num_done += number
            running.tell(num_done, total)
    return store.finish(names)


def _plan(
    lengths: Iterable[Prepared[int]], kind: Format, prints: Fingerprints
) -> Iterator[_Planned]:
    """How many images each shard has. One that cannot be read is set aside when it is written."""
    limits = kind.sharding
    number, size, digest = 0, 0, prints.begin()
    for row, length, _ in lengths:
        more = kind.size_of(row, length or 0)
        if number and (number == limits.max_images or size + more > limits.max_bytes):
            yield _Planned(number, digest.hexdigest())
            number, size, digest = 0, 0, prints.begin()
        number, size = number + 1, size + more
        prints.add(digest, row)
    if number:
        yield _Planned(number, digest.hexdigest())


def _read(reader: ImageReader) -> Callable[[ImageRow], Content]:
    def work(row: ImageRow) -> Content:
        data = reader.read(row)
        return Content(data, ending_of(data))

    return work


def _telling(
    running: Running, num_done: int, total: int
) -> Callable[[Prepared[Content]], Prepared[Content]]:
    def told(item: Prepared[Content]) -> Prepared[Content]:
        nonlocal num_done
        num_done += 1
        running.tell(num_done, total)
        return item

    return told


def _write_shard(
    path: Path, kind: Format, fingerprint: str, found: Iterable[Prepared[Content]]
) -> Part:
    bad: list[SetAside] = []
    number = 0

    def images() -> Iterator[tuple[ImageRow, Content]]:
        nonlocal number
        for row, content, fault in found:
            if content is None:
                bad.append(set_aside(row, fault))
                continue
            number += 1
            yield row, content

    with atomic_writer(path) as file:
        output = HashingFile(file)
        kind.write(output, images())
    files = (File(path.name, output.size, output.sha256),)
    return Part(path.name, fingerprint, number, files, tuple(bad))
