"""A voter's own votes: which synset wants them, how far they are, and taking them back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, func, select

from imagetree.database import schema
from imagetree.database.counting import current_counts
from imagetree.database.queries import ROW, ImageRow, image_row
from imagetree.database.schema import State, images, synset_of, wnid_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from imagetree.database.store import Database

_VOTES = schema.votes.c
_OF_VOTER = select(images.c.synset, func.count()).join_from(schema.votes, images)


class Wanting(NamedTuple):
    """A synset whose images want votes.

    Args:
        wnid: the synset.
        num_images: of its own, that are shown.
        num_votes: on its images, by all voters.
        num_own: by the voter who asks.
    """

    wnid: str
    num_images: int
    num_votes: int
    num_own: int


class OwnVote(NamedTuple):
    """A vote of the voter who asks."""

    image: ImageRow
    is_match: bool
    voted_at: str


def synsets_wanting(database: Database, voter: str, n: int) -> tuple[Wanting, ...]:
    """Synsets on which a voter can vote, those with fewest votes for each image first.

    The order is fair: no synset gets a second vote on each image while another waits for its
    first. Of equals the one with the smaller wnid comes first. Synsets on all of whose images they
    have voted are left out.

    Args:
        database: where the images are.
        voter: who asks.
        n: most synsets to return.
    """
    with database.reading() as connection:
        counts = current_counts(database, connection)
        votes, own = (_by_synset(connection, each) for each in (None, voter))
    rows = [
        Wanting(wnid_of(synset), num_images, votes.get(synset, 0), own.get(synset, 0))
        for synset, num_images in zip(
            counts.synsets.tolist(), counts.num_images.tolist(), strict=True
        )
    ]
    waiting = [row for row in rows if row.num_own < row.num_images]
    return tuple(sorted(waiting, key=lambda row: (row.num_votes / row.num_images, row.wnid))[:n])


def num_votes_of(database: Database, voter: str) -> int:
    """All votes of a voter."""
    query = select(func.count()).select_from(schema.votes).where(_VOTES.voter == voter)
    with database.reading() as connection:
        return connection.scalar(query) or 0


def recent_votes(database: Database, wnid: str, voter: str, n: int) -> tuple[OwnVote, ...]:
    """The latest votes of a voter on images of a synset that are in state ok, the newest first."""
    query = (
        ROW.add_columns(_VOTES.is_match, _VOTES.voted_at)
        .join_from(schema.votes, images)
        .where(
            _VOTES.voter == voter,
            images.c.synset == synset_of(wnid),
            images.c.state == State.OK,
        )
        .order_by(_VOTES.voted_at.desc(), _VOTES.id.desc())
        .limit(n)
    )
    with database.reading() as connection:
        rows = connection.execute(query).all()
    return tuple(OwnVote(image_row(row), row.is_match, row.voted_at) for row in rows)


def voted_ids(database: Database, voter: str, image_ids: Collection[int]) -> set[int]:
    """Those of some images' ids on which a voter has voted."""
    own = (_VOTES.voter == voter) & _VOTES.image_id.in_(sorted(image_ids))
    with database.reading() as connection:
        return set(connection.scalars(select(_VOTES.image_id).where(own)))


def ids_of_synset(database: Database, wnid: str, image_ids: Collection[int]) -> set[int]:
    """Those of some images' ids that are of a synset."""
    own = (images.c.synset == synset_of(wnid)) & images.c.id.in_(sorted(image_ids))
    with database.reading() as connection:
        return set(connection.scalars(select(images.c.id).where(own)))


def withdraw_votes(database: Database, voter: str, image_ids: Collection[int]) -> int:
    """Take back a voter's votes on some images.

    Returns:
        How many there were.
    """
    if not image_ids:
        return 0
    own = (_VOTES.voter == voter) & _VOTES.image_id.in_(sorted(image_ids))
    with database.writing(alone=False) as connection:
        return connection.execute(delete(schema.votes).where(own)).rowcount


def _by_synset(connection: Connection, voter: str | None) -> dict[int, int]:
    """Votes on the images of each synset, of one voter or of all."""
    query = _OF_VOTER if voter is None else _OF_VOTER.where(_VOTES.voter == voter)
    rows = connection.execute(query.group_by(images.c.synset)).all()
    return {row[0]: row[1] for row in rows}
