"""What holds for every request: headers, whom it was meant for, how large and slow it may be."""

from __future__ import annotations

import logging
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

from imagetree.web.forms import is_foreign

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from imagetree.web.settings import Settings

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""No script and no style but the site's own files; nobody may frame a page."""

PIECE_SECONDS = 20.0
"""After which a sender is given up that sends no piece of its request."""

_log = logging.getLogger(__name__)


class _Refusal(Exception):
    """A request is answered no further.

    Args:
        status: of the answer.
        text: what is wrong.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Guard:
    """The layer around all that answers: what passes through it carries `HEADERS`, failures too.

    Args:
        app: what answers.
        settings: of the site.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._max_body = settings.max_body
        self._public = urlsplit(settings.public_url)
        self._hosts = frozenset(map(str.lower, settings.hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send, self._max_body)
        try:
            self._check_host(scope)
            self._move_to_public_url(scope)
            _check_head(scope, self._max_body)
            await self._app(scope, exchange.receive, exchange.send)
        except _Refusal as refusal:
            await exchange.refuse(scope, refusal.status, str(refusal))
        except Exception:
            # The traceback is for the log alone: it would tell a visitor of our insides.
            route = getattr(scope.get("route"), "path", "no route")
            _log.exception("%s %s failed", scope["method"], route)
            if exchange.has_begun:
                raise  # the connection must break: half an answer may not look whole
            await exchange.refuse(scope, 500, "this failed here; it was written to the log")

    def _check_host(self, scope: Scope) -> None:
        """Refuse what was sent to a name that is not the site's.

        The page of an attacker's name that is made to lead here (DNS rebinding) could read all;
        a browser tells such a request by its Host. A name of numbers leads nowhere else.
        """
        named = Headers(scope=scope).getlist("host")
        if len(named) > 1:
            raise _Refusal(400, "more than one Host was named")
        name = hostname_of(named[0]) if named else ""
        is_ours = name in {"localhost", self._public.hostname} or name in self._hosts
        if (self._hosts or self._public.hostname) and not is_ours and not _is_address(name):
            raise _Refusal(
                421, "the site has another name: who runs it says so by --public-url or --host"
            )

    def _move_to_public_url(self, scope: Scope) -> None:
        """Make links and cookies for the address that visitors know, whatever a proxy sends."""
        if self._public.netloc:
            kept = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope["headers"] = [*kept, (b"host", self._public.netloc.encode("ascii"))]
            scope["scheme"] = self._public.scheme


class _Exchange:
    """One request and its answer as they pass through."""

    def __init__(self, receive: Receive, send: Send, max_body: int) -> None:
        self._receive = receive
        self._send = send
        self._max_body = max_body
        self._bytes = 0
        self._has_body = True
        self._refusal: _Refusal | None = None
        self.has_begun = False

    async def receive(self) -> Message:
        if not self._has_body:  # what comes next is that the receiver has gone, whenever that is
            return await self._receive()
        try:
            with anyio.fail_after(PIECE_SECONDS):
                message = await self._receive()
        except TimeoutError:
            raise self._refuse(408, f"nothing more was sent for {PIECE_SECONDS:g} s") from None
        self._has_body = message.get("more_body", False)
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._max_body:
            raise self._refuse(413, f"more than {self._max_body} bytes were sent")
        return message

    def _refuse(self, status: int, text: str) -> _Refusal:
        self._refusal = _Refusal(status, text)
        return self._refusal

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if self._refusal is not None and message["status"] != self._refusal.status:
                raise self._refusal  # whoever read the request took it for a fault of its form
            self.has_begun = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)

    async def refuse(self, scope: Scope, status: int, text: str) -> None:
        """Answer so, unless an answer has begun."""
        if not self.has_begun:
            # The rest of the request is not read: the connection cannot be used again.
            headers = {"Connection": "close"} if self._has_body else {}
            answer = PlainTextResponse(f"{text}\n", status, headers)
            await answer(scope, self._receive, self.send)


def hostname_of(host: str) -> str:
    """The name in a Host header, without its port, in small letters; empty where it has none.

    >>> hostname_of("Images.example.org:8000"), hostname_of("[::1]:80"), hostname_of("a@b")
    ('images.example.org', '::1', '')
    """
    try:
        found = urlsplit(f"//{host}")
        is_plain = found.netloc == host and found.username is None
        return (found.hostname or "").rstrip(".") if is_plain else ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _check_head(scope: Scope, max_body: int) -> None:
    """Refuse what is too large or of another site by its headers alone."""
    headers = Headers(scope=scope)
    if "content-length" in headers and "transfer-encoding" in headers:
        raise _Refusal(400, "the length of the request was told in two ways")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 18 or int(length) > max_body:
        raise _Refusal(413, f"more than {max_body} bytes were sent")
    named = headers.get("origin"), headers.get("sec-fetch-site")
    if is_foreign(scope["method"], headers.get("host", ""), *named):
        raise _Refusal(403, "this was sent from the page of another site")
