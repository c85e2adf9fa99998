"""Each request gets an id, is counted and has a line in the log.

The line has the address as its route's template: a wnid more or less is not worth a log that holds
the token of a link in the middle of a path.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from imagetree.web.logs import REQUEST_ID
from imagetree.web.metrics import Kind
from imagetree.web.protocol import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from imagetree.export.streaming import Part
    from imagetree.web.metrics import Metrics

_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id")
_log = logging.getLogger(__name__)


def route_of(scope: Scope) -> str:
    """Template of the address that a request was for; "none" where none fits."""
    path = getattr(scope.get("route"), "path", None)
    if path is not None:
        return str(path)
    return "/static" if scope["path"].startswith("/static/") else "none"


class FromProxies:
    """Believes what a proxy says of a visitor where the proxy is trusted, and nobody else.

    Args:
        app: what answers.
        trusted: addresses and networks of proxies, as `10.0.0.0/8`.
    """

    def __init__(self, app: ASGIApp, trusted: tuple[str, ...]) -> None:
        self._app = app
        self._from_proxy = ProxyHeadersMiddleware(app, list(trusted))  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        peer = (scope.get("client") or ("", 0))[0]
        if scope["type"] == "http" and peer in self._from_proxy.trusted_hosts:
            await self._from_proxy(scope, receive, send)  # type: ignore[arg-type]
            return
        if scope["type"] == "http":
            kept = [(name, value) for name, value in scope["headers"] if name not in _FORWARDED]
            scope = {**scope, "headers": kept}
        await self._app(scope, receive, send)


class Recorder:
    """Gives ids, counts and logs.

    Args:
        app: what answers.
        metrics: where requests are counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")  # it came through a trusted proxy
        request_id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        answer = _Answer(scope, send, self._metrics, request_id)
        kept = REQUEST_ID.set(request_id)
        try:
            await self._app(scope, receive, answer.send)
        finally:
            answer.close()
            REQUEST_ID.reset(kept)


class _Answer:
    """An answer as it passes through."""

    def __init__(self, scope: Scope, send: Send, metrics: Metrics, request_id: str) -> None:
        self._scope, self._send, self._metrics = scope, send, metrics
        self._request_id = request_id
        self._began = time.perf_counter()
        self._status = 500  # what the server says where nothing is said here
        self._bytes = 0
        self._open_route = ""
        self._is_whole = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            MutableHeaders(scope=message)["X-Request-ID"] = self._request_id
            self._open_route = route_of(self._scope)
            self._metrics.begin(self._open_route)
        elif message["type"] == "http.response.body":
            self._bytes += len(message.get("body", b""))
            self._is_whole = not message.get("more_body", False)
            if PARTS in message:
                message = {**message, PARTS: self._counted(message[PARTS])}
        await self._send(message)

    def _counted(self, parts: Iterable[Part]) -> Iterator[Part]:
        for part in parts:
            yield part
            self._bytes += len(part)

    def close(self) -> None:
        """Count and log it."""
        if self._open_route:
            self._metrics.end(self._open_route)
        seconds = time.perf_counter() - self._began
        kind = Kind(self._scope["method"], route_of(self._scope), self._status)
        self._metrics.observe(kind, seconds, self._bytes)
        fields = {
            **kind._asdict(),
            "seconds": round(seconds, 6),
            "bytes": self._bytes,
            "is_whole": self._is_whole,
        }
        level = logging.ERROR if self._status >= 500 else logging.INFO
        _log.log(level, "request", extra={"fields": fields})
