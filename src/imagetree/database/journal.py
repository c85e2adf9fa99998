"""What was imported, what was not and why; and images brought from one state to another."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import insert, select, update

from imagetree.database import schema
from imagetree.database.counting import Changes, write_changes
from imagetree.database.rows import SourceRow as SourceRow
from imagetree.database.schema import State, images
from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from imagetree.database.store import Database


class ProblemRow(NamedTuple):
    """What was not imported, or was set aside later; `image_id` is None for the former."""

    source: str
    item: str
    offset: int
    reason: str
    seen_at: str
    image_id: int | None


def sources(database: Database) -> tuple[SourceRow, ...]:
    """The imported sources in the order of their first import."""
    query = select(schema.sources).order_by(schema.sources.c.id)
    with database.reading() as connection:
        return tuple(SourceRow(*row) for row in connection.execute(query))


def source_of(database: Database, location: str | Path) -> SourceRow:
    """The source that was imported from a place.

    Args:
        database: that knows it.
        location: path, of which the absolute one is known, or URL.

    Raises:
        DatabaseError: nothing was imported from there.
    """
    places = {str(location), str(Path(location).resolve())}
    for row in sources(database):
        if row.location in places:
            return row
    raise DatabaseError(
        f"{location}: not imported into this database",
        hint=f"imagetree database sources --database {database.place} lists what was",
    )


def problems(database: Database) -> tuple[ProblemRow, ...]:
    """Everything that was set aside, in the order in which it was seen."""
    table = schema.problems
    query = (
        select(
            schema.sources.c.location,
            table.c.item,
            table.c.offset,
            table.c.reason,
            table.c.seen_at,
            table.c.image_id,
        )
        .join_from(table, schema.sources)
        .order_by(table.c.id)
    )
    with database.reading() as connection:
        return tuple(ProblemRow(*row) for row in connection.execute(query))


def set_aside(database: Database, image_id: int, reason: str) -> None:
    """Quarantine an image that was found to be bad; it is no longer counted or returned.

    Raises:
        DatabaseError: there is no such image.
    """
    set_all_aside(database, {image_id: reason})


def set_all_aside(database: Database, reasons: Mapping[int, str]) -> None:
    """Quarantine images, all in one transaction; those that are not in state ok stay as they are.

    Args:
        database: where they are.
        reasons: what is wrong, by the id of the image.

    Raises:
        DatabaseError: there is no image of one of the ids.
    """
    with database.writing() as connection:
        change_states(connection, reasons, {State.OK}, State.QUARANTINED)


def change_states(
    connection: Connection, reasons: Mapping[int, str], before: set[State], after: State
) -> int:
    """Bring images from one of some states to another, note why, and keep the counts true.

    Args:
        connection: of a transaction that writes.
        reasons: why, by the id of the image.
        before: images in other states stay as they are.
        after: the new state.

    Returns:
        How many images have changed.

    Raises:
        DatabaseError: there is no image of one of the ids.
    """
    changes, num_changed = Changes(), 0
    for image_id, reason in sorted(reasons.items()):
        row = connection.execute(select(images).where(images.c.id == image_id)).one_or_none()
        if row is None:
            raise DatabaseError(f"no image has the id {image_id}", hint="imagetree database check")
        if row.state not in before:
            continue
        here = update(images).where(images.c.id == image_id)
        connection.execute(here.values(state=int(after)))
        problem = {
            "source_id": row.source_id,
            "image_id": image_id,
            "item": row.path or schema.full_name(row.name, schema.wnid_of(row.synset)),
            "offset": row.offset,
            "reason": reason,
            "seen_at": utc_now(),
        }
        connection.execute(insert(schema.problems), problem)
        changes.move(row.synset, row.length, row.state, after)
        num_changed += 1
    write_changes(connection, changes)
    return num_changed


def utc_now() -> str:
    """The time to be stored: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
