"""Accounts: made, opened by a password, changed, disabled, deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, func, insert, select, update

from imagetree.accounts import limits, words
from imagetree.accounts.audit import Origin, note_action
from imagetree.accounts.clock import stored
from imagetree.database.schema import (
    account_keys,
    account_log,
    accounts,
    entries,
    leaderboard_log,
    votes,
)
from imagetree.errors import AccountError

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row

    from imagetree.database.store import Database

ROLES = ("visitor", "annotator", "participant", "curator")
_COLUMNS = accounts.c
_WRONG = "wrong name or password"
"""One message for all that keeps a login out, so that it tells nobody which names there are."""


class Account(NamedTuple):
    """An account, without what opens it.

    Args:
        id: its number, never used again.
        name: as others see it.
        email: where mail reaches its owner; None where none was told. Nobody else sees it.
        role: one of `ROLES`.
        created_at: UTC, ISO 8601.
        is_disabled: it cannot be opened.
        is_deleted: its owner has left; name, e-mail and password are gone.
        terms: the version of the terms that was accepted; None for none.
    """

    id: int
    name: str
    email: str | None
    role: str
    created_at: str
    is_disabled: bool
    is_deleted: bool
    terms: str | None


class Signup(NamedTuple):
    """What somebody signs up with.

    Args:
        name: of the account.
        password: as typed.
        email: empty for none.
        role: one of `ROLES`.
    """

    name: str
    password: str
    email: str = ""
    role: str = "participant"


def sign_up(database: Database, signup: Signup, origin: Origin, *, terms: str = "") -> Account:
    """Make an account.

    Args:
        database: that keeps it.
        signup: name, password, e-mail, role.
        origin: who asks, and where from; signups from an address are limited.
        terms: version of the terms that are accepted with it.

    Raises:
        AccountError: the name or the address is taken, or one of them or the password is not fit.
        TooMany: too many signups from there.
    """
    name, email = words.check_name(signup.name), words.check_email(signup.email)
    words.check_password(signup.password, name)
    _check_role(signup.role)
    if origin.address:
        limits.count_try(database, [(limits.SIGNUP_FROM_ADDRESS, origin.address)], origin.at)
    password, time = words.hash_password(signup.password), origin.at
    values = {
        "name": name,
        "key": words.key_of(name),
        "email": email,
        "password": password,
        "role": signup.role,
        "created_at": stored(time),
        "terms": terms or None,
        "terms_at": stored(time) if terms else None,
    }
    with database.writing() as connection:
        for column, value in ((_COLUMNS.key, values["key"]), (_COLUMNS.email, email)):
            if value and connection.scalar(select(_COLUMNS.id).where(column == value)):
                what = "name" if column is _COLUMNS.key else "address"
                raise AccountError(f"this {what} is taken (expected another)")
        [account_id] = connection.execute(
            insert(accounts).values(values).returning(_COLUMNS.id)
        ).one()
        note_action(connection, origin, f"signed up as {signup.role}", account_id)
        return _account(connection, _COLUMNS.id == account_id)


def log_in(database: Database, name: str, password: str, origin: Origin) -> Account:
    """The account of a name, or of an address of e-mail, and its password.

    An unknown name takes as long as a wrong password, and both have the same message.

    Raises:
        AccountError: there is no such account, the password is wrong, or it is disabled.
        TooMany: too many tries for this account or from this address.
    """
    name = "".join(c for c in name[:1000] if c.isprintable())  # of others nobody is called
    key = words.key_of(name)
    is_it = (_COLUMNS.key == key) | (_COLUMNS.email == name.strip().lower())
    with database.reading() as connection:
        row = connection.execute(select(accounts).where(is_it)).one_or_none()
    # By its number, or who guesses could try the name as often as allowed and then the address.
    whose = _whose(row.id) if row else f"name {key}"
    tries = [(limits.LOGIN_OF_ACCOUNT, whose)]
    if origin.address:
        tries.append((limits.LOGIN_FROM_ADDRESS, origin.address))
    limits.count_try(database, tries, origin.at)
    is_right, newer = words.verify_password(password, row.password if row else None)
    with database.writing() as connection:
        if row is None or not is_right or row.disabled_at:
            number = row.id if row else None
            # what was typed is not kept: it may be a password in the wrong field
            note_action(connection, replace(origin, who="?"), "login refused", number)
            refused = True
        else:
            refused = False
            if newer:
                here = update(accounts).where(_COLUMNS.id == row.id)
                connection.execute(here.values(password=newer))
            note_action(connection, origin, "logged in", row.id)
    if refused or row is None:
        raise AccountError(_WRONG)
    limits.forget_tries(database, limits.LOGIN_OF_ACCOUNT, whose)
    return _as_account(row)


def check_own_password(database: Database, account_id: int, password: str, at: datetime) -> None:
    """Ask the owner of an account again who it is.

    Raises:
        AccountError: the password is wrong.
        TooMany: it was wrong too often, here or at the login; who has found an open session could
            guess without end otherwise.
    """
    limits.count_try(database, [(limits.LOGIN_OF_ACCOUNT, _whose(account_id))], at)
    with database.reading() as connection:
        kept = connection.scalar(select(_COLUMNS.password).where(_COLUMNS.id == account_id))
    if not words.verify_password(password, kept)[0]:
        raise AccountError("wrong password")
    limits.forget_tries(database, limits.LOGIN_OF_ACCOUNT, _whose(account_id))


def set_password(database: Database, account_id: int, password: str, origin: Origin) -> None:
    """Give an account another password; its sessions, tokens and links to reset it end.

    Raises:
        AccountError: there is no such account, or the password is not fit.
    """
    account = find_account(database, account_id)
    words.check_password(password, account.name)
    hashed = words.hash_password(password)
    with database.writing() as connection:
        here = update(accounts).where(_COLUMNS.id == account_id)
        connection.execute(here.values(password=hashed))
        _drop_keys(connection, account_id, ("session", "token", "reset"))
        note_action(connection, origin, "password changed", account_id)


def set_email(database: Database, account_id: int, text: str, origin: Origin) -> None:
    """Give an account another address of e-mail, or none; links that were mailed before end.

    Raises:
        AccountError: it is no address, or another account has it.
    """
    email = words.check_email(text)
    with database.writing() as connection:
        others = (_COLUMNS.email == email) & (_COLUMNS.id != account_id)
        if email and connection.scalar(select(_COLUMNS.id).where(others)):
            raise AccountError("this address is taken (expected another)")
        here = update(accounts).where(_COLUMNS.id == account_id)
        connection.execute(here.values(email=email))
        _drop_keys(connection, account_id, ("reset",))
        note_action(connection, origin, "e-mail changed", account_id)


def set_role(database: Database, account_id: int, role: str, origin: Origin) -> Account:
    """Give an account another role; its sessions end, so that no old one has rights it lost.

    Raises:
        AccountError: there is no such account or role.
    """
    _check_role(role)
    return _change(database, account_id, {"role": role}, origin, f"role {role}")


def set_disabled(database: Database, account_id: int, origin: Origin, *, disabled: bool) -> Account:
    """Shut an account out, or let it in again.

    Raises:
        AccountError: there is no such account.
    """
    values = {"disabled_at": stored(origin.at) if disabled else None}
    return _change(database, account_id, values, origin, "disabled" if disabled else "enabled")


def accept_terms(database: Database, account_id: int, version: str, origin: Origin) -> None:
    """Keep that the owner of an account has accepted a version of the terms.

    Raises:
        AccountError: there is no such account.
    """
    with database.writing() as connection:
        _account(connection, _COLUMNS.id == account_id)
        here = update(accounts).where(_COLUMNS.id == account_id)
        connection.execute(here.values(terms=version, terms_at=stored(origin.at)))
        note_action(connection, origin, f"terms {version} accepted", account_id)


def delete_account(database: Database, account_id: int, origin: Origin) -> None:
    """Forget who somebody was: name, e-mail, password and keys are gone.

    Votes, entries to challenges and the logs stay, under a name that says nothing and that nobody
    else can take.

    Raises:
        AccountError: there is no such account.
    """
    nobody = f"{words.FORMER} {account_id}"
    values = {"name": nobody, "key": f"@{account_id}", "email": None, "password": None}
    with database.writing() as connection:
        name = _account(connection, _COLUMNS.id == account_id).name
        for column in (votes.c.voter, entries.c.who, leaderboard_log.c.who, account_log.c.who):
            table = column.table
            connection.execute(update(table).where(column == name).values({column.key: nobody}))
        own = account_log.c.account_id == account_id
        connection.execute(update(account_log).where(own).values(address=""))
        here = update(accounts).where(_COLUMNS.id == account_id)
        connection.execute(here.values(**values, disabled_at=stored(origin.at)))
        connection.execute(delete(account_keys).where(account_keys.c.account_id == account_id))
        note_action(connection, replace(origin, who=nobody, address=""), "deleted", account_id)


def find_account(database: Database, which: int | str) -> Account:
    """The account of a number, a name or an address of e-mail.

    Raises:
        AccountError: there is none.
    """
    is_it = _COLUMNS.id == which
    if isinstance(which, str):
        is_it = (_COLUMNS.key == words.key_of(which)) | (_COLUMNS.email == which.strip().lower())
    with database.reading() as connection:
        return _account(connection, is_it)


def list_accounts(database: Database, *, after: int = 0, limit: int = 1000) -> tuple[Account, ...]:
    """Accounts in the order in which they were made, those that were deleted included."""
    query = select(accounts).where(_COLUMNS.id > after).order_by(_COLUMNS.id).limit(limit)
    with database.reading() as connection:
        return tuple(_as_account(row) for row in connection.execute(query))


def count_curators(database: Database) -> int:
    """How many can open the curator's pages; without one nobody can give that role."""
    is_one = (_COLUMNS.role == "curator") & _COLUMNS.disabled_at.is_(None)
    with database.reading() as connection:
        return connection.scalar(select(func.count()).where(is_one)) or 0


