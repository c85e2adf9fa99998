"""Entries scored again from the files that were kept, and all figures of an entry.

A score that comes out otherwise than before is a fault: of the file, of the truth, or of a scorer
that has changed. It is listed, kept beside the older one, and counts from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from imagetree.challenge.answers import Form
from imagetree.errors import ChallengeError
from imagetree.leaderboard.audit import Action, Subject, note_action
from imagetree.leaderboard.boards import challenge_of, find_board
from imagetree.leaderboard.entries import entries, entry_of
from imagetree.leaderboard.keeping import kept_file
from imagetree.leaderboard.scoring import add_score, differences, read_judged, referee_of
from imagetree.leaderboard.teams import team_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagetree.challenge.answers import Answers
    from imagetree.challenge.score import Score
    from imagetree.database.store import Database
    from imagetree.leaderboard.boards import Board
    from imagetree.leaderboard.entries import Entry
    from imagetree.leaderboard.scoring import Referee


class Rescored(NamedTuple):
    """An entry that was scored again.

    Args:
        entry_id: of the entry.
        team: its name.
        title: of the entry.
        scorer_before: the version that scored it before.
        differences: from that score; empty where it is the same.
        fault: why it could not be scored again; empty where it could.
    """

    entry_id: int
    team: str
    title: str
    scorer_before: str
    differences: tuple[str, ...]
    fault: str


def rescore(
    database: Database,
    board_name: str,
    who: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Rescored, ...]:
    """Score all entries of a leaderboard again, each from its file; it may be closed.

    A file that is missing or was changed is listed with its entry, and the others are scored.

    Args:
        database: that keeps it.
        board_name: of the leaderboard.
        who: does it.
        progress: told (entries done, entries in all).

    Raises:
        ChallengeError: there is no such board, or its challenge or labels are not here.
    """
    board = find_board(database, board_name)
    referee = referee_of(challenge_of(board), board.split)
    rows = []
    listed = entries(database, board_name)
    for number, entry in enumerate(listed, 1):
        rows.append(_rescore(database, board, referee, entry, who))
        if progress is not None:
            progress(number, len(listed))
    return tuple(rows)


def entry_figures(database: Database, entry_id: int) -> Score:
    """All figures of an entry, those by class too, computed from its file.

    Raises:
        ChallengeError: there is no such entry; its board is open and shows no such figures before
            it is closed; or its file, the challenge or the labels are not here.
    """
    with database.reading() as connection:
        board, entry = entry_of(connection, entry_id)
    if board.is_sealed:
        raise ChallengeError(
            f"leaderboard {board.name!r}: figures by class are sealed until it is closed",
            hint=f"the errors of an entry: imagetree leaderboard entries {board.name}",
        )
    referee = referee_of(challenge_of(board), board.split)
    return referee.score(_read_kept(board, referee, entry))


def _rescore(
    database: Database, board: Board, referee: Referee, entry: Entry, who: str
) -> Rescored:
    found: tuple[str, ...] = ()
    fault = ""
    judged = None
    try:
        judged = referee.judge(_read_kept(board, referee, entry))
    except ChallengeError as error:
        fault = error.message
    with database.writing() as connection:
        if judged is not None:
            found = differences(read_judged(connection, board.id, entry.id), judged)
            add_score(connection, entry.id, judged)
        subject = Subject(board.id, team_named(connection, entry.team).id, entry.id)
        note = fault or "; ".join(found) or "the same"
        note_action(connection, Action.RESCORED, subject, who, note)
    return Rescored(entry.id, entry.team, entry.title, entry.scorer, found, fault)


def _read_kept(board: Board, referee: Referee, entry: Entry) -> Answers:
    form = Form(format=entry.format, labels=entry.labels)
    with kept_file(board.entries_folder, entry.sha256) as file:
        return referee.read(file, entry.file_name, form)
