"""Entries: sent, refused or taken, withdrawn, listed.

An entry's file is kept first, then read, then scored; its row, its score and the log's row are
written in one transaction, in which the limit is held. So whatever ends the program, an entry is
there with its score or not at all, and none that was reported is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 (the command line reads the annotations)
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import insert, select, update

from imagetree.challenge.answers import Form
from imagetree.database import schema
from imagetree.database.journal import utc_now
from imagetree.errors import ChallengeError
from imagetree.leaderboard.audit import Action, Subject, note_action
from imagetree.leaderboard.boards import board_named, challenge_of, check_is_open
from imagetree.leaderboard.keeping import keep_file
from imagetree.leaderboard.limits import check_quota, stamp, utc_clock
from imagetree.leaderboard.scoring import add_score, read_scores, referee_of
from imagetree.leaderboard.teams import team_named
from imagetree.leaderboard.words import check_name, check_text, shown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from imagetree.challenge.score import TopK
    from imagetree.database.store import Database
    from imagetree.leaderboard.boards import Board
    from imagetree.leaderboard.keeping import Kept
    from imagetree.leaderboard.limits import Clock
    from imagetree.leaderboard.scoring import Judged, Referee
    from imagetree.leaderboard.teams import Team

_ENTRIES = schema.entries.c


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What a team sends.

    Args:
        path: of the file.
        team: its name.
        title: of the entry; the file's name if empty.
        description: what was done, shown to all.
        method: the network or algorithm, in a few words, shown to all.
        uses_extra_data: whether training data from outside the challenge was used.
        form: how the file is written, where it does not say itself.
        who: sends it.
        file_name: that it had where it comes from; the path's if empty.
    """

    path: Path
    team: str
    title: str = ""
    description: str = ""
    method: str = ""
    uses_extra_data: bool = False
    form: Form = Form()  # noqa: RUF009 (frozen)
    who: str = ""
    file_name: str = ""


@dataclass(frozen=True)
class Entry:
    """An entry of a leaderboard, with what may be known of its score.

    Args:
        id: its number in the database; earlier entries have lower ones.
        team: name of its team.
        title: of the entry.
        description: what was done.
        method: the network or algorithm.
        uses_extra_data: whether training data from outside the challenge was used.
        who: sent it.
        submitted_at: UTC, ISO 8601.
        file_name: as it was sent.
        size_bytes: of the file.
        sha256: of the file.
        format: that it was read in.
        labels: a kind of labels it was read with; None for the file's own.
        equal_to: first entry of another team with the same bytes; None if there is none.
        withdrawn_at: UTC, ISO 8601; None while it stands.
        errors: by the number of guesses, with 99.9 % intervals.
        scorer: the version that computed them.
        scored_at: UTC, ISO 8601.
    """

    id: int
    team: str
    title: str
    description: str
    method: str
    uses_extra_data: bool
    who: str
    submitted_at: str
    file_name: str
    size_bytes: int
    sha256: str
    format: str
    labels: str | None
    equal_to: int | None
    withdrawn_at: str | None
    errors: tuple[TopK, ...]
    scorer: str
    scored_at: str

    def error_at(self, k: int) -> TopK:
        """Its errors at k guesses."""
        return next(top for top in self.errors if top.k == k)


class Receipt(NamedTuple):
    """What became of a submission.

    Args:
        entry: the entry that it is.
        is_replay: whether the team had sent these bytes before; nothing was counted then.
    """

    entry: Entry
    is_replay: bool


def submit(
    database: Database, board_name: str, submission: Submission, *, clock: Clock = utc_clock
) -> Receipt:
    """Send an entry to a leaderboard: check it, keep its file, score it.

    The same bytes from the same team are the entry that they were, and count nothing; from another
    team they are an entry of its own, which the log and `Entry.equal_to` mark for the curator. A
    refused file counts nothing. Every way it goes is logged.

    Args:
        database: that keeps the leaderboard.
        board_name: of the leaderboard.
        submission: what is sent.
        clock: tells the time.

    Raises:
        ChallengeError: there is no such board or team, the board is closed, the team has sent as
            many entries as it may, or the file has faults, which say nothing of the truth; or the
            challenge or its labels are not here.
        ImagetreeError: the file cannot be kept.
    """
    with database.reading() as connection:
        board = board_named(connection, board_name)
    referee = referee_of(challenge_of(board), board.split)
    try:
        return _submit(database, board, referee, submission, clock)
    except ChallengeError as error:
        _log_refusal(database, board, submission, error)
        raise


def withdraw(database: Database, entry_id: int, who: str = "") -> Entry:
    """Withdraw an entry: it stays, marked and without a rank, and counts for the limit.

    Raises:
        ChallengeError: there is no such entry, it was withdrawn before, or its board is closed.
    """
    with database.writing() as connection:
        board, entry = entry_of(connection, entry_id)
        check_is_open(board)
        if entry.withdrawn_at is not None:
            raise ChallengeError(f"entry {entry_id} was withdrawn on {entry.withdrawn_at[:10]}")
        here = update(schema.entries).where(_ENTRIES.id == entry_id)
        connection.execute(here.values(withdrawn_at=utc_now()))
        team = team_named(connection, entry.team)
        note_action(connection, Action.WITHDRAWN, Subject(board.id, team.id, entry_id), who)
        return entry_of(connection, entry_id)[1]


