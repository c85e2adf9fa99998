"""What opens an account besides its password: sessions, tokens of programs, links to reset it.

A key is 256 random bits that its owner alone has; the database keeps its SHA-256, so that who reads
the database can open nothing. A hash without salt is enough: such a key cannot be guessed.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, insert, select, update

from imagetree.accounts.audit import note_action
from imagetree.accounts.clock import after, stored
from imagetree.accounts.limits import RESET_OF_ACCOUNT, count_try
from imagetree.accounts.users import Account, find_account, set_password
from imagetree.accounts.words import check_password
from imagetree.database.schema import account_keys, accounts
from imagetree.errors import AccountError

if TYPE_CHECKING:
    from datetime import datetime

    from imagetree.accounts.audit import Origin
    from imagetree.database.store import Database

SESSION, TOKEN, RESET = "session", "token", "reset"
SECONDS = {SESSION: 90 * 86400, TOKEN: 365 * 86400, RESET: 3600}
"""How long each is good for;"""
IDLE_SECONDS = 14 * 86400
"""a session that is not used ends earlier."""
_SEEN_EVERY = timedelta(minutes=5)  # a write for each request would be too many
MAX_TOKENS = 20
_KEYS = account_keys.c


class Key(NamedTuple):
    """A session or token, as its owner sees it in a list.

    Args:
        id: its number.
        purpose: session, token or reset.
        label: browser of a session, name of a token.
        created_at: UTC, ISO 8601.
        used_at: when it was last used, to five minutes.
        expires_at: when it ends.
    """

    id: int
    purpose: str
    label: str
    created_at: str
    used_at: str
    expires_at: str


class Opened(NamedTuple):
    """What a key opens.

    Args:
        account: whose it is.
        key_id: its number.
    """

    account: Account
    key_id: int


def open_session(database: Database, account: Account, agent: str, at: datetime) -> str:
    """Begin a session; what is given back is the cookie's value, and kept nowhere else.

    Args:
        database: that keeps it.
        account: who has logged in.
        agent: the browser, as it calls itself.
        at: the time.
    """
    return _make(database, account.id, SESSION, agent[:200], at)


def make_token(database: Database, account: Account, label: str, origin: Origin) -> str:
    """Make a token for a program; it is shown once.

    Raises:
        AccountError: it has no name, or there are too many.
    """
    label = label.strip()[:100]
    if not label or not label.isprintable():
        raise AccountError("a token needs a name (expected what it is for)")
    there = list_keys(database, account.id, origin.at)
    if sum(key.purpose == TOKEN for key in there) >= MAX_TOKENS:
        raise AccountError(f"there are {MAX_TOKENS} tokens already (expected to revoke one first)")
    key = _make(database, account.id, TOKEN, label, origin.at)
    with database.writing() as connection:
        note_action(connection, origin, f"token {label} made", account.id)
    return key


def make_reset(database: Database, account: Account, origin: Origin) -> str:
    """Make the key of a link by which a password can be set once, within an hour.

    Raises:
        TooMany: too many were asked for.
    """
    count_try(database, [(RESET_OF_ACCOUNT, str(account.id))], origin.at)
    key = _make(database, account.id, RESET, "", origin.at)
    with database.writing() as connection:
        note_action(connection, origin, "reset asked for", account.id)
    return key


def use_reset(database: Database, key: str, password: str, origin: Origin) -> Account:
    """Set a password by the key of a link, which is used up.

    Raises:
        AccountError: the key is none, used up or too old; or the password is not fit, and the key
            is good for another try.
    """
    opened = find_by_key(database, key, RESET, origin.at)
    if opened is not None:
        check_password(password, opened.account.name)
        with database.writing() as connection:  # of two who use it at once one is the first
            gone = connection.execute(delete(account_keys).where(_KEYS.id == opened.key_id))
        if gone.rowcount:
            set_password(database, opened.account.id, password, origin)
            return opened.account
    raise AccountError("this link was used or is too old (expected a new one)")


def list_keys(database: Database, account_id: int, at: datetime) -> tuple[Key, ...]:
    """The sessions and tokens of an account that are still good, the newest first."""
    query = (
        select(
            _KEYS.id, _KEYS.purpose, _KEYS.label, _KEYS.created_at, _KEYS.used_at, _KEYS.expires_at
        )
        .where(_KEYS.account_id == account_id, _KEYS.expires_at > stored(at))
        .order_by(_KEYS.id.desc())
    )
    with database.reading() as connection:
        found = [Key(*row) for row in connection.execute(query)]
    idle = after(at, -IDLE_SECONDS)
    return tuple(each for each in found if each.purpose != SESSION or each.used_at > idle)


def revoke_key(database: Database, account_id: int, key_id: int, origin: Origin) -> None:
    """End a session or token.

    Raises:
        AccountError: the account has none of this number.
    """
    own = (_KEYS.account_id == account_id) & (_KEYS.id == key_id)
    with database.writing() as connection:
        gone = connection.execute(delete(account_keys).where(own))
        if not gone.rowcount:
            raise AccountError("there is no such session or token")
        note_action(connection, origin, f"key {key_id} revoked", account_id)


def find_by_key(database: Database, key: str, purpose: str, at: datetime) -> Opened | None:
    """What a key opens; None where it opens nothing (any more).

    Args:
        database: that keeps it.
        key: as the cookie or the program sends it.
        purpose: SESSION, TOKEN or RESET; none is ever taken for another.
        at: the time.
    """
    query = (
        select(account_keys)
        .join(accounts, accounts.c.id == _KEYS.account_id)
        .where(
            _KEYS.digest == _digest(key),
            _KEYS.purpose == purpose,
            _KEYS.expires_at > stored(at),
            accounts.c.disabled_at.is_(None),
        )
    )
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    if row is None or (purpose == SESSION and row.used_at <= after(at, -IDLE_SECONDS)):
        return None
    if row.used_at <= stored(at - _SEEN_EVERY):
        with database.writing() as connection:
            here = update(account_keys).where(_KEYS.id == row.id)
            connection.execute(here.values(used_at=stored(at)))
    return Opened(find_account(database, row.account_id), row.id)


def _make(database: Database, account_id: int, purpose: str, label: str, at: datetime) -> str:
    key = secrets.token_urlsafe(32)
    values = {
        "account_id": account_id,
        "purpose": purpose,
        "digest": _digest(key),
        "label": "".join(c if c.isprintable() else "?" for c in label),
        "created_at": stored(at),
        "used_at": stored(at),
        "expires_at": after(at, SECONDS[purpose]),
    }
    with database.writing() as connection:
        connection.execute(delete(account_keys).where(_KEYS.expires_at <= stored(at)))
        connection.execute(insert(account_keys).values(values))
    return key


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
