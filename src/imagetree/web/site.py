"""What every page is made with: the database, the templates and who is looking.

A part of the site is a module with `create_router(site) -> APIRouter`, named in `app.AREAS`, and
its templates `<part>_*.html`, which extend `base.html`. A page and its JSON twin are made of the
same dict; the twin's address is the page's with `.json`, and stands before the page's where a
variable of the page's address would match it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import quote, unquote

from fastapi import HTTPException, Request
from fastapi.responses import RedirectResponse

from imagetree.web import content
from imagetree.web.forms import token_of

if TYPE_CHECKING:
    from fastapi import Response
    from fastapi.templating import Jinja2Templates

    from imagetree.database import Database
    from imagetree.mail.sender import Sender
    from imagetree.web.gate import Gate
    from imagetree.web.settings import Settings
    from imagetree.web.thumbnails import Thumbnails

ROLES = ("visitor", "annotator", "participant", "curator")
_FLASH = "flash"
_MAX_FLASH = 300


class User(NamedTuple):
    """Who is logged in.

    Args:
        id: of the account.
        name: as shown to others.
        role: one of `ROLES`.
    """

    id: int
    name: str
    role: str


class Users(Protocol):
    """Tells who a request comes from."""

    def user_of(self, request: Request) -> User | None:
        """Its user; None for who is not logged in."""


@dataclass
class Site:
    """What every page is made with; `current_site(request)` gives it to a page.

    Args:
        database: what is shown.
        templates: of the pages.
        settings: what the site was started with.
        users: who a request comes from.
        gate: who may download.
        thumbnails: the images as pages show them.
        sender: what sends mail; None where the site was started without a mail server.
    """

    database: Database
    templates: Jinja2Templates
    settings: Settings
    users: Users
    gate: Gate
    thumbnails: Thumbnails
    sender: Sender | None = None

    def page(
        self, request: Request, name: str, values: dict[str, Any], status: int = 200
    ) -> Response:
        """A page of a template, with the counters, the user and what was said before."""
        said = unquote(request.cookies.get(_FLASH, ""))[:_MAX_FLASH]
        shown = {
            **values,
            "totals": content.totals(self.database),
            "user": self.users.user_of(request),
            "flash": said,
        }
        answer = self.templates.TemplateResponse(request, name, shown, status_code=status)
        if said:
            answer.delete_cookie(_FLASH)
        new_token = getattr(request.state, "new_token", None)
        if new_token is not None:
            token_of(request).keep(answer, secure=request.url.scheme == "https")
        return answer

    def redirect(self, request: Request, path: str, *, flash: str = "") -> Response:
        """The way to a page after a form was taken, which says `flash` once."""
        answer = RedirectResponse(path, 303)
        if flash:
            answer.set_cookie(
                _FLASH,
                quote(flash[:_MAX_FLASH]),
                max_age=60,
                httponly=True,
                samesite="lax",
                secure=request.url.scheme == "https",
            )
        return answer


def current_site(request: Request) -> Site:
    """The site that a request came to."""
    site = request.app.state.site
    assert isinstance(site, Site)
    return site


def current_user(request: Request) -> User | None:
    """Who a request comes from; None for who is not logged in. A dependency."""
    return current_site(request).users.user_of(request)


def require_user(request: Request) -> User:
    """The user; who is not logged in is sent to the login. A dependency.

    Raises:
        HTTPException: nobody is logged in.
    """
    user = current_user(request)
    if user is None:
        raise HTTPException(
            303, "log in first", {"Location": f"/login?next={quote(request.url.path)}"}
        )
    return user


def require_curator(request: Request) -> User:
    """The user, who is a curator. A dependency.

    Raises:
        HTTPException: nobody is logged in, or another.
    """
    user = require_user(request)
    if user.role != "curator":
        raise HTTPException(403, "this is for curators")
    return user
