"""What the database knows already: the SELECTs that an import needs, within its transaction."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, func, select

from imagetree.database import schema
from imagetree.database.journal import SourceRow
from imagetree.database.schema import images

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection


class KnownImage(NamedTuple):
    """A row of `images`, in whatever state."""

    id: int
    source_id: int
    synset: int
    name: str
    offset: int
    length: int
    path: str | None
    state: int


_COLUMNS = tuple(images.c[name] for name in KnownImage._fields)
_OF_SYNSET = select(*_COLUMNS).where(
    images.c.synset == bindparam("of_synset"), images.c.name.in_(bindparam("names", expanding=True))
)


def known_images(
    connection: Connection, keys: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], KnownImage]:
    """The images of these synsets and names."""
    names: dict[int, list[str]] = {}
    for synset, name in keys:
        names.setdefault(synset, []).append(name)
    found: dict[tuple[int, str], KnownImage] = {}
    # synset by synset, because SQLite answers `(synset, name) IN (VALUES ...)` by a scan of the
    # whole index, and a join with the keys took 40 us a key to compile
    for synset, wanted in names.items():
        rows = connection.execute(_OF_SYNSET, {"of_synset": synset, "names": wanted})
        found.update(((synset, row.name), KnownImage(*row)) for row in rows)
    return found


class OwnImage(NamedTuple):
    """What of an image of a source is needed to take it away."""

    id: int
    synset: int
    length: int
    state: int


def images_of_source(connection: Connection, source_id: int) -> Iterator[OwnImage]:
    """Every image of a source."""
    query = select(images.c.id, images.c.synset, images.c.length, images.c.state)
    for row in connection.execute(query.where(images.c.source_id == source_id)):
        yield OwnImage(*row)


def synsets_of_source(connection: Connection, source_id: int) -> set[int]:
    """The synsets of a source's images."""
    query = select(images.c.synset).where(images.c.source_id == source_id).distinct()
    return set(connection.scalars(query))


def last_image_id(connection: Connection) -> int:
    """The greatest id that any image has; 0 for none."""
    return connection.scalar(select(func.max(images.c.id))) or 0


def known_source(connection: Connection, location: str) -> SourceRow | None:
    """The source of this place, if it was imported before."""
    query = select(schema.sources).where(schema.sources.c.location == location)
    row = connection.execute(query).one_or_none()
    return None if row is None else SourceRow(*row)


def source_location(connection: Connection, source_id: int) -> str:
    """Where a source lies."""
    query = select(schema.sources.c.location).where(schema.sources.c.id == source_id)
    return str(connection.execute(query).scalar_one())


def import_problems(connection: Connection, source_id: int) -> Counter[tuple[str, int, str]]:
    """Item, offset and reason of what earlier imports of a source have set aside."""
    table = schema.problems
    query = select(table.c.item, table.c.offset, table.c.reason)
    of_import = (table.c.source_id == source_id) & table.c.image_id.is_(None)
    return Counter((row[0], row[1], row[2]) for row in connection.execute(query.where(of_import)))
