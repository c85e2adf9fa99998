"""How often something may be tried: kept in the database, so that all workers count together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, func, insert, select

from imagetree.database.schema import account_tries
from imagetree.errors import AccountError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from imagetree.database.store import Database

_TRIES = account_tries.c


class Limit(NamedTuple):
    """At most so many in a time.

    Args:
        what: is limited, in words that follow "too many".
        most: how many.
        seconds: in how long.
    """

    what: str
    most: int
    seconds: int


LOGIN_OF_ACCOUNT = Limit("logins", 10, 15 * 60)
LOGIN_FROM_ADDRESS = Limit("logins from here", 60, 15 * 60)
SIGNUP_FROM_ADDRESS = Limit("signups", 10, 60 * 60)
RESET_OF_ACCOUNT = Limit("resets", 5, 60 * 60)
PHOTOS = Limit("photos", 120, 60 * 60)
VOTES = Limit("pages of votes", 600, 60 * 60)
ENTRIES = Limit("entries", 60, 60 * 60)
"""Refused ones too, which a leaderboard's own limit does not count."""
MAILS_FROM_ADDRESS = Limit("mails asked for from here", 20, 60 * 60)
MAILS_TO_ADDRESS = Limit("mails to this address", 5, 60 * 60)
MAILS = Limit("mails from this site", 500, 60 * 60)
"""That strangers ask for, all together: announcements are not limited."""


class TooMany(AccountError):
    """Something was tried too often.

    Args:
        limit: that was reached.
        seconds: after which it may be tried again.
    """

    def __init__(self, limit: Limit, seconds: int) -> None:
        super().__init__(f"too many {limit.what}: try again in {-(-seconds // 60)} minutes")
        self.seconds = seconds


def count_try(database: Database, tries: Iterable[tuple[Limit, str]], at: datetime) -> None:
    """Count one try of each; nothing is counted where one of the limits is reached.

    Args:
        database: that counts.
        tries: limits, and whose each is: an account's key, an address.
        at: the time.

    Raises:
        TooMany: a limit is reached.
    """
    time = at.timestamp()
    keys = [(limit, f"{limit.what}: {whose}") for limit, whose in tries]
    with database.writing() as connection:
        for limit, key in keys:
            is_own = _TRIES.key == key
            connection.execute(
                delete(account_tries).where(is_own, _TRIES.at <= time - limit.seconds)
            )
            query = select(func.count(), func.min(_TRIES.at)).where(is_own)
            count, first = connection.execute(query).one()
            if count >= limit.most:
                raise TooMany(limit, max(1, int(first + limit.seconds - time) + 1))
        connection.execute(insert(account_tries), [{"key": key, "at": time} for _, key in keys])


def forget_tries(database: Database, limit: Limit, whose: str) -> None:
    """Begin again to count, as after a right password."""
    with database.writing() as connection:
        connection.execute(delete(account_tries).where(_TRIES.key == f"{limit.what}: {whose}"))