def entries(database: Database, board_name: str) -> tuple[Entry, ...]:
    """The entries of a leaderboard in the order in which they came.

    Raises:
        ChallengeError: there is no such board.
    """
    with database.reading() as connection:
        return entries_of(connection, board_named(connection, board_name))


def entries_of(connection: Connection, board: Board) -> tuple[Entry, ...]:
    """The entries of a leaderboard, as a transaction sees them."""
    plain = [column for column in _ENTRIES if column.name in Entry.__dataclass_fields__]
    query = (
        select(schema.teams.c.name.label("team"), *plain)
        .join_from(schema.entries, schema.teams)
        .where(_ENTRIES.board_id == board.id)
        .order_by(_ENTRIES.id)
    )
    scores = read_scores(connection, board.id)
    return tuple(
        Entry(**row._asdict() | scores[row.id]._asdict()) for row in connection.execute(query)
    )


def entry_of(connection: Connection, entry_id: int) -> tuple[Board, Entry]:
    """An entry and its leaderboard, as a transaction sees them.

    Raises:
        ChallengeError: there is no such entry.
    """
    query = select(schema.leaderboards.c.name).join_from(schema.leaderboards, schema.entries)
    name = connection.scalar(query.where(_ENTRIES.id == entry_id))
    if name is None:
        raise ChallengeError(
            f"no entry {entry_id}", hint="imagetree leaderboard entries NAME lists them"
        )
    board = board_named(connection, name)
    return board, next(each for each in entries_of(connection, board) if each.id == entry_id)


def _submit(
    database: Database, board: Board, referee: Referee, submission: Submission, clock: Clock
) -> Receipt:
    check_is_open(board)
    values = _check_words(submission)
    with database.reading() as connection:
        team = team_named(connection, submission.team)
    with keep_file(submission.path, board.entries_folder) as (kept, file):
        if receipt := _replay(database, board, team, kept, values["who"]):
            return receipt
        with database.reading() as connection:  # before the work; the place is taken in _add
            check_quota(connection, board, team, clock())
        answers = referee.read(file, values["file_name"], submission.form)
    judged = referee.judge(answers)
    values |= kept._asdict() | {"format": answers.format, "labels": submission.form.labels}
    return _add(database, (board, team), values, judged, clock)


def _check_words(submission: Submission) -> dict[str, Any]:
    """What a team says of its entry, as it is stored."""
    file_name = shown_name(submission.file_name or submission.path.name)
    return {
        "file_name": file_name,
        "title": check_name(submission.title or file_name.strip() or "entry", "title"),
        "description": check_text(submission.description, "description"),
        "method": check_text(submission.method, "method"),
        "uses_extra_data": submission.uses_extra_data,
        "who": check_name(submission.who, "who") if submission.who else "",
    }


def _replay(database: Database, board: Board, team: Team, kept: Kept, who: str) -> Receipt | None:
    """The entry that these bytes of this team are already, if they are."""
    with database.reading() as connection:
        if _find_equal(connection, board, team, kept.sha256) is None:
            return None
    with database.writing() as connection:
        return _replay_as(connection, (board, team), kept.sha256, who)


def _replay_as(
    connection: Connection, sender: tuple[Board, Team], sha256: str, who: str
) -> Receipt | None:
    board, team = sender
    entry_id = _find_equal(connection, board, team, sha256)
    if entry_id is None:
        return None
    note_action(connection, Action.REPLAYED, Subject(board.id, team.id, entry_id), who)
    return Receipt(entry_of(connection, entry_id)[1], is_replay=True)


def _add(
    database: Database,
    sender: tuple[Board, Team],
    values: dict[str, Any],
    judged: Sequence[Judged],
    clock: Clock,
) -> Receipt:
    """Take the place, if there is one, and write all of the entry; or nothing."""
    board, team = sender
    with database.writing() as connection:
        check_is_open(board_named(connection, board.name))
        if receipt := _replay_as(connection, sender, values["sha256"], values["who"]):
            return receipt  # it was sent twice at one moment
        now = clock()
        check_quota(connection, board, team, now)
        equal_to = _find_equal(connection, board, None, values["sha256"])
        own = {"board_id": board.id, "team_id": team.id, "equal_to": equal_to}
        added = insert(schema.entries).values(values | own | {"submitted_at": stamp(now)})
        entry_id = connection.execute(added.returning(_ENTRIES.id)).scalar_one()
        add_score(connection, entry_id, judged)
        note = f"the bytes of entry {equal_to}, of another team" if equal_to else ""
        subject = Subject(board.id, team.id, entry_id)
        note_action(connection, Action.SUBMITTED, subject, values["who"], note)
        return Receipt(entry_of(connection, entry_id)[1], is_replay=False)


def _find_equal(connection: Connection, board: Board, team: Team | None, sha256: str) -> int | None:
    """The first entry with these bytes, of a team or of any."""
    query = select(_ENTRIES.id).where(_ENTRIES.board_id == board.id, _ENTRIES.sha256 == sha256)
    if team is not None:
        query = query.where(_ENTRIES.team_id == team.id)
    return connection.scalar(query.order_by(_ENTRIES.id).limit(1))


def _log_refusal(
    database: Database, board: Board, submission: Submission, error: ChallengeError
) -> None:
    who = shown_name(submission.who) if submission.who else ""
    with database.writing() as connection:
        try:
            team_id = team_named(connection, submission.team).id
        except ChallengeError:
            team_id = None
        note_action(connection, Action.REFUSED, Subject(board.id, team_id), who, error.message)
