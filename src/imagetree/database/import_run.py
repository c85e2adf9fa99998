"""One import under way: what was found so far, what is there already, and what that changes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, insert, select, update

from imagetree.database import known, schema
from imagetree.database.bulk import insert_images
from imagetree.database.counting import Changes, write_changes
from imagetree.database.journal import utc_now
from imagetree.database.schema import State, images, stored_name, synset_of
from imagetree.errors import DatabaseError
from imagetree.sources.entries import SetAside

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from imagetree.database.journal import SourceRow
    from imagetree.database.known import KnownImage
    from imagetree.sources.entries import FoundImage
    from imagetree.sources.source import Batch, Source

Progress = Callable[[int, int, int], None]
"""Called with the bytes done, the bytes in all (0: not known, a folder), and the images found.

Of a new source they are in the database by then, whatever happens next.
"""

_Key = tuple[int, str]  # synset and stored name


@dataclass(frozen=True)
class ImportReport:
    """What an import did, or with dry_run would have done.

    Args:
        source: absolute path, or URL.
        container: archive, folder, table or list.
        layout: how it says what its images show.
        num_found: images in the source, duplicates among them.
        num_added: of these, new in the database.
        num_known: of these, there before from this source.
        num_gone: images deleted, because the source has changed and no longer has them.
        num_synsets: synsets of the images found.
        bytes: length of the images found, as far as it is known.
        set_aside: what was not imported, and notes on the archive itself.
    """

    source: str
    container: str
    layout: str
    num_found: int
    num_added: int
    num_known: int
    num_gone: int
    num_synsets: int
    bytes: int
    set_aside: tuple[SetAside, ...]

    @property
    def num_faults(self) -> int:
        """Items that were set aside, notes left out, with which nothing is lost."""
        return sum(not item.reason.startswith("note: ") for item in self.set_aside)


@dataclass
class ImportRun:
    """One import under way.

    A new source is taken step by step, `start`, `take_new`, `end_step`; one that is known in a
    single transaction, `start`, `take_again`, `finish`.

    Args:
        source: what is imported.
        row: of the source, where it was imported before.
        progress: told how far it is.
    """

    source: Source
    row: SourceRow | None
    progress: Progress | None
    source_id: int = 0
    resume_at: str = ""
    seen: bytearray = field(default_factory=bytearray)  # 1 for the ids that were met again
    num_found: int = 0
    num_added: int = 0
    num_known: int = 0
    num_gone: int = 0
    has_moved: bool = False
    done_bytes: int = 0
    bytes: int = 0
    synsets: set[int] = field(default_factory=set)
    changes: Changes = field(default_factory=Changes)
    set_aside: list[SetAside] = field(default_factory=list)
    num_written: int = 0  # of `set_aside`, in the database

    def __post_init__(self) -> None:
        """Go on with an import that was broken off."""
        if self.row is not None:
            self.source_id = self.row.id
            if self.row.resume_at:
                state = json.loads(self.row.resume_at)
                self.resume_at = state["at"]
                self.num_known = self.num_found = state["images"]
                self.bytes = state["bytes"]

    def start(self, connection: Connection) -> None:
        """Find or make the row of the source."""
        if not self.source_id:
            values = _facts(self.source) | {"imported_at": utc_now(), "resume_at": _state("", 0, 0)}
            statement = insert(schema.sources).values(values).returning(schema.sources.c.id)
            self.source_id = connection.execute(statement).scalar_one()
        elif self.row is not None and not self.seen and not self.synsets:
            self.synsets = known.synsets_of_source(connection, self.source_id)
            self.seen = bytearray(known.last_image_id(connection) + 1)

    def take_new(self, connection: Connection, batch: Batch) -> None:
        """Add a batch of a source that is imported for the first time."""
        new = self._keyed(batch)
        last_id = known.last_image_id(connection)
        rows = [self._values(key, image) for key, image in sorted(new.items())]
        if insert_images(connection, rows) != len(rows):
            before = known.known_images(connection, list(new))
            for key, row in before.items():
                if row.id <= last_id:
                    place = known.source_location(connection, row.source_id)
                    self._set_duplicate_aside(new.pop(key), place, row)
        self._count_new(new)
        self.resume_at = batch.resume

    def end_step(self, connection: Connection, *, is_last: bool) -> None:
        """Write what belongs to the images of this step; at the last say that all is there."""
        write_changes(connection, self.changes)
        self.changes = Changes()
        self._write_problems(connection, self.set_aside[self.num_written :])
        self.num_written = len(self.set_aside)
        at = None if is_last else _state(self.resume_at, self.num_found, self.bytes)
        here = schema.sources.c.id == self.source_id
        values = _facts(self.source) | {"resume_at": at, "imported_at": utc_now()}
        connection.execute(update(schema.sources).where(here).values(values))

    def take_again(self, connection: Connection, batch: Batch) -> None:
        """Hold a batch against what is there; add what is new."""
        keyed = self._keyed(batch)
        rows = known.known_images(connection, list(keyed))
        new = {key: image for key, image in keyed.items() if key not in rows}
        for key, image in keyed.items():
            if key in rows:
                self._meet(connection, image, rows[key])
        insert_images(connection, [self._values(*pair) for pair in sorted(new.items())])
        self._count_new(new)

    def finish(self, connection: Connection) -> None:
        """Delete what is gone; bring the counts, the problems and the source's row up to date."""
        assert self.row is not None
        self._delete_gone(connection)
        is_other = self.row.location != self.source.location
        if is_other and self.num_known <= self.num_gone:
            raise DatabaseError(
                f"{self.source.location}: is another source (it has {self.num_known} of the "
                f"{self.num_known + self.num_gone} images that came from {self.row.location})",
                hint="name the place where that source lies now, or import this one as new",
            )
        facts = _facts(self.source) | {"resume_at": None}
        is_same = all(getattr(self.row, name) == value for name, value in facts.items())
        if not is_same or self.has_moved or self.num_added or self.num_gone:
            here = schema.sources.c.id == self.source_id
            values = facts | {"imported_at": utc_now()}
            connection.execute(update(schema.sources).where(here).values(values))
        if not is_other and self.row.version != self.source.version:
            self._forget_facts(connection)
        write_changes(connection, self.changes)
        if known.import_problems(connection, self.source_id) != Counter(self.set_aside):
            self._delete_problems(connection)
            self._write_problems(connection, self.set_aside)

    def report(self) -> ImportReport:
        """What was done."""
        return ImportReport(
            source=self.source.location,
            container=str(self.source.container),
            layout=str(self.source.layout),
            num_found=self.num_found,
            num_added=self.num_added,
            num_known=self.num_known,
            num_gone=self.num_gone,
            num_synsets=len(self.synsets),
            bytes=self.bytes,
            set_aside=tuple(self.set_aside),
        )

    def _keyed(self, batch: Batch) -> dict[_Key, FoundImage]:
        """The images of a batch by synset and name; what is there twice is set aside."""
        self.done_bytes = batch.done_bytes
        self.set_aside += batch.set_aside
        self.num_found += len(batch.images)
        keyed: dict[_Key, FoundImage] = {}
        for image in batch.images:
            key = (synset_of(image.wnid), stored_name(image.name, image.wnid))
            if keyed.setdefault(key, image) is not image:
                self._set_duplicate_aside(image, self.source.location, keyed[key])
        self.bytes += sum(image.length for image in batch.images)
        self.synsets.update(key[0] for key in keyed)
        return keyed

    def _count_new(self, new: dict[_Key, FoundImage]) -> None:
        self.num_added += len(new)
        for (synset, _), image in new.items():
            self.changes.of_state[State.OK, synset] += 1
            self.changes.bytes[synset] += image.length

    def tell(self) -> None:
        """Say how far the import is."""
        if self.progress is not None:
            self.progress(self.done_bytes, self.source.size_bytes, self.num_found)

    def _meet(self, connection: Connection, image: FoundImage, row: KnownImage) -> None:
        """An image of this synset and name is there: the same one, or another."""
        is_from_before = row.source_id == self.source_id and row.id < len(self.seen)
        if not is_from_before or self.seen[row.id]:
            place = known.source_location(connection, row.source_id)
            self._set_duplicate_aside(image, place, row)
            return
        self.seen[row.id] = 1
        self.num_known += 1
        if (image.offset, image.length, image.path) == (row.offset, row.length, row.path):
            return
        self.has_moved = True
        values = {"offset": image.offset, "length": image.length, "path": image.path}
        state = row.state
        if image.length != row.length:  # other bytes: what was found out of the old ones is void
            connection.execute(
                delete(schema.image_facts).where(schema.image_facts.c.image_id == row.id)
            )
            if state == State.QUARANTINED:
                state = State.OK
                table = schema.problems
                connection.execute(delete(table).where(table.c.image_id == row.id))
        self.changes.add(row.state, row.synset, row.length, -1)
        self.changes.add(state, row.synset, image.length)
        connection.execute(
            update(images).where(images.c.id == row.id).values(values | {"state": int(state)})
        )

    def _set_duplicate_aside(
        self, image: FoundImage, source: str, first: FoundImage | KnownImage
    ) -> None:
        place = first.path or f"byte {first.offset}"
        reason = f"duplicate: {image.wnid} has an image of this name from {source}, {place}"
        self.set_aside.append(SetAside(image.path or image.name, image.offset, reason))

    def _values(self, key: _Key, image: FoundImage) -> tuple[object, ...]:
        return (self.source_id, *key, image.offset, image.length, image.path, int(State.OK))

    def _delete_gone(self, connection: Connection) -> None:
        gone = []
        for row in known.images_of_source(connection, self.source_id):
            is_met = row.id >= len(self.seen) or self.seen[row.id]
            if is_met or row.state == State.REMOVED:
                continue
            gone.append({"gone_id": row.id})
            self.changes.add(row.state, row.synset, row.length, -1)
        if gone:
            connection.execute(delete(images).where(images.c.id == bindparam("gone_id")), gone)
        self.num_gone = len(gone)

    def _forget_facts(self, connection: Connection) -> None:
        """What was found out of the images of an archive that has changed may be true no more."""
        facts = schema.image_facts
        own = select(images.c.id).where(images.c.source_id == self.source_id)
        connection.execute(delete(facts).where(facts.c.image_id.in_(own)))

    def _delete_problems(self, connection: Connection) -> None:
        """Forget what earlier imports of this source have set aside."""
        table = schema.problems
        of_import = (table.c.source_id == self.source_id) & table.c.image_id.is_(None)
        connection.execute(delete(table).where(of_import))

    def _write_problems(self, connection: Connection, items: list[SetAside]) -> None:
        seen = {"source_id": self.source_id, "seen_at": utc_now()}
        if items:
            rows = [item._asdict() | seen for item in items]
            connection.execute(insert(schema.problems), rows)


def _facts(source: Source) -> dict[str, object]:
    """What the row of a source says of it."""
    return {
        "location": source.location,
        "container": str(source.container),
        "layout": str(source.layout),
        "size_bytes": source.size_bytes,
        "version": source.version,
        "labels_path": str(source.labels_path) if source.labels_path else None,
        "labels_sha256": source.labels_sha256,
    }


def _state(at: str, num_images: int, num_bytes: int) -> str:
    """Where an import goes on, as the row of its source says it."""
    return json.dumps({"at": at, "images": num_images, "bytes": num_bytes})
