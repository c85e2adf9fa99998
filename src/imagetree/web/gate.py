"""Who may download: the place where accounts and their accepted terms are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fastapi import Request


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

    terms_path = "/about"

    def account_of(self, request: Request) -> str:
        """Nobody has an account."""
        return ""

    def may_download(self, account: str) -> bool:
        """Everybody may."""
        return True
