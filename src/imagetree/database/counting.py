"""How many images each synset has: the table of counts, and what is computed from it.

Counts are kept by whoever writes images, in the same transaction, so that they are true after
every write. The arrays below are computed once for each state of the table and kept with the
database, so that a page at fourteen million images reads one row and not twenty thousand.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import Integer, cast, select, update

from imagetree.database import schema
from imagetree.database.bulk import upsert
from imagetree.database.schema import State, synset_counts
from imagetree.wordnet import load_nouns, taxonomy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from imagetree.database.store import Database

_COLUMN_OF = {
    State.OK: "num_images",
    State.QUARANTINED: "num_quarantined",
    State.REMOVED: "num_removed",
    State.SEALED: "num_sealed",
}
_REVISION = select(schema.meta.c.value).where(schema.meta.c.key == "revision")


@dataclass(frozen=True)
class Counts:
    """Images by synset; every array is in the order of `synsets`.

    Args:
        synsets: int64 (N,), rising; those with images that may be shown.
        num_images: int64 (N,), in state ok, of the synset's own.
        bytes: int64 (N,), length of these.
        is_mixed: bool (N,), the synset has images in other states as well.
    """

    synsets: NDArray[np.int64]
    num_images: NDArray[np.int64]
    bytes: NDArray[np.int64]
    is_mixed: NDArray[np.bool_]

    def select(self, mask: NDArray[np.bool_] | NDArray[np.intp]) -> Counts:
        """The same of some of the synsets."""
        return Counts(
            self.synsets[mask], self.num_images[mask], self.bytes[mask], self.is_mixed[mask]
        )

    def of(self, wnids: Iterable[str], *, subtree: bool) -> Counts:
        """The same of some synsets, or of all at or below them.

        Raises:
            WordnetError: one of the wnids is no noun of WordNet 3.0.
        """
        wanted = [subtree_of(wnid) if subtree else _own(wnid) for wnid in wnids]
        if not wanted:
            return self.select(np.zeros(len(self.synsets), bool))
        return self.select(np.isin(self.synsets, np.concatenate(wanted)))


@dataclass
class Changes:
    """What a transaction changes in the counts.

    Args:
        of_state: images by state and synset, added or (negative) taken away.
        bytes: length of the images in state ok, by synset.
    """

    of_state: Counter[tuple[State, int]] = field(default_factory=Counter)
    bytes: Counter[int] = field(default_factory=Counter)

    def add(self, state: int, synset: int, length: int, number: int = 1) -> None:
        """Note an image that is new in a state, or with number -1 no longer in it."""
        self.of_state[State(state), synset] += number
        if state == State.OK:
            self.bytes[synset] += number * length

    def move(self, synset: int, length: int, before: int, after: int) -> None:
        """Note an image that went from one state to another."""
        self.add(before, synset, length, -1)
        self.add(after, synset, length)


def current_revision(database: Database) -> int:
    """A number that grows whenever what is counted changes."""
    with database.reading() as connection:
        return _revision(connection)


def current_counts(database: Database, connection: Connection) -> Counts:
    """The counts as this transaction sees them, without hidden synsets."""
    revision = _revision(connection)
    with database.keeping:
        kept = database.kept.get("counts")
        if kept is None or kept[0] != revision:
            kept = (revision, _load(connection))
            database.kept["counts"] = kept
    counts: Counts = kept[1]
    return counts


@dataclass(frozen=True)
class Totals:
    """Images and synsets of every subtree, as sets; arrays in the order of all nouns' wnids.

    Args:
        own: int64 (82115,), images of each synset's own.
        images: int64 (82115,), at or below each synset, each once.
        synsets: int64 (82115,), synsets with images at or below it.
        ranked: int64 (N,), rising; `own` of the synsets with images.
    """

    own: NDArray[np.int64]
    images: NDArray[np.int64]
    synsets: NDArray[np.int64]
    ranked: NDArray[np.int64]


def current_totals(database: Database, connection: Connection) -> Totals:
    """The counts of all subtrees, instances hanging below what they are an instance of."""
    counts = current_counts(database, connection)
    with database.keeping:
        kept = database.kept.get("totals")
        if kept is None or kept[0] is not counts:
            kept = (counts, _sum_up(counts))
            database.kept["totals"] = kept
    totals: Totals = kept[1]
    return totals


def _sum_up(counts: Counts) -> Totals:
    own = np.zeros(len(all_synsets()), np.int64)
    own[np.searchsorted(all_synsets(), counts.synsets)] = counts.num_images
    has_images = (own > 0).astype(np.int64)
    images, synsets = (taxonomy.subtree_sums(each, instances=True) for each in (own, has_images))
    return Totals(own, images, synsets, np.sort(counts.num_images))


def write_changes(connection: Connection, changes: Changes) -> None:
    """Bring the counts up to date, in the transaction that changes the images."""
    rows: dict[int, dict[str, int]] = {}
    for (state, synset), number in changes.of_state.items():
        rows.setdefault(synset, _zeros(synset))[_COLUMN_OF[state]] += number
    for synset, number in changes.bytes.items():
        rows.setdefault(synset, _zeros(synset))["bytes"] += number
    if not rows:
        return
    statement = upsert(connection, synset_counts)
    sums = {
        name: synset_counts.c[name] + statement.excluded[name]
        for name in (*_COLUMN_OF.values(), "bytes")
    }
    connection.execute(
        statement.on_conflict_do_update(index_elements=[synset_counts.c.synset], set_=sums),
        [rows[synset] for synset in sorted(rows)],  # in one order, so that no two writers deadlock
    )
    new_revision(connection)


def new_revision(connection: Connection) -> None:
    """Say that what is counted has changed, so that nobody uses what was computed before."""
    meta = schema.meta
    value = cast(cast(meta.c.value, Integer) + 1, meta.c.value.type)
    connection.execute(update(meta).where(meta.c.key == "revision").values(value=value))


def all_synsets() -> NDArray[np.int64]:
    """int64 (82115,): the nouns' numbers as they are stored, rising: the taxonomy's order."""
    return _all_synsets()


@lru_cache(maxsize=1024)
def subtree_of(wnid: str) -> NDArray[np.int64]:
    """Numbers of a synset and all below it, instances too, rising.

    Raises:
        WordnetError: the wnid is no noun of WordNet 3.0.
    """
    index = load_nouns().index_of(wnid)
    found = all_synsets()[taxonomy.descendants(index, instances=True)]
    found = np.unique(np.append(found, all_synsets()[index]))
    found.flags.writeable = False
    return found


@cache
def _all_synsets() -> NDArray[np.int64]:
    numbers = np.array([int(wnid[1:]) for wnid in load_nouns().wnids], np.int64)
    numbers.flags.writeable = False
    return numbers


def _own(wnid: str) -> NDArray[np.int64]:
    return all_synsets()[[load_nouns().index_of(wnid)]]


def _zeros(synset: int) -> dict[str, int]:
    return {"synset": synset, "bytes": 0} | dict.fromkeys(_COLUMN_OF.values(), 0)


def _revision(connection: Connection) -> int:
    return int(connection.scalar(_REVISION) or 0)


def _load(connection: Connection) -> Counts:
    columns = synset_counts.c
    query = select(
        columns.synset,
        columns.num_images,
        columns.bytes,
        columns.num_quarantined + columns.num_removed + columns.num_sealed,
    )
    rows = connection.execute(query.where(columns.num_images > 0).order_by(columns.synset))
    table = [np.array(column, np.int64) for column in zip(*rows.all(), strict=True)]
    table = table or [np.zeros(0, np.int64)] * 4
    counts = Counts(table[0], table[1], table[2], table[3] > 0)
    hidden = [
        subtree_of(schema.wnid_of(row.synset)) if row.subtree else np.array([row.synset])
        for row in connection.execute(select(schema.hidden_synsets))
    ]
    return counts.select(~np.isin(counts.synsets, np.concatenate(hidden))) if hidden else counts
