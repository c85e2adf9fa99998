"""The voting on a synset: its sample and table, what to show a voter next, and what is decided.

The sample are the first images of the synset in an order that depends on the seed and their names
alone. Until each of them has its votes, they are all that is given out, and nothing is decided;
from then on the images come that are nearest to a decision. Gold is no part of a sample, because
it was chosen and not drawn; its decision is its truth.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from imagetree.curation.consensus import (
    DEFAULT_CONFIG,
    ConfidenceTable,
    ConsensusConfig,
    Decision,
    decide,
    learn_table,
    votes_needed,
)
from imagetree.curation.votes import counted_voters
from imagetree.database import schema
from imagetree.database.journal import change_states
from imagetree.database.queries import ImageRow
from imagetree.database.schema import State, full_name, images, synset_of
from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from sqlalchemy import Connection

    from imagetree.database.store import Database

_VOTES, _GOLD = schema.votes.c, schema.gold.c


class ImageVotes(NamedTuple):
    """An image and its counted votes.

    Args:
        row: the image.
        state: a State.
        num_yes: counted votes that it shows its synset.
        num_no: counted votes that it does not.
        gold: its truth where that is known.
    """

    row: ImageRow
    state: State
    num_yes: int
    num_no: int
    gold: bool | None

    @property
    def num_votes(self) -> int:
        """All its counted votes."""
        return self.num_yes + self.num_no


@dataclass(frozen=True)
class SynsetStatus:
    """How far the voting on a synset is.

    Args:
        wnid: the synset.
        num_votes: all votes on its images.
        num_counted: those of voters who count.
        sample_size: images of its sample.
        sample_done: of these, with as many counted votes as the sample wants.
        decisions: number of its images in state ok, by decision; those that votes have
            quarantined are not among them.
    """

    wnid: str
    num_votes: int
    num_counted: int
    sample_size: int
    sample_done: int
    decisions: Mapping[Decision, int]


@dataclass(frozen=True)
class ApplyReport:
    """What became of a synset's images when the votes were applied.

    Args:
        wnid: the synset.
        num_quarantined: images that were in state ok and are quarantined now.
        decisions: number of the images that are still in state ok, by decision.
    """

    wnid: str
    num_quarantined: int
    decisions: Mapping[Decision, int]


def synset_table(
    database: Database, wnid: str, config: ConsensusConfig = DEFAULT_CONFIG
) -> ConfidenceTable:
    """The confidence table of a synset.

    Raises:
        DatabaseError: the synset has no images, or its sample has not all its votes yet.
    """
    with database.reading() as connection:
        return _load(connection, wnid, config).need_table(database.place)


def image_votes(
    database: Database, wnid: str, config: ConsensusConfig = DEFAULT_CONFIG
) -> tuple[tuple[ImageVotes, Decision], ...]:
    """Each image of a synset in state ok, with its counted votes and its decision, by name."""
    with database.reading() as connection:
        poll = _load(connection, wnid, config)
    return tuple((each, poll.decision(each)) for each in poll.in_use)


def status(database: Database, wnid: str, config: ConsensusConfig = DEFAULT_CONFIG) -> SynsetStatus:
    """How far the voting on a synset is."""
    own = images.c.synset == synset_of(wnid)
    query = select(func.count()).select_from(images.join(schema.votes)).where(own)
    with database.reading() as connection:
        poll = _load(connection, wnid, config)
        num_votes = connection.scalar(query) or 0
    return SynsetStatus(
        wnid=wnid,
        num_votes=num_votes,
        num_counted=sum(each.num_votes for each in poll.images),
        sample_size=len(poll.sample),
        sample_done=poll.sample_done,
        decisions=poll.count_decisions(),
    )


def next_images(
    database: Database,
    wnid: str,
    voter: str,
    n: int,
    config: ConsensusConfig = DEFAULT_CONFIG,
) -> tuple[ImageRow, ...]:
    """What to show a voter next: images of the synset in state ok that they have not voted on.

    Each place is gold with probability `config.gold_share`, drawn from the seed, the voter and the
    number of votes they have given here, so that nobody can tell where gold will be. The other
    places are images of the sample that want votes, those with most first; once the sample is full,
    open images, those first that need fewest votes to be decided. Where one kind runs out the
    other goes on.

    Args:
        database: where the images are.
        wnid: the synset that is voted on.
        voter: who votes; the same state of the database gives a voter the same images.
        n: most images to return.
        config: when an image is decided, and the seed.
    """
    own = images.c.synset == synset_of(wnid)
    query = select(_VOTES.image_id).join_from(schema.votes, images).where(own)
    with database.reading() as connection:
        poll = _load(connection, wnid, config)
        seen = set(connection.scalars(query.where(_VOTES.voter == voter)))
    new = [each for each in poll.in_use if each.row.id not in seen]
    gold = [each for each in new if each.gold is not None]
    gold.sort(key=lambda each: _draw(config.seed, wnid, voter, each.row.name))
    wanted = poll.wanted(new)
    chosen: list[ImageRow] = []
    while len(chosen) < n and (gold or wanted):
        draw = _draw(config.seed, wnid, voter, len(seen) + len(chosen))
        is_gold = bool(gold) and (not wanted or draw < config.gold_share)
        chosen.append((gold if is_gold else wanted).pop(0).row)
    return tuple(chosen)


def apply(
    database: Database,
    wnid: str,
    config: ConsensusConfig = DEFAULT_CONFIG,
    *,
    undecided: bool = False,
) -> ApplyReport:
    """Quarantine the images that were voted out, with a reason that says the votes.

    Gold that is no match goes too, but only when no image of the synset is open any more: until
    then it is wanted to judge voters. The promised precision is that of the accepted images.

    Args:
        database: where the images are.
        wnid: the synset.
        config: when an image is decided.
        undecided: quarantine the undecided images as well, so that in the end only accepted ones
            are left.

    Raises:
        DatabaseError: the synset has no images, or its sample has not all its votes yet.
    """
    out = {Decision.REJECTED, Decision.UNDECIDED} if undecided else {Decision.REJECTED}
    with database.writing() as connection:
        poll = _load(connection, wnid, config)
        poll.need_table(database.place)
        is_over = not poll.count_decisions().get(Decision.OPEN)
        reasons = {
            each.row.id: poll.reason(each)
            for each in poll.in_use
            if poll.decision(each) in out and (each.gold is None or is_over)
        }
        num_quarantined = change_states(connection, reasons, {State.OK}, State.QUARANTINED)
    left = poll.count_decisions(without=reasons)
    return ApplyReport(wnid, num_quarantined, left)


@dataclass(frozen=True)
class _Poll:
    """A synset's images with their votes, and what follows from them.

    Args:
        wnid: the synset.
        config: when an image is decided.
        images: those in state ok, and all others with counted votes, by name.
        sample: those that the table is learnt from.
        table: None until the sample is full.
        decided: the decision of each number of yes and no votes that occurs.
    """

    wnid: str
    config: ConsensusConfig
    images: tuple[ImageVotes, ...]
    sample: tuple[ImageVotes, ...]
    table: ConfidenceTable | None
    decided: Mapping[tuple[int, int], Decision]

    @property
    def in_use(self) -> list[ImageVotes]:
        """The images in state ok."""
        return [each for each in self.images if each.state == State.OK]

    @property
    def sample_done(self) -> int:
        """How many of the sample have their votes."""
        return sum(each.num_votes >= self.config.sample_votes for each in self.sample)

    def need_table(self, place: str) -> ConfidenceTable:
        """The table, or an error that says why there is none."""
        if self.table is None:
            raise DatabaseError(
                f"{place}: {self.wnid}: {self.sample_done} of {len(self.sample)} images of the "
                f"sample have {self.config.sample_votes} counted votes (expected all of them)",
                hint="collect more votes; a voter counts once gold of both kinds shows their care",
            )
        return self.table

    def decision(self, image: ImageVotes) -> Decision:
        """What is known of an image."""
        if image.gold is not None:
            return Decision.ACCEPTED if image.gold else Decision.REJECTED
        return self.decided[image.num_yes, image.num_no]

    def count_decisions(self, without: Container[int] = ()) -> dict[Decision, int]:
        """Images in state ok by decision, some ids left out."""
        kept = (each for each in self.in_use if each.row.id not in without)
        counts = Counter(map(self.decision, kept))
        return {decision: counts[decision] for decision in Decision}

    def reason(self, image: ImageVotes) -> str:
        """Why an image is quarantined."""
        if image.gold is not None:
            return f"gold: known not to show {self.wnid}"
        word = "voted out" if self.decision(image) is Decision.REJECTED else "undecided"
        return f"{word}: {image.num_yes} yes, {image.num_no} no that it shows {self.wnid}"

    def wanted(self, new: Sequence[ImageVotes]) -> list[ImageVotes]:
        """Those of some images that want votes, the most urgent first."""
        asked = [each for each in new if self.decision(each) is Decision.OPEN]
        if self.table is None:
            in_sample = {each.row.id for each in self.sample}
            few = self.config.sample_votes
            asked = [e for e in asked if e.row.id in in_sample and e.num_votes < few]
            urgency = {pair: -sum(pair) for pair in self.decided}
        else:
            urgency = {pair: votes_needed(self.table, *pair, self.config) for pair in self.decided}
        return sorted(
            asked,
            key=lambda e: (urgency[e.num_yes, e.num_no], _rank(self.config, e.row)),
        )


def _load(connection: Connection, wnid: str, config: ConsensusConfig) -> _Poll:
    """The votes on a synset's images, and its table if the sample is full."""
    found = _read_images(connection, wnid, config)
    # An image that votes have quarantined stays in the sample: without it the others would look
    # like matches. One that is damaged has no votes to come, and makes room.
    drawn = [
        each
        for each in found
        if each.gold is None and (each.state == State.OK or each.num_votes >= config.sample_votes)
    ]
    drawn.sort(key=lambda each: _rank(config, each.row))
    sample = drawn[: config.sample_images]
    table = None
    if sample and all(each.num_votes >= config.sample_votes for each in sample):
        table = learn_table([(each.num_yes, each.num_no) for each in sample], config)
    pairs = {(each.num_yes, each.num_no) for each in found}
    decided = {
        pair: Decision.OPEN if table is None else decide(table, *pair, config) for pair in pairs
    }
    return _Poll(wnid, config, tuple(found), tuple(sample), table, decided)


