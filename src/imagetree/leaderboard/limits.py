"""How many entries a team may send: so many in any seven days, by UTC.

The fewer answers a sealed split gives, the less can be learnt from it. ILSVRC allowed two a week.
Entries that were withdrawn count, since their errors were seen; files that were refused do not.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from imagetree.database import schema
from imagetree.errors import ChallengeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from imagetree.leaderboard.boards import Board
    from imagetree.leaderboard.teams import Team

    Clock = Callable[[], datetime]

PERIOD = timedelta(days=7)
_ENTRIES = schema.entries.c


class Quota(NamedTuple):
    """What a team may still send to a leaderboard.

    Args:
        limit: entries in any seven days.
        used: entries in the seven days before now.
        free_at: when the next one may come; None where it may come now. UTC, ISO 8601.
    """

    limit: int
    used: int
    free_at: str | None


def utc_clock() -> datetime:
    """The time now, UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """A moment as it is stored: UTC, ISO 8601, to the second, so that text sorts as time does."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def quota_of(connection: Connection, board: Board, team: Team, now: datetime) -> Quota:
    """What a team may still send.

    An entry counts until it is seven days old to the second.

    Args:
        connection: of a transaction; of one that writes alone where the place is then taken.
        board: the leaderboard.
        team: the team.
        now: the time, with its zone.
    """
    query = select(_ENTRIES.submitted_at).where(
        _ENTRIES.board_id == board.id,
        _ENTRIES.team_id == team.id,
        _ENTRIES.submitted_at > stamp(now - PERIOD),
    )
    times = sorted(connection.scalars(query))
    if len(times) < board.weekly_limit:
        return Quota(board.weekly_limit, len(times), None)
    free_at = datetime.fromisoformat(times[-board.weekly_limit]) + PERIOD
    return Quota(board.weekly_limit, len(times), stamp(free_at))


def check_quota(connection: Connection, board: Board, team: Team, now: datetime) -> None:
    """Refuse an entry beyond the limit.

    Args:
        connection: of a transaction.
        board: the leaderboard.
        team: the team.
        now: the time, with its zone.

    Raises:
        ChallengeError: the team has sent as many as it may.
    """
    quota = quota_of(connection, board, team, now)
    if quota.free_at is not None:
        raise ChallengeError(
            f"leaderboard {board.name!r}: team {team.name!r} has sent {quota.used} entries in the "
            f"last seven days (expected up to {quota.limit})",
            hint=f"the next one may come from {quota.free_at} on",
        )
