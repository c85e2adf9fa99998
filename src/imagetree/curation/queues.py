"""What waits for a curator: images on which voters disagree, images set aside, and what was done.

Nothing here shows an image of a sealed test: where it lies would tell its label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sqlalchemy import Integer, case, cast, func, select

from imagetree.curation.consensus import DEFAULT_CONFIG, ConsensusConfig
from imagetree.curation.votes import counted_voters
from imagetree.database import schema
from imagetree.database.counting import current_counts, subtree_of
from imagetree.database.journal import change_states
from imagetree.database.queries import ROW, ImageRow, image_row
from imagetree.database.schema import State, images, synset_of, wnid_of
from imagetree.database.showing import shown_ids
from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Select

    from imagetree.database.store import Database

_VOTES, _PROBLEMS, _COUNTS = schema.votes.c, schema.problems.c, schema.synset_counts.c
_STATES = {State.QUARANTINED, State.REMOVED}


class Totals(NamedTuple):
    """Images by state, and what else waits.

    Args:
        num_images: in state ok, those of hidden synsets too.
        num_quarantined: set aside.
        num_removed: taken down.
        num_votes: on all images.
        num_hidden: synsets that are hidden by themselves.
    """

    num_images: int
    num_quarantined: int
    num_removed: int
    num_votes: int
    num_hidden: int


class Disputed(NamedTuple):
    """An image in state ok with counted votes of both kinds."""

    image: ImageRow
    num_yes: int
    num_no: int


class SetAside(NamedTuple):
    """An image that is quarantined or removed.

    Args:
        problem_id: the latest note on it; these rise with time.
        image: where it lies.
        reason: of that note.
        seen_at: when it was noted, UTC, ISO 8601.
    """

    problem_id: int
    image: ImageRow
    reason: str
    seen_at: str


class Note(NamedTuple):
    """A row of the journal.

    Args:
        id: its number; they rise with time.
        seen_at: UTC, ISO 8601.
        item: what it is about: the name of an image, or of what was not imported.
        wnid: synset of the image; None for what was never imported.
        state: of the image now, a `State`; None likewise.
        reason: what was found or done, and why.
    """

    id: int
    seen_at: str
    item: str
    wnid: str | None
    state: int | None
    reason: str


def totals(database: Database) -> Totals:
    """What there is, and what waits."""
    sums = (_COUNTS.num_images, _COUNTS.num_quarantined, _COUNTS.num_removed)
    query = select(*(func.coalesce(func.sum(each), 0) for each in sums))
    with database.reading() as connection:
        states = [int(each) for each in connection.execute(query).one()]
        others = [
            connection.scalar(select(func.count()).select_from(table)) or 0
            for table in (schema.votes, schema.hidden_synsets)
        ]
    return Totals(*states, *others)


def disputed_images(
    database: Database, n: int, config: ConsensusConfig = DEFAULT_CONFIG
) -> tuple[Disputed, ...]:
    """Images on which counted voters disagree, those with most votes against the majority first.

    Of equals the one with fewer votes in all comes first, whose voters are the more divided.

    Args:
        database: where the votes are.
        n: most images to return.
        config: says who counts.
    """
    num_yes = func.sum(cast(_VOTES.is_match, Integer))
    num_no = func.count() - num_yes
    tally = select(_VOTES.image_id, num_yes.label("num_yes"), num_no.label("num_no"))
    tally = tally.group_by(_VOTES.image_id).having(num_yes > 0, num_no > 0)
    with database.reading() as connection:
        counted = counted_voters(connection, config)
        if counted is not None:
            tally = tally.where(_VOTES.voter.in_(sorted(counted)))
        divided = tally.subquery()
        found = divided.c
        fewer = case((found.num_yes < found.num_no, found.num_yes), else_=found.num_no)
        shown = current_counts(database, connection).synsets
        query = (
            ROW.add_columns(found.num_yes, found.num_no)
            .join(divided, found.image_id == images.c.id)
            .where(images.c.state == State.OK)
            .order_by(fewer.desc(), found.num_yes + found.num_no, images.c.synset, images.c.name)
        )
        rows = [
            Disputed(image_row(row), int(row.num_yes), int(row.num_no))
            for row in connection.execute(query)
            if np.isin(row.synset, shown)
        ]
    return tuple(rows[:n])


def voted_synsets(database: Database, n: int) -> tuple[tuple[str, int], ...]:
    """Wnids of synsets with votes on images in state ok, and how many, those with most first."""
    number = func.count()
    query = (
        select(images.c.synset, number)
        .join_from(schema.votes, images)
        .where(images.c.state == State.OK)
        .group_by(images.c.synset)
        .order_by(number.desc(), images.c.synset)
        .limit(n)
    )
    with database.reading() as connection:
        return tuple((wnid_of(synset), total) for synset, total in connection.execute(query))


def set_aside_images(
    database: Database, state: State, n: int, before: int | None = None
) -> tuple[SetAside, ...]:
    """Images in a state, those that were noted last first.

    Args:
        database: where they are.
        state: quarantined or removed.
        n: most to return.
        before: `problem_id` of the last one of the page before; None for the first page.
    """
    query = _noted(state).order_by(func.max(_PROBLEMS.id).desc()).limit(n)
    if before is not None:
        query = query.having(func.max(_PROBLEMS.id) < before)
    return _set_aside(database, query)


def set_aside_image(database: Database, image_id: int) -> tuple[SetAside, State] | None:
    """An image that is quarantined or removed, and which of both; None for any other."""
    for state in sorted(_STATES):
        found = _set_aside(database, _noted(state).where(images.c.id == image_id))
        if found:
            return found[0], state
    return None


def shown_images(database: Database, image_ids: Collection[int]) -> tuple[ImageRow, ...]:
    """Those of some images that may be shown, in the order of their wnid and stored name."""
    query = ROW.where(images.c.id.in_(sorted(shown_ids(database, image_ids))))
    with database.reading() as connection:
        rows = connection.execute(query.order_by(images.c.synset, images.c.name)).all()
    return tuple(map(image_row, rows))


def count_with_twins(database: Database, image_ids: Collection[int]) -> int:
    """How many images a removal of some takes down: these, and others of the same bytes."""
    facts = schema.image_facts.c
    own = select(facts.sha256).where(facts.image_id.in_(sorted(image_ids)))
    twins = (
        select(facts.image_id)
        .join_from(schema.image_facts, images)
        .where(facts.sha256.in_(own), images.c.state.in_({State.OK, State.QUARANTINED}))
    )
    with database.reading() as connection:
        return len(set(image_ids) | set(connection.scalars(twins)))


def count_in_state_ok(database: Database, wnid: str, *, subtree: bool) -> int:
    """Images in state ok of a synset or its subtree, whether it is hidden or not."""
    synsets = set(subtree_of(wnid).tolist()) if subtree else {synset_of(wnid)}
    query = select(_COUNTS.synset, _COUNTS.num_images)
    with database.reading() as connection:
        return sum(row.num_images for row in connection.execute(query) if row.synset in synsets)


def remove_quarantined(database: Database, image_ids: Collection[int], reason: str) -> int:
    """Take quarantined images down for good.

    Args:
        database: where they are.
        image_ids: those in other states stay as they are.
        reason: why.

    Returns:
        How many were taken down.

    Raises:
        DatabaseError: there is no image of one of the ids, or no reason.
    """
    if not reason.strip():
        raise DatabaseError("a removal needs a reason", hint="say why, for the journal")
    reasons = dict.fromkeys(image_ids, f"removed: {reason}")
    with database.writing() as connection:
        return change_states(connection, reasons, {State.QUARANTINED}, State.REMOVED)


def journal_page(database: Database, n: int, before: int | None = None) -> tuple[Note, ...]:
    """The journal, the newest rows first.

    Args:
        database: whose.
        n: most rows to return.
        before: number of the last one of the page before; None for the first page.
    """
    query = (
        select(
            _PROBLEMS.id,
            _PROBLEMS.seen_at,
            _PROBLEMS.item,
            images.c.synset,
            images.c.state,
            _PROBLEMS.reason,
        )
        .join_from(schema.problems, images, isouter=True)
        .where(images.c.state.is_(None) | (images.c.state != State.SEALED))
        .order_by(_PROBLEMS.id.desc())
        .limit(n)
    )
    if before is not None:
        query = query.where(_PROBLEMS.id < before)
    with database.reading() as connection:
        rows = connection.execute(query).all()
    return tuple(
        Note(row[0], row[1], row[2], None if row[3] is None else wnid_of(row[3]), *row[4:])
        for row in rows
    )


def _noted(state: State) -> Select[tuple[int, int]]:
    """Images in a state with the number of the latest note on each."""
    return (
        select(_PROBLEMS.image_id, func.max(_PROBLEMS.id).label("problem_id"))
        .join_from(schema.problems, images)
        .where(images.c.state == state)
        .group_by(_PROBLEMS.image_id)
    )


def _set_aside(database: Database, noted: Select[tuple[int, int]]) -> tuple[SetAside, ...]:
    last = noted.subquery()
    query = (
        ROW.add_columns(_PROBLEMS.id.label("note"), _PROBLEMS.reason, _PROBLEMS.seen_at)
        .join(last, last.c.image_id == images.c.id)
        .join(schema.problems, _PROBLEMS.id == last.c.problem_id)
        .order_by(_PROBLEMS.id.desc())
    )
    with database.reading() as connection:
        rows = connection.execute(query).all()
    return tuple(SetAside(row.note, image_row(row), row.reason, row.seen_at) for row in rows)
