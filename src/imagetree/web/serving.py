"""The site as processes that listen at an address, until they are told to stop.

One process for one user; for many, workers that take requests from one socket, begun anew where one
dies. SIGTERM and Ctrl-C let answers that are under way be finished, downloads for so long as
`GRACE_SECONDS`, and then the command ends as done.
"""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_address, ip_network
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from imagetree.database import open_database
from imagetree.errors import ImagetreeError
from imagetree.files import sha256_of
from imagetree.index.store import read_info
from imagetree.web.app import create_app
from imagetree.web.logs import set_up_log
from imagetree.web.metrics import Metrics
from imagetree.web.neighbours import checkpoint_of
from imagetree.web.protocol import Protocol
from imagetree.web.signing import load_secret, secret_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from fastapi import FastAPI

    from imagetree.web.settings import Settings

GRACE_SECONDS = 30
"""For answers that are under way when the site is stopped."""

KEEP_ALIVE_SECONDS = 75
"""For which an unused connection stays; longer than nginx keeps its own, so that nginx ends it."""

WORKER_SECONDS = 60
"""In which a worker answers whether it lives. Uvicorn's five are too few where others keep the
machine busy: a worker that was still starting was ended, and the next one too, without end."""

MAX_CONNECTIONS = 512
"""Of one process, at a time."""

PASSED, MAX_PASSED = 8, 256
"""Turns for which a process leaves a new connection to others: for each that it has, and at most.
A turn in which nothing is to be done takes some microseconds."""

_log = logging.getLogger(__name__)
_BACKLOG = 2048
_REASONS = {
    errno.EADDRINUSE: "another process listens there",
    errno.EACCES: "ports below 1024 are for the superuser",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}


class Listening(NamedTuple):
    """Where and by how many processes requests are taken.

    Args:
        host: name or address of this machine; 0.0.0.0 or :: for all that it has.
        port: 0 for any that is free.
        workers: processes.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1


def serve(settings: Settings, listening: Listening, say: Callable[[str], None]) -> None:
    """Serve the site until SIGTERM or Ctrl-C.

    Args:
        settings: of the site.
        listening: where.
        say: told the site's URL once it is listened at.

    Raises:
        ImagetreeError: the database is missing or of another schema, the settings are wrong, or
            nobody can listen at the address; a worker could not start.
    """
    check_settings(settings)
    _check_database(settings)
    with _listen(listening) as listener, _stopped_by_signals():
        set_up_log()
        say(f"http://{format_address(*listener.getsockname()[:2])}")
        if listening.workers > 1:
            _serve_by_workers(settings, listening.workers, listener)
        else:
            _serve_alone(settings, listener)


def check_settings(settings: Settings) -> None:
    """Whether URL and proxies can be understood, and what belongs together is there.

    Raises:
        ImagetreeError: one cannot.
    """
    try:
        url = urlsplit(settings.public_url)
        is_whole = url.scheme in {"http", "https"} and bool(url.hostname) and url.username is None
        is_site = url.path in {"", "/"} and not url.query and not url.fragment and url.port != 0
    except ValueError:
        is_whole = is_site = False
    if settings.public_url and not (is_whole and is_site and settings.public_url.isascii()):
        raise ImagetreeError(
            f"--public-url: {settings.public_url!r} is no address of a site",
            hint="name it as visitors see it, without a path: https://images.example.org",
        )
    for each in settings.proxies:
        try:
            ip_network(each)
        except ValueError as error:
            raise ImagetreeError(
                f"--proxies: {each!r} is no address or network ({error})",
                hint="name the proxy's address, as 127.0.0.1 or 10.0.0.0/8",
            ) from None
    if settings.smtp is not None and not settings.public_url:
        raise ImagetreeError(
            "--smtp: the links in mail need the site's address",
            hint="name it: --public-url https://images.example.org",
        )
    if settings.run is not None and not settings.run.is_dir():
        raise ImagetreeError(
            f"--run: {settings.run}: there is no run", hint="train one: imagetree train"
        )
    if settings.index is not None:
        _check_index(settings.index, settings.run)


def _check_index(index: Path, run: Path | None) -> None:
    """Whether an index was made with the run as it is now."""
    hint = f"make one: imagetree index build {run or 'RUN'} ANOTHER-FOLDER"
    if run is None:
        raise ImagetreeError("--index: it needs the run that it was made with", hint="--run RUN")
    try:
        checkpoint = sha256_of(checkpoint_of(run))
    except OSError as error:
        raise ImagetreeError(f"--run: {run}: its checkpoint cannot be read ({error})") from error
    if read_info(index).identity.checkpoint != checkpoint:
        raise ImagetreeError(f"--index: {index}: made with another run than {run}", hint=hint)


def named_hosts(host: str) -> tuple[str, ...]:
    """Names that a site may be called by which listens at a host; addresses need no name."""
    try:
        ip_address(host)
    except ValueError:
        return (host.lower(),)
    return ("localhost",)


def format_address(host: str, port: int) -> str:
    """Host and port as in a URL.

    >>> format_address("::1", 8000)
    '[::1]:8000'
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class SharedListener(socket.socket):
    """A listener of several processes, each of which takes one connection at a time.

    asyncio takes as many at once as it is told to let wait. Told 2,048, the first process to wake
    took all that had come, kept them, and answered alone while the others idled. It is told one;
    how many may wait stays what it was. And since the process that has just been awake is the first
    again, one that has connections lets turns of its loop pass, in which others may take what came.
    """

    _passed = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """A connection, if this process is not to let others go first."""
        if self._passed < min(PASSED * Protocol.num_open, MAX_PASSED):
            self._passed += 1
            raise BlockingIOError  # asyncio asks again in its next turn
        self._passed = 0
        return super().accept()

    def listen(self, _backlog: int = _BACKLOG, /) -> None:
        """Let as many connections wait as ever."""
        super().listen(_BACKLOG)

    def __reduce__(self) -> tuple[Callable[..., SharedListener], tuple[object, ...]]:
        return _rebuild_listener, (DupFd(self.fileno()),)


