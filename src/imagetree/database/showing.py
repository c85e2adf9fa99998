"""One image as it is shown: by its synset and name, and its place among those of its synset.

Like `queries`, nothing here returns an image that is not in state ok, or one of a hidden synset.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sqlalchemy import bindparam, func, select

from imagetree.database.counting import Counts, current_counts
from imagetree.database.queries import ROW, ImageRow, image_row
from imagetree.database.schema import State, images, stored_name, synset_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from imagetree.database.store import Database

MAX_NAMESAKES = 20
_BATCH = 500

_COLUMNS = images.c
_OF_SYNSET = (_COLUMNS.synset == bindparam("of_synset")) & (_COLUMNS.state == State.OK)
_NAMED = ROW.where(_OF_SYNSET, _COLUMNS.name == bindparam("called"))
_BEFORE = _COLUMNS.name < bindparam("called")
_POSITION = select(func.count()).select_from(images).where(_OF_SYNSET, _BEFORE)
_UP_TO = (
    select(func.count()).select_from(images).where(_OF_SYNSET, _COLUMNS.name <= bindparam("called"))
)
_PREVIOUS = ROW.where(_OF_SYNSET, _BEFORE).order_by(_COLUMNS.name.desc()).limit(1)
_NEXT = ROW.where(_OF_SYNSET, _COLUMNS.name > bindparam("called")).order_by(_COLUMNS.name).limit(1)


class Place(NamedTuple):
    """Where an image stands among those of its synset.

    Args:
        position: from 1, in the order of `queries`.
        total: images of the synset.
        previous: the image before it; None for the first.
        next: the image after it; None for the last.
    """

    position: int
    total: int
    previous: ImageRow | None
    next: ImageRow | None


def shown_image(database: Database, wnid: str, name: str) -> ImageRow | None:
    """The image of a synset and a name; None where there is none that may be shown.

    Args:
        database: where to look.
        wnid: digits after an n; it need not be a noun.
        name: without ending, as `n02084071_17`.
    """
    with database.reading() as connection:
        row = connection.execute(_NAMED, _values(wnid, name)).one_or_none()
        if row is None or not _is_shown(current_counts(database, connection), row.synset):
            return None
    return image_row(row)


def images_named(database: Database, name: str) -> tuple[ImageRow, ...]:
    """The images of a name, whatever their synset: at most `MAX_NAMESAKES`, by wnid."""
    with database.reading() as connection:
        found: list[ImageRow] = []
        for synsets in _batches(current_counts(database, connection).synsets.tolist()):
            query = ROW.where(
                _COLUMNS.synset.in_(synsets),
                _COLUMNS.name == name,
                _COLUMNS.state == State.OK,
            )
            found += map(image_row, connection.execute(query.order_by(_COLUMNS.synset)))
            if len(found) >= MAX_NAMESAKES:
                break
    return tuple(found[:MAX_NAMESAKES])


def place_of(database: Database, image: ImageRow) -> Place:
    """Where a shown image stands among those of its synset."""
    values = _values(image.wnid, image.name)
    with database.reading() as connection:
        counts = current_counts(database, connection)
        total = int(counts.num_images[counts.synsets == values["of_synset"]].sum())
        before = connection.scalar(_POSITION, values) or 0
        beside = [connection.execute(query, values).one_or_none() for query in (_PREVIOUS, _NEXT)]
    previous, following = (None if row is None else image_row(row) for row in beside)
    return Place(before + 1, total, previous, following)


def count_before(
    database: Database, wnid: str, after: tuple[str, str], *, subtree: bool = False
) -> int:
    """How many images of a synset stand at or before one: where a page after it begins.

    Args:
        database: where to look.
        wnid: the synset.
        after: wnid and name of the image; it need not be there any more.
        subtree: count the images of its descendants in WordNet too.

    Raises:
        WordnetError: the synset is no noun of WordNet 3.0.
    """
    values = _values(*after)
    with database.reading() as connection:
        counts = current_counts(database, connection).of([wnid], subtree=subtree)
        before = int(counts.num_images[counts.synsets < values["of_synset"]].sum())
        if _is_shown(counts, values["of_synset"]):
            before += connection.scalar(_UP_TO, values) or 0
    return before


def shown_ids(database: Database, ids: Iterable[int]) -> set[int]:
    """Those of some images' ids that may be shown."""
    with database.reading() as connection:
        counts, found = current_counts(database, connection), set[int]()
        for batch in _batches(ids):
            query = select(_COLUMNS.id, _COLUMNS.synset).where(
                _COLUMNS.id.in_(batch), _COLUMNS.state == State.OK
            )
            rows = [tuple(row) for row in connection.execute(query)]
            is_shown = np.isin([synset for _, synset in rows], counts.synsets)
            found.update(row[0] for row, shown in zip(rows, is_shown, strict=True) if shown)
    return found


def _is_shown(counts: Counts, synset: int) -> bool:
    """Whether a synset has images that may be shown; a binary search, as each thumbnail asks."""
    position = int(np.searchsorted(counts.synsets, synset))
    return position < len(counts.synsets) and int(counts.synsets[position]) == synset


def _values(wnid: str, name: str) -> dict[str, Any]:
    return {"of_synset": synset_of(wnid), "called": stored_name(name, wnid)}


def _batches(values: Iterable[int]) -> Iterator[list[int]]:
    waiting = iter(values)
    while batch := list(islice(waiting, _BATCH)):
        yield batch
