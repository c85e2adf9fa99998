"""A place that holds bytes: a file on the disk, on a web server or in a bucket of S3.

All of them are read by position, from any thread, and each says by its version whether it is still
what it was. Nothing here knows what the bytes mean.
"""

from __future__ import annotations

import os
import re
import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagetree.errors import DatabaseError
from imagetree.files import Closable
from imagetree.sources.entries import Entry, SetAside
from imagetree.sources.ranges import HttpObject, S3Object
from imagetree.sources.remote import (
    call_s3,
    changed,
    check_url,
    http_session,
    s3_session,
    split_s3,
)
from imagetree.sources.tarscan import fault_of_name, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imagetree.sources.entries import Read
    from imagetree.sources.ranges import Facts
    from imagetree.sources.remote import Session

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe in a file's place must not block
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class Place(Closable):
    """A file somewhere, open; close it when no thread reads any more. Made by `open_place`.

    Attributes:
        location: absolute path, or URL without secrets.
        size: in bytes.
        version: changes whenever the bytes do: the time of change in nanoseconds on a disk, on a
            server the ETag, else Last-Modified, whose steps are seconds.
        read: `read(length, offset)` gives the bytes, fewer only where the file ends. On a disk it
            is `os.pread` and nothing else, and raises OSError; a server's raises DatabaseError, and
            so it does for a file that has changed there.
        is_remote: each read is a request; put a `BlockReader` in front of it to scan headers.
        fd: descriptor of a file on a disk; -1 on a server.
    """

    fd = -1

    def __init__(
        self,
        location: str,
        facts: tuple[int, str],
        read: Read,
        *,
        ask_facts: Callable[[], tuple[int, str]],
        close: Callable[[], None],
    ) -> None:
        self.location = location
        self.size, self.version = facts
        self.read = read
        self.is_remote = is_url(location)
        self._ask_facts = ask_facts
        self._close: Callable[[], None] | None = close

    def check(self) -> None:
        """Make sure that it is still what it was when it was opened.

        Raises:
            DatabaseError: it has changed, or is gone.
        """
        if self._ask_facts() != (self.size, self.version):
            raise changed(self.location)

    def close(self) -> None:
        """Close it; a second time does nothing."""
        close, self._close = self._close, None
        if close is not None:
            close()


def is_url(location: str | Path) -> bool:
    """Whether a location is on a server.

    >>> is_url("s3://bucket/train.tar"), is_url("train.tar"), is_url("C://x")
    (True, False, False)
    """
    found = _SCHEME.match(location) if isinstance(location, str) else None
    return found is not None and found[1].lower() in {"http", "https", "s3"}


def open_place(location: str | Path) -> Place:
    """Open a file where it lies.

    Credentials come from where they belong: for http(s) ~/.netrc, for S3 the environment or the
    files of AWS, with AWS_ENDPOINT_URL for a server of one's own. HTTPS_PROXY is obeyed.

    Args:
        location: path, or URL of http, https or S3.

    Raises:
        DatabaseError: it is missing, no regular file, or may not be read; a URL holds credentials;
            a server does not know byte ranges, or says nothing by which a change could be seen.
    """
    if is_url(location):
        return _open_remote(str(location))
    scheme = _SCHEME.match(location) if isinstance(location, str) else None
    if scheme and not Path(location).exists():
        raise DatabaseError(
            f"scheme '{scheme[1]}:' is not read (expected http, https, s3 or a path)"
        )
    return _open_local(Path(location))


def list_place(url: str) -> Iterator[Entry | SetAside]:
    """The objects below a prefix in a bucket, sorted by key; as `walk_folder` gives a folder's.

    Args:
        url: `s3://BUCKET/PREFIX`; a final slash makes no difference.

    Returns:
        Entries with the name relative to the prefix, which is also the path; read one from
        `open_place(f"{url}/{entry.path}")`, or whole from a `Fetcher`. Unsafe names come out as
        `SetAside`; the empty objects that stand for folders not at all.

    Raises:
        DatabaseError: it is no URL of S3, there is nothing below it, or it may not be listed.
    """
    if not url.lower().startswith("s3://"):
        raise DatabaseError(
            f"{url}: a web server does not say what lies below a URL",
            hint="name the archives themselves, or a list of the images' URLs",
        )
    check_url(f"{url.rstrip('/')}/*")  # a bucket alone is as good as a prefix
    session = s3_session()
    try:
        found = sorted(_iter_keys(session, url.rstrip("/")))
    finally:
        session.close()
    if not found:
        raise DatabaseError(f"{url}: nothing lies below it", hint="see whether the prefix is right")
    for name, size in found:
        fault = fault_of_name(name)
        if fault:
            yield SetAside(printable(name), 0, fault)
        elif not name.endswith("/"):
            yield Entry(name, 0, size, name)


def _open_local(path: Path) -> Place:
    path = path.resolve()
    try:
        fd = os.open(path, _FLAGS)
    except OSError as error:
        raise DatabaseError(
            f"{printable(str(path))}: cannot be opened ({error.strerror})",
            hint="name an archive, or a folder of images",
        ) from error
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode):
        os.close(fd)
        raise DatabaseError(f"{printable(str(path))}: no regular file")
    place = Place(
        str(path),
        _local_facts(fd),
        partial(os.pread, fd),
        ask_facts=partial(_local_facts, fd),
        close=partial(os.close, fd),
    )
    place.fd = fd
    return place


def _local_facts(fd: int) -> tuple[int, str]:
    facts = os.fstat(fd)
    return facts.st_size, str(facts.st_mtime_ns)


def _open_remote(url: str) -> Place:
    check_url(url)
    is_s3 = url.lower().startswith("s3://")
    session = s3_session() if is_s3 else http_session(trust_env=True)
    try:
        found = S3Object(url, session) if is_s3 else HttpObject(url, session)
    except BaseException:
        session.close()
        raise
    return Place(
        url,
        _plain(found.facts),
        found.read,
        ask_facts=lambda: _plain(found.ask_facts()),
        close=session.close,
    )


def _plain(facts: Facts) -> tuple[int, str]:
    return facts.size, facts.version


def _iter_keys(session: Session, url: str) -> Iterator[tuple[str, int]]:
    """Names below the prefix, and sizes, page by page."""
    bucket, key = split_s3(url)
    prefix = f"{key}/" if key else ""
    names: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
    while True:
        page = session.ask(url, call_s3, session.client.list_objects_v2, url, names)
        for item in page.get("Contents", ()):
            if item["Key"] != prefix:
                yield item["Key"].removeprefix(prefix), int(item["Size"])
        if not page.get("IsTruncated"):
            return
        names["ContinuationToken"] = page["NextContinuationToken"]
