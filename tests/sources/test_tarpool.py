"""Scanning by worker processes: the same results, and nothing left behind however it ends."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from imagetree.errors import DatabaseError
from imagetree.sources import tarpool
from imagetree.sources.tarpool import scan_windows
from imagetree.sources.tarscan import Member, Problem, scan_tar

NUM_TARS = 40

ENDLESS = """
import itertools, signal, sys
from imagetree.sources import tarpool

signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run behind nohup

tarpool.START_SECONDS = -1
workers, real = [], tarpool._Worker
tarpool._Worker = lambda fd: workers.append(real(fd)) or workers[-1]
for number, _ in enumerate(tarpool.scan_windows(sys.argv[1], itertools.repeat((0, 10240)))):
    if number == 20:
        print(*(worker._process.pid for worker in workers), flush=True)
"""
"""A program that scans for ever, and tells the ids of its workers."""


def inner_tar(number: int) -> bytes:
    """Some members and a link; one in seven is damaged, and number 5 needs several answers."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for index in range(2500 if number == 5 else number):
            entry = tarfile.TarInfo(f"bär_{number}_{index}.JPEG")
            entry.size = index % 3
            archive.addfile(entry, io.BytesIO(bytes(entry.size)))
        link = tarfile.TarInfo("link\n.JPEG")
        link.type = tarfile.SYMTYPE
        archive.addfile(link)
    data = file.getvalue()
    return data[: 512 * number] + b"damage" + data[512 * number :] if number % 7 == 1 else data


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A file of many tars, and the windows where they lie."""
    path = tmp_path_factory.mktemp("tars") / "tars"
    windows = []
    with path.open("wb") as file:
        for number in range(NUM_TARS):
            start = file.tell()
            file.write(inner_tar(number))
            windows.append((start, file.tell()))
    return str(path), windows


@pytest.fixture(scope="module")
def expected(archive):
    path, windows = archive
    with Path(path).open("rb") as file:
        read = partial(os.pread, file.fileno())
        return [list(scan_tar(read, *window)) for window in windows]


@pytest.fixture
def workers(monkeypatch):
    """The workers that are started, at once and not only after a while."""
    started = []

    class Noted(tarpool._Worker):
        def __init__(self, fd):
            super().__init__(fd)
            started.append(self)

    monkeypatch.setattr(tarpool, "START_SECONDS", -1.0)
    monkeypatch.setattr(tarpool, "_Worker", Noted)
    return started


def is_running(pid: int) -> bool:
    """A process that has not ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_workers_find_what_one_process_finds(archive, expected, workers, monkeypatch):
    """Members and problems, of the right types, in the order of the windows; all by workers."""
    monkeypatch.setattr(tarpool, "_parts", None)  # what this process would scan with
    found = list(scan_windows(*archive, processes=3))
    assert found == expected
    assert [[type(item) for item in one] for one in found] == [
        [type(item) for item in one] for one in expected
    ]
    assert {type(item) for one in found for item in one} == {Member, Problem}
    assert len(workers) == 3


def test_little_work_starts_no_process(archive, expected, monkeypatch):
    """What is scanned before the patience ends is scanned here."""
    monkeypatch.setattr(tarpool, "START_SECONDS", 600)
    monkeypatch.setattr(tarpool, "_Worker", None)
    assert list(scan_windows(*archive)) == expected


def test_one_process_is_the_calling_one(archive, expected, workers):
    """With one process none is started, however long it takes."""
    assert list(scan_windows(*archive, processes=1)) == expected
    assert workers == []


def test_workers_start_when_it_takes_long(archive, expected, workers, monkeypatch):
    """The first windows are scanned here, until the patience is at its end."""
    monkeypatch.setattr(tarpool, "START_SECONDS", 1e-9)
    assert list(scan_windows(*archive, processes=2)) == expected
    assert len(workers) == 2


def test_no_worker_for_the_little_that_is_left(archive, expected, workers, monkeypatch):
    """At the end of the patience no process is started where next to nothing is left."""
    path, windows = archive
    monkeypatch.setattr(tarpool, "START_SECONDS", 1e-9)
    found = list(scan_windows(path, [windows[5], (0, 0)]))
    assert found == [expected[5], [Problem("", 0, "empty: no tar header", is_end=True)]]
    assert workers == []


