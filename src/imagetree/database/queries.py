"""What can be asked of the image database; and setting an image aside that was found to be bad.

Rows come out as named tuples, wnids as text. Only images in state ok are counted and returned,
always in the order (synset, name). Every SELECT is here, but for those that only an import needs
(`known`); the graph of the synsets with their counts is in `hierarchy`.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from imagetree.database import schema
from imagetree.database.closure import descendants
from imagetree.database.schema import State, images, synset_counts, synset_of, wnid_of
from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from imagetree.database.store import Database


class ImageRow(NamedTuple):
    """An image of the database and where it lies.

    Args:
        id: its number in the database.
        wnid: its synset.
        name: without ending, one of its kind within the synset.
        source_id: the source that it lies in; see `SourceRow`.
        offset: of its first byte; 0 in a folder.
        length: in bytes.
        path: below a folder source; None in an archive.
    """

    id: int
    wnid: str
    name: str
    source_id: int
    offset: int
    length: int
    path: str | None


class SourceRow(NamedTuple):
    """An imported source; sizes and times are 0 for a folder, labels None for all but flat tars."""

    id: int
    path: str
    kind: str
    size_bytes: int
    mtime_ns: int
    labels_path: str | None
    labels_sha256: str | None
    imported_at: str


class ProblemRow(NamedTuple):
    """What was not imported, or was set aside later; `image_id` is None for the former."""

    source: str
    item: str
    offset: int
    reason: str
    seen_at: str
    image_id: int | None


class Statistics(NamedTuple):
    """Figures of the whole database; `num_images`, `num_synsets` and `bytes` are of state ok."""

    num_images: int
    num_synsets: int
    num_sources: int
    num_quarantined: int
    num_removed: int
    num_problems: int
    bytes: int


_ROW = select(
    images.c.id,
    images.c.synset,
    images.c.name,
    images.c.source_id,
    images.c.offset,
    images.c.length,
    images.c.path,
)
_OK = images.c.state == State.OK


def counts(database: Database) -> dict[str, int]:
    """Images of each synset's own, by wnid in rising order; synsets without images are left out."""
    with database.reading() as connection:
        return {wnid_of(synset): number for synset, number in _counts(connection).items()}


def images_of(
    database: Database,
    wnids: Iterable[str],
    *,
    subtree: bool = False,
    limit: int = 60,
    after: tuple[str, str] | None = None,
) -> tuple[ImageRow, ...]:
    """A page of the images of some synsets.

    Args:
        database: where to look.
        wnids: the synsets; one named twice counts once.
        subtree: take their descendants in WordNet with them.
        limit: most images to return.
        after: wnid and name of the last image of the page before; None for the first page.

    Returns:
        Images in the order (wnid, name); empty past the end.
    """
    first = (synset_of(after[0]), after[1]) if after else (-1, "")
    found: list[ImageRow] = []
    with database.reading() as connection:
        for synset in _in_use(connection, wnids, subtree):
            if synset < first[0] or len(found) >= limit:
                continue
            query = _ROW.where(images.c.synset == synset, _OK).order_by(images.c.name)
            if synset == first[0]:
                query = query.where(images.c.name > first[1])
            rows = connection.execute(query.limit(limit - len(found)))
            found += [_image_row(row) for row in rows]
    return tuple(found)


def locate(
    database: Database, wnids: Iterable[str] | None = None, *, subtree: bool = False
) -> Generator[ImageRow, None, None]:
    """All images of some synsets, or of all for None, in the order (wnid, name), one at a time.

    The rows are those of the moment of the first, whatever is written meanwhile.
    """
    with database.reading() as connection:
        for synset in _in_use(connection, wnids, subtree):
            query = _ROW.where(images.c.synset == synset, _OK).order_by(images.c.name)
            yield from map(_image_row, connection.execute(query).all())


def sample(
    database: Database, wnids: Iterable[str], n: int, seed: int, *, subtree: bool = False
) -> tuple[ImageRow, ...]:
    """Images drawn without repetition, each one equally likely; the same for the same seed.

    Args:
        database: where to look.
        wnids: the synsets to draw from.
        n: how many; all of them where there are fewer.
        seed: of the draw.
        subtree: draw from their descendants in WordNet as well.

    Returns:
        The images in the order (wnid, name).
    """
    found: list[ImageRow] = []
    with database.reading() as connection:
        in_use = _in_use(connection, wnids, subtree)
        total = sum(in_use.values())
        places = sorted(random.Random(seed).sample(range(total), min(n, total)), reverse=True)
        start = 0
        for synset, number in in_use.items():
            query = _ROW.where(images.c.synset == synset, _OK).order_by(images.c.name)
            while places and places[-1] < start + number:
                rows = connection.execute(query.offset(places.pop() - start).limit(1))
                found += map(_image_row, rows)
            start += number
    return tuple(found)


