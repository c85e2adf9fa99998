"""Tar archives over HTTP: sent while they are read, from any byte, in constant memory.

An archive is planned once for each state of the database (`Plans`) and then sent part by part. Each
download holds a connection of the database and a thread or a few, so that there are only so many at
a time (`Slots`), and one whose receiver takes nothing for a minute is broken off.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter, OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import anyio
from fastapi.responses import PlainTextResponse, StreamingResponse

from imagetree.database import journal
from imagetree.database.counting import current_counts
from imagetree.errors import DatabaseError
from imagetree.export.archive import plan_tar
from imagetree.export.streaming import bytes_of, iter_parts, iter_tar
from imagetree.web.protocol import PARTS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from starlette.types import Receive, Scope, Send

    from imagetree.database import Database, ImageReader
    from imagetree.database.counting import Counts
    from imagetree.database.journal import SourceRow
    from imagetree.export.archive import TarPlan
    from imagetree.export.selection import Selection
    from imagetree.export.streaming import Part

MAX_DOWNLOADS = 8
"""At a time in one process, of the 20 connections that SQLAlchemy's pool lends at most."""

MAX_OF_ONE = 4
"""At a time for one account, or for one address without an account."""

_MAX_PLANS = 256
_MAX_CHECKSUMS = 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_MAX_DIGITS = 18

_log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")


class ByteRange(NamedTuple):
    """The bytes [start, stop) of a file."""

    start: int
    stop: int


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The bytes that a Range header (RFC 9110, section 14.2) asks for.

    Several ranges, other units and what cannot be read are passed over, as the RFC allows: a
    header can then ask for no more than the whole file once.

    Args:
        header: None where there is none.
        size: of the file.

    Returns:
        None for the whole file.

    Raises:
        ValueError: none of the bytes is in the file.

    >>> parse_range("bytes=-10", 100), parse_range("bytes=0-0,5-9", 100)
    (ByteRange(start=90, stop=100), None)
    """
    found = _RANGE.fullmatch(header or "")
    if found is None or not any(found.groups()):
        return None
    first, last = map(_number, found.groups())
    if not found[1]:
        asked = ByteRange(max(size - last, 0), size)
    elif found[2] and last < first:
        return None
    else:
        asked = ByteRange(first, min(last + 1, size) if found[2] else size)
    if asked.start >= asked.stop:
        raise ValueError(f"no byte of the range is in a file of {size} bytes")
    return asked


def _number(digits: str) -> int:
    """Of a header; beyond any file where it has more digits than a file's size can have."""
    digits = digits.lstrip("0")
    return int(digits or 0) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS


def gather(pieces: Iterable[bytes], size: int) -> Generator[bytes, None, None]:
    """The same bytes in pieces of at least a size, but for the last.

    >>> list(gather([b"a", b"bc", b"d"], 2))
    [b'abc', b'd']
    """
    waiting: list[bytes] = []
    length = 0
    for piece in pieces:
        waiting.append(piece)
        length += len(piece)
        if length >= size:
            yield b"".join(waiting)
            waiting.clear()
            length = 0
    if waiting:
        yield b"".join(waiting)


