"""Decoding every image once, and setting aside those that fail: import itself reads no image.

What passes here is what training can read, because the decoder is the same. Only the first frame
of an animation is looked at, and nothing is said about what a picture shows.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from imagetree.database.journal import set_all_aside
from imagetree.database.queries import counts, locate
from imagetree.database.reading import ImageReader
from imagetree.errors import DatabaseError
from imagetree.sources.decoding import decode_image

if TYPE_CHECKING:
    from imagetree.database.queries import ImageRow
    from imagetree.database.store import Database

CheckProgress = Callable[[int, int, int], None]
"""Called with the images checked, the images in all, and the bad ones."""

_BATCH = 512


class BadImage(NamedTuple):
    """An image that was set aside, and why."""

    image: ImageRow
    reason: str


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Args:
        num_checked: images that were read and decoded, bad ones among them.
        bytes: that were read.
        bad: the images that were set aside.
    """

    num_checked: int
    bytes: int
    bad: tuple[BadImage, ...]


def check_images(
    database: Database, progress: CheckProgress | None = None, threads: int | None = None
) -> CheckReport:
    """Read and fully decode every image in state ok; quarantine those that fail.

    What was found bad is kept batch by batch: an interrupted check has lost at most the last 512.

    Args:
        database: whose images are checked.
        progress: told after each batch how far it is.
        threads: that read and decode; None for one on each processor.

    Raises:
        DatabaseError: a source is missing or has changed since it was imported; nothing is then
            checked.
    """
    threads = threads or os.cpu_count() or 1
    total = sum(counts(database).values())
    num_checked, num_bytes, bad = 0, 0, list[BadImage]()
    with ImageReader(database) as reader, closing(locate(database)) as images:
        reader.open_all()
        with ThreadPoolExecutor(threads, thread_name_prefix="check") as pool:
            while batch := list(islice(images, _BATCH)):
                reasons = pool.map(partial(fault_of_image, reader), batch)
                found = [BadImage(*pair) for pair in zip(batch, reasons, strict=True) if pair[1]]
                if found:
                    set_all_aside(database, {item.image.id: item.reason for item in found})
                    bad += found
                num_checked += len(batch)
                num_bytes += sum(row.length for row in batch)
                if progress is not None:
                    progress(num_checked, total, len(bad))
    return CheckReport(num_checked, num_bytes, tuple(bad))


def fault_of_image(reader: ImageReader, row: ImageRow) -> str:
    """Why an image cannot be used; empty for a good one."""
    try:
        decode_image(reader.read(row))
    except DatabaseError as error:
        return error.message
    return ""
