"""HTTP/1.1 as Uvicorn speaks it, but for three things.

A connection is given up on which the head of a request does not arrive: Uvicorn's own time limit
ends with the first byte, so that a byte in a minute would hold a connection for ever. It is given
up too where an answer is not taken, for which Uvicorn has no limit at all. And an answer can be
handed over as an iterable of parts (`PARTS`), which a thread sends one after the other, what lies
in files without a copy: through the event loop each would be copied, handed from thread to thread,
and kept in a buffer that is moved whenever the receiver takes some of it.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from imagetree.export.streaming import FilePart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

    from imagetree.export.streaming import Part

PARTS = "imagetree.parts"
"""Name of the extension, and in a message `http.response.body` of its iterable of `Part`.

Each part is good until the next is asked for. What the iterable raises, `send` raises; and
TimeoutError where a part was not taken within `STALL_SECONDS`.
"""

_SMALL = 1 << 15

STALL_SECONDS = 60.0
"""After which a receiver that takes nothing of an answer, or not all of a part, is given up."""

HEAD_SECONDS = 10.0
"""In which the head of a request is to arrive."""


class Protocol(H11Protocol):
    """One connection."""

    num_open = 0
    """Connections of this process."""

    _deadline: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app = partial(self._answer, self.app)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # writing is paused until nothing is left
        Protocol.num_open += 1
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Expect no more once a head has arrived; expect its end where it has begun."""
        super().data_received(data)
        if self._is_answering():
            self._expect_nothing()
        elif self._deadline is None:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing."""
        Protocol.num_open -= 1
        self._expect_nothing()
        self._end_stall()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Expect that what is left is taken; also when the answer is made and nobody waits."""
        super().pause_writing()
        self._expect_less()

    def resume_writing(self) -> None:
        """Expect nothing: all was taken."""
        super().resume_writing()
        self._end_stall()

    def _expect_less(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._stall = self.loop.call_later(STALL_SECONDS, self._check_less, left)

    def _check_less(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._expect_less()
        else:
            self.transport.abort()

    def _end_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _expect_head(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self._is_answering():
            self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    async def _answer(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: that of the newest cycle, as the next begins when this has ended."""
        cycle = self.cycle

        async def send_some(message: Message) -> None:
            if PARTS in message:
                await self._send_parts(cycle, message[PARTS])
            else:
                await send(message)

        if sys.platform == "linux":  # elsewhere sendfile and MSG_MORE are others, or missing
            scope = {**scope, "extensions": {**scope.get("extensions", {}), PARTS: {}}}
        await app(scope, receive, send_some)

    async def _send_parts(self, cycle: RequestResponseCycle, parts: Iterable[Part]) -> None:
        await self.flow.drain()  # what was sent before goes first
        if cycle.disconnected:
            return
        # Of its own number: it stays this connection when the event loop has closed its own.
        with (
            socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as own,
            ThreadPoolExecutor(1, thread_name_prefix="send") as pool,
        ):
            sending = self.loop.run_in_executor(pool, send_all, own, parts)
            try:
                sent = await asyncio.shield(sending)
            except asyncio.CancelledError:  # the receiver has gone, or the site stops
                with suppress(OSError):
                    own.shutdown(socket.SHUT_RDWR)  # the thread can send no more
                with anyio.CancelScope(shield=True):
                    await asyncio.wait([sending])
                raise
        if not cycle.disconnected:
            self.conn.send_with_data_passthrough(h11.Data(data=_Sent(sent)))  # type: ignore[arg-type]


class _Sent:
    """Stands for bytes that were sent, as h11 allows, which counts them."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size


def send_all(connection: socket.socket, parts: Iterable[Part]) -> int:
    """Send parts of an answer one after the other; the number of their bytes.

    Args:
        connection: that does not block.
        parts: each is sent before the next is asked for.

    Raises:
        TimeoutError: a part was not taken in time.
        OSError: the receiver has gone, or a file cannot be read.
    """
    poll = select.poll()
    poll.register(connection, select.POLLOUT)
    total = 0
    for part in parts:
        sent, size = 0, len(part)
        end = 0.0
        while sent < size:
            try:
                sent += _send_some(connection, part, sent)
            except BlockingIOError:
                now = time.monotonic()
                end = end or now + STALL_SECONDS
                if end <= now or not poll.poll((end - now) * 1000):
                    raise TimeoutError(f"nothing was taken for {STALL_SECONDS:g} s") from None
        total += size
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # nothing waits for more
    return total


def _send_some(connection: socket.socket, part: Part, begin: int) -> int:
    """Send the next bytes of a part; the number of those that were taken."""
    if not isinstance(part, FilePart):
        # A header waits for what it is the header of.
        return connection.send(part[begin:], socket.MSG_MORE if len(part) < _SMALL else 0)
    offset = part.offset + begin
    sent = os.sendfile(connection.fileno(), part.fd, offset, part.size - begin)
    if not sent:
        raise OSError(f"a file ends at {offset} bytes")
    return sent
