"""Images whose class is a secret for a time: in no page, count, sample, list, split or archive.

They keep their rows, so that a challenge finds them; importing their source again changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from imagetree.database.counting import Changes, write_changes
from imagetree.database.queries import ROW, ImageRow, image_row
from imagetree.database.schema import State, images, synset_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from imagetree.database.store import Database

_BATCH = 500  # parameters of a statement, of which engines bear a thousand or more


def set_sealed(database: Database, ids: Iterable[int], *, sealed: bool) -> int:
    """Seal images, or show them again, all in one transaction.

    Args:
        database: where they are.
        ids: of the images; those that are set aside or removed stay as they are.
        sealed: what they shall be.

    Returns:
        How many have changed.
    """
    before, after = (State.OK, State.SEALED) if sealed else (State.SEALED, State.OK)
    changes, num_changed = Changes(), 0
    with database.writing() as connection:
        for batch in _batches(sorted(set(ids))):
            chosen = images.c.id.in_(batch) & (images.c.state == before)
            rows = connection.execute(select(images.c.synset, images.c.length).where(chosen)).all()
            connection.execute(update(images).where(chosen).values(state=int(after)))
            for synset, length in rows:
                changes.move(synset, length, before, after)
            num_changed += len(rows)
        write_changes(connection, changes)
    return num_changed


def sealed_images(database: Database, wnids: Iterable[str]) -> tuple[ImageRow, ...]:
    """The sealed images of some synsets, by wnid and stored name."""
    synsets = sorted({synset_of(wnid) for wnid in wnids})
    found: list[ImageRow] = []
    with database.reading() as connection:
        for batch in _batches(synsets):
            query = ROW.where(images.c.synset.in_(batch), images.c.state == State.SEALED)
            rows = connection.execute(query.order_by(images.c.synset, images.c.name))
            found += map(image_row, rows)
    return tuple(found)


def _batches(values: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(values), _BATCH):
        yield values[start : start + _BATCH]
