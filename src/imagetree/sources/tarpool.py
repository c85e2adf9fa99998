"""Many inner archives of one file, scanned by processes of their own.

ImageNet's training images are a tar of 1,000 tars with 1,281,167 members. Where a member begins is
known only when the header before it has been read, so that one scan waits for the disk or computes,
but never both; several scans side by side keep the disk and all cores busy.

A worker is a bare Python (`-I -S`) that knows `tarscan` and nothing else. Neither `spawn` nor
`fork` of `multiprocessing` would do: the one runs the caller's program again, the other takes along
open databases and threads. A worker inherits the descriptor, so that it reads the very file that
the caller opened, and ends when its standard input does, however the caller ended. Asked for a
window, it answers with marshalled lists of plain tuples, each behind its length; a length of 0 is
the end.

Modules that only the caller needs are imported where it needs them: a worker is ready in 30 ms.
"""

from __future__ import annotations

import marshal
import os
import sys
import time
from collections import deque
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain, islice
from struct import Struct
from typing import IO, TYPE_CHECKING, Any

from imagetree.errors import DatabaseError
from imagetree.sources.tarscan import Member, Problem, scan_tar

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from imagetree.sources.entries import Read

PROCESSES = 8
"""Workers, also where there are fewer cores: a worker that waits for the disk needs none."""

START_SECONDS = 0.3
"""Of scanning in the calling process before workers are thought of, and of what must be left."""

_PART = 1000  # members in one answer: a worker holds no more, and soon sees that no one listens
_REQUEST = Struct("<qq")
_LENGTH = Struct("<I")
_ROOT = __file__.rsplit(os.sep, 3)[0]
_PROGRAM = "import sys; sys.path.append(sys.argv[1]); from {} import serve; serve(int(sys.argv[2]))"

Window = tuple[int, int]


def scan_windows(
    path: str, windows: Iterable[Window], *, processes: int | None = None
) -> Iterator[list[Member | Problem]]:
    """What `scan_tar` finds in each of many windows of a file.

    It begins in the calling process, and starts workers when that has taken START_SECONDS and at
    least as much is left. The windows of a worker that dies are scanned in the calling process. All
    workers have ended when the iterator has, or is closed.

    Args:
        path: of a local file.
        windows: (start, end) of each inner archive, in bytes; read only a few ahead.
        processes: workers at most; PROCESSES if None. With 1 none is started.

    Returns:
        A list for each window, in the order of the windows.

    Raises:
        DatabaseError: the file cannot be opened.
        OSError: it cannot be read.
    """
    processes = PROCESSES if processes is None else processes
    jobs, ahead = iter(windows), deque[Window]()
    seconds, num_bytes = 0.0, 0
    with _opened(path) as fd:
        while True:
            ahead.extend(islice(jobs, 2 * processes - len(ahead)))
            if not ahead:
                return
            left = sum(end - start for start, end in ahead)
            is_much = len(ahead) == 2 * processes or left * seconds > num_bytes * START_SECONDS
            if seconds > START_SECONDS and is_much and processes > 1:
                break
            start, end = ahead.popleft()
            began = time.perf_counter()
            found = list(scan_tar(partial(os.pread, fd), start, end))
            seconds += time.perf_counter() - began
            num_bytes += end - start
            yield found
        yield from _scan_with_workers(fd, chain(ahead, jobs), min(processes, len(ahead)))


def serve(fd: int) -> None:
    """The worker: answer the requests on standard input until it ends, and end."""
    read = partial(os.pread, fd)
    with suppress(BrokenPipeError), open(1, "wb", closefd=False) as answers:
        while request := sys.stdin.buffer.read(_REQUEST.size):
            for part in _parts(read, *_REQUEST.unpack(request)):
                answers.write(_LENGTH.pack(len(part)) + part)
            answers.write(_LENGTH.pack(0))
            answers.flush()
    os._exit(0)  # the caller is gone or done: nothing to tidy up, no one to complain to


