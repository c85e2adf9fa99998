"""The mailing list, joined and left by links that are mailed; and links that reset a password.

None of these addresses is there where the site was started without a mail server. What is asked for
is written down and sent by `mail.sender`: a page says the same, and takes the same time, whether an
address is known or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.datastructures import FormData

from imagetree.accounts import limits
from imagetree.accounts.clock import utc
from imagetree.accounts.limits import count_try
from imagetree.accounts.words import check_email
from imagetree.errors import AccountError
from imagetree.mail import outbox, subscribers
from imagetree.mail.outbox import Purpose
from imagetree.web import access
from imagetree.web.accounts import refused
from imagetree.web.forms import checked_form

if TYPE_CHECKING:
    from imagetree.mail.sender import Sender
    from imagetree.web.site import Site

_Form = Annotated[FormData, Depends(checked_form)]
_Key = Annotated[str, Query(max_length=1000, description="of the link that was mailed")]
_GONE = "this link was used or is too old"


def create_router(site: Site) -> APIRouter:
    """The forms, and what the mailed links lead to; nothing where there is no mail server."""
    router = APIRouter()
    if site.sender is not None:
        _add_reset(router, site, site.sender)
        _add_list(router, site, site.sender)
        _add_join(router, site, site.sender)
        _add_leave(router, site, site.sender)
    return router


def _add_reset(router: APIRouter, site: Site, sender: Sender) -> None:
    template = "mailing_forgotten.html"

    @router.get("/forgotten", include_in_schema=False)
    def form(request: Request) -> Response:
        return site.page(request, template, {"fault": "", "email": ""})

    @router.post("/forgotten", include_in_schema=False)
    def ask(request: Request, sent: _Form) -> Response:
        email = str(sent.get("email", ""))
        try:
            _ask(site, request, sender, (Purpose.RESET, email))
        except AccountError as error:
            values = {"fault": error.message, "email": email}
            return refused(site, request, template, values, error)
        said = "If an account has this address, a link that sets a new password is sent to it."
        return site.redirect(request, "/login", flash=said)


def _add_list(router: APIRouter, site: Site, sender: Sender) -> None:
    template = "mailing_list.html"

    @router.get("/mailing-list", include_in_schema=False)
    def form(request: Request) -> Response:
        return site.page(request, template, {"fault": "", "email": ""})

    @router.post("/mailing-list", include_in_schema=False)
    def ask(request: Request, sent: _Form) -> Response:
        email = str(sent.get("email", ""))
        purpose = Purpose.LEAVE if sent.get("do") == Purpose.LEAVE else Purpose.JOIN
        try:
            _ask(site, request, sender, (purpose, email))
        except AccountError as error:
            values = {"fault": error.message, "email": email}
            return refused(site, request, template, values, error)
        said = {
            Purpose.JOIN: "A link that confirms this address is sent to it: follow it to join.",
            Purpose.LEAVE: "If the list has this address, a link that takes it off is sent to it.",
        }
        return site.redirect(request, "/mailing-list", flash=said[purpose])


def _add_join(router: APIRouter, site: Site, sender: Sender) -> None:
    @router.get("/mailing-list/join", include_in_schema=False)
    def confirm(request: Request, key: _Key = "") -> Response:
        """Asks once more: programs that look through mail follow its links."""
        return _secret_page(site, request, {"key": key, "do": "join"})

    @router.post("/mailing-list/join", include_in_schema=False)
    def join(request: Request, sent: _Form) -> Response:
        key = str(sent.get("key", ""))
        if not subscribers.join(site.database, sender.secret, key, utc()):
            return _secret_page(site, request, {"key": "", "do": "join", "fault": _GONE})
        return site.redirect(request, "/news", flash="You are on the mailing list.")


def _add_leave(router: APIRouter, site: Site, sender: Sender) -> None:
    @router.get("/mailing-list/leave", include_in_schema=False)
    def confirm(request: Request, key: _Key = "") -> Response:
        return _secret_page(site, request, {"key": key, "do": "leave"})

    @router.post("/mailing-list/leave", include_in_schema=False)
    def leave(request: Request, key: _Key = "") -> Response:
        """By the button, or by a mail program (RFC 8058), which has no cookies.

        No other token is asked for: nobody but the member has the key.
        """
        if not subscribers.leave(site.database, sender.secret, key):
            return _secret_page(site, request, {"key": "", "do": "leave", "fault": _GONE})
        return _secret_page(site, request, {"key": "", "do": "leave", "fault": ""})


def _ask(site: Site, request: Request, sender: Sender, asked: tuple[Purpose, str]) -> None:
    """Let a mail be sent, whatever its address is known for.

    Raises:
        AccountError: it is no address.
        TooMany: too many mails were asked for.
    """
    purpose, text = asked
    email = check_email(text)
    if email is None:
        raise AccountError("there is no address (expected name@example.org)")
    origin = access.origin_of(request, "")
    tries = [
        (limits.MAILS_FROM_ADDRESS, origin.address),
        (limits.MAILS_TO_ADDRESS, email),
        (limits.MAILS, "all"),
    ]
    count_try(site.database, tries, origin.at)
    outbox.ask(site.database, purpose, email, origin.at)
    sender.wake()


def _secret_page(site: Site, request: Request, values: dict[str, Any]) -> Response:
    """A page whose address holds a key: no other site is told of it, and no cache keeps it."""
    status = 410 if values.get("fault") else 200
    answer = site.page(request, "mailing_link.html", values, status)
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cache-Control"] = "no-store"
    return answer
