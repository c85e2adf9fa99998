"""The blocks of a tar archive, with nothing in them that differs from one day to the next.

POSIX ustar: time 0, owner 0, mode 644; a PAX header before a member only where ustar cannot hold
it (names that are long or not ASCII, 8 GiB and more). Sizes follow from names and lengths alone.
"""

from __future__ import annotations

import hashlib
import tarfile
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
    entry = tarfile.TarInfo(name)
    entry.size = length
    return entry.tobuf(tarfile.PAX_FORMAT, errors="strict")


def member_size(name: str, length: int) -> int:
    """Bytes that a member takes, its header and padding included."""
    is_short = name.isascii() and len(name) <= _MAX_SHORT_NAME and length < _MAX_SHORT_LENGTH
    header = BLOCK if is_short else len(member_header(name, length))
    return header + -(-length // BLOCK) * BLOCK


def member(name: str, data: bytes) -> bytes:
    """A member as a whole."""
    return b"".join((member_header(name, len(data)), data, bytes(-len(data) % BLOCK)))


def archive_size(members: int) -> int:
    """Bytes of an archive whose members take so many."""
    return -(-(members + 2 * BLOCK) // RECORD) * RECORD


def archive_end(members: int) -> bytes:
    """What closes an archive whose members take so many bytes."""
    return bytes(archive_size(members) - members)


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
