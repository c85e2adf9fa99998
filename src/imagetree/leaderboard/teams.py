"""Teams: who sends entries, to any leaderboard of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import insert, select

from imagetree.database import schema
from imagetree.database.journal import utc_now
from imagetree.errors import ChallengeError
from imagetree.leaderboard.audit import Action, Subject, note_action
from imagetree.leaderboard.words import check_name, check_text, key_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from imagetree.database.store import Database

_TEAMS = schema.teams.c


class Team(NamedTuple):
    """A team.

    Args:
        id: its number in the database.
        name: as it is shown.
        members: who they are, as they wrote it.
        account_id: of the site that keeps accounts; None where there is none.
        created_at: UTC, ISO 8601.
    """

    id: int
    name: str
    members: str
    account_id: int | None
    created_at: str


def add_team(
    database: Database,
    name: str,
    members: str = "",
    account_id: int | None = None,
    who: str = "",
) -> Team:
    """Add a team.

    Args:
        database: that keeps it.
        name: new; two names that differ in case or form of letters alone are one.
        members: who they are.
        account_id: of the site that keeps accounts.
        who: adds it.

    Raises:
        ChallengeError: the name cannot be one or is taken, or the members cannot be stored.
    """
    name, members = check_name(name, "team"), check_text(members, "members")
    values = {
        "name": name,
        "key": key_of(name),
        "members": members,
        "account_id": account_id,
        "created_at": utc_now(),
    }
    with database.writing() as connection:
        taken = connection.scalar(select(_TEAMS.name).where(_TEAMS.key == values["key"]))
        if taken is not None:
            raise ChallengeError(f"team {taken!r} is there already", hint="choose another name")
        added = insert(schema.teams).values(values).returning(_TEAMS.id)
        team_id = connection.execute(added).scalar_one()
        note_action(connection, Action.TEAM_ADDED, Subject(team_id=team_id), who)
        return team_named(connection, name)


def teams(database: Database) -> tuple[Team, ...]:
    """All teams by name."""
    with database.reading() as connection:
        return teams_of(connection)


def teams_of(connection: Connection) -> tuple[Team, ...]:
    """All teams by name, as a transaction sees them."""
    columns = [_TEAMS[name] for name in Team._fields]
    rows = connection.execute(select(*columns).order_by(_TEAMS.name))
    return tuple(Team(*row) for row in rows)


def team_named(connection: Connection, name: str) -> Team:
    """The team of a name, as a transaction sees it.

    Raises:
        ChallengeError: there is none.
    """
    columns = [_TEAMS[field] for field in Team._fields]
    query = select(*columns).where(_TEAMS.key == key_of(name))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise ChallengeError(
            f"no team {name[:100]!r}",
            hint="add it: imagetree leaderboard team NAME --members TEXT",
        )
    return Team(*row)
