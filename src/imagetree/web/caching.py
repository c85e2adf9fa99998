"""What need not be sent again, and what is sent smaller.

A page that follows from the database alone, and from who looks, has an ETag of both: who has it
already is told so before anything is looked up, and what was made for one visitor without cookies
is sent to the next. Own files have their hash in the address and are kept for good. Text is
compressed; archives and images, which are compressed, are not.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import OrderedDict
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import Request, Response
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers, MutableHeaders

from imagetree import __version__
from imagetree.database.counting import current_revision

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from imagetree.web.site import Site

FILES = Path(__file__).parent / "static"
FOREVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "private, no-cache"
MAX_KEPT_BYTES = 32 << 20
"""Of pages in each worker: some 10,000 compressed ones."""

_MIN_BYTES = 500  # below, the header of gzip and the work cost more than is saved
_LEVEL = 4  # a page of 40 KB: 0.4 ms and 15 % of its size; level 9 takes thrice that for 1 % more
_GZIP = 16 + zlib.MAX_WBITS
_TEXT = ("text/", "application/json", "application/xml", "application/atom+xml", "image/svg+xml")


class NotModified(Exception):
    """Who asks has the page as it is now.

    Args:
        etag: of it.
    """

    def __init__(self, etag: str) -> None:
        super().__init__(etag)
        self.etag = etag


class Page(NamedTuple):
    """A page as it was sent."""

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Pages:
    """Pages that were made for visitors without cookies, the latest.

    Args:
        max_bytes: of their bodies.
    """

    def __init__(self, max_bytes: int = MAX_KEPT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._pages: OrderedDict[str, Page] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: str) -> Page | None:
        """A page that was kept."""
        with self._lock:
            page = self._pages.get(key)
            if page is not None:
                self._pages.move_to_end(key)
            return page

    def keep(self, key: str, page: Page) -> None:
        """Keep a page; others that were not asked for longest go."""
        with self._lock:
            if key in self._pages or len(page.body) > self._max_bytes // 16:
                return
            self._pages[key] = page
            self._bytes += len(page.body)
            while self._bytes > self._max_bytes:
                self._bytes -= len(self._pages.popitem(last=False)[1].body)


class WasKept(Exception):
    """The page is there as it was sent to another.

    Args:
        page: it.
    """

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page


def unless_changed(site: Site, request: Request) -> None:
    """Begin a page that follows from the database's counted state, its address and who looks.

    To be called first; the page then has an ETag. Not for pages that show what can change without
    the counts: votes, facts of an image, news, anything at random.

    Raises:
        NotModified: who asks has it.
        WasKept: it was made before.
    """
    user = site.users.user_of(request)
    state = (
        _build(),
        repr(site.settings),
        current_revision(site.database),
        repr(user),
        request.headers.get("cookie", ""),  # a token in a form, and what is said once
    )
    etag = f'W/"{hashlib.sha256(repr(state).encode()).hexdigest()[:24]}"'
    request.state.etag = etag
    if has_etag(request.headers.get("if-none-match", ""), etag):
        raise NotModified(etag)
    if user is None and "cookie" not in request.headers:
        takes = takes_gzip(request.headers.get("accept-encoding", ""))
        request.state.keep_as = f"{etag} {takes} {request.method} {request.url}"
        page = request.app.state.pages.get(request.state.keep_as)
        if page is not None:
            raise WasKept(page)


def has_etag(header: str, etag: str) -> bool:
    """Whether If-None-Match names an ETag; weak and strong ones are the same here (RFC 9110).

    >>> has_etag('"a", W/"b"', '"b"'), has_etag("*", '"b"'), has_etag("", '"b"')
    (True, True, False)
    """
    named = {each.strip().removeprefix("W/") for each in header.split(",")}
    return etag.removeprefix("W/") in named or header.strip() == "*"


def not_modified(_request: Request, error: Exception) -> Response:
    """The answer to `NotModified`."""
    assert isinstance(error, NotModified)
    return Response(status_code=304, headers=_cache_headers(error.etag))


def was_kept(_request: Request, error: Exception) -> Response:
    """The answer to `WasKept`."""
    assert isinstance(error, WasKept)
    answer = Response(error.page.body)
    answer.raw_headers = list(error.page.headers)
    return answer


def static_url(name: str) -> str:
    """Address of a file of our own, for templates; it changes when the file does.

    Raises:
        FileNotFoundError: there is no such file.
    """
    return f"/static/{name}?v={_hash_of(name)}"


class HashedFiles(StaticFiles):
    """Our own files: kept for good where the address has the hash of what is sent."""

    def __init__(self) -> None:
        super().__init__(directory=FILES)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file, or the refusal."""
        answer = await super().get_response(path, scope)
        asked = Request(scope).query_params.get("v")
        is_this = asked is not None and answer.status_code == 200 and asked == _hash_of(path)
        answer.headers["Cache-Control"] = FOREVER if is_this else "no-cache"
        return answer