def test_windows_are_read_a_few_ahead(archive, workers):
    """Memory does not grow with the number of windows."""
    path, windows = archive
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield windows[3]

    found = scan_windows(path, endless(), processes=2)
    for _ in range(30):
        next(found)
    found.close()
    assert len(taken) <= 30 + 2 * 2


def test_killed_worker_loses_nothing(archive, expected, workers):
    """The windows of a worker that is killed are scanned here; nothing hangs."""
    found = scan_windows(*archive, processes=2)
    items = [next(found)]
    for worker in workers:
        os.kill(worker._process.pid, signal.SIGKILL)
    assert items + list(found) == expected


def test_worker_that_cannot_start_loses_nothing(archive, expected, workers, monkeypatch):
    """Where no process can be started the calling one does it all."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert list(scan_windows(*archive)) == expected


@pytest.mark.parametrize("is_closed", [True, False])
def test_no_worker_is_left(archive, workers, is_closed):
    """All workers are ended and reaped when the iterator is closed, and when it is at its end."""
    found = scan_windows(*archive, processes=4)
    next(found)
    pids = [worker._process.pid for worker in workers]
    assert all(map(is_running, pids))
    found.close() if is_closed else list(found)
    assert len(pids) == 4
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_close_waits_for_no_worker(archive, workers):
    """A worker that does not answer is killed; here it is stopped, as by a dead disk."""
    found = scan_windows(*archive, processes=2)
    next(found)
    for worker in workers:
        os.kill(worker._process.pid, signal.SIGSTOP)
    rescue = threading.Timer(10, lambda: [w._process.send_signal(signal.SIGCONT) for w in workers])
    rescue.start()
    began = time.monotonic()
    found.close()
    rescue.cancel()
    assert time.monotonic() - began < 5
    assert all(worker._process.returncode == -signal.SIGKILL for worker in workers)


def test_workers_are_out_of_reach_of_the_terminal(archive, workers):
    """Ctrl-C reaches the caller alone, who decides what becomes of the workers."""
    found = scan_windows(*archive, processes=2)
    next(found)
    sessions = {os.getsid(worker._process.pid) for worker in workers}
    found.close()
    assert len(sessions) == 2
    assert os.getsid(0) not in sessions


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_caller(archive, how):
    """Ctrl-C ends caller and workers without a hang, and so does a kill that tidies nothing up."""
    program = [sys.executable, "-c", ENDLESS, archive[0]]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as caller:
        pids = [int(word) for word in caller.stdout.readline().split()]
        assert len(pids) == tarpool.PROCESSES
        assert all(map(is_running, pids))
        caller.send_signal(how)
        try:
            _, complaint = caller.communicate(timeout=20)
        finally:
            caller.kill()
    assert caller.returncode != 0
    assert (b"KeyboardInterrupt" in complaint) == (how == signal.SIGINT)
    wait_until(lambda: not any(map(is_running, pids)))


def test_missing_file_is_told(tmp_path):
    """A file that cannot be opened is named."""
    with pytest.raises(DatabaseError, match=r"missing: cannot be opened \(No such file"):
        next(scan_windows(str(tmp_path / "missing"), [(0, 512)]))


@pytest.mark.parametrize("processes", [1, 2])
def test_reading_errors_come_through(tmp_path, workers, processes):
    """What the system says when a worker cannot read is said to the caller."""
    with pytest.raises(IsADirectoryError):
        list(scan_windows(str(tmp_path), [(0, 1024)] * 4, processes=processes))


def test_replaced_file_is_not_read(tmp_path, workers):
    """Workers read the file that was opened, whatever its name stands for by then."""
    path, data = tmp_path / "tars", inner_tar(3)
    path.write_bytes(data)
    found = scan_windows(str(path), [(0, len(data))] * 50, processes=2)
    first = next(found)
    path.unlink()
    path.write_bytes(bytes(len(data)))
    assert all(items == first for items in found)


def test_worker_loads_little():
    """A worker starts without the modules that only its caller needs."""
    code = "import sys; sys.path.append(sys.argv[1]); import imagetree.sources.tarpool\n"
    code += "print(*{'numpy', 'sqlalchemy', 'subprocess', 'logging', 'inspect'} & {*sys.modules})"
    program = [sys.executable, "-I", "-S", "-c", code, tarpool._ROOT]
    assert subprocess.run(program, check=True, capture_output=True).stdout.strip() == b""
