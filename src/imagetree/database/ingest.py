"""Importing a source: its images' places go into the database, all of them or, if it fails, none.

One transaction holds one source, so that a killed process leaves either nothing or everything.
Importing a source again changes only what has changed in it: an image keeps its id and its state,
one that moved gets its new place, one that is gone is deleted (unless it was removed by hand: that
stays on record). An image that another source has brought before is set aside as a duplicate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, insert, update

from imagetree.database import known, schema
from imagetree.database.queries import add_counts, utc_now
from imagetree.database.schema import State, images, synset_of
from imagetree.errors import WordnetError
from imagetree.sources.entries import FoundImage, SetAside
from imagetree.sources.source import Source, SourceKind, find_source, scan_source
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from imagetree.database.known import KnownImage
    from imagetree.database.queries import SourceRow
    from imagetree.database.store import Database

Progress = Callable[[int, int, int], None]
"""Called with the bytes done, the bytes in all (0: not known, a folder), and the images found."""

_BATCH = 5000
_Key = tuple[int, str]  # synset and name


@dataclass(frozen=True)
class ImportReport:
    """What an import did, or with dry_run would have done.

    Args:
        source: absolute path.
        kind: how the source is laid out.
        num_found: images in the source, duplicates among them.
        num_added: of these, new in the database.
        num_known: of these, there before from this source.
        num_gone: images deleted, because the source has changed and no longer has them.
        num_synsets: synsets of the images found.
        bytes: length of the images found.
        set_aside: what was not imported, and notes on the archive itself.
    """

    source: str
    kind: SourceKind
    num_found: int
    num_added: int
    num_known: int
    num_gone: int
    num_synsets: int
    bytes: int
    set_aside: tuple[SetAside, ...]


class _DryRunError(Exception):
    """Ends the transaction of a dry run, so that it is rolled back."""


def import_source(
    database: Database,
    path: str | Path,
    labels: str | Path | None = None,
    progress: Progress | None = None,
    dry_run: bool = False,
) -> ImportReport:
    """Import an archive or a folder by reading headers alone.

    Args:
        database: where the images' places go.
        path: a tar of tars, a flat tar or a folder per class; see `sources`.
        labels: the labels file of a flat tar.
        progress: told from time to time how far it is.
        dry_run: find out what would be done, and leave the database as it was.

    Raises:
        DatabaseError: the source or its labels are missing or faulty, or the disk is full; the
            database is as it was before.
    """
    source = find_source(Path(path), None if labels is None else Path(labels))
    run = _Run(source)
    try:
        with database.writing() as connection:
            run.start(connection)
            found = scan_source(source, fault_of_wnid)
            for batch in _batches(found):
                run.take(connection, batch)
                if progress is not None:
                    progress(run.done_bytes, source.size_bytes, run.num_found)
            run.finish(connection)
            if progress is not None:
                progress(source.size_bytes or run.bytes, source.size_bytes, run.num_found)
            if dry_run:
                raise _DryRunError
    except _DryRunError:
        pass
    return run.report()


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


@dataclass
class _Run:
    """One import under way: what was found so far, and what that changes."""

    source: Source
    source_id: int = 0
    row: SourceRow | None = None  # of the source, where it was imported before
    seen: bytearray = field(default_factory=bytearray)  # 1 for the ids that were met again
    occupied: set[int] = field(default_factory=set)  # synsets with rows, among which some may clash
    done_bytes: int = 0
    num_found: int = 0
    num_added: int = 0
    num_known: int = 0
    num_gone: int = 0
    has_moved: bool = False
    bytes: int = 0
    synsets: set[int] = field(default_factory=set)
    changes: Counter[int] = field(default_factory=Counter)  # of the images in state ok, by synset
    set_aside: list[SetAside] = field(default_factory=list)

    def start(self, connection: Connection) -> None:
        """Find or make the row of the source."""
        self.occupied = known.occupied_synsets(connection)
        self.row = known.known_source(connection, str(self.source.path))
        if self.row is None:
            values = _facts(self.source) | {"imported_at": utc_now()}
            statement = insert(schema.sources).values(values).returning(schema.sources.c.id)
            self.source_id = connection.execute(statement).scalar_one()
        else:
            self.source_id = self.row.id
            self.seen = bytearray(known.last_image_id(connection) + 1)

    def take(self, connection: Connection, batch: list[FoundImage | SetAside]) -> None:
        """Add what is new of a batch; hold the rest against what is there."""
        keyed = []
        for item in batch:
            if isinstance(item, SetAside):
                self.set_aside.append(item)
            else:
                keyed.append(((synset_of(item.wnid), item.name), item))
                self.bytes += item.length
        self.num_found += len(keyed)
        self.synsets.update(key[0] for key, _ in keyed)
        new = self._sort_out(connection, keyed)
        if new:
            connection.execute(insert(images), [self._values(*pair) for pair in new.items()])
            self.num_added += len(new)
            self.changes.update(synset for synset, _ in new)
            self.occupied.update(synset for synset, _ in new)
        last = batch[-1]
        end = last.offset + (last.length if isinstance(last, FoundImage) else 0)
        self.done_bytes = self.bytes if self.source.kind is SourceKind.FOLDER else end

    def finish(self, connection: Connection) -> None:
        """Delete what is gone; bring the counts, the problems and the source's row up to date."""
        if self.row is not None:
            self._delete_gone(connection)
            facts = _facts(self.source)
            is_same = all(getattr(self.row, name) == value for name, value in facts.items())
            if not is_same or self.has_moved or self.num_added or self.num_gone:
                here = schema.sources.c.id == self.source_id
                values = facts | {"imported_at": utc_now()}
                connection.execute(update(schema.sources).where(here).values(values))
        add_counts(connection, {synset: n for synset, n in self.changes.items() if n})
        if known.import_problems(connection, self.source_id) != Counter(self.set_aside):
            self._write_problems(connection)

    def report(self) -> ImportReport:
        """What was done."""
        return ImportReport(
            source=str(self.source.path),
            kind=self.source.kind,
            num_found=self.num_found,
            num_added=self.num_added,
            num_known=self.num_known,
            num_gone=self.num_gone,
            num_synsets=len(self.synsets),
            bytes=self.bytes,
            set_aside=tuple(self.set_aside),
        )

    def _sort_out(
        self, connection: Connection, keyed: list[tuple[_Key, FoundImage]]
    ) -> dict[_Key, FoundImage]:
        """The images of a batch that are new; those that were there before are dealt with."""
        clashing = [key for key, _ in keyed if key[0] in self.occupied]
        rows = known.known_images(connection, clashing) if clashing else {}
        new: dict[_Key, FoundImage] = {}
        for key, image in keyed:
            if key in rows:
                self._meet(connection, image, rows[key])
            elif key in new:
                self._set_duplicate_aside(image, str(self.source.path), new[key])
            else:
                new[key] = image
        return new

    def _meet(self, connection: Connection, image: FoundImage, row: KnownImage) -> None:
        """An image of this synset and name is there: the same one, or another."""
        is_from_before = row.source_id == self.source_id and row.id < len(self.seen)
        if not is_from_before or self.seen[row.id]:
            place = known.source_path(connection, row.source_id)
            self._set_duplicate_aside(image, place, row)
            return
        self.seen[row.id] = 1
        self.num_known += 1
        if (image.offset, image.length, image.path) == (row.offset, row.length, row.path):
            return
        self.has_moved = True
        values = {"offset": image.offset, "length": image.length, "path": image.path}
        if row.state == State.QUARANTINED and image.length != row.length:  # other bytes: try again
            values["state"] = State.OK
            self.changes[row.synset] += 1
            table = schema.problems
            connection.execute(delete(table).where(table.c.image_id == row.id))
        connection.execute(update(images).where(images.c.id == row.id).values(values))

    def _set_duplicate_aside(
        self, image: FoundImage, source: str, first: FoundImage | KnownImage
    ) -> None:
        place = first.path or f"byte {first.offset}"
        reason = f"duplicate: {image.wnid} has an image of this name from {source}, {place}"
        self.set_aside.append(SetAside(image.path or image.name, image.offset, reason))

    def _values(self, key: _Key, image: FoundImage) -> dict[str, object]:
        return {
            "source_id": self.source_id,
            "synset": key[0],
            "name": key[1],
            "offset": image.offset,
            "length": image.length,
            "path": image.path,
            "state": int(State.OK),
        }

    def _delete_gone(self, connection: Connection) -> None:
        gone = []
        for image_id, synset, state in known.images_of_source(connection, self.source_id):
            is_met = image_id >= len(self.seen) or self.seen[image_id]
            if is_met or state == State.REMOVED:
                continue
            gone.append({"gone_id": image_id})
            self.changes[synset] -= state == State.OK
        if gone:
            connection.execute(delete(images).where(images.c.id == bindparam("gone_id")), gone)
        self.num_gone = len(gone)

    def _write_problems(self, connection: Connection) -> None:
        """Replace what earlier imports of this source have set aside."""
        table = schema.problems
        of_import = (table.c.source_id == self.source_id) & table.c.image_id.is_(None)
        connection.execute(delete(table).where(of_import))
        seen = {"source_id": self.source_id, "seen_at": utc_now()}
        if self.set_aside:
            rows = [item._asdict() | seen for item in self.set_aside]
            connection.execute(insert(table), rows)


def _facts(source: Source) -> dict[str, object]:
    """What the row of a source says of it."""
    labels = source.labels
    return {
        "path": str(source.path),
        "kind": str(source.kind),
        "size_bytes": source.size_bytes,
        "mtime_ns": source.mtime_ns,
        "labels_path": str(labels.path) if labels else None,
        "labels_sha256": labels.sha256 if labels else None,
    }


def _batches(
    found: Iterator[FoundImage | SetAside],
) -> Iterator[list[FoundImage | SetAside]]:
    while batch := list(islice(found, _BATCH)):
        yield batch
