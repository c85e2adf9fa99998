"""What can be asked of the images: pages, samples, one by name, all of them.

Rows come out as named tuples, wnids as text. Only images in state ok are counted and returned, none
of a hidden synset, always in the order of their wnid, then of their stored name, whose digits
stand before letters and whose wnid counts as "_". How many there are is in `counting`, sources and
problems are in `journal`, the graph of the synsets in `hierarchy`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sqlalchemy import bindparam, select

from imagetree.database import schema
from imagetree.database.counting import Counts, current_counts
from imagetree.database.rows import ImageRow as ImageRow
from imagetree.database.schema import State, full_name, images, stored_name, synset_of, wnid_of
from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from sqlalchemy import Connection

    from imagetree.database.store import Database


ROW = select(
    images.c.id,
    images.c.synset,
    images.c.name,
    images.c.source_id,
    images.c.offset,
    images.c.length,
    images.c.path,
)
"""What `image_row` makes an `ImageRow` of."""

_OK = images.c.state == State.OK
# Statements with parameters are built once: building one takes ten times as long as its answer.
_PAGE = (
    ROW.where(images.c.synset == bindparam("of_synset"), images.c.name > bindparam("after"))
    .order_by(images.c.name)
    .limit(bindparam("most"))
    .offset(bindparam("skip"))
)
# The state is only looked at where some are not ok: without it images that are skipped are counted
# in the index alone.
_PAGE_OF_MIXED = _PAGE.where(_OK)
_ALL = 1 << 31


def counts(database: Database) -> dict[str, int]:
    """Images of each synset's own, by wnid in rising order; synsets without images are left out."""
    with database.reading() as connection:
        found = current_counts(database, connection)
    return dict(zip(map(wnid_of, found.synsets.tolist()), found.num_images.tolist(), strict=True))


def count_images(database: Database, wnids: Iterable[str], *, subtree: bool = False) -> int:
    """How many images some synsets have, each once."""
    with database.reading() as connection:
        found = current_counts(database, connection).of(wnids, subtree=subtree)
    return int(found.num_images.sum())


def images_of(
    database: Database,
    wnids: Iterable[str],
    *,
    subtree: bool = False,
    limit: int = 60,
    start: int | tuple[str, str] = 0,
) -> tuple[ImageRow, ...]:
    """A page of the images of some synsets.

    The page after a known image stays the same whatever is written before it; the page from a
    number on leads into the middle of millions as quickly as to the first.

    Args:
        database: where to look.
        wnids: the synsets; one named twice counts once.
        subtree: take their descendants in WordNet with them.
        limit: most images to return.
        start: wnid and name of the last image of the page before; or how many images to leave out.

    Returns:
        Images in their order; empty past the end.

    Raises:
        WordnetError: one of the wnids is no noun of WordNet 3.0.
    """
    found: list[ImageRow] = []
    with database.reading() as connection:
        within = current_counts(database, connection).of(wnids, subtree=subtree)
        for page in _pages(within, start):
            if len(found) >= limit:
                break
            found += page.read(connection, limit - len(found))
    return tuple(found)


def locate(
    database: Database, wnids: Iterable[str] | None = None, *, subtree: bool = False
) -> Generator[ImageRow, None, None]:
    """All images of some synsets, or of all for None, in their order, one at a time.

    The rows are those of the moment of the first, whatever is written meanwhile.
    """
    with database.reading() as connection:
        within = current_counts(database, connection)
        if wnids is not None:
            within = within.of(wnids, subtree=subtree)
        for page in _pages(within, 0):
            yield from page.read(connection, _ALL)


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
        The images in their order.
    """
    with database.reading() as connection:
        within = current_counts(database, connection).of(wnids, subtree=subtree)
        ends = np.cumsum(within.num_images)
        total = int(ends[-1]) if len(ends) else 0
        places = np.array(sorted(random.Random(seed).sample(range(total), min(n, total))), int)
        which = np.searchsorted(ends, places, side="right")
        offsets = places - (ends - within.num_images)[which]
        drawn = zip(which.tolist(), offsets.tolist(), strict=True)
        return tuple(
            row
            for position, skip in drawn
            for row in _page(within, position, skip=skip).read(connection, 1)
        )


def find_image(database: Database, name: str, wnid: str | None = None) -> ImageRow:
    """The image of a name.

    Args:
        database: where to look.
        name: without ending: `n02084071_17`, or with its synset, `n02084071/val_17`, where several
            synsets have an image of this name.
        wnid: its synset, if it is not in the name.

    Raises:
        DatabaseError: there is none, or there are several.
    """
    if wnid is None and name[9:10] == "/" and _is_wnid(name[:9]):
        wnid, name = name[:9], name[10:]
    shown, columns = schema.synset_counts, images.c
    is_it = columns.synset.in_(select(shown.c.synset)) & (columns.name == name)
    own = wnid or name[:9]
    if _is_wnid(own):
        is_own = (columns.synset == synset_of(own)) & (columns.name == stored_name(name, own))
        is_it = is_own if wnid else is_it | is_own
    with database.reading() as connection:
        rows = connection.execute(ROW.where(is_it, _OK).order_by(columns.synset)).all()
        allowed = set(current_counts(database, connection).synsets.tolist())
    found = [image_row(row) for row in rows if row.synset in allowed]
    if not found:
        raise DatabaseError(
            f"{database.place}: no image {name!r}" + (f" in {wnid}" if wnid else ""),
            hint="an image is named without its ending, as in n02084071_17",
        )
    if len(found) > 1:
        raise DatabaseError(
            f"{database.place}: {len(found)} images are named {name!r}",
            hint=f"name the synset too: {', '.join(f'{row.wnid}/{name}' for row in found[:20])}",
        )
    return found[0]


def _is_wnid(text: str) -> bool:
    return len(text) == 9 and text[0] == "n" and text[1:].isascii() and text[1:].isdigit()


def image_row(row: Sequence[Any]) -> ImageRow:
    """An image of a row that `ROW` selects."""
    wnid = wnid_of(row[1])
    return ImageRow(row[0], wnid, full_name(row[2], wnid), row[3], row[4], row[5], row[6])


class _Page(NamedTuple):
    """Images of one synset: those after a stored name, without the first few of them."""

    synset: int
    is_mixed: bool
    after: str
    skip: int

    def read(self, connection: Connection, most: int) -> list[ImageRow]:
        """So many of them."""
        values = {
            "of_synset": self.synset,
            "after": self.after,
            "skip": self.skip,
            "most": most,
        }
        rows = connection.execute(_PAGE_OF_MIXED if self.is_mixed else _PAGE, values)
        return [image_row(row) for row in rows]


def _page(within: Counts, position: int, *, after: str = "", skip: int = 0) -> _Page:
    """The images of the synset at a position of the counts."""
    synset, is_mixed = int(within.synsets[position]), bool(within.is_mixed[position])
    return _Page(synset, is_mixed, after, skip)


def _pages(within: Counts, start: int | tuple[str, str]) -> Iterator[_Page]:
    """All images after one, or all but the first `start`, synset by synset."""
    after, skip = "", 0
    if isinstance(start, int):
        ends = np.cumsum(within.num_images)
        first = int(np.searchsorted(ends, start, side="right"))
        skip = start - (int(ends[first - 1]) if first else 0)
    else:
        first = int(np.searchsorted(within.synsets, synset_of(start[0])))
        if first < len(within.synsets) and within.synsets[first] == synset_of(start[0]):
            after = stored_name(start[1], start[0])
    for position in range(first, len(within.synsets)):
        yield _page(within, position, after=after, skip=skip)
        after, skip = "", 0
