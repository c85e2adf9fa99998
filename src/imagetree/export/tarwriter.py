"""The blocks of a tar archive, with nothing in them that differs from one day to the next.

POSIX ustar: time 0, owner 0, mode 644; a PAX header before a member only where ustar cannot hold
it (names that are long or not ASCII, 8 GiB and more). Sizes follow from names and lengths alone.
"""

from __future__ import annotations

import hashlib
import tarfile
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import IO

BLOCK = 512
RECORD = 20 * BLOCK
"""An archive ends with at least two empty blocks and has a whole number of records."""

_MAX_SHORT_NAME = 100
_MAX_SHORT_LENGTH = 1 << 33


def member_header(name: str, length: int) -> bytes:
    """The header of a regular file, extended ones before it included."""
    if not _is_short(name, length):
        return _tarfile_header(name, length)
    # Filled in by hand: tarfile takes longer for a header than for reading an image.
    before, between, after, fixed_sum = _template()
    text, size = name.encode(), b"%011o\0" % length
    checksum = b"%06o\0" % (sum(text) + sum(size) + fixed_sum)
    return b"".join((text.ljust(_MAX_SHORT_NAME, b"\0"), before, size, between, checksum, after))


def member_size(name: str, length: int) -> int:
    """Bytes that a member takes, its header and padding included."""
    header = BLOCK if _is_short(name, length) else len(member_header(name, length))
    return header + -(-length // BLOCK) * BLOCK


def member_blocks(name: str, data: bytes) -> tuple[bytes, bytes, bytes]:
    """A member's header, its bytes as they are, and what fills its last block."""
    return member_header(name, len(data)), data, bytes(-len(data) % BLOCK)


def member(name: str, data: bytes) -> bytes:
    """A member as a whole."""
    return b"".join(member_blocks(name, data))


def archive_size(members: int) -> int:
    """Bytes of an archive whose members take so many."""
    return -(-(members + 2 * BLOCK) // RECORD) * RECORD


def archive_end(members: int) -> bytes:
    """What closes an archive whose members take so many bytes."""
    return bytes(archive_size(members) - members)


def _is_short(name: str, length: int) -> bool:
    """Whether a plain ustar header holds them."""
    return name.isascii() and len(name) <= _MAX_SHORT_NAME and length < _MAX_SHORT_LENGTH


def _tarfile_header(name: str, length: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = length
    return entry.tobuf(tarfile.PAX_FORMAT, errors="strict")


@cache
def _template() -> tuple[bytes, bytes, bytes, int]:
    """What stands before, between and after name, size and checksum; and the sum of its bytes.

    The seven bytes of the checksum count as spaces.
    """
    block = _tarfile_header("", 0)
    before, between, after = block[100:124], block[136:148], block[155:]
    return before, between, after, sum(before) + sum(between) + sum(after) + 7 * ord(" ")


class HashingFile:
    """Writes to a file and hashes what is written; can go back to an earlier point.

    Args:
        file: new and empty; it can be positioned.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def mark(self) -> tuple[int, hashlib._Hash]:
        """This point, to come back to."""
        return self.size, self._hash.copy()

    def rewind(self, mark: tuple[int, hashlib._Hash]) -> None:
        """Take back what was written since that point."""
        self.size, self._hash = mark[0], mark[1].copy()
        self._file.seek(self.size)
        self._file.truncate()

    @property
    def sha256(self) -> str:
        """Of what was written, as 64 hexadecimal digits."""
        return self._hash.hexdigest()
