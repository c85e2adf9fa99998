"""A small read-ahead in front of a place where each read is a request.

A scan of headers reads 512 bytes here and there. Where the members between them are large, one
request for each header is the least there can be, and no byte of a body should come with it; where
they are small, one request should bring many headers. So the block that is read grows while the
next header proves to lie close behind it, and shrinks when one lies far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagetree.sources.entries import Read

LEAST_BLOCK = 4 << 10
GREATEST_BLOCK = 1 << 20
_NEAR = 32 << 10
"""Gap up to which the next block grows: these bytes come faster than the answer to a request."""


class BlockReader:
    """Reads of a place in blocks, the last of which is kept; `read` may be called from any thread.

    Args:
        read: of the place.
        size: of the place, in bytes.
        block: least that is read at once, in bytes; at most GREATEST_BLOCK.

    >>> sizes = []
    >>> def read(length, offset): return sizes.append(length) or bytes(length)
    >>> reader = BlockReader(read, 1 << 30)
    >>> for header in range(8):
    ...     _ = reader.read(512, header * 1024)
    >>> sizes
    [4096, 8192]
    """

    def __init__(self, read: Read, size: int, block: int = LEAST_BLOCK) -> None:
        self._read, self._size, self._least = read, size, block
        self._block = block
        self._kept = (0, b"")

    def read(self, length: int, offset: int) -> bytes:
        """The bytes from an offset; fewer only where the place ends."""
        start, data = self._kept  # read once: another thread may replace it
        if start <= offset and offset + length <= start + len(data):
            return data[offset - start : offset - start + length]
        if length >= GREATEST_BLOCK:
            return self._read(length, offset)
        if data:
            self._adapt(offset - (start + len(data)))
        wanted = min(max(length, self._block), max(0, self._size - offset))
        data = self._read(wanted, offset)
        self._kept = (offset, data)
        return data[:length]

    def _adapt(self, gap: int) -> None:
        """Choose the next block by the bytes between the last one and what is wanted now."""
        if abs(gap) < _NEAR:
            self._block = min(self._block * 2, GREATEST_BLOCK)
        else:
            self._block = max(self._block // 2, self._least)
