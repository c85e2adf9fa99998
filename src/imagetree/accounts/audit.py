"""The log of accounts: what was done to which, when, by whom, from where.

Rows are never changed, but for the name and the addresses of who has left.

A row is written in the transaction of what it tells of.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import insert, select

from imagetree.accounts.clock import stored, utc
from imagetree.database.schema import account_log

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from imagetree.database.store import Database

_LOG = account_log.c


@dataclass(frozen=True)
class Origin:
    """Who does something, where from, and when.

    Args:
        who: name of an account or of a user of the machine.
        address: of the network; empty at the command line.
        at: the time in UTC.
    """

    who: str
    address: str = ""
    at: datetime = field(default_factory=utc)


class AccountLogRow(NamedTuple):
    """A row of the log; `account_id` is None where nobody's account is meant."""

    id: int
    at: str
    account_id: int | None
    who: str
    action: str
    address: str


def note_action(
    connection: Connection, origin: Origin, action: str, account_id: int | None = None
) -> None:
    """Write a row in a transaction."""
    values = {
        "at": stored(origin.at),
        "account_id": account_id,
        "who": _plain(origin.who),
        "action": _plain(action),
        "address": _plain(origin.address),
    }
    connection.execute(insert(account_log), values)


def account_actions(
    database: Database, *, before: int | None = None, limit: int = 100
) -> tuple[AccountLogRow, ...]:
    """The newest rows, or those before one, newest first."""
    query = select(account_log).order_by(_LOG.id.desc()).limit(limit)
    if before is not None:
        query = query.where(_LOG.id < before)
    with database.reading() as connection:
        return tuple(AccountLogRow(*row) for row in connection.execute(query))


def _plain(text: str) -> str:
    """What a stranger may have typed, as one line of a log."""
    return "".join(c if c.isprintable() else "?" for c in text[:200])
