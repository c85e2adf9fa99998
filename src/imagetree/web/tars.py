"""Tar archives over HTTP: sent while they are read, from any byte, in constant memory.

An archive is planned once for each state of the database (`Plans`) and then sent in pieces of a
mebibyte. Each download holds a connection of the database and a few threads, so that there are only
so many at a time (`Slots`), and one whose receiver takes nothing for a minute is broken off.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter, OrderedDict
from contextlib import closing
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import anyio
from fastapi.responses import PlainTextResponse, StreamingResponse

from imagetree.database import ImageReader, journal
from imagetree.database.counting import current_counts
from imagetree.errors import DatabaseError
from imagetree.export.archive import TarPlan, iter_tar, plan_tar
from imagetree.export.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from starlette.types import Receive, Scope, Send

    from imagetree.database import Database
    from imagetree.database.counting import Counts
    from imagetree.database.journal import SourceRow

PIECE_BYTES = 1 << 20
"""Sent at a time: one hop between threads costs as much as reading a few hundred kilobytes."""

MAX_DOWNLOADS = 8
"""At a time in one process, of the 15 connections that SQLAlchemy's pool lends at most."""

MAX_OF_ONE = 4
"""At a time for one account, or for one address without an account."""

STALL_SECONDS = 60.0
_MAX_PLANS = 256
_MAX_CHECKSUMS = 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)

_log = logging.getLogger(__name__)


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
    first, last = found.groups()
    if not first:
        asked = ByteRange(max(size - int(last), 0), size)
    elif last and int(last) < int(first):
        return None
    else:
        asked = ByteRange(int(first), min(int(last) + 1, size) if last else size)
    if asked.start >= asked.stop:
        raise ValueError(f"no byte of {header!r} is in a file of {size} bytes")
    return asked


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
        self.database = database
        self.reader = reader
        self._kept: OrderedDict[Selection, tuple[_State, TarPlan]] = OrderedDict()
        self._checksums: OrderedDict[str, str] = OrderedDict()
        self._planning = Lock()
        self._hashing = Lock()

    def plan(self, selection: Selection) -> TarPlan:
        """The plan of an archive as the database is now.

        Raises:
            DatabaseError: there are no images, or a source is missing that must be read.
        """
        with self._planning:  # many that ask at once cost one plan
            state = self._state()
            kept = self._kept.get(selection)
            if kept is None or not kept[0].is_same(state):
                kept = (state, plan_tar(self.database, self.reader, selection))
                _keep(self._kept, selection, kept, _MAX_PLANS)
            return kept[1]

    def checksum(self, plan: TarPlan) -> str:
        """SHA-256 of an archive, as 64 hexadecimal digits; all of it is read for that, once.

        Raises:
            DatabaseError: an image cannot be read, or is no longer as it was planned.
        """
        with self._hashing:
            if plan.etag not in self._checksums:
                digest = hashlib.sha256()
                for piece in iter_tar(self.database, self.reader, plan):
                    digest.update(piece)
                _keep(self._checksums, plan.etag, digest.hexdigest(), _MAX_CHECKSUMS)
            return self._checksums[plan.etag]

    def _state(self) -> _State:
        with self.database.reading() as connection:
            counts = current_counts(self.database, connection)
        return _State(counts, journal.sources(self.database))


def _keep[K, V](kept: OrderedDict[K, V], key: K, value: V, most: int) -> None: ...


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
        pieces: to be sent; closed in the end.
        headers: of the answer, Content-Length among them.
        status: 200, or 206 for a part.
        slots: where one is taken while it is sent.
        holder: for whom.
    """

    def __init__(
        self,
        pieces: Generator[bytes, None, None],
        headers: dict[str, str],
        status: int,
        *,
        slots: Slots,
        holder: str,
    ) -> None:
        super().__init__(pieces, status, headers, "application/x-tar")
        self._pieces, self._slots, self._holder = pieces, slots, holder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or say that there are too many downloads."""
        if not self._slots.take(self._holder):
            text = "too many downloads at a time: try again when one is done\n"
            refusal = PlainTextResponse(text, 429, {"Retry-After": "30"})
            await refusal(scope, receive, send)
            return
        try:
            await super().__call__(scope, receive, send)
        except (DatabaseError, TimeoutError) as error:
            _log.warning("%s: broken off: %s", scope["path"], error)
        finally:
            self._slots.give_back(self._holder)

    async def stream_response(self, send: Send) -> None:
        """Send the head, then piece after piece as fast as they are taken."""
