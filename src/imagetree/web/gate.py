"""Who may download: everybody, or who has an account that has accepted the terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from imagetree.accounts.users import find_account
from imagetree.errors import AccountError

if TYPE_CHECKING:
    from fastapi import Request

    from imagetree.database import Database
    from imagetree.web.site import Users

TERMS_PATH = "/terms"
TERMS_VERSION = "1"
"""Of the text in `terms.html`: who has accepted another is asked again."""


class Gate(Protocol):
    """Who may download."""

    terms_path: str
    """The page where the terms are accepted."""

    def account_of(self, request: Request) -> str:
        """The account that a request comes from; empty for a visitor without one."""

    def may_download(self, account: str) -> bool:
        """Whether it has accepted the terms and is allowed to."""


class OpenGate:
    """Everybody may download: a database for one user, without accounts."""

    terms_path = TERMS_PATH

    def account_of(self, request: Request) -> str:
        """Nobody has an account."""
        return ""

    def may_download(self, account: str) -> bool:
        """Everybody may."""
        return True


class TermsGate:
    """Who has accepted the terms as they are now may download.

    Args:
        database: that keeps the accounts.
        users: who a request comes from.
    """

    terms_path = TERMS_PATH

    def __init__(self, database: Database, users: Users) -> None:
        self._database = database
        self._users = users

    def account_of(self, request: Request) -> str:
        """The number of the account, which no other ever has."""
        user = self._users.user_of(request)
        return "" if user is None else str(user.id)

    def may_download(self, account: str) -> bool:
        """Whether it has accepted, and is not shut out since."""
        if not account:
            return False
        try:
            found = find_account(self._database, int(account))
        except (AccountError, ValueError):
            return False  # of a link that was made before its account was deleted
        return found.terms == TERMS_VERSION and not found.is_disabled
