"""Any range of a planned tar while it is taken: what lies in files here is left there.

Members and headers that lie one after the other are made ready together, a mebibyte at a time and
some time before they are taken. An image in an archive on a disk of this machine comes out as the
place of its bytes (`FilePart`), which the system can send without a copy; all else is read by a few
threads into memory that is used again and again, as the system clears what is new.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from imagetree.database import queries
from imagetree.errors import DatabaseError
from imagetree.export import tarwriter
from imagetree.export.archive import ENDING, iter_sizes
from imagetree.export.selection import file_name

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from concurrent.futures import Future

    from imagetree.database.queries import ImageRow
    from imagetree.database.reading import ImageReader
    from imagetree.database.store import Database
    from imagetree.export.archive import TarPart, TarPlan

RUN_BYTES = 1 << 20
"""Made ready at a time: handing over costs as much as reading a few hundred kilobytes."""

_THREADS, _AHEAD = 4, 6  # that read, and runs that are ready or nearly


class FilePart:
    """Bytes that lie in an open file.

    Args:
        fd: its descriptor.
        offset: of the first byte.
        size: how many.
    """

    __slots__ = ("fd", "offset", "size")

    def __init__(self, fd: int, offset: int, size: int) -> None:
        self.fd, self.offset, self.size = fd, offset, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice) -> FilePart:
        start, stop, _ = part.indices(self.size)
        return FilePart(self.fd, self.offset + start, max(stop - start, 0))

    def read(self) -> bytes:
        """The bytes.

        Raises:
            DatabaseError: the file ends before.
        """
        data = os.pread(self.fd, self.size, self.offset)
        if len(data) != self.size:
            raise DatabaseError(f"a source ends after {self.offset + len(data)} bytes")
        return data


Part = bytes | memoryview | FilePart
"""Some bytes of an archive."""


class _Item(NamedTuple):
    """A block or member of an archive.

    Args:
        position: of its first byte.
        size: how many it has.
        source: the bytes themselves, or the image whose member they are.
    """

    position: int
    size: int
    source: bytes | ImageRow


class _Run(NamedTuple):
    """Items made ready.

    Args:
        parts: their bytes.
        memory: that some of these lie in; None for none.
    """

    parts: list[Part]
    memory: bytearray | None


def iter_parts(
    database: Database,
    reader: ImageReader,
    plan: TarPlan,
    start: int = 0,
    stop: int | None = None,
) -> Generator[Part, None, None]:
    """The bytes [start, stop) of an archive, part by part.

    A part is good until the next one is asked for: what is in memory is then written over.

    Args:
        database: where the images are.
        reader: of the database.
        plan: of the archive.
        start: offset of the first byte; nothing that lies before it is read.
        stop: offset after the last one; None for the end.

    Raises:
        DatabaseError: an image cannot be read, or is no longer as it was planned. What was sent is
            then shorter than was promised, and so no archive that could be taken for whole.
    """
    stop = plan.size if stop is None else min(stop, plan.size)
    streaming = _Streaming(database, reader, start, stop)
    with closing(streaming.runs(plan)) as runs:
        for position, run in runs:
            for part in run.parts:
                end = position + len(part)
                if start <= position and end <= stop:
                    yield part
                elif start < end and position < stop:
                    yield part[max(start - position, 0) : stop - position]
                position = end
            if run.memory is not None:
                streaming.free.append(run.memory)


def iter_tar(
    database: Database,
    reader: ImageReader,
    plan: TarPlan,
    start: int = 0,
    stop: int | None = None,
) -> Generator[bytes | memoryview, None, None]:
    """The same as bytes; each piece is good until the next is asked for."""
    with closing(iter_parts(database, reader, plan, start, stop)) as parts:
        yield from map(bytes_of, parts)


def bytes_of(part: Part) -> bytes | memoryview:
    """The bytes of a part."""
    return part.read() if isinstance(part, FilePart) else part


def _iter_together(items: Iterable[_Item]) -> Generator[list[_Item], None, None]:
    """Items that are made ready together: as many as fit, or a single one that is larger."""
    run: list[_Item] = []
    for item in items:
        if run and item.position + item.size - run[0].position > RUN_BYTES:
            yield run
            run = []
        run.append(item)
    if run:
        yield run


def _taken(position: int, run: _Run | Future[_Run]) -> tuple[int, _Run]:
    return position, run if isinstance(run, _Run) else run.result()


@dataclass(frozen=True)
class _Streaming:
    """Which bytes of an archive are wanted, where they come from, and memory for them."""

    database: Database
    reader: ImageReader
    start: int
    stop: int
    free: deque[bytearray] = field(default_factory=deque)

    def wants(self, position: int, size: int) -> bool:
        return position < self.stop and position + size > self.start

    def items(self, plan: TarPlan) -> Generator[_Item, None, None]:
        """All of an archive that has wanted bytes, in order."""
        position = 0
        for part in plan.parts:
            if plan.is_nested:
                header = tarwriter.member_header(f"{part.wnid}.tar", part.size)
                yield from self._blocks(position, header)
                position += len(header)
            if self.wants(position, part.size):
                yield from self._members(part, position)
            position += part.size  # a whole number of blocks
        if plan.is_nested:
            yield from self._blocks(position, tarwriter.archive_end(position))

    def _blocks(self, position: int, blocks: bytes) -> Generator[_Item, None, None]:
        if self.wants(position, len(blocks)):
            yield _Item(position, len(blocks), blocks)

    def _members(self, part: TarPart, begin: int) -> Generator[_Item, None, None]:
        """What of a synset's tar has wanted bytes."""
        position = begin
        with closing(queries.locate(self.database, [part.wnid])) as rows:
            for row, size, _ in iter_sizes(self.reader, rows):
                if size is None:  # the plan has set it aside
                    continue
                if self.wants(position, size):
                    yield _Item(position, size, row)
                position += size
        ending = tarwriter.archive_end(position - begin)
        if position + len(ending) != begin + part.size:
            raise _changed(f"{part.wnid}: its images are others")
        yield from self._blocks(position, ending)

    def runs(self, plan: TarPlan) -> Generator[tuple[int, _Run], None, None]:
        """The same made ready, a few before they are asked for, each with its position."""
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="stream")
        waiting: deque[tuple[int, _Run | Future[_Run]]] = deque()
        try:
            with closing(self.items(plan)) as items:
                for together in _iter_together(items):
                    run = self._in_files(together) or pool.submit(self._read, together)
                    waiting.append((together[0].position, run))
                    if len(waiting) == _AHEAD:
                        yield _taken(*waiting.popleft())
            while waiting:
                yield _taken(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _in_files(self, items: list[_Item]) -> _Run | None:
        """Items as they lie in files; None where an image of them lies elsewhere."""
        parts: list[Part] = []
        before = b""  # what goes before the next image
        for _, size, source in items:
            if isinstance(source, bytes):
                before += source
                continue
            place = self.reader.place(source)
            if place is None:
                return None
            header = tarwriter.member_header(file_name(source, ENDING), source.length)
            parts += before + header, FilePart(*place, source.length)
            before = bytes(size - len(header) - source.length)
            if hasattr(os, "posix_fadvise"):  # not on macOS
                # Asked for now, the disk has it by the time that it is sent.
                os.posix_fadvise(*place, source.length, os.POSIX_FADV_WILLNEED)
        return _Run([*parts, before], None)

    def _read(self, items: list[_Item]) -> _Run:
        size = items[-1].position + items[-1].size - items[0].position
        memory = self._memory(size)
        view = memoryview(memory)[:size]
        at = 0
        for item in items:
            blocks = self._blocks_of(item)
            if sum(map(len, blocks)) != item.size:
                raise _changed("an image has another length")
            for block in blocks:
                view[at : at + len(block)] = block
                at += len(block)
        return _Run([view], memory if len(memory) == RUN_BYTES else None)

    def _memory(self, size: int) -> bytearray:
        if size > RUN_BYTES:
            return bytearray(size)
        try:
            return self.free.pop()
        except IndexError:
            return bytearray(RUN_BYTES)

    def _blocks_of(self, item: _Item) -> tuple[bytes, ...]:
        if isinstance(item.source, bytes):
            return (item.source,)
        name = file_name(item.source, ENDING)
        return tarwriter.member_blocks(name, self.reader.read(item.source))


def _changed(what: str) -> DatabaseError:
    hint = "begin the download again"
    return DatabaseError(f"{what}, since the archive was planned", hint=hint)
