"""Mail that is to be sent, as rows of the database: what was promised survives a killed process.

A row says what is to be sent to whom and holds no link that opens anything: that is made when the
mail is sent. Whoever asks for a mail to an address writes the same row whether the address is known
or not, so that neither the answer nor its time tells.

A mail is sent by one process at a time, which deletes its row when the server has taken it. Should
the process be killed between the two, the mail is sent again: an announcement with the same
Message-ID, by which mailboxes know it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, func, insert, literal, or_, select, update

from imagetree.database.news import Draft, NewsRow, add_news
from imagetree.database.schema import outbox, subscribers

if TYPE_CHECKING:
    from datetime import datetime

    from imagetree.database.store import Database

_OUT = outbox.c
HELD_SECONDS = 600.0
"""For which a mail is its sender's; longer than a conversation with the server can take."""


class Purpose(StrEnum):
    """What a mail is for."""

    RESET = "reset"  # a link that sets a password
    JOIN = "join"  # a link that confirms an address of the mailing list
    LEAVE = "leave"
    NEWS = "news"  # an announcement to a member of the list


KEPT_SECONDS = {
    Purpose.RESET: 3600.0,
    Purpose.JOIN: 2 * 86400.0,
    Purpose.LEAVE: 2 * 86400.0,
    Purpose.NEWS: 5 * 86400.0,
}
"""For which sending is tried; what comes later nobody waits for."""

_ASKED_FOR = (Purpose.RESET, Purpose.JOIN, Purpose.LEAVE)


class Waiting(NamedTuple):
    """A mail that is to be sent.

    Args:
        id: of its row.
        purpose: what for.
        email: who asked for it; None for an announcement.
        subscriber_id: who an announcement goes to.
        news_id: which announcement.
        tries: how often it was tried before.
    """

    id: int
    purpose: Purpose
    email: str | None
    subscriber_id: int | None
    news_id: int | None
    tries: int


def ask(database: Database, purpose: Purpose, email: str, at: datetime) -> None:
    """Let a mail be sent to an address, if there is reason to; that is found out later."""
    with database.writing(alone=False) as connection:
        row = _new(purpose, at) | {"email": email}
        connection.execute(insert(outbox).values(row))


def announce(database: Database, draft: Draft, at: datetime) -> NewsRow:
    """Announce something, and let it be sent to all who are on the mailing list by now.

    Both or neither is kept. A draft that was announced before is not sent again.

    Raises:
        DatabaseError: title or text cannot be stored.
    """
    with database.writing() as connection:
        row, is_new = add_news(connection, draft)
        if is_new:
            fixed = _new(Purpose.NEWS, at) | {"news_id": row.id}
            chosen = select(subscribers.c.id, *map(literal, fixed.values()))
            members = chosen.where(subscribers.c.joined_at.is_not(None))
            names = ["subscriber_id", *fixed]
            connection.execute(insert(outbox).from_select(names, members))
        return row


def has_due(database: Database, at: datetime) -> bool:
    """Whether something is to be sent now."""
    query = select(_OUT.id).where(_OUT.next_at <= at.timestamp()).limit(1)
    with database.reading() as connection:
        return connection.scalar(query) is not None


def take(database: Database, at: datetime) -> Waiting | None:
    """The next mail that is due; those that people wait for go before announcements.

    It is nobody else's for `HELD_SECONDS`, in which it is to be given to `finish` or `postpone`.
    """
    now = at.timestamp()
    columns = [getattr(_OUT, name) for name in Waiting._fields]
    with database.writing(alone=False) as connection:
        for purposes in (_ASKED_FOR, (Purpose.NEWS,)):
            query = (
                select(*columns)
                .where(_OUT.purpose.in_(purposes), _OUT.next_at <= now)
                .order_by(_OUT.next_at, _OUT.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            row = connection.execute(query).one_or_none()
            if row is not None:
                held = {"tries": row.tries + 1, "next_at": now + HELD_SECONDS}
                connection.execute(update(outbox).where(_OUT.id == row.id).values(held))
                return Waiting(*row)._replace(purpose=Purpose(row.purpose))
    return None


def finish(database: Database, waiting: Waiting) -> None:
    """A mail was sent, or never will be."""
    with database.writing(alone=False) as connection:
        connection.execute(delete(outbox).where(_OUT.id == waiting.id))


def postpone(database: Database, waiting: Waiting, at: datetime) -> None:
    """Try a mail again: after a minute, and each time after twice as long, up to four hours."""
    seconds = min(60.0 * 2**waiting.tries, 4 * 3600.0)
    with database.writing(alone=False) as connection:
        here = update(outbox).where(_OUT.id == waiting.id)
        connection.execute(here.values(next_at=at.timestamp() + seconds))


def clear_old(database: Database, at: datetime) -> int:
    """Give up what was tried for too long; returns how much that was."""
    now = at.timestamp()
    is_old = [(_OUT.purpose == each) & (_OUT.made_at < now - s) for each, s in KEPT_SECONDS.items()]
    with database.reading() as connection:  # nearly always there is none, and nobody is held up
        if connection.scalar(select(_OUT.id).where(or_(*is_old)).limit(1)) is None:
            return 0
    with database.writing(alone=False) as connection:
        return connection.execute(delete(outbox).where(or_(*is_old))).rowcount


def count_waiting(database: Database, news_id: int) -> int:
    """To how many an announcement is still to be sent."""
    query = select(func.count()).where(_OUT.news_id == news_id)
    with database.reading() as connection:
        return connection.scalar(query) or 0


def _new(purpose: Purpose, at: datetime) -> dict[str, object]:
    now = at.timestamp()
    return {"purpose": purpose.value, "made_at": now, "tries": 0, "next_at": now}
