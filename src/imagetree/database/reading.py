"""The bytes of images, where they lie: positioned reads from archives, safe from many threads.

An archive is opened once and held to what was imported: the same size and time of change, or its
offsets would point at something else. Nothing is decoded here.
"""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

from imagetree.database.journal import SourceRow
from imagetree.database.journal import sources as query_sources
from imagetree.database.store import Database
from imagetree.errors import DatabaseError
from imagetree.sources.source import SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from imagetree.database.queries import ImageRow

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe in a file's place must not block
_FOLDER_FLAGS = _FLAGS | os.O_DIRECTORY


class ImageReader:
    """Reads images from their sources; close it when no thread reads any more.

    Args:
        sources: a database, or the rows of its sources (which other processes can be given).
    """

    def __init__(self, sources: Database | Iterable[SourceRow]) -> None:
        self._database = sources if isinstance(sources, Database) else None
        rows = query_sources(sources) if isinstance(sources, Database) else sources
        self._sources = {row.id: row for row in rows}
        self._archives: dict[int, int] = {}
        self._folders: dict[int, int] = {}
        self._lock = threading.Lock()
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all descriptors."""
        with self._lock:
            self._is_closed = True
            for fd in (*self._archives.values(), *self._folders.values()):
                os.close(fd)
            self._archives.clear()
            self._folders.clear()

    def read(self, row: ImageRow) -> bytes:
        """The file of an image, as it is in its source.

        Raises:
            DatabaseError: the source is missing or has changed since it was imported, or the image
                cannot be read in full.
        """
        if row.path is not None:
            return self._read_file(row, row.path)
        fd = self._archives.get(row.source_id)
        if fd is None:
            fd = self._open_source(row.source_id)
        return self._read_at(fd, row)

    def open_all(self, source_ids: Iterable[int] | None = None) -> None:
        """Open sources now, so that one that is missing is found before work is begun.

        Args:
            source_ids: which; None for every one.

        Raises:
            DatabaseError: a source is missing or has changed since it was imported.
        """
        for source_id in sorted(self._sources if source_ids is None else source_ids):
            if source_id not in self._archives and source_id not in self._folders:
                self._open_source(source_id)

    def _read_at(self, fd: int, row: ImageRow) -> bytes:
        try:
            data = os.pread(fd, row.length, row.offset)
            while len(data) < row.length:
                more = os.pread(fd, row.length - len(data), row.offset + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            raise self._fault(row, error.strerror or str(error)) from error
        if len(data) < row.length:
            raise self._fault(row, f"ends after {len(data)} bytes (expected {row.length})")
        return data

    def _read_file(self, row: ImageRow, path: str) -> bytes:
        """Read a file of a folder; a link on the way, which could lead out of it, is refused."""
        root = self._folders.get(row.source_id)
        if root is None:
            root = self._open_source(row.source_id)
        folder, _, name = path.rpartition("/")
        try:
            folder_fd = os.open(folder, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=root)
            try:
                fd = os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=folder_fd)
            finally:
                os.close(folder_fd)
        except OSError as error:
            raise self._fault(row, error.strerror or str(error)) from error
        try:
            facts = os.fstat(fd)
            if not stat.S_ISREG(facts.st_mode) or facts.st_size != row.length:
                raise self._fault(row, f"has {facts.st_size} bytes now (expected {row.length})")
            return self._read_at(fd, row)
        finally:
            os.close(fd)

    def _open_source(self, source_id: int) -> int:
        """The descriptor of a source, opened by whichever thread comes first."""
        with self._lock:
            if self._is_closed:
                raise DatabaseError("the reader of the images is closed")
            source = self._find_source(source_id)
            is_folder = source.kind == SourceKind.FOLDER
            opened = self._folders if is_folder else self._archives
            if source_id not in opened:
                opened[source_id] = _open_checked(source, is_folder=is_folder)
            return opened[source_id]

    def _find_source(self, source_id: int) -> SourceRow:
        if source_id not in self._sources and self._database is not None:  # imported since
            self._sources = {row.id: row for row in query_sources(self._database)}
        if source_id not in self._sources:
            raise DatabaseError(f"no source has the id {source_id}")
        return self._sources[source_id]

    def _fault(self, row: ImageRow, what: str) -> DatabaseError:
        source = self._sources[row.source_id].location
        return DatabaseError(
            f"image {row.name!r} in {source}: {what}",
            hint=f"import the source again: imagetree database import {source}",
        )


def _open_checked(source: SourceRow, *, is_folder: bool) -> int:
    """A descriptor of a source that is as it was imported."""
    try:
        fd = os.open(Path(source.location), _FOLDER_FLAGS if is_folder else _FLAGS)
    except OSError as error:
        raise DatabaseError(
            f"{source.location}: the source cannot be opened ({error.strerror})",
            hint="put it back where it was when it was imported, or import it where it is now",
        ) from error
    facts = os.fstat(fd)
    if is_folder or (facts.st_size, str(facts.st_mtime_ns)) == (source.size_bytes, source.version):
        return fd
    os.close(fd)
    raise DatabaseError(
        f"{source.location}: changed since it was imported "
        f"(expected {source.size_bytes} bytes, got {facts.st_size}, or another time of change)",
        hint=f"import it again: imagetree database import {source.location}",
    )
