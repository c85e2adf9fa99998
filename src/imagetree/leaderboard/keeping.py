"""The files of entries, kept byte by byte under the SHA-256 of what is in them.

A file is in its place, whole and on the disk, before any row of the database names it. What a
killed program leaves behind is at most a file that no row names.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from imagetree.errors import ChallengeError
from imagetree.files import atomic_writer, sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 1 << 20
_MODE = 0o600  # what a team answers is its own


class Kept(NamedTuple):
    """A file that is kept.

    Args:
        sha256: of its bytes, 64 hexadecimal digits.
        size_bytes: their number.
    """

    sha256: str
    size_bytes: int


@contextmanager
def keep_file(source: Path, folder: Path) -> Iterator[tuple[Kept, IO[bytes]]]:
    """Copy a file to where entries are kept; it stays there if the block ends without an error.

    Args:
        source: a regular file.
        folder: of kept files; made if it is missing.

    Yields:
        What is kept, and the copy, opened for reading.

    Raises:
        ChallengeError: the file cannot be read, is none, or changes while it is read.
        ImagetreeError: the copy cannot be written.
    """
    sha256 = _sha256_of_entry(source)
    with atomic_writer(folder / sha256) as target:
        os.fchmod(target.fileno(), _MODE)
        digest, size_bytes = _copy(source, target)
        if digest != sha256:
            raise ChallengeError(f"{source}: changed while it was read", hint="send it again")
        with Path(target.name).open("rb") as copy:
            yield Kept(sha256, size_bytes), copy


@contextmanager
def kept_file(folder: Path, sha256: str) -> Iterator[IO[bytes]]:
    """A kept file, opened for reading and held to its sum.

    Args:
        folder: of kept files.
        sha256: of the file.

    Raises:
        ChallengeError: it is missing, cannot be read, or was changed.
    """
    path = folder / sha256
    if _sha256_of_entry(path) != sha256:
        raise ChallengeError(
            f"{path}: changed since it was sent", hint="put back a copy with that SHA-256"
        )
    with path.open("rb") as file:
        yield file


def _sha256_of_entry(path: Path) -> str:
    """The sum of a file; devices and pipes, which need not end, are refused."""
    try:
        if not path.is_file():
            raise ChallengeError(f"{path}: no file is there")
        return sha256_of(path)
    except OSError as error:
        raise ChallengeError(f"{path}: cannot be read ({error.strerror or error})") from error


def _copy(source: Path, target: IO[bytes]) -> tuple[str, int]:
    digest, size_bytes = hashlib.sha256(), 0
    with source.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            target.write(block)
            size_bytes += len(block)
    target.flush()
    return digest.hexdigest(), size_bytes
