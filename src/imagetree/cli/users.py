"""`imagetree web user`: accounts of the site, from the command line of its machine."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Literal

from cyclopts import App

from imagetree.cli.output import (
    DEFAULT_DATABASE,
    DatabaseOption,
    JsonOption,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from imagetree.accounts.audit import Origin

app = App(name="user", help="Keep the accounts of the site; the first curator is made here.")
Role = Literal["visitor", "annotator", "participant", "curator"]


@app.command
def add(
    name: str,
    *,
    role: Role = "participant",
    email: str = "",
    database: DatabaseOption = DEFAULT_DATABASE,
) -> None:
    """Make an account; the password is asked for, or read from standard input.

    Example: imagetree web user add Ada --role curator

    Args:
        name: as others see it.
        role: what it may do.
        email: where mail reaches its owner.
    """
    from imagetree.accounts.users import Signup, sign_up
    from imagetree.database.store import open_database

    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    with open_database(database) as store:
        account = sign_up(store, Signup(name, password, email, role), _origin())
    print(f"account {account.id}: {account.name}, {account.role}")


@app.command(name="list")
def list_(*, database: DatabaseOption = DEFAULT_DATABASE, json: JsonOption = False) -> None:
    """List the accounts.

    Example: imagetree web user list
    """
    from imagetree.accounts.users import list_accounts
    from imagetree.database.store import open_database

    with open_database(database) as store:
        found = list_accounts(store)
    if json:
        print_json([each._asdict() for each in found])
        return
    state = {False: "", True: "shut out"}
    print_table(
        ("id", "name", "role", "e-mail", "since", ""),
        [
            (
                each.id,
                each.name,
                each.role,
                each.email or "",
                each.created_at[:10],
                state[each.is_disabled],
            )
            for each in found
        ],
    )


@app.command
def role(name: str, role: Role, *, database: DatabaseOption = DEFAULT_DATABASE) -> None:
    """Give an account another role; its sessions end.

    Example: imagetree web user role Ada curator

    Args:
        name: of the account, or its e-mail.
        role: what it may do.
    """
    from imagetree.accounts.users import find_account, set_role
    from imagetree.database.store import open_database

    with open_database(database) as store:
        account = set_role(store, find_account(store, name).id, role, _origin())
    print(f"{account.name}: {account.role}")


@app.command
def disable(name: str, *, undo: bool = False, database: DatabaseOption = DEFAULT_DATABASE) -> None:
    """Shut an account out: its sessions end, its tokens open nothing.

    Example: imagetree web user disable Eve

    Args:
        name: of the account, or its e-mail.
        undo: let it in again.
    """
    from imagetree.accounts.users import find_account, set_disabled
    from imagetree.database.store import open_database

    with open_database(database) as store:
        number = find_account(store, name).id
        account = set_disabled(store, number, _origin(), disabled=not undo)
    print(f"{account.name}: {'let in' if undo else 'shut out'}")


@app.command
def reset(name: str, *, url: str = "", database: DatabaseOption = DEFAULT_DATABASE) -> None:
    """Print a link by which its owner sets a new password, once and within an hour.

    Example: imagetree web user reset Ada --url https://images.example.org

    Args:
        name: of the account, or its e-mail.
        url: of the site.
    """
    from imagetree.accounts.keys import make_reset
    from imagetree.accounts.users import find_account
    from imagetree.database.store import open_database

    with open_database(database) as store:
        key = make_reset(store, find_account(store, name), _origin())
    print(f"{url.rstrip('/')}/reset?key={key}")


def _origin() -> Origin:
    from imagetree.accounts.audit import Origin

    return Origin(f"{getpass.getuser()} at the machine")
