"""A synset, or a subtree, as a tar archive: one tar, or a tar of one tar for each synset.

The latter is laid out as ILSVRC2012_img_train.tar and can be imported again. A `TarPlan` knows the
size of an archive and where each synset lies in it from names and lengths alone, so that any range
of its bytes can be sent (`streaming`); `write_tar` makes a file of it. A synset's tar has the same
bytes alone and inside.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from imagetree.database import journal, queries
from imagetree.database.reading import ImageReader
from imagetree.errors import DatabaseError
from imagetree.export import tarwriter
from imagetree.export.parts import changed_meanwhile
from imagetree.export.prefetch import Prepared, iter_lengths, prefetch
from imagetree.export.selection import ExportReport, Running, Selection, file_name, set_aside
from imagetree.files import atomic_writer, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Generator, Iterable, Iterator
    from pathlib import Path

    from imagetree.database.queries import ImageRow
    from imagetree.database.store import Database
    from imagetree.sources.entries import SetAside

ENDING = "JPEG"
"""ImageNet's, whatever an image is."""


class TarPart(NamedTuple):
    """A synset of an archive.

    Args:
        wnid: the synset.
        num_images: in its tar.
        size: of its tar, in bytes.
    """

    wnid: str
    num_images: int
    size: int


@dataclass(frozen=True)
class TarPlan:
    """An archive before a byte of it is read.

    Args:
        parts: its synsets, sorted by wnid.
        is_nested: a tar of tars; else it is the one part's tar.
        etag: another one where any byte of the archive may be another.
        set_aside: images that are not in it, because they have no name for a file, or a length
            that is not known and cannot be found.
    """

    parts: tuple[TarPart, ...]
    is_nested: bool
    etag: str
    set_aside: tuple[SetAside, ...]

    @property
    def size(self) -> int:
        """Of the archive, in bytes."""
        if not self.is_nested:
            return self.parts[0].size
        return tarwriter.archive_size(sum(map(_outer_size, self.parts)))


def plan_tar(database: Database, reader: ImageReader, selection: Selection) -> TarPlan:
    """See how large an archive will be.

    A single synset without those below it gives its own tar, all else a tar of tars.

    Args:
        database: where the images are.
        reader: of the database; images whose length it does not know are read.
        selection: which images.

    Raises:
        DatabaseError: there are no images, or a source is missing that must be read for lengths.
    """
    digest = hashlib.sha256()
    for source in journal.sources(database):
        digest.update(repr((source.id, source.size_bytes, source.version)).encode())
    parts, bad, nested = [], [], is_nested(selection)
    for wnid in selection.counts(database):
        total = number = 0
        with closing(queries.locate(database, [wnid])) as rows:
            for row, size, fault in iter_sizes(reader, rows):
                if size is None:
                    bad.append(set_aside(row, fault))
                    continue
                digest.update(repr((row[1:], size)).encode())
                total += size
                number += 1
        if number or not nested:
            parts.append(TarPart(wnid, number, tarwriter.archive_size(total)))
    return TarPlan(tuple(parts), nested, digest.hexdigest(), tuple(bad))


def is_nested(selection: Selection) -> bool:
    """Whether its archive is a tar of tars."""
    return selection.wnids is None or len(selection.wnids) != 1 or selection.subtree


def write_tar(
    database: Database,
    out: Path,
    selection: Selection | None = None,
    running: Running | None = None,
) -> ExportReport:
    """Write an archive, and beside it `OUT.sha256` as `sha256sum --ignore-missing -c` reads it.

    The hashes are those of the archive and, in a tar of tars, of each tar in it.

    Args:
        database: where the images are.
        out: the file to write.
        selection: which images; all if None.
        running: threads and progress.

    Raises:
        DatabaseError: there are no images, or a source is missing.
        ImagetreeError: the file cannot be written.
    """
    selection = selection or Selection()
    counts = selection.counts(database)
    nested = is_nested(selection)
    with ImageReader(database) as reader, atomic_writer(out) as file:
        output = tarwriter.HashingFile(file)
        total = sum(counts.values())
        writer = _Writer(database, reader, output, running or Running(), total)
        for wnid in counts:
            writer.append(wnid, nested=nested)
        if nested:
            output.write(tarwriter.archive_end(output.size))
    inner = [f"{digest}  {wnid}.tar\n" for wnid, digest in writer.hashes.items()]
    listed = [f"{output.sha256}  {out.name}\n", *(inner if nested else [])]
    write_atomic(out.with_name(f"{out.name}.sha256"), "".join(listed))
    bad = tuple(writer.bad)
    return ExportReport(writer.num_images, output.size, 0, output.sha256, bad)


