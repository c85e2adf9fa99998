"""Votes in the database: given, judged by gold, read and written as text.

A voter has one vote on an image: does it show its synset. Gold are images whose truth is known;
they are mixed into what a voter is given, and only votes of voters whom gold has shown to be
careful are counted. A vote is kept all the same, and counts as soon as its voter does. Where the
database has no gold at all every voter counts, and the promised precision rests on their care.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from imagetree.curation.consensus import DEFAULT_CONFIG, ConsensusConfig, VoterScore, score_voter
from imagetree.database import schema
from imagetree.database.journal import utc_now
from imagetree.database.schema import full_name, images, stored_name, synset_of, wnid_of
from imagetree.errors import DatabaseError
from imagetree.files import atomic_writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import Connection, Table

    from imagetree.database.store import Database

MAX_VOTER_LENGTH = 100
_MAX_FAULTS_SHOWN = 20
_BATCH = 500  # of values in one statement
_ANSWERS = {"yes": True, "no": False}
_VOTES, _GOLD = schema.votes.c, schema.gold.c


class Vote(NamedTuple):
    """What a voter says of an image: that it shows its synset, or not."""

    image_id: int
    voter: str
    is_match: bool


class VoterRow(NamedTuple):
    """A voter.

    Args:
        voter: their name.
        num_votes: their votes, those on gold among them.
        num_gold: their votes on gold.
        accuracy: on gold; see `consensus.VoterScore`.
        lower: its lower bound, which is held against the bar.
        is_counted: whether their votes count.
    """

    voter: str
    num_votes: int
    num_gold: int
    accuracy: float
    lower: float
    is_counted: bool


def add_vote(database: Database, image_id: int, voter: str, is_match: bool) -> None:
    """Add a vote; a voter who votes on an image again has changed their mind.

    Raises:
        DatabaseError: there is no such image, or the voter's name cannot be stored.
    """
    add_votes(database, [Vote(image_id, voter, is_match)])


def add_votes(database: Database, votes: Iterable[Vote]) -> int:
    """Add votes, all or none; of two votes of a voter on an image the last one stands.

    Returns:
        How many votes there were.

    Raises:
        DatabaseError: there is no image of one of the ids, or a voter's name cannot be stored.
    """
    latest = {(vote.image_id, vote.voter): vote for vote in votes}
    for voter in {vote.voter for vote in latest.values()}:
        if fault := fault_of_voter(voter):
            raise DatabaseError(f"voter {voter[:MAX_VOTER_LENGTH]!r}: {fault}")
    now = utc_now()
    rows = [{**vote._asdict(), "voted_at": now} for vote in latest.values()]
    with database.writing(alone=False) as connection:
        _check_ids(connection, database.place, {vote.image_id for vote in latest.values()})
        _upsert(connection, schema.votes, ("image_id", "voter"), rows)
    return len(rows)


def fault_of_voter(voter: str) -> str:
    """Why a voter cannot have this name; empty if they can.

    >>> fault_of_voter("ada"), fault_of_voter(" ")
    ('', 'expected 1 to 100 printable characters, no blank at either end')
    """
    is_good = voter.isprintable() and voter.strip() == voter and 0 < len(voter) <= MAX_VOTER_LENGTH
    wanted = f"expected 1 to {MAX_VOTER_LENGTH} printable characters, no blank at either end"
    return "" if is_good else wanted


def set_gold(database: Database, truths: Mapping[int, bool | None]) -> None:
    """Set the truth of images; None where it is no longer taken for known.

    Clear cases of both kinds, matches and others, judge voters best.

    Args:
        database: where the images are.
        truths: whether an image shows its synset, by its id.

    Raises:
        DatabaseError: there is no image of one of the ids.
    """
    known = [
        {"image_id": image_id, "is_match": truth}
        for image_id, truth in truths.items()
        if truth is not None
    ]
    with database.writing(alone=False) as connection:
        _check_ids(connection, database.place, truths)
        for batch in _batches([each for each, truth in truths.items() if truth is None]):
            connection.execute(delete(schema.gold).where(_GOLD.image_id.in_(batch)))
        _upsert(connection, schema.gold, ("image_id",), known)


def voters(database: Database, config: ConsensusConfig = DEFAULT_CONFIG) -> tuple[VoterRow, ...]:
    """All voters by name, and how they do on gold."""
    query = select(_VOTES.voter, func.count()).group_by(_VOTES.voter)
    with database.reading() as connection:
        num_votes = {voter: int(number) for voter, number in connection.execute(query)}
        answers = _gold_answers(connection)
    rows = []
    for voter in sorted(num_votes):
        right = Counter[tuple[bool, bool]]() if answers is None else answers[voter]
        score = _score(right)
        is_counted = answers is None or score.lower >= config.voter_bar
        rows.append(VoterRow(voter, num_votes[voter], right.total(), *score, is_counted))
    return tuple(rows)


def counted_voters(
    connection: Connection, config: ConsensusConfig = DEFAULT_CONFIG
) -> frozenset[str] | None:
    """The voters whose votes count; None where there is no gold, and all of them do."""
    answers = _gold_answers(connection)
    if answers is None:
        return None
    return frozenset(
        voter for voter, right in answers.items() if _score(right).lower >= config.voter_bar
    )


def import_votes(database: Database, path: Path) -> int:
    """Add the votes of a file, all or none.

    A line is the name of an image, the voter, and yes or no, parted by tabs. The name is as it is
    shown (`n02084071_17`), with the wnid and a slash before it where other synsets have an image of
    that name (`n02084071/val_17`).

    Returns:
        How many votes there were.

    Raises:
        DatabaseError: the file cannot be read or has faults; the first 20 are listed by line.
    """
    lines = _read_lines(path)
    with database.reading() as connection:
        ids = _find_ids(connection, {line.split("\t")[0] for _, line in lines})
    votes: dict[tuple[int, str], Vote] = {}
    faults = []
    for number, line in lines:
        vote = _parse_vote(line, ids)
        if isinstance(vote, Vote) and (vote.image_id, vote.voter) in votes:
            vote = "the second vote of this voter on this image"
        if isinstance(vote, Vote):
            votes[vote.image_id, vote.voter] = vote
        else:
            faults.append(f"{path.name}:{number}: {vote}")
    if faults:
        shown = "\n".join(f"  {fault}" for fault in faults[:_MAX_FAULTS_SHOWN])
        rest = f", the first {_MAX_FAULTS_SHOWN} of them" if len(faults) > _MAX_FAULTS_SHOWN else ""
        raise DatabaseError(
            f"{path}: {len(faults)} faults in the votes{rest}:\n{shown}",
            hint="correct the file; none of its votes was added",
        )
    return add_votes(database, votes.values())


def export_votes(database: Database, path: Path, wnid: str | None = None) -> int:
    """Write votes as `import_votes` reads them, sorted by synset, name and voter.

    Args:
        database: whose votes.
        path: the file; written whole or not at all.
        wnid: of one synset alone; None for all.

    Returns:
        How many votes there were.

    Raises:
        ImagetreeError: the file cannot be written.
    """
    of_votes = images.join(schema.votes)
    synsets = select(images.c.synset).select_from(of_votes).distinct().order_by(images.c.synset)
    if wnid is not None:
        synsets = synsets.where(images.c.synset == synset_of(wnid))
    query = select(images.c.name, _VOTES.voter, _VOTES.is_match).select_from(of_votes)
    num_votes = 0
    with database.reading() as connection, atomic_writer(path) as file:
        for synset in connection.scalars(synsets).all():
            own = wnid_of(synset)
            rows = connection.execute(query.where(images.c.synset == synset)).all()
            for stored, voter, is_match in sorted(map(tuple, rows)):
                name = full_name(stored, own)
                clear = name if name.startswith(f"{own}_") else f"{own}/{name}"
                file.write(f"{clear}\t{voter}\t{'yes' if is_match else 'no'}\n".encode())
            num_votes += len(rows)
    return num_votes


def _read_lines(path: Path) -> list[tuple[int, str]]:
    """Lines that are not blank, with their numbers."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DatabaseError(f"{path}: the votes cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DatabaseError(f"{path}: the votes are no UTF-8 text (byte {error.start})") from None
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), 1)]
    return [(number, line) for number, line in lines if line.strip()]


