"""Whole images by their URLs, as lists name them: written by strangers, so nothing is trusted.

A URL in a list must not become a way into the network that reads it. So a host whose address is
private, loopback or link-local is refused, whatever name it has and whoever sends us there; the
address is judged where the connection is made, so that a name cannot change its mind in between.
Size and time are bounded.

Servers of photographs often answer for one that is gone with another picture: of 961,148 URLs of
ImageNet, 108,034 gave the same one of 2,051 bytes, "photo no longer available". It is an image like
any other and nothing is guessed by its size here; it is found by being there many times
(`curation.duplicates`).
Sources: RFC 9110, section 15.4 (redirects); RFC 6890 (addresses that are not global); RFC 6052,
section 2.1 (IPv4 addresses in IPv6).
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from imagetree.errors import DatabaseError
from imagetree.files import Closable
from imagetree.sources.remote import (
    MAX_CONNECTIONS,
    TransientError,
    call_s3,
    check_url,
    http_session,
    judge_status,
    need,
    s3_session,
    split_s3,
    without_secrets,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from imagetree.sources.remote import Session

MAX_BYTES = 64 << 20
FETCH_SECONDS = 60.0
FETCH_DELAYS = (1.0,)
"""Tried twice alone: in lists of ImageNet's age most hosts that do not answer are gone."""
MAX_REDIRECTS = 5
ALLOW_HOSTS = "IMAGETREE_ALLOW_HOSTS"
"""Environment variable: hosts that are fetched from whatever their address, parted by commas."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 1 << 16
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Fetcher(Closable):
    """Gets whole files from http, https and S3; from any thread. Close it in the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            while self._sessions:
                self._sessions.popitem()[1].close()

    def fetch(self, url: str) -> bytes:
        """All bytes of a file.

        Args:
            url: of http, https, or S3 (whose server and credentials are the environment's).

        Raises:
            DatabaseError: it is not there, longer than MAX_BYTES, not complete in FETCH_SECONDS in
                two tries, or sent away more than MAX_REDIRECTS times; the URL holds credentials; or
                a host on the way has an address that is not public, and is not in ALLOW_HOSTS.
        """
        check_url(url)
        is_s3 = url.lower().startswith("s3://")
        session, get = self._session("s3" if is_s3 else "http"), _get_s3 if is_s3 else _get_http
        return session.ask(without_secrets(url), _bounded, get, session.client, url)

    def _session(self, kind: str) -> Session:
        with self._lock:
            if kind not in self._sessions:
                self._sessions[kind] = (
                    s3_session(FETCH_DELAYS)
                    if kind == "s3"
                    else http_session(FETCH_DELAYS, get_client=_guarded)
                )
            return self._sessions[kind]


def fetch(url: str) -> bytes:
    """All bytes of one file; see `Fetcher.fetch`, which keeps its connections for the next."""
    with Fetcher() as fetcher:
        return fetcher.fetch(url)


def fault_of_address(text: str) -> str:
    """Why nothing is fetched from an address; empty for a public one.

    >>> fault_of_address("192.0.66.2"), fault_of_address("::ffff:127.0.0.1")
    ('', 'the address ::ffff:127.0.0.1 is not public')
    """
    address = ipaddress.ip_address(text)
    inner: Any = address
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or address
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    is_public = inner.is_global and not inner.is_multicast
    return "" if is_public else f"the address {text} is not public"


async def _guarded(**options: Any) -> Any:
    """A client of aiohttp that connects to public addresses alone."""
    aiohttp, resolver = need("aiohttp"), need("aiohttp.resolver").ThreadedResolver()
    resolve = resolver.resolve

    async def resolve_public(host: str, port: int = 0, family: int = 0) -> Any:
        found = await resolve(host, port, family)
        for address in found:
            _check_address(host, address["host"])
        return found

    resolver.resolve = resolve_public
    connector = aiohttp.TCPConnector(resolver=resolver, limit=MAX_CONNECTIONS)
    return aiohttp.ClientSession(connector=connector, **options)


def _check_address(host: str, address: str) -> None:
    fault = "" if host.lower() in _allowed_hosts() else fault_of_address(address)
    if fault:
        raise DatabaseError(
            f"{host}: {fault}", hint=f"where you trust the list: {ALLOW_HOSTS}={host}"
        )


def _allowed_hosts() -> set[str]:
    return {host.strip().lower() for host in os.environ.get(ALLOW_HOSTS, "").split(",")} - {""}


async def _bounded(get: Callable[[Any, str], Awaitable[bytes]], client: Any, url: str) -> bytes:
    async with asyncio.timeout(FETCH_SECONDS):
        return await get(client, url)


async def _get_http(client: Any, url: str) -> bytes:
    where, parse = without_secrets(url), need("yarl").URL
    for _ in range(MAX_REDIRECTS + 1):
        parsed = parse(url)
        if parsed.scheme not in {"http", "https"}:
            raise DatabaseError(f"{where}: sends to {parsed.scheme!r}, no web server")
        _check_literal(parsed.host or "")
        async with client.get(parsed, allow_redirects=False) as answer:
            if answer.status not in _REDIRECTS:
                judge_status(where, answer.status, expected=200)
                encoding = answer.headers.get("Content-Encoding", "identity")
                if encoding != "identity":
                    raise DatabaseError(f"{where}: comes compressed by {encoding}")
                return await _read_all(where, answer.content.read, answer.content_length)
            url = urljoin(url, answer.headers.get("Location", ""))
    raise DatabaseError(f"{where}: sent away more than {MAX_REDIRECTS} times")


def _check_literal(host: str) -> None:
    """Judge a host that is an address itself, which no resolver sees."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if ":" not in host:
            return
        raise DatabaseError(f"{host}: no address") from None
    _check_address(host, host)


async def _get_s3(client: Any, url: str) -> bytes:
    bucket, key = split_s3(url)
    names = {"Bucket": bucket, "Key": key}
    answer = await call_s3(client.get_object, url, names)
    try:
        return await _read_all(url, answer["Body"].read, int(answer["ContentLength"]))
    finally:
        answer["Body"].close()


async def _read_all(
    where: str, read: Callable[[int], Awaitable[bytes]], length: int | None
) -> bytes:
    """A body to its end, which is not beyond MAX_BYTES; `length` where the server says it."""
    if length is not None and length > MAX_BYTES:
        raise DatabaseError(f"{where}: {length} bytes (expected at most {MAX_BYTES})")
    data = bytearray()
    while chunk := await read(_CHUNK):
        data += chunk
        if len(data) > MAX_BYTES:
            raise DatabaseError(f"{where}: more than {MAX_BYTES} bytes")
    if length is not None and len(data) != length:
        raise TransientError(f"{len(data)} bytes (expected {length})")
    return bytes(data)
