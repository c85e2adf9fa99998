"""Forms that no other site can send: a token in the form and in a cookie, and the Origin.

The template of a form calls `{{ csrf(request) }}`; its address takes the fields by
`Annotated[FormData, Depends(checked_form)]`.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import Response
    from starlette.datastructures import FormData

COOKIE = FIELD = "csrf"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_MAX_FIELDS = 200
_MAX_FILES = 20


class Token(NamedTuple):
    """What a form and its cookie both hold.

    Args:
        value: at random.
    """

    value: str

    def keep(self, answer: Response, *, secure: bool) -> None:
        """Set the cookie."""
        answer.set_cookie(COOKIE, self.value, httponly=True, samesite="strict", secure=secure)


def token_of(request: Request) -> Token:
    """The token of a visitor; a new one is kept in `request.state` until the page is sent."""
    kept = request.cookies.get(COOKIE)
    if kept:
        return Token(kept)
    if not hasattr(request.state, "new_token"):
        request.state.new_token = Token(secrets.token_urlsafe(32))
    new = request.state.new_token
    assert isinstance(new, Token)
    return new


def csrf(request: Request) -> Markup:
    """The hidden field of a form; for templates."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(
        FIELD, token_of(request).value
    )


async def checked_form(request: Request) -> AsyncIterator[FormData]:
    """The fields of a form of ours; files that came with it end with the answer. A dependency.

    Raises:
        HTTPException: another site sent it, or its cookie is not there.
    """
    form = await request.form(max_files=_MAX_FILES, max_fields=_MAX_FIELDS)
    try:
        sent, kept = form.get(FIELD), request.cookies.get(COOKIE, "")
        is_ours = isinstance(sent, str) and secrets.compare_digest(sent.encode(), kept.encode())
        if not kept or not is_ours:
            raise HTTPException(403, "this form is not from here or too old: open its page again")
        yield form
    finally:
        await form.close()


def is_foreign(method: str, host: str, origin: str | None, fetch_site: str | None) -> bool:
    """Whether a browser says that another site made a request that changes something.

    Args:
        method: of the request.
        host: that it was sent to, with the port.
        origin: header Origin; None where there is none, as from a program.
        fetch_site: header Sec-Fetch-Site, likewise.

    >>> is_foreign("POST", "a.org", "https://b.org", None), is_foreign("POST", "a.org", None, None)
    (True, False)
    """
    if method in SAFE_METHODS:
        return False
    if origin is not None:
        return urlsplit(origin).netloc != host
    return fetch_site not in {None, "same-origin", "none"}