def _parse_vote(line: str, ids: Mapping[str, Sequence[int]]) -> Vote | str:
    """The vote on a line, or what is wrong with it."""
    parts = line.split("\t")
    if len(parts) != 3:
        return f"{len(parts)} fields (expected image, voter, yes or no, parted by tabs)"
    name, voter, answer = parts
    if fault := fault_of_voter(voter):
        return f"voter {voter[:MAX_VOTER_LENGTH]!r}: {fault}"
    if answer not in _ANSWERS:
        return f"answer {answer[:20]!r} (expected yes or no)"
    found = ids.get(name, ())
    if not found:
        return f"no image {name[:200]!r}"
    if len(found) > 1:
        return f"{len(found)} images are named {name!r} (expected WNID/{name})"
    return Vote(found[0], voter, _ANSWERS[answer])


def _find_ids(connection: Connection, names: Iterable[str]) -> dict[str, list[int]]:
    """Ids of the images of each name, in whatever state."""
    wanted: dict[int | None, dict[str, str]] = defaultdict(dict)  # synset: stored name: name
    for name in names:
        own = re.match(r"(n\d{8})([/_])", name, re.ASCII)
        if own is None:
            wanted[None][name] = name
        else:
            bare = name[10:] if own[2] == "/" else name
            wanted[synset_of(own[1])][stored_name(bare, own[1])] = name
    found: dict[str, list[int]] = defaultdict(list)
    for synset, by_stored in wanted.items():
        # the index is by synset first: without one each synset is looked into
        within = select(schema.synset_counts.c.synset) if synset is None else [synset]
        for batch in _batches(sorted(by_stored)):
            query = select(images.c.id, images.c.name).where(
                images.c.synset.in_(within), images.c.name.in_(batch)
            )
            for image_id, stored in connection.execute(query):
                found[by_stored[stored]].append(image_id)
    return found