def _change(
    database: Database,
    account_id: int,
    values: dict[str, str | None],
    origin: Origin,
    action: str,
) -> Account:
    with database.writing() as connection:
        before = _account(connection, _COLUMNS.id == account_id)
        if before.is_deleted:
            raise AccountError(f"account {account_id} was deleted by its owner")
        connection.execute(update(accounts).where(_COLUMNS.id == account_id).values(values))
        _drop_keys(connection, account_id, ("session",))
        note_action(connection, origin, action, account_id)
        return _account(connection, _COLUMNS.id == account_id)


def _drop_keys(connection: Connection, account_id: int, purposes: tuple[str, ...]) -> None:
    own = account_keys.c.account_id == account_id
    connection.execute(delete(account_keys).where(own, account_keys.c.purpose.in_(purposes)))


def _account(connection: Connection, is_it: ColumnElement[bool]) -> Account:
    row = connection.execute(select(accounts).where(is_it)).one_or_none()
    if row is None:
        raise AccountError("there is no such account", hint="imagetree web user list shows all")
    return _as_account(row)


def _as_account(row: Row[tuple[object, ...]]) -> Account:
    return Account(
        id=row.id,
        name=row.name,
        email=row.email,
        role=row.role,
        created_at=row.created_at,
        is_disabled=row.disabled_at is not None,
        is_deleted=row.password is None,
        terms=row.terms,
    )


def _whose(account_id: int) -> str:
    """An account, as its limits know it."""
    return f"account {account_id}"


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise AccountError(f"{role[:40]!r} is no role (expected one of {', '.join(ROLES)})")
