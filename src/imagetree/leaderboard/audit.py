"""The log of a leaderboard: what was done or refused, when, by whom. Rows are added, never changed.

What is done and its row are written in one transaction, so that neither is there without the other.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import insert, select

from imagetree.database import schema
from imagetree.database.journal import utc_now

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from imagetree.database.store import Database

_MAX_NOTE = 4000
_LOG = schema.leaderboard_log.c


class Action(StrEnum):
    """What is logged."""

    OPENED = "opened"
    MOVED = "moved"
    CLOSED = "closed"
    TEAM_ADDED = "team added"
    SUBMITTED = "submitted"
    REPLAYED = "replayed"  # the same bytes again by the same team: nothing has changed
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    RESCORED = "rescored"


class Subject(NamedTuple):
    """What a row of the log is about; None where it is about no such thing.

    Args:
        board_id: of the leaderboard.
        team_id: of the team.
        entry_id: of the entry.
    """

    board_id: int | None = None
    team_id: int | None = None
    entry_id: int | None = None


class LogRow(NamedTuple):
    """A row of the log.

    Args:
        id: its number; they rise with time.
        at: UTC, ISO 8601.
        action: what was done, an `Action`.
        who: did it.
        board: name of the leaderboard; None for a row about a team alone.
        team: name of the team; None for a row about a board alone.
        entry_id: of the entry; None where there is none.
        note: how it went: why a file was refused, what has changed.
    """

    id: int
    at: str
    action: str
    who: str
    board: str | None
    team: str | None
    entry_id: int | None
    note: str


def note_action(
    connection: Connection, action: Action, subject: Subject, who: str, note: str = ""
) -> None:
    """Add a row to the log.

    Args:
        connection: of the transaction that does it.
        action: what is done.
        subject: what it is done to.
        who: does it.
        note: how it went; what is longer than 4,000 characters is cut.
    """
    values = {
        **subject._asdict(),
        "at": utc_now(),
        "who": who,
        "action": str(action),
        "note": note[:_MAX_NOTE],
    }
    connection.execute(insert(schema.leaderboard_log).values(values))


def read_log(database: Database, board: str | None = None) -> tuple[LogRow, ...]:
    """The log, the oldest row first.

    Args:
        database: that has it.
        board: name of the leaderboard whose rows are wanted; None for all rows.
    """
    boards, teams = schema.leaderboards.c, schema.teams.c
    query = (
        select(
            *(_LOG.id, _LOG.at, _LOG.action, _LOG.who),
            *(boards.name, teams.name, _LOG.entry_id, _LOG.note),
        )
        .select_from(
            schema.leaderboard_log.outerjoin(
                schema.leaderboards, boards.id == _LOG.board_id
            ).outerjoin(schema.teams, teams.id == _LOG.team_id)
        )
        .order_by(_LOG.id)
    )
    if board is not None:
        query = query.where(boards.name == board)
    with database.reading() as connection:
        return tuple(LogRow(*row) for row in connection.execute(query))