def _gold_answers(connection: Connection) -> dict[str, Counter[tuple[bool, bool]]] | None:
    """Each voter's answers on gold, by (truth, is right); None where there is no gold."""
    if connection.scalar(select(_GOLD.image_id).limit(1)) is None:
        return None
    query = (
        select(_VOTES.voter, _GOLD.is_match, _VOTES.is_match, func.count())
        .join_from(schema.gold, schema.votes, _GOLD.image_id == _VOTES.image_id)
        .group_by(_VOTES.voter, _GOLD.is_match, _VOTES.is_match)
    )
    answers: dict[str, Counter[tuple[bool, bool]]] = defaultdict(Counter)
    for voter, truth, said, number in connection.execute(query):
        answers[voter][truth, truth == said] = number
    return answers


def _score(answers: Counter[tuple[bool, bool]]) -> VoterScore:
    (matches, others) = (
        (answers[truth, True], answers[truth, True] + answers[truth, False])
        for truth in (True, False)
    )
    return score_voter(matches, others)


def _check_ids(connection: Connection, place: str, ids: Iterable[int]) -> None:
    """Refuse ids that no image has."""
    missing = set(ids)
    for batch in _batches(sorted(missing)):
        missing -= set(connection.scalars(select(images.c.id).where(images.c.id.in_(batch))))
    if missing:
        raise DatabaseError(f"{place}: no image has the id {min(missing)}")


def _upsert(
    connection: Connection, table: Table, key: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Add rows; where the key is there already, the rest of the row is replaced."""
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), rows)


def _batches(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _BATCH):
        yield values[start : start + _BATCH]