class Compressing:
    """Adds the ETag of `unless_changed` and compresses text for who can read it.

    A secret that is sent beside what a visitor chose could be guessed by the length of compressed
    pages (BREACH). For that another site must make a browser ask with its cookies; the cookie of
    our forms is SameSite=Strict, so that such a request gets a token of its own each time.

    Args:
        app: what answers.
        pages: where pages are kept.
    """

    def __init__(self, app: ASGIApp, pages: Pages) -> None:
        self._app = app
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            send = _Compressed(scope, send, self._pages).send
        await self._app(scope, receive, send)


class _Compressed:
    """One answer as it passes through."""

    def __init__(self, scope: Scope, send: Send, pages: Pages) -> None:
        self._scope, self._send, self._pages = scope, send, pages
        self._start: Message | None = None
        self._compressor: Any = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message  # it waits for the first piece, which tells the length
            return
        if message["type"] == "http.response.body":
            if self._start is not None:
                start, self._start = self._start, None
                self._begin(start, message)
                self._keep(start, message)
                await self._send(start)
            if self._compressor is not None:
                message = {**message, "body": self._compress(message)}
        await self._send(message)

    def _begin(self, start: Message, first: Message) -> None:
        headers = MutableHeaders(scope=start)
        is_text = headers.get("content-type", "").startswith(_TEXT)
        etag = self._scope.get("state", {}).get("etag")
        if etag is not None and start["status"] == 200 and "set-cookie" not in headers:
            headers.update(_cache_headers(etag))
        else:  # also of files: what is for who accepted the terms is for no cache between
            headers.setdefault("Cache-Control", _ASK_AGAIN)
        if not is_text or start["status"] == 206 or "content-encoding" in headers:
            return
        if "Accept-Encoding" not in headers.get("vary", ""):
            headers.add_vary_header("Accept-Encoding")
        is_short = not first.get("more_body") and len(first.get("body", b"")) < _MIN_BYTES
        if is_short or not takes_gzip(Headers(scope=self._scope).get("accept-encoding", "")):
            return
        self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        headers["Content-Encoding"] = "gzip"
        if first.get("more_body"):
            del headers["Content-Length"]
        else:
            first["body"] = self._compress(first)
            headers["Content-Length"] = str(len(first["body"]))
            self._compressor = None

    def _keep(self, start: Message, message: Message) -> None:
        """What has an ETag follows from it and the address; what sets a cookie has none."""
        key = self._scope.get("state", {}).get("keep_as")
        headers = tuple(start["headers"])
        has_etag = any(name == b"etag" for name, _ in headers)
        if key is not None and has_etag and start["status"] == 200 and not message.get("more_body"):
            self._pages.keep(key, Page(headers, message["body"]))

    def _compress(self, message: Message) -> bytes:
        body: bytes = self._compressor.compress(message.get("body", b""))
        return body if message.get("more_body") else body + self._compressor.flush()


def takes_gzip(header: str) -> bool:
    """Whether Accept-Encoding allows gzip.

    >>> [takes_gzip(each) for each in ("br, gzip", "gzip;q=0", "identity")]
    [True, False, False]
    """
    for each in header.lower().split(","):
        name, _, weight = each.partition(";")
        if name.strip() == "gzip":
            return weight.strip() not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def _cache_headers(etag: str) -> dict[str, str]:
    return {"ETag": etag, "Cache-Control": _ASK_AGAIN, "Vary": "Cookie, Accept-Encoding"}


@cache
def _hash_of(name: str) -> str:
    return hashlib.sha256((FILES / name).read_bytes()).hexdigest()[:16]


@cache
def _build() -> str:
    """Of this site's own code, templates and files: pages of an older one are not kept."""
    digest = hashlib.sha256(__version__.encode())
    for path in sorted(FILES.parent.rglob("*.*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.read_bytes())
    return digest.hexdigest()
