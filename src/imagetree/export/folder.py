"""A folder for each class, `WNID/NAME.JPEG`: torchvision's ImageFolder, and a source to import.

The bytes are as they are in the sources; the ending is that of the bytes (JPEG, png, ...), whatever
the image was called. With `plain` the images that trip programs up become plain RGB JPEGs.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from imagetree.database.reading import ImageReader
from imagetree.export.content import ending_of, to_plain_jpeg
from imagetree.export.parts import File, Fingerprints, Part, PartStore, cannot_write
from imagetree.export.prefetch import prefetch
from imagetree.export.selection import ExportReport, Running, Selection, file_name, set_aside
from imagetree.sources.encoding import QUALITY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from imagetree.database.queries import ImageRow
    from imagetree.database.store import Database
    from imagetree.export.prefetch import Prepared


def write_folder(
    database: Database,
    folder: Path,
    selection: Selection | None = None,
    *,
    plain: bool = False,
    running: Running | None = None,
) -> ExportReport:
    """Write a folder for each class; a class appears whole, and is kept by a later run.

    Args:
        database: where the images are.
        folder: to write into; `FOLDER.manifest.jsonl` is written beside it.
        selection: which images; all if None.
        plain: make plain RGB JPEGs of images that are something else: see `to_plain_jpeg`.
        running: threads and progress.

    Raises:
        DatabaseError: there are no images, a source is missing, the folder holds something else or
            cannot be written, or the database is written meanwhile.
    """
    selection, running = selection or Selection(), running or Running()
    counts = selection.counts(database)
    prints = Fingerprints(database, ("folder", plain and QUALITY))
    store = PartStore(folder)
    writer = _Writer(folder, running, sum(counts.values()))
    try:
        with ImageReader(database) as reader, closing(selection.rows(database)) as rows:
            with closing(selection.rows(database)) as ahead:
                found = {wnid: _fingerprint(prints, islice(ahead, counts[wnid])) for wnid in counts}
            for wnid, fingerprint in found.items():
                chunk = prints.watch(islice(rows, counts[wnid]), fingerprint)
                if store.find(wnid, fingerprint) is not None:
                    for _ in chunk:
                        pass
                else:
                    files = prefetch(reader, chunk, _make(reader, plain), running.threads)
                    store.add(writer.write_class(wnid, fingerprint, files))
                writer.tell(counts[wnid])
        return store.finish(list(counts))
    finally:
        shutil.rmtree(writer.building, ignore_errors=True)


class _Made(NamedTuple):
    name: str
    data: bytes
    sha256: str


def _make(reader: ImageReader, plain: bool) -> Callable[[ImageRow], _Made]:
    def work(row: ImageRow) -> _Made:
        data = reader.read(row)
        if plain:
            data = to_plain_jpeg(data)
        ending = ending_of(data)
        name = file_name(row, "JPEG" if ending == "jpg" else ending)
        return _Made(name, data, hashlib.sha256(data).hexdigest())

    return work


def _fingerprint(prints: Fingerprints, rows: Iterable[ImageRow]) -> str:
    digest = prints.begin()
    for row in rows:
        prints.add(digest, row)
    return digest.hexdigest()


class _Writer:
    """Builds each class beside the export and moves it there when it is whole."""

    def __init__(self, folder: Path, running: Running, total: int) -> None:
        self._folder = folder
        self.building = folder.with_name(f".{folder.name}.building")
        self._running = running
        self._total = total
        self._num_done = 0

    def tell(self, number: int, *, part: int = 0) -> None:
        """Count images as done; `part` are those of the class that is being written."""
        self._num_done += number
        self._running.tell(self._num_done + part, self._total)

    def write_class(self, wnid: str, fingerprint: str, found: Iterable[Prepared[_Made]]) -> Part:
        files, bad = [], []
        building, target = self.building / wnid, self._folder / wnid
        try:
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir(parents=True)
            for number, (row, made, fault) in enumerate(found, 1):
                if made is None:
                    bad.append(set_aside(row, fault))
                    continue
                (building / made.name).write_bytes(made.data)
                files.append(File(f"{wnid}/{made.name}", len(made.data), made.sha256))
                self.tell(0, part=number)
            if target.exists():  # of an earlier run, and no longer right
                shutil.rmtree(target)
            if files:
                building.rename(target)
        except OSError as error:
            raise cannot_write(target, error) from error
        return Part(wnid, fingerprint, len(files), tuple(files), tuple(bad))