def _outer_size(part: TarPart) -> int:
    return tarwriter.member_size(f"{part.wnid}.tar", part.size)


def iter_sizes(reader: ImageReader, rows: Iterable[ImageRow]) -> Iterator[Prepared[int]]:
    """How many bytes each image takes in a tar, with its header."""
    for row, length, fault in iter_lengths(reader, rows):
        try:
            name = file_name(row, ENDING)
        except DatabaseError as error:
            yield Prepared(row, None, error.message)
            continue
        size = None if length is None else tarwriter.member_size(name, length)
        yield Prepared(row, size, fault)


def _member_of(reader: ImageReader) -> Callable[[ImageRow], bytes]:
    return lambda row: tarwriter.member(file_name(row, ENDING), reader.read(row))


@dataclass
class _Writer:
    """Writes synset after synset; where an image fails, its synset is written again without it."""

    database: Database
    reader: ImageReader
    output: tarwriter.HashingFile
    running: Running
    total: int
    num_images: int = 0
    num_done: int = 0
    hashes: dict[str, str] = field(default_factory=dict)
    bad: list[SetAside] = field(default_factory=list)

    def append(self, wnid: str, *, nested: bool) -> None:
        """Write a synset's tar; nothing where none of its images can be read."""
        bad: dict[int, SetAside] = {}
        mark = self.output.mark()
        while True:
            number, size = self._measure(wnid, bad)
            if nested and number:
                self.output.write(tarwriter.member_header(f"{wnid}.tar", size))
            known, begin = len(bad), self.output.size
            digest = self._write_images(wnid, bad)
            if len(bad) == known:
                break
            self.output.rewind(mark)
        self.bad += bad.values()
        self.num_images += number
        self.num_done += number + len(bad)
        self.running.tell(self.num_done, self.total)
        if nested and not number:
            return
        ending = tarwriter.archive_end(self.output.size - begin)
        self.output.write(ending)
        digest.update(ending)
        if self.output.size - begin != size:
            raise changed_meanwhile()
        self.hashes[wnid] = digest.hexdigest()

    def _measure(self, wnid: str, bad: dict[int, SetAside]) -> tuple[int, int]:
        """How many images can be had, as far as is known, and the size of their tar."""
        number = total = 0
        with closing(self._rows(wnid, bad)) as rows:
            for row, size, fault in iter_sizes(self.reader, rows):
                if size is None:
                    bad[row.id] = set_aside(row, fault)
                    continue
                number += 1
                total += size
        return number, tarwriter.archive_size(total)

    def _write_images(self, wnid: str, bad: dict[int, SetAside]) -> hashlib._Hash:
        """Write the members, as long as none fails; those that fail are added to `bad`."""
        digest = hashlib.sha256()
        is_whole, work = True, _member_of(self.reader)
        with closing(self._rows(wnid, bad)) as rows:
            found = prefetch(self.reader, rows, work, self.running.threads)
            for number, (row, data, fault) in enumerate(found, self.num_done + 1):
                if data is None:
                    bad[row.id] = set_aside(row, fault)
                    is_whole = False
                elif is_whole:
                    self.output.write(data)
                    digest.update(data)
                self.running.tell(min(number, self.total), self.total)
        return digest

    def _rows(self, wnid: str, bad: Container[int]) -> Generator[ImageRow, None, None]:
        with closing(queries.locate(self.database, [wnid])) as rows:
            yield from (row for row in rows if row.id not in bad)
