"""Objects on servers, by http(s) or S3, read by byte ranges and held to what they were.

The requests are made here and not by fsspec, which reads the body of an answer before it looks at
the status: a server that does not know ranges would send all 147 GB of an archive for one header.
Each answer is held to what the object was when it was opened: its size, and its ETag or, where it
has none, its time of change, which is asked for with each request.
Sources: RFC 9110, sections 8.8 (validators), 13.1 (If-Match) and 14 (ranges); Amazon S3's API
reference, GetObject.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from imagetree.errors import DatabaseError
from imagetree.sources.remote import (
    TransientError,
    call_s3,
    changed,
    judge_status,
    split_s3,
    without_secrets,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from imagetree.sources.remote import Session

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class Facts(NamedTuple):
    """What a server says of an object.

    Args:
        size: in bytes.
        etag: as it came, quotes included; empty where there is none.
        modified: time of the last change, as text; empty where there is none.
    """

    size: int
    etag: str
    modified: str

    @property
    def version(self) -> str:
        """What tells this object from a changed one; empty where nothing does."""
        return self.etag or self.modified


class HttpObject:
    """A file on a web server; `read` may be called from any thread.

    Raises:
        DatabaseError: it is not there, the server does not know ranges, or says nothing by which a
            change could be seen.
    """

    def __init__(self, url: str, session: Session) -> None:
        self._url, self._session = url, session
        self._where = without_secrets(url)
        self.facts: Facts = session.ask(self._where, self._stat)
        _check_version(self._where, self.facts)
        self._condition = _http_condition(self.facts)

    def read(self, length: int, offset: int) -> bytes:
        """The bytes from an offset; fewer only where the file ends."""
        last = min(offset + length, self.facts.size) - 1
        if last < offset:
            return b""
        return self._session.ask(self._where, self._get, offset, last)

    def ask_facts(self) -> Facts:
        """What the server says of it now."""
        return self._session.ask(self._where, self._stat)

    async def _stat(self) -> Facts:
        async with self._session.client.get(self._url, headers={"Range": "bytes=0-0"}) as answer:
            if answer.status == 416 and answer.headers.get("Content-Range") == "bytes */0":
                return _http_facts(0, answer)
            judge_status(self._where, answer.status)
            found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if found is None:
                raise DatabaseError(f"{self._where}: the server does not say how long it is")
            return _http_facts(int(found[3]), answer)

    async def _get(self, first: int, last: int) -> bytes:
        headers = {"Range": f"bytes={first}-{last}", **self._condition}
        async with self._session.client.get(self._url, headers=headers) as answer:
            judge_status(self._where, answer.status)
            where = answer.headers.get("Content-Range", "")
            _check_answer(self._where, where, (first, last), self.facts)
            _check_same(self._where, _http_facts(self.facts.size, answer), self.facts)
            return await _read_exactly(answer.content.read, last + 1 - first)


class S3Object:
    """An object in a bucket; as `HttpObject`."""

    def __init__(self, url: str, session: Session) -> None:
        bucket, key = split_s3(url)
        self._names = {"Bucket": bucket, "Key": key}
        self._session, self._where = session, url
        self.facts: Facts = session.ask(url, self._stat)
        _check_version(url, self.facts)

    def read(self, length: int, offset: int) -> bytes:
        """The bytes from an offset; fewer only where the object ends."""
        last = min(offset + length, self.facts.size) - 1
        if last < offset:
            return b""
        return self._session.ask(self._where, self._get, offset, last)

    def ask_facts(self) -> Facts:
        """What the server says of it now."""
        return self._session.ask(self._where, self._stat)

    async def _stat(self) -> Facts:
        answer = await call_s3(self._session.client.head_object, self._where, self._names)
        return _s3_facts(int(answer["ContentLength"]), answer)

    async def _get(self, first: int, last: int) -> bytes:
        condition = {"IfMatch": self.facts.etag} if self.facts.etag else {}
        names = {**self._names, "Range": f"bytes={first}-{last}", **condition}
        answer = await call_s3(self._session.client.get_object, self._where, names)
        try:
            judge_status(self._where, answer["ResponseMetadata"]["HTTPStatusCode"])
            where = answer.get("ContentRange", "")
            _check_answer(self._where, where, (first, last), self.facts)
            _check_same(self._where, _s3_facts(self.facts.size, answer), self.facts)
            return await _read_exactly(answer["Body"].read, last + 1 - first)
        finally:
            answer["Body"].close()


def _check_version(where: str, facts: Facts) -> None:
    if not facts.version:
        raise DatabaseError(
            f"{where}: the server gives neither ETag nor Last-Modified, so that a change of the "
            "file would go unseen",
            hint="download it, and name the file on the disk",
        )


def _check_answer(where: str, content_range: str, asked: tuple[int, int], facts: Facts) -> None:
    found = _RANGE.fullmatch(content_range)
    if found is None or (int(found[1]), int(found[2])) != asked:
        raise DatabaseError(
            f"{where}: the server sends {content_range or 'no range'!r} (expected bytes "
            f"{asked[0]}-{asked[1]})"
        )
    if int(found[3]) != facts.size:
        raise changed(where)


def _check_same(where: str, now: Facts, facts: Facts) -> None:
    """What an answer does not say is no sign of a change."""
    if (now.etag and facts.etag and now.etag != facts.etag) or (
        not facts.etag and now.modified and now.modified != facts.modified
    ):
        raise changed(where)


async def _read_exactly(read: Callable[[int], Awaitable[bytes]], length: int) -> bytes:
    data = bytearray()
    while len(data) < length and (chunk := await read(length - len(data))):
        data += chunk
    if len(data) < length:
        raise TransientError(f"an answer of {len(data)} bytes (expected {length})")
    return bytes(data)


def _http_facts(size: int, answer: Any) -> Facts:
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise DatabaseError(f"{answer.url.host}: the server compresses what it sends")
    return Facts(size, answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", ""))


def _http_condition(facts: Facts) -> dict[str, str]:
    if facts.etag and not facts.etag.startswith("W/"):  # a weak one never matches
        return {"If-Match": facts.etag}
    return {"If-Unmodified-Since": facts.modified} if facts.modified else {}


def _s3_facts(size: int, answer: Any) -> Facts:
    modified = answer.get("LastModified")
    return Facts(size, answer.get("ETag", ""), modified.isoformat() if modified else "")
