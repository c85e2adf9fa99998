"""Every image read and decoded once: its facts are stored, and those that fail are set aside.

An import reads no image; this does. What is stored is not looked at again, so that a check which
was broken off goes on where it was, and one after a further import looks at what is new alone.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, func, insert, select

from imagetree.curation.inspection import ImageFacts, Trait, inspect_image
from imagetree.database.journal import change_states
from imagetree.database.queries import counts, images_of
from imagetree.database.reading import ImageReader
from imagetree.database.schema import State, image_facts, images
from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from imagetree.database.queries import ImageRow
    from imagetree.database.store import Database

CheckProgress = Callable[[int, int, int], None]
"""Called with the images done, earlier ones among them, the images in all, and the bad ones."""

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
        num_known: images that an earlier check had done.
        bytes: that were read.
        bad: the images that were set aside, in the order of their wnid and name.
        formats: images in state ok by format, found now or earlier.
        traits: images in state ok by what is unusual about them, found now or earlier.
    """

    num_checked: int
    num_known: int
    bytes: int
    bad: tuple[BadImage, ...]
    formats: dict[str, int]
    traits: dict[str, int]


class _Result(NamedTuple):
    """What came of an image: its facts, or why there are none."""

    image: ImageRow
    num_bytes: int
    facts: ImageFacts | None
    fault: str


def check_images(
    database: Database,
    progress: CheckProgress | None = None,
    threads: int | None = None,
    again: bool = False,
) -> CheckReport:
    """Read and fully decode the images in state ok; store their facts, quarantine those that fail.

    What was found is kept batch by batch, facts and quarantine in one transaction: a check that is
    broken off has lost at most the last two batches of 512.

    Args:
        database: whose images are checked; those of hidden synsets are left out.
        progress: told after each batch how far it is.
        threads: that read and decode; None for one on each processor.
        again: check those too that an earlier check has passed.

    Raises:
        DatabaseError: a source is missing or has changed since it was imported; nothing is then
            checked.
    """
    total = sum(counts(database).values())
    num_done, num_checked, num_bytes, bad = 0, 0, 0, list[BadImage]()
    with ImageReader(database) as reader:
        reader.open_all()
        pool = ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="check")
        try:
            for batch, results in _inspected(pool, reader, _batches(database, again)):
                _store(database, results)
                bad += [BadImage(each.image, each.fault) for each in results if each.fault]
                num_done += len(batch)
                num_checked += len(results)
                num_bytes += sum(each.num_bytes for each in results)
                if progress is not None:
                    progress(num_done, total, len(bad))
        finally:
            pool.shutdown(cancel_futures=True)
    formats, traits = count_traits(database)
    return CheckReport(num_checked, num_done - num_checked, num_bytes, tuple(bad), formats, traits)


def count_traits(database: Database) -> tuple[dict[str, int], dict[str, int]]:
    """How many of the checked images in state ok have each format, and each trait.

    Returns:
        By format in the order of the alphabet; by the trait's name, lower case, in its own order.
        Those that no image has are left out.
    """
    columns = image_facts.c
    query = (
        select(columns.format, columns.traits, func.count())
        .join_from(image_facts, images)
        .where(images.c.state == State.OK)
        .group_by(columns.format, columns.traits)
    )
    formats, traits = Counter[str](), Counter[Trait]()
    with database.reading() as connection:
        for kind, bits, number in connection.execute(query):
            formats[kind] += number
            traits.update(dict.fromkeys(Trait(bits), number))
    named = {str(trait.name).lower(): number for trait, number in sorted(traits.items())}
    return dict(sorted(formats.items())), named


def facts_of(database: Database, image_id: int) -> dict[str, object] | None:
    """What a check has found out of an image; None where none has looked at it.

    Returns:
        Format, width and height in pixels, SHA-256 as hexadecimal digits, perceptual hash as
        sixteen (None for one colour), traits by their names.
    """
    columns = image_facts.c
    with database.reading() as connection:
        row = connection.execute(
            select(image_facts).where(columns.image_id == image_id)
        ).one_or_none()
    if row is None:
        return None
    return {
        "format": row.format,
        "width": row.width,
        "height": row.height,
        "sha256": row.sha256.hex(),
        "phash": None if row.phash is None else f"{row.phash & (1 << 64) - 1:016x}",
        "traits": [str(trait.name).lower() for trait in Trait(row.traits)],
    }


_Batch = tuple["Sequence[ImageRow]", "Sequence[ImageRow]"]
"""Images, and those among them that are to be checked."""


def _batches(database: Database, again: bool) -> Iterator[_Batch]:
    """The images in their order; no transaction is left open between two batches.

    One that is would keep SQLite from emptying its write-ahead log, for hours.
    """
    rows = _rows(database)
    while batch := list(islice(rows, _BATCH)):
        known = set[int]() if again else _known(database, batch)
        yield batch, [row for row in batch if row.id not in known]


def _rows(database: Database) -> Iterator[ImageRow]:
    for wnid in counts(database):
        page = images_of(database, [wnid], limit=_BATCH)
        yield from page
        while len(page) == _BATCH:
            page = images_of(database, [wnid], limit=_BATCH, start=(wnid, page[-1].name))
            yield from page


def _known(database: Database, batch: Sequence[ImageRow]) -> set[int]:
    """Ids of those that have facts."""
    column = image_facts.c.image_id
    with database.reading() as connection:
        query = select(column).where(column.in_([row.id for row in batch]))
        return set(connection.scalars(query))


def _inspected(
    pool: ThreadPoolExecutor, reader: ImageReader, batches: Iterator[_Batch]
) -> Iterator[tuple[Sequence[ImageRow], list[_Result]]]:
    """What came of each batch, in order; the next one is under way while one is stored."""
    waiting = deque[tuple["Sequence[ImageRow]", list["Future[_Result]"]]]()
    for batch, unknown in batches:
        waiting.append((batch, [pool.submit(_inspect, reader, row) for row in unknown]))
        if len(waiting) > 1:
            first, futures = waiting.popleft()
            yield first, [future.result() for future in futures]
    for last, futures in waiting:
        yield last, [future.result() for future in futures]


def _inspect(reader: ImageReader, row: ImageRow) -> _Result:
    num_bytes = 0
    try:
        data = reader.read(row)
        num_bytes = len(data)
        return _Result(row, num_bytes, inspect_image(data), "")
    except DatabaseError as error:
        return _Result(row, num_bytes, None, error.message)


def _store(database: Database, results: Sequence[_Result]) -> None:
    """Write what was found; of images that were taken out of the database meanwhile, nothing."""
    if not results:
        return
    ids = [each.image.id for each in results]
    with database.writing() as connection:
        here = set(connection.scalars(select(images.c.id).where(images.c.id.in_(ids))))
        connection.execute(delete(image_facts).where(image_facts.c.image_id.in_(ids)))
        rows = [
            _values(each.image.id, each.facts)
            for each in results
            if each.facts and each.image.id in here
        ]
        if rows:
            connection.execute(insert(image_facts), rows)
        faults = {e.image.id: e.fault for e in results if e.fault and e.image.id in here}
        if faults:
            change_states(connection, faults, {State.OK}, State.QUARANTINED)


def _values(image_id: int, facts: ImageFacts) -> dict[str, object]:
    phash = facts.phash
    if phash is not None and phash >= 1 << 63:  # databases know signed numbers alone
        phash -= 1 << 64
    return {
        "image_id": image_id,
        "format": facts.format,
        "width": facts.width,
        "height": facts.height,
        "sha256": facts.sha256,
        "phash": phash,
        "traits": int(facts.traits),
    }
