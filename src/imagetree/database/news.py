"""Announcements to all visitors, with permanent numbers and names.

One that is withdrawn keeps its row: its number leads nowhere else, and who asks for it is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import insert, select, update

from imagetree.database import schema
from imagetree.database.journal import utc_now
from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from imagetree.database.store import Database

MAX_TITLE = 120
MAX_TEXT = 10_000
_NEWS = schema.news.c


class NewsRow(NamedTuple):
    """An announcement.

    Args:
        id: its number; they rise with time.
        uuid: its permanent name, in feeds.
        title: a line.
        text: plain; a blank line parts paragraphs.
        author: name of the curator.
        posted_at: UTC, ISO 8601.
        updated_at: when it was last corrected, likewise.
        withdrawn_at: likewise; None while it is shown.
    """

    id: int
    uuid: str
    title: str
    text: str
    author: str
    posted_at: str
    updated_at: str
    withdrawn_at: str | None


def fault_of_news(title: str, text: str) -> str:
    """Why an announcement cannot be posted; empty if it can.

    >>> fault_of_news("Fall release", "It is there."), fault_of_news("", "It is there.")
    ('', 'the title has 0 characters (expected 1 to 120, in one line)')
    """
    if not title.isprintable() or not 0 < len(title.strip()) <= MAX_TITLE:
        return f"the title has {len(title)} characters (expected 1 to {MAX_TITLE}, in one line)"
    if not 0 < len(text.strip()) <= MAX_TEXT:
        return f"the text has {len(text)} characters (expected 1 to {MAX_TEXT})"
    # XML 1.0 has no way to write other control characters, so that no feed could carry them.
    if any(not (each.isprintable() or each in "\n\t") for each in text):
        return "the text has control characters (expected printable ones and line breaks)"
    return ""


class Draft(NamedTuple):
    """What is to be announced.

    Args:
        title: a line.
        text: plain; a blank line parts paragraphs.
        author: name of the curator.
        uuid: its permanent name, so that what is sent twice is announced once; empty for a new one.
    """

    title: str
    text: str
    author: str
    uuid: str = ""


def post_news(database: Database, title: str, text: str, author: str) -> NewsRow:
    """Announce something.

    Raises:
        DatabaseError: title or text cannot be stored; see `fault_of_news`.
    """
    with database.writing() as connection:
        return add_news(connection, Draft(title, text, author))[0]


def add_news(connection: Connection, draft: Draft) -> tuple[NewsRow, bool]:
    """Announce something in a transaction that writes alone.

    Returns:
        The announcement, and whether it is a new one: an earlier one of the same name is given back
        as it is.

    Raises:
        DatabaseError: title or text cannot be stored; see `fault_of_news`.
    """
    values = _checked(draft.title, draft.text)
    uuid = _as_uuid(draft.uuid)
    there = connection.execute(select(schema.news).where(_NEWS.uuid == uuid)).one_or_none()
    if there is not None:
        return NewsRow(*there), False
    now = utc_now()
    values |= {"uuid": uuid, "author": draft.author, "posted_at": now, "updated_at": now}
    key = connection.execute(insert(schema.news).values(values)).inserted_primary_key
    return _get(connection, int(key[0]) if key else 0), True


def _as_uuid(text: str) -> str:
    """A name as it is stored; a new one for what is none."""
    try:
        return str(UUID(text))
    except ValueError:
        return str(uuid4())


def correct_news(database: Database, number: int, title: str, text: str) -> NewsRow:
    """Change an announcement; when that was is kept with it.

    Raises:
        DatabaseError: title or text cannot be stored, or no such announcement is shown.
    """
    return _change(database, number, _checked(title, text) | {"updated_at": utc_now()})


def withdraw_news(database: Database, number: int) -> NewsRow:
    """Show an announcement no more.

    Raises:
        DatabaseError: no such announcement is shown.
    """
    now = utc_now()
    return _change(database, number, {"withdrawn_at": now, "updated_at": now})


def news_of(database: Database, number: int) -> NewsRow | None:
    """An announcement, withdrawn ones too; None where there was never one of this number."""
    with database.reading() as connection:
        row = connection.execute(select(schema.news).where(_NEWS.id == number)).one_or_none()
    return None if row is None else NewsRow(*row)


def news_page(database: Database, n: int, before: int | None = None) -> tuple[NewsRow, ...]:
    """Announcements that are shown, the newest first.

    Args:
        database: where they are.
        n: most to return.
        before: number of the last one of the page before; None for the first page.
    """
    query = select(schema.news).where(_NEWS.withdrawn_at.is_(None))
    if before is not None:
        query = query.where(_NEWS.id < before)
    with database.reading() as connection:
        rows = connection.execute(query.order_by(_NEWS.id.desc()).limit(n)).all()
    return tuple(NewsRow(*row) for row in rows)


def _checked(title: str, text: str) -> dict[str, str]:
    text = text.replace("\r\n", "\n")  # as browsers send it
    if fault := fault_of_news(title, text):
        raise DatabaseError(f"announcement: {fault}")
    return {"title": title.strip(), "text": text.strip()}


def _change(database: Database, number: int, values: dict[str, str]) -> NewsRow:
    is_it = (_NEWS.id == number) & _NEWS.withdrawn_at.is_(None)
    with database.writing() as connection:
        if not connection.execute(update(schema.news).where(is_it).values(values)).rowcount:
            raise DatabaseError(f"announcement {number}: none of this number is shown")
        return _get(connection, number)


def _get(connection: Connection, number: int) -> NewsRow:
    return NewsRow(*connection.execute(select(schema.news).where(_NEWS.id == number)).one())
