"""Files appear whole or not at all."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from imagetree.errors import ImagetreeError
from imagetree.files import atomic_writer, sha256_of, write_atomic

if TYPE_CHECKING:
    from pathlib import Path


def test_failure_in_the_middle_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomic(path, "old")

    def fail() -> None:
        with atomic_writer(path) as file:
            file.write(b"new")
            raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_is_made_and_rights_follow_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "b" / "c" / "a"
    write_atomic(path, b"\xff")
    assert path.read_bytes() == b"\xff"
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_writers_at_once_leave_one_of_their_files(tmp_path: Path) -> None:
    """Twenty threads write the same name: one text stands there whole, nothing remains beside."""
    path = tmp_path / "a"
    texts = [str(number) * 10000 for number in range(20)]
    threads = [threading.Thread(target=write_atomic, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_that_has_gone_is_not_the_files_fault(tmp_path: Path) -> None:
    """What is printed while a file is written goes elsewhere; the old file stays."""
    (tmp_path / "a").write_bytes(b"old")

    def write() -> None:
        with atomic_writer(tmp_path / "a") as file:
            file.write(b"new")
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        ImagetreeError, match=r"a: cannot be written .(File exists|Not a directory).\nhint: "
    ):
        write_atomic(tmp_path / "file" / "a", b"")


def test_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    """A process that dies while writing changes nothing under the name."""
    path = tmp_path / "a"
    write_atomic(path, "old")
    code = (
        "import os, sys; from pathlib import Path; from imagetree.files import atomic_writer\n"
        "with atomic_writer(Path(sys.argv[1])) as file:\n"
        "    file.write(b'x' * 1000000); os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -9
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    write_atomic(path, "new")  # the next writer clears up what the killed one left
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "new"


def test_sha256(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", "abc")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