def _read_images(connection: Connection, wnid: str, config: ConsensusConfig) -> list[ImageVotes]:
    """Images in state ok, and all others with counted votes, by name."""
    counted = counted_voters(connection, config)
    own = images.c.synset == synset_of(wnid)
    cast = select(_VOTES.image_id, _VOTES.voter, _VOTES.is_match).join_from(schema.votes, images)
    tally: dict[int, list[int]] = {}
    for image_id, voter, is_match in connection.execute(cast.where(own)):
        if counted is None or voter in counted:
            tally.setdefault(image_id, [0, 0])[not is_match] += 1
    truths = select(_GOLD.image_id, _GOLD.is_match).join_from(schema.gold, images).where(own)
    gold = {image_id: bool(truth) for image_id, truth in connection.execute(truths)}
    found = []
    for row in connection.execute(select(images).where(own).order_by(images.c.name)):
        num_yes, num_no = tally.get(row.id, (0, 0))
        if row.state == State.OK or num_yes + num_no:
            name = full_name(row.name, wnid)
            place = (row.source_id, row.offset, row.length, row.path)
            image = ImageRow(row.id, wnid, name, *place)
            found.append(ImageVotes(image, State(row.state), num_yes, num_no, gold.get(row.id)))
    return found


def _rank(config: ConsensusConfig, row: ImageRow) -> float:
    """Where an image stands in the order that the sample is drawn from."""
    return _draw(config.seed, row.wnid, row.name)


def _draw(*counters: object) -> float:
    """A number in [0, 1) that depends on the counters alone."""
    text = "\0".join(map(str, counters))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest()) / (1 << 48)
