"""Files written whole or not at all, their hashes, and what is closed in the end.

Nothing here knows what a file means.
"""

from __future__ import annotations

import glob
import hashlib
import os
import platform
import secrets
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Self

from imagetree.errors import ImagetreeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType


@contextmanager
def atomic_writer(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that appears under its name only when it is complete.

    The bytes go to a temporary file in the same folder, are flushed to the disk and renamed;
    whatever ends the process, `path` is either the old file or the whole new one.

    Args:
        path: the file to write; its folder is made if it is missing.

    Raises:
        ImagetreeError: the folder or file cannot be written, or the disk is full.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_writer(Path(folder) / "a") as file:
    ...         _ = file.write(b"whole")
    ...     (Path(folder) / "a").read_bytes()
    b'whole'
    """
    writer = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"
    temporary = path.with_name(f".{path.name}.{writer}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_orphans(path)
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except BrokenPipeError:  # of what the caller prints into meanwhile: no file's
        raise
    except OSError as error:
        raise ImagetreeError(
            f"{path}: cannot be written ({error.strerror or error})",
            hint="free some space or choose another folder, and run the command again",
        ) from error
    finally:
        with suppress(OSError):  # gone after the rename; never made where the folder is none
            temporary.unlink(missing_ok=True)


class Closable:
    """What is closed in the end, by hand or as a context manager."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what is held."""
        raise NotImplementedError


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write `data` (text as UTF-8) to `path`, whole or not at all; see `atomic_writer`."""
    with atomic_writer(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove_orphans(path: Path) -> None:
    """Remove what writers of `path` left behind that were killed on this machine."""
    for orphan in path.parent.glob(f".{glob.escape(path.name)}.{platform.node()}-*.part"):
        pid = orphan.name.split("-")[-2]
        if pid.isdecimal() and not _is_running(int(pid)):
            orphan.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    return True


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
