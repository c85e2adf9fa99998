"""Images read and prepared by a few threads ahead of whoever writes them, in their order."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from imagetree.database.queries import ImageRow
    from imagetree.database.reading import ImageReader

_THREADS = 4
_AHEAD = 4  # images for each thread that are read or wait to be taken

T = TypeVar("T")


class Prepared(NamedTuple, Generic[T]):
    """What became of an image.

    Args:
        row: the image.
        value: what was made of it; None where that failed.
        fault: why it failed; empty where it did not.
    """

    row: ImageRow
    value: T | None
    fault: str


def prefetch(
    reader: ImageReader,
    rows: Iterable[ImageRow],
    work: Callable[[ImageRow], T],
    threads: int,
) -> Iterator[Prepared[T]]:
    """Do some work on each image, ahead and in order.

    Args:
        reader: that the work reads with.
        rows: the images; taken one at a time, a few before they are needed.
        work: done in a thread; a `DatabaseError` of it is the fault of that image alone.
        threads: that work at a time.

    Raises:
        DatabaseError: a whole source is missing or has changed. That is no fault of an image.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="export")
    waiting: deque[tuple[ImageRow, Future[T]]] = deque()
    try:
        for row in rows:
            waiting.append((row, pool.submit(work, row)))
            if len(waiting) >= _AHEAD * threads:
                yield _take(reader, *waiting.popleft())
        while waiting:
            yield _take(reader, *waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def iter_lengths(reader: ImageReader, rows: Iterable[ImageRow]) -> Iterator[Prepared[int]]:
    """The length in bytes of each image; those for which the database knows none are read."""
    for is_known, group in groupby(rows, key=lambda row: row.length > 0):
        if is_known:
            yield from (Prepared(row, row.length, "") for row in group)
        else:
            yield from prefetch(reader, group, lambda row: len(reader.read(row)), _THREADS)


def _take(reader: ImageReader, row: ImageRow, future: Future[T]) -> Prepared[T]:
    try:
        return Prepared(row, future.result(), "")
    except DatabaseError as error:
        reader.open_all([row.source_id])  # does nothing where the source itself is there
        return Prepared(row, None, error.message)
