"""The bytes of images, where they lie: positioned reads from containers, safe from many threads.

A container is opened once and held to what was imported: the same size and version, or its offsets
would point at something else. Nothing is decoded here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from imagetree.errors import DatabaseError
from imagetree.files import Closable
from imagetree.sources.containers import Container, Tar, Zip, open_container
from imagetree.sources.layouts import Layout, holds_tars

if TYPE_CHECKING:
    from imagetree.database.rows import ImageRow, SourceRow
    from imagetree.database.store import Database


class ImageReader(Closable):
    """Reads images from their sources; close it when no thread reads any more.

    Args:
        sources: a database, or the rows of its sources (which other processes can be given).
    """

    def __init__(self, sources: Database | Iterable[SourceRow]) -> None:
        self._database = None if isinstance(sources, Iterable) else sources
        rows = sources if isinstance(sources, Iterable) else _sources_of(sources)
        self._sources = {row.id: row for row in rows}
        self._containers: dict[int, Container] = {}
        self._lock = threading.Lock()
        self._is_closed = False

    def __reduce__(self) -> tuple[type[ImageReader], tuple[tuple[SourceRow, ...]]]:
        """In another process it opens its containers anew."""
        return ImageReader, (tuple(self._sources.values()),)

    def close(self) -> None:
        """Close all containers."""
        with self._lock:
            self._is_closed = True
            for container in self._containers.values():
                container.close()
            self._containers.clear()

    def read(self, row: ImageRow) -> bytes:
        """The file of an image, as it is in its source.

        Raises:
            DatabaseError: the source is missing or has changed since it was imported, or the image
                cannot be read in full.
        """
        container = self._containers.get(row.source_id)
        if container is None:
            container = self._open_source(row.source_id)
        try:
            return container.read(row.offset, row.length, row.path)
        except DatabaseError as error:
            source = self._sources[row.source_id]
            raise DatabaseError(
                f"image {row.name!r} in {source.location}: {error.message}",
                hint=error.hint or f"import the source again: {_import_command(source)}",
            ) from error

    def place(self, row: ImageRow) -> tuple[int, int] | None:
        """Descriptor and offset where the bytes of an image lie as they are; None for elsewhere.

        Raises:
            DatabaseError: the source is missing or has changed since it was imported.
        """
        container = self._containers.get(row.source_id) or self._open_source(row.source_id)
        if not isinstance(container, Tar) or isinstance(container, Zip):  # whose bytes are packed
            return None
        is_here = container.place.fd >= 0 and row.length > 0
        return (container.place.fd, row.offset) if is_here else None

    def versions(self) -> dict[int, tuple[str, int, str]]:
        """Location, size and version of each source as it was imported, by its id."""
        return {
            row.id: (row.location, row.size_bytes, row.version) for row in self._sources.values()
        }

    def open_all(self, source_ids: Iterable[int] | None = None) -> None:
        """Open sources now, so that one that is missing is found before work is begun.

        Args:
            source_ids: which; None for every one.

        Raises:
            DatabaseError: a source is missing or has changed since it was imported.
        """
        for source_id in sorted(self._sources if source_ids is None else source_ids):
            if source_id not in self._containers:
                self._open_source(source_id)

    def _open_source(self, source_id: int) -> Container:
        """The container of a source, opened by whichever thread comes first."""
        with self._lock:
            if self._is_closed:
                raise DatabaseError("the reader of the images is closed")
            source = self._find_source(source_id)
            if source_id not in self._containers:
                self._containers[source_id] = _open_checked(source)
            return self._containers[source_id]

    def _find_source(self, source_id: int) -> SourceRow:
        if source_id not in self._sources and self._database is not None:  # imported since
            self._sources = {row.id: row for row in _sources_of(self._database)}
        if source_id not in self._sources:
            raise DatabaseError(f"no source has the id {source_id}")
        return self._sources[source_id]


def _sources_of(database: Database) -> tuple[SourceRow, ...]:
    """What was imported; SQLAlchemy is loaded here alone, which other processes never come to."""
    from imagetree.database.journal import sources

    return sources(database)


def _open_checked(source: SourceRow) -> Container:
    """A container that is as it was imported."""
    try:
        container = open_container(
            source.container, source.location, of_tars=holds_tars(source.layout)
        )
    except DatabaseError as error:
        reason = error.message.removeprefix(f"{source.location}: ")
        raise DatabaseError(
            f"{source.location}: the source {reason}",
            hint="put it back, or say where it is now: "
            f"imagetree database relink {source.location} NEW",
        ) from error
    if (container.size_bytes, container.version) == (source.size_bytes, source.version):
        return container
    size = container.size_bytes
    container.close()
    raise DatabaseError(
        f"{source.location}: changed since it was imported "
        f"(expected {source.size_bytes} bytes, got {size}, or another time of change)",
        hint=f"import it again: {_import_command(source)}",
    )


def _import_command(source: SourceRow) -> str:
    """The command that imports a source again, with the labels that it needs."""
    words = ["imagetree database import", source.location]
    if source.labels_path is not None:
        option = "--labels" if source.layout == Layout.LABELLED else "--mapping"
        words += [option, source.labels_path]
    return " ".join(words)
