"""Who is on the mailing list: addresses that were confirmed by a link that was sent to them.

A link's key is signed and names the row of its address and a random word of that row, which changes
when the address joins and goes when it leaves. So every link is good once, a link to leave for as
long as somebody is on the list, and who reads the database can make none.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, NamedTuple

from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy import delete, func, insert, select, update

from imagetree.accounts.clock import after, stored
from imagetree.database.schema import subscribers

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Row

    from imagetree.database.store import Database

ASKED_SECONDS = 2 * 86400
"""In which an address is to be confirmed; after that it is forgotten."""

JOIN, LEAVE = "join", "leave"
_SUBSCRIBERS = subscribers.c
_MAX_KEY = 200  # characters; a true key has about 90


class Subscriber(NamedTuple):
    """An address of the list.

    Args:
        id: of its row.
        email: where mail goes.
        nonce: the word that its links name.
        joined_at: UTC, ISO 8601; None until it is confirmed.
    """

    id: int
    email: str
    nonce: str
    joined_at: str | None


def add_asked(database: Database, email: str, at: datetime) -> Subscriber:
    """The subscriber of an address, who is not on the list before the address is confirmed."""
    is_it = _SUBSCRIBERS.email == email
    with database.writing() as connection:
        is_forgotten = _SUBSCRIBERS.asked_at <= after(at, -ASKED_SECONDS)
        connection.execute(
            delete(subscribers).where(_SUBSCRIBERS.joined_at.is_(None), is_forgotten)
        )
        if connection.scalar(select(_SUBSCRIBERS.id).where(is_it)) is None:
            values = {"email": email, "nonce": _new_nonce(), "asked_at": stored(at)}
            connection.execute(insert(subscribers).values(values))
        else:
            connection.execute(update(subscribers).where(is_it).values(asked_at=stored(at)))
        return _as_subscriber(connection.execute(select(subscribers).where(is_it)).one())


def find_member(database: Database, which: int | str) -> Subscriber | None:
    """Who is on the list by a number or an address; None where it is not on it."""
    is_it = _SUBSCRIBERS.id == which if isinstance(which, int) else _SUBSCRIBERS.email == which
    query = select(subscribers).where(is_it, _SUBSCRIBERS.joined_at.is_not(None))
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else _as_subscriber(row)


def count_members(database: Database) -> int:
    """How many are on the list."""
    query = select(func.count()).where(_SUBSCRIBERS.joined_at.is_not(None))
    with database.reading() as connection:
        return connection.scalar(query) or 0


def key_of(secret: bytes, purpose: str, subscriber: Subscriber) -> str:
    """The key of a link.

    Args:
        secret: of the site.
        purpose: JOIN or LEAVE; neither key is ever taken for the other.
        subscriber: whose link it is.
    """
    return str(_signer(secret, purpose).dumps([subscriber.id, subscriber.nonce]))


def join(database: Database, secret: bytes, key: str, at: datetime) -> bool:
    """Put an address on the list by the key of a link; whether the key was good."""
    is_it = _named_by(secret, JOIN, key)
    if is_it is None:
        return False
    is_recent = _SUBSCRIBERS.asked_at > after(at, -ASKED_SECONDS)
    values = {"joined_at": stored(at), "nonce": _new_nonce()}
    with database.writing(alone=False) as connection:
        here = update(subscribers).where(is_it, _SUBSCRIBERS.joined_at.is_(None), is_recent)
        return bool(connection.execute(here.values(values)).rowcount)


def leave(database: Database, secret: bytes, key: str) -> bool:
    """Take an address off the list, and what waits to be sent to it; whether the key was good."""
    is_it = _named_by(secret, LEAVE, key)
    if is_it is None:
        return False
    with database.writing(alone=False) as connection:
        return bool(connection.execute(delete(subscribers).where(is_it)).rowcount)


def _named_by(secret: bytes, purpose: str, key: str) -> ColumnElement[bool] | None:
    """The row that a key names; None for one that was not made here."""
    if len(key) > _MAX_KEY or not key.isascii():
        return None
    try:
        number, nonce = _signer(secret, purpose).loads(key)
    except BadData:
        return None
    is_it: ColumnElement[bool] = (_SUBSCRIBERS.id == number) & (_SUBSCRIBERS.nonce == nonce)
    return is_it


def _signer(secret: bytes, purpose: str) -> URLSafeSerializer:
    options = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeSerializer(secret, salt=f"mailing list {purpose}", signer_kwargs=options)


def _as_subscriber(row: Row[tuple[object, ...]]) -> Subscriber:
    return Subscriber(row.id, row.email, row.nonce, row.joined_at)


def _new_nonce() -> str:
    return secrets.token_urlsafe(12)