def _rebuild_listener(descriptor: Any) -> SharedListener:
    return SharedListener(fileno=descriptor.detach())


def create_worker_app(settings: Settings, folder: Path) -> FastAPI:
    """The site in one of several processes; for `serve`.

    Args:
        settings: of the site.
        folder: where the workers' counts are.
    """
    set_up_log()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        return create_app(settings, Metrics(folder))
    except ImagetreeError:
        _log.exception("this worker cannot start")
        sys.exit(STARTUP_FAILURE)  # so that it is not tried again and again


def _end_with_parent() -> None:
    """A worker whose first process was killed would hold the port, and nobody could stop it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _check_database(settings: Settings) -> None:
    """Whether the site could start: what is wrong is told once, and not by each worker."""
    with open_database(settings.database) as database:
        load_secret(secret_folder(database))


def _listen(listening: Listening) -> socket.socket:
    host, port = listening.host, listening.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        reason = _REASONS.get(getattr(error, "errno", None) or 0, str(error))
        raise ImagetreeError(
            f"{format_address(host, port)}: cannot be listened at ({reason})",
            hint=f"choose another: imagetree web serve --port {(port + 1) % 65536}",
        ) from error
    # What is accepted inherits it: an answer's body shall not wait for the receipt of its head,
    # which a receiver gives after 40 ms. asyncio sets it on sockets that name their protocol alone.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=Protocol,
        ws="none",
        log_config=None,
        access_log=False,  # `recording` writes a better one
        proxy_headers=False,  # `recording.FromProxies` reads them, with the request's id
        server_header=False,
        backlog=_BACKLOG,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_worker_healthcheck=WORKER_SECONDS,
    )


def _serve_alone(settings: Settings, listener: socket.socket) -> None:
    try:
        uvicorn.Server(_config(create_app(settings))).run([listener])
    except SystemExit as error:
        _check_start(has_failed=error.code == STARTUP_FAILURE)
        raise


def _serve_by_workers(settings: Settings, workers: int, listener: socket.socket) -> None:
    with tempfile.TemporaryDirectory(prefix="imagetree-") as folder:
        config = _config(partial(create_worker_app, settings, Path(folder)))
        config.factory, config.workers, config.backlog = True, workers, 1
        supervisor = Multiprocess(config, [SharedListener(fileno=listener.detach())])
        supervisor.run()
        exits = [process.exitcode for process in supervisor.processes]
        _check_start(has_failed=STARTUP_FAILURE in exits)


def _check_start(*, has_failed: bool) -> None:
    if has_failed:
        raise ImagetreeError(
            "the site could not start", hint="the reason is in the log, above; mend it"
        )


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Make SIGTERM and SIGINT end this command as done.

    While the server runs they are its own; it raises them again when it has stopped.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
