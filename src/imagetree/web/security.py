"""What holds for every request: headers, no request of another site, none that is too large."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

from imagetree.web.forms import is_foreign

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""No script and no style but the site's own files; nobody may frame a page."""

_log = logging.getLogger(__name__)


class _TooLarge(Exception):
    """More bytes were sent than are read."""


class Guard:
    """The outermost layer: what passes through it carries `HEADERS`, failures too.

    Args:
        app: what answers.
        max_body: bytes of the largest request that is read.
    """

    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self._app = app
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send, self._max_body)
        refusal = _refusal(scope, self._max_body)
        try:
            if refusal is None:
                await self._app(scope, exchange.receive, exchange.send)
        except _TooLarge:
            refusal = 413, f"more than {self._max_body} bytes were sent"
        except Exception:
            # The traceback is for the log alone: it would tell a visitor of our insides.
            _log.exception("%s %s failed", scope["method"], scope["path"])
            if exchange.has_begun:
                raise  # the connection must break: half an answer may not look whole
            refusal = 500, "this failed here; it was written to the log"
        if refusal is not None and not exchange.has_begun:
            status, text = refusal
            await PlainTextResponse(f"{text}\n", status)(scope, receive, exchange.send)


class _Exchange:
    """One request and its answer as they pass through."""

    def __init__(self, receive: Receive, send: Send, max_body: int) -> None:
        self._receive = receive
        self._send = send
        self._bytes_left = max_body
        self.has_begun = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._bytes_left -= len(message.get("body", b""))
        if self._bytes_left < 0:
            raise _TooLarge
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)


def _refusal(scope: Scope, max_body: int) -> tuple[int, str] | None:
    """Status and reason, where a request is refused by its headers alone."""
    headers = Headers(scope=scope)
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > max_body:
        return 413, f"more than {max_body} bytes were sent"
    named = headers.get("origin"), headers.get("sec-fetch-site")
    if is_foreign(scope["method"], headers.get("host", ""), *named):
        return 403, "this was sent from the page of another site"
    return None