class _Recent(Generic[K, V]):
    """The values that were put last.

    Args:
        most: values that are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        return self._values.get(key)

    def put(self, key: K, value: V) -> V:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)
        return value


class _State(NamedTuple):
    """What the bytes of an archive follow from."""

    counts: Counts
    sources: tuple[SourceRow, ...]

    def is_same(self, other: _State) -> bool:
        """Counts are made anew for each revision of the database."""
        return self.counts is other.counts and self.sources == other.sources


class Plans:
    """Archives of a database, each planned once for each of its states.

    Args:
        database: where the images are.
        reader: of the database.
    """

    def __init__(self, database: Database, reader: ImageReader) -> None:
        self._database = database
        self._reader = reader
        self._plans: _Recent[Selection, tuple[_State, TarPlan]] = _Recent(_MAX_PLANS)
        self._checksums: _Recent[str, str] = _Recent(_MAX_CHECKSUMS)
        self._planning = Lock()
        self._hashing = Lock()

    def plan(self, selection: Selection) -> TarPlan:
        """The plan of an archive as the database is now.

        Raises:
            DatabaseError: there are no images, or a source is missing that must be read.
        """
        with self._planning:  # many that ask at once cost one plan
            state = self._state()
            kept = self._plans.get(selection)
            if kept is None or not kept[0].is_same(state):
                plan = plan_tar(self._database, self._reader, selection)
                kept = self._plans.put(selection, (state, plan))
            return kept[1]

    def parts(self, plan: TarPlan, part: ByteRange | None = None) -> Generator[Part, None, None]:
        """The bytes of an archive, or of a part of it; see `iter_parts`.

        Raises:
            DatabaseError: an image cannot be read, or is no longer as it was planned.
        """
        start, stop = part or ByteRange(0, plan.size)
        return iter_parts(self._database, self._reader, plan, start, stop)

    def checksum(self, plan: TarPlan) -> str:
        """SHA-256 of an archive, as 64 hexadecimal digits; all of it is read for that, once.

        Raises:
            DatabaseError: an image cannot be read, or is no longer as it was planned.
        """
        with self._hashing:
            known = self._checksums.get(plan.etag)
            if known is not None:
                return known
            digest = hashlib.sha256()
            for piece in iter_tar(self._database, self._reader, plan):
                digest.update(piece)
            return self._checksums.put(plan.etag, digest.hexdigest())

    def _state(self) -> _State:
        with self._database.reading() as connection:
            counts = current_counts(self._database, connection)
        return _State(counts, journal.sources(self._database))


@dataclass
class Slots:
    """Who downloads at this moment.

    Args:
        most: at a time.
        most_of_one: at a time for one holder.
    """

    most: int = MAX_DOWNLOADS
    most_of_one: int = MAX_OF_ONE
    _taken: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def take(self, holder: str) -> bool:
        """Take a slot, which is to be given back; False where there is none."""
        with self._lock:
            is_free = self._taken.total() < self.most and self._taken[holder] < self.most_of_one
            self._taken[holder] += is_free
            self._taken += Counter()  # forgets those who hold none
            return is_free

    @contextmanager
    def held(self, holder: str) -> Iterator[bool]:
        """Take a slot for a while; gives False where there is none."""
        is_taken = self.take(holder)
        try:
            yield is_taken
        finally:
            if is_taken:
                self.give_back(holder)

    def give_back(self, holder: str) -> None:
        """Give a slot back."""
        with self._lock:
            self._taken[holder] -= 1
            self._taken += Counter()


class TarResponse(StreamingResponse):
    """Bytes of an archive, sent while they are read.

    Where that fails in the middle the connection is closed before all was sent that was promised,
    so that nobody takes what arrived for whole.

    Args:
        parts: to be sent; closed in the end.
        headers: of the answer, Content-Length among them.
        status: 200, or 206 for a part.
        slots: where one is taken while it is sent.
        holder: for whom.
    """

    def __init__(
        self,
        parts: Generator[Part, None, None],
        headers: dict[str, str],
        status: int,
        *,
        slots: Slots,
        holder: str,
    ) -> None:
        super().__init__(map(bytes_of, parts), status, headers, "application/x-tar")
        self._parts, self._slots, self._holder = parts, slots, holder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or say that there are too many downloads."""
        self._takes_parts = PARTS in scope.get("extensions", {})
        with self._slots.held(self._holder) as is_taken:
            if not is_taken:
                await too_many()(scope, receive, send)
                return
            try:
                await super().__call__(scope, receive, send)
            except (DatabaseError, TimeoutError) as error:
                _log.warning("%s: broken off: %s", scope["path"], error)
            finally:
                with anyio.CancelScope(shield=True):  # the receiver may have gone
                    await anyio.to_thread.run_sync(self._parts.close)

    async def stream_response(self, send: Send) -> None:
        """Send the head, then the parts: at once to a server that takes them so.

        Raises:
            DatabaseError: an image cannot be read, or is no longer as it was planned.
            TimeoutError: a part was not taken in time.
        """
        head = {"type": "http.response.start", "status": self.status_code}
        await send({**head, "headers": self.raw_headers})
        if self._takes_parts:
            await send({"type": "http.response.body", "more_body": True, PARTS: self._parts})
        else:
            async for piece in self.body_iterator:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def too_many() -> PlainTextResponse:
    """The refusal where no slot is free."""
    text = "too many downloads at a time: go on when one is done\n"
    return PlainTextResponse(text, 429, {"Retry-After": "30"})