def find_image(database: Database, name: str, wnid: str | None = None) -> ImageRow:
    """The image of a name.

    Args:
        database: where to look.
        name: without ending: `n02084071_17`.
        wnid: its synset, where several synsets have an image of this name.

    Raises:
        DatabaseError: there is none, or there are several.
    """
    synsets = [synset_of(wnid)] if wnid else select(synset_counts.c.synset)
    query = _ROW.where(images.c.synset.in_(synsets), images.c.name == name, _OK)
    with database.reading() as connection:
        found = [_image_row(row) for row in connection.execute(query.order_by(images.c.synset))]
    if not found:
        raise DatabaseError(
            f"{database.place}: no image {name!r}" + (f" in {wnid}" if wnid else ""),
            hint="an image is named without its ending, as in n02084071_17",
        )
    if len(found) > 1:
        raise DatabaseError(
            f"{database.place}: {len(found)} images are named {name!r}",
            hint=f"name the synset too, one of {', '.join(row.wnid for row in found[:20])}",
        )
    return found[0]


def statistics(database: Database) -> Statistics:
    """Figures of the whole database; reads every row."""
    query = select(images.c.state, func.count(), func.sum(images.c.length)).group_by(images.c.state)
    with database.reading() as connection:
        by_state = {state: (number, size) for state, number, size in connection.execute(query)}
        num_sources = connection.scalar(select(func.count()).select_from(schema.sources)) or 0
        num_problems = connection.scalar(select(func.count()).select_from(schema.problems)) or 0
        num_synsets = len(_counts(connection))
    return Statistics(
        num_images=by_state.get(State.OK, (0, 0))[0],
        num_synsets=num_synsets,
        num_sources=num_sources,
        num_quarantined=by_state.get(State.QUARANTINED, (0, 0))[0],
        num_removed=by_state.get(State.REMOVED, (0, 0))[0],
        num_problems=num_problems,
        bytes=int(by_state.get(State.OK, (0, 0))[1]),
    )


def problems(database: Database) -> tuple[ProblemRow, ...]:
    """Everything that was set aside, in the order in which it was seen."""
    table = schema.problems
    query = (
        select(
            schema.sources.c.path,
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


def sources(database: Database) -> tuple[SourceRow, ...]:
    """The imported sources in the order of their first import."""
    query = select(schema.sources).order_by(schema.sources.c.id)
    with database.reading() as connection:
        return tuple(SourceRow(*row) for row in connection.execute(query))


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
        changes: dict[int, int] = {}
        for image_id, reason in reasons.items():
            row = connection.execute(select(images).where(images.c.id == image_id)).one_or_none()
            if row is None:
                raise DatabaseError(f"{database.place}: no image has the id {image_id}")
            if row.state != State.OK:
                continue
            quarantined = update(images).where(images.c.id == image_id)
            connection.execute(quarantined.values(state=State.QUARANTINED))
            problem = {
                "source_id": row.source_id,
                "image_id": image_id,
                "item": row.path or row.name,
                "offset": row.offset,
                "reason": reason,
                "seen_at": utc_now(),
            }
            connection.execute(insert(schema.problems), problem)
            changes[row.synset] = changes.get(row.synset, 0) - 1
        add_counts(connection, changes)


def add_counts(connection: Connection, changes: Mapping[int, int]) -> None:
    """Add to the number of images of each synset, in the transaction that changes the images."""
    rows = [{"synset": synset, "num_images": change} for synset, change in changes.items()]
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(synset_counts)
    total = synset_counts.c.num_images + statement.excluded.num_images
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[synset_counts.c.synset], set_={"num_images": total}
        ),
        rows,
    )


def utc_now() -> str:
    """The time to be stored: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _image_row(row: Sequence[Any]) -> ImageRow:
    return ImageRow(row[0], wnid_of(row[1]), row[2], row[3], row[4], row[5], row[6])


def _counts(connection: Connection) -> dict[int, int]:
    query = select(synset_counts).where(synset_counts.c.num_images > 0)
    rows = connection.execute(query.order_by(synset_counts.c.synset))
    return {row[0]: row[1] for row in rows}


def _in_use(connection: Connection, wnids: Iterable[str] | None, subtree: bool) -> dict[int, int]:
    """Counts of those of the synsets that have images, in rising order."""
    in_use = _counts(connection)
    if wnids is None:
        return in_use
    wanted = set(wnids)
    if subtree:
        wanted = descendants(wanted)
    synsets = {synset_of(wnid) for wnid in wanted}
    return {synset: number for synset, number in in_use.items() if synset in synsets}
