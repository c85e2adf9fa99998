"""Taking images down, and hiding whole synsets; both can be undone and are noted with the reason.

A removed image keeps its row, so that no import of its source brings it back, and its content's
hash, where it is known, so that the same file under another name is found too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, insert, select

from imagetree.database import schema
from imagetree.database.counting import new_revision
from imagetree.database.journal import change_states, utc_now
from imagetree.database.queries import find_image
from imagetree.database.schema import State, images, synset_of, wnid_of
from imagetree.errors import DatabaseError
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from imagetree.database.store import Database


class HiddenSynset(NamedTuple):
    """A synset whose images are neither counted nor shown."""

    wnid: str
    subtree: bool
    reason: str
    hidden_at: str


def remove_images(database: Database, names: Iterable[str], reason: str) -> int:
    """Take images down, with every other image of the same bytes as far as hashes are known.

    Args:
        database: where they are.
        names: of images in state ok; all are removed, or with an unknown one among them none.
        reason: why, for the list of problems.

    Returns:
        How many images are gone.

    Raises:
        DatabaseError: one of the names is unknown or ambiguous, or there is no reason.
    """
    if not reason.strip():
        raise DatabaseError("a removal needs a reason", hint="--reason 'asked for by its owner'")
    rows = [find_image(database, name) for name in dict.fromkeys(names)]
    reasons = {row.id: f"removed: {reason}" for row in rows}
    facts = schema.image_facts.c
    with database.writing() as connection:
        for row in rows:
            own = select(facts.sha256).where(facts.image_id == row.id).scalar_subquery()
            for twin in connection.scalars(select(facts.image_id).where(facts.sha256 == own)):
                reasons.setdefault(twin, f"removed: {reason} (same bytes as {row.name})")
        return change_states(connection, reasons, {State.OK, State.QUARANTINED}, State.REMOVED)


def restore_image(database: Database, name: str, wnid: str, reason: str) -> None:
    """Bring a removed or quarantined image back.

    Raises:
        DatabaseError: no image of this synset and name is removed or quarantined.
    """
    own = (images.c.synset == synset_of(wnid)) & (images.c.name == schema.stored_name(name, wnid))
    away = {State.REMOVED, State.QUARANTINED}
    with database.writing() as connection:
        found = connection.scalar(select(images.c.id).where(own, images.c.state.in_(away)))
        if found is None:
            raise DatabaseError(
                f"{database.place}: no image {name!r} of {wnid} is removed or quarantined",
                hint="imagetree database problems lists what was set aside",
            )
        change_states(connection, {found: f"restored: {reason}"}, away, State.OK)


def removed_hashes(connection: Connection) -> set[bytes]:
    """SHA-256 of the removed images, as far as they are known."""
    facts = schema.image_facts.c
    query = select(facts.sha256).join_from(schema.image_facts, images)
    return set(connection.scalars(query.where(images.c.state == State.REMOVED)))


def hide_synset(database: Database, wnid: str, reason: str, *, subtree: bool = True) -> None:
    """Leave a synset's images out of every count, page, sample, split and export.

    They stay in the database and are imported as before.

    Args:
        database: where.
        wnid: the synset.
        reason: why.
        subtree: its descendants in WordNet too.

    Raises:
        WordnetError: the wnid is no noun of WordNet 3.0.
    """
    synset = synset_of(load_nouns().synset(wnid).wnid)
    values = {"synset": synset, "subtree": subtree, "reason": reason, "hidden_at": utc_now()}
    table = schema.hidden_synsets
    with database.writing() as connection:
        connection.execute(delete(table).where(table.c.synset == synset))
        connection.execute(insert(table).values(values))
        new_revision(connection)


def show_synset(database: Database, wnid: str) -> None:
    """Undo `hide_synset`.

    Raises:
        DatabaseError: the synset is not hidden by itself.
    """
    table = schema.hidden_synsets
    with database.writing() as connection:
        gone = connection.execute(delete(table).where(table.c.synset == synset_of(wnid)))
        if not gone.rowcount:
            hidden = ", ".join(wnid_of(s) for s in connection.scalars(select(table.c.synset)))
            raise DatabaseError(f"{wnid} is not hidden", hint=f"hidden are: {hidden or 'none'}")
        new_revision(connection)


def hidden_synsets(database: Database) -> tuple[HiddenSynset, ...]:
    """What is hidden, by wnid."""
    table = schema.hidden_synsets
    with database.reading() as connection:
        rows = connection.execute(select(table).order_by(table.c.synset)).all()
    return tuple(HiddenSynset(wnid_of(row[0]), *row[1:]) for row in rows)