class _Worker:
    """One worker process, used by one thread at a time."""

    def __init__(self, fd: int) -> None:
        import subprocess

        self._read = partial(os.pread, fd)
        self._is_ended = False
        self._process: subprocess.Popen[bytes] | None = None
        program = [sys.executable, "-I", "-S", "-c", _PROGRAM.format(__name__), _ROOT, str(fd)]
        with suppress(OSError):  # no more processes are allowed: its windows are scanned here
            self._process = subprocess.Popen(
                program,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(fd,),
                start_new_session=True,  # Ctrl-C is for the caller, who then ends the worker
            )

    def scan(self, window: Window) -> list[bytes]:
        """The parts of a window's answer; made here if the worker is dead."""
        try:
            return list(self._ask(window))
        except (OSError, EOFError):
            return [] if self._is_ended else list(_parts(self._read, *window))

    def end(self) -> None:
        """Kill it; a thread that waits for its answer goes on at once."""
        self._is_ended = True
        if self._process:
            self._process.kill()

    def reap(self) -> None:
        """Wait for its end and close its pipes; no thread uses it any more."""
        if self._process:
            self._process.communicate()

    def _ask(self, window: Window) -> Iterator[bytes]:
        if self._process is None:
            raise EOFError
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # past the buffer, which would try to write what is left in it when it is closed
        os.write(self._process.stdin.fileno(), _REQUEST.pack(*window))
        answers = self._process.stdout
        while length := _LENGTH.unpack(_read_all(answers, _LENGTH.size))[0]:
            yield _read_all(answers, length)


def _scan_with_workers(
    fd: int, windows: Iterator[Window], processes: int
) -> Iterator[list[Member | Problem]]:
    """The results in order; at most two windows for each worker are asked for at a time."""
    with _submitter(fd, processes) as submit:
        pending = deque(map(submit, islice(windows, 2 * processes)))
        while pending:
            parts = pending.popleft().result()
            pending.extend(map(submit, islice(windows, 1)))
            yield _unpacked(parts)


@contextmanager
def _submitter(fd: int, processes: int) -> Iterator[Callable[[Window], Future[list[bytes]]]]:
    """A function that has a window scanned by a worker that is idle; a thread waits for each."""
    from concurrent.futures import ThreadPoolExecutor
    from queue import SimpleQueue

    workers: list[_Worker] = []
    idle = SimpleQueue[_Worker]()

    def scan(window: Window) -> list[bytes]:
        worker = idle.get()
        try:
            return worker.scan(window)
        finally:
            idle.put(worker)

    executor = ThreadPoolExecutor(processes, thread_name_prefix="tar")
    try:
        for _ in range(processes):
            workers.append(_Worker(fd))
            idle.put(workers[-1])
        yield lambda window: executor.submit(scan, window)
    finally:
        for worker in workers:
            worker.end()
        executor.shutdown(cancel_futures=True)
        for worker in workers:
            worker.reap()


@contextmanager
def _opened(path: str) -> Iterator[int]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DatabaseError(
            f"{path}: cannot be opened ({error.strerror})", hint="name a tar archive"
        ) from error
    try:
        yield fd
    finally:
        os.close(fd)


def _parts(read: Read, start: int, end: int) -> Iterator[bytes]:
    """What a window holds, marshalled in parts of _PART."""
    found = scan_tar(read, start, end)
    while rows := list(map(tuple, islice(found, _PART))):  # marshal refuses named tuples
        yield marshal.dumps(rows)


def _unpacked(parts: list[bytes]) -> list[Member | Problem]:
    make: Callable[..., Any] = tuple.__new__  # half the time of Member(*row), a million times
    rows = chain.from_iterable(map(marshal.loads, parts))
    return [make(Member if len(row) == 3 else Problem, row) for row in rows]


def _read_all(file: IO[bytes], length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise EOFError
    return data
