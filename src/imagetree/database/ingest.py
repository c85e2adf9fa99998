"""Importing a source: its images' places go into the database, each one once.

A new source is written in steps of some ten thousand images. Each step is one transaction that
holds the images, the counts, what was set aside, and where to go on: a killed import has lost its
last step at most, and the same command goes on after it. A source that was imported before is
compared in one transaction instead, and only what has changed in it is changed: an image keeps its
id and its state, one that moved gets its new place, one that is gone is deleted (unless it was
removed by hand: that stays on record). An image that another source has brought before is set aside
as a duplicate.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from imagetree.database import known
from imagetree.database.import_run import ImportReport, ImportRun, Progress
from imagetree.errors import DatabaseError
from imagetree.sources.source import find_source, scan_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from imagetree.database.store import Database
    from imagetree.sources.source import Batch, SourceOptions

__all__ = ["ImportReport", "Progress", "import_source", "relink_source"]

_STEP = 50_000  # images in a transaction: about half a second
_STEP_SECONDS = 2.0  # or less, where finding them takes long


class _DryRunError(Exception):
    """Ends the transaction of a dry run, so that it is rolled back."""


def import_source(
    database: Database,
    location: str | Path,
    options: SourceOptions | None = None,
    progress: Progress | None = None,
    dry_run: bool = False,
) -> ImportReport:
    """Import an archive, a folder, a table or a list by reading headers alone.

    Args:
        database: where the images' places go.
        location: a path or URL; see `sources.source` for what it may hold.
        options: labels, mapping and numbering where the source needs them.
        progress: told from time to time how far it is.
        dry_run: find out what would be done, and leave the database as it was.

    Raises:
        DatabaseError: the source or its labels are missing or faulty, or the disk is full. What was
            written until then stays, and the same import goes on after it.
    """
    source = find_source(location, options)
    with database.reading() as connection:
        row = known.known_source(connection, source.location)
    run = ImportRun(source, row, progress)
    is_broken_off = row is not None and row.resume_at is not None
    if row is None or (is_broken_off and source.version and row.version == source.version):
        _import_new(database, run, dry_run)
    else:
        _compare(database, run, dry_run)
    run.done_bytes = source.size_bytes or run.bytes
    run.tell()
    return run.report()


def relink_source(
    database: Database,
    old: str | Path,
    location: str | Path,
    options: SourceOptions | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Say where a source lies now; what has changed in it is changed in the database.

    Args:
        database: that knows the source.
        old: where it lay, as `imagetree database sources` lists it.
        location: where it lies now.
        options: as for its import.
        progress: told from time to time how far it is.

    Raises:
        DatabaseError: no such source was imported, or most of its images are not in the new place;
            the database is as it was before.
    """
    source = find_source(location, options)
    with database.reading() as connection:
        row = known.known_source(connection, str(old))
        other = known.known_source(connection, source.location)
    if row is None:
        raise DatabaseError(
            f"{old}: no source was imported from there",
            hint=f"imagetree database sources --database {database.place}",
        )
    if other is not None and other.id != row.id:
        raise DatabaseError(
            f"{source.location}: is a source of its own in this database",
            hint="name a place that was not imported",
        )
    run = ImportRun(source, row, progress)
    _compare(database, run, dry_run=False)
    return run.report()


def _import_new(database: Database, run: ImportRun, dry_run: bool) -> None:
    batches = scan_source(run.source, run.resume_at)
    try:
        for step in [batches] if dry_run else _steps(batches):
            with database.writing() as connection:
                run.start(connection)
                for batch in step:
                    run.take_new(connection, batch)
                run.end_step(connection, is_last=False)
                if dry_run:
                    raise _DryRunError
            run.tell()
        with database.writing() as connection:
            run.start(connection)
            run.end_step(connection, is_last=True)
    except _DryRunError:
        pass


def _compare(database: Database, run: ImportRun, dry_run: bool) -> None:
    try:
        with database.writing() as connection:
            run.start(connection)
            for batch in scan_source(run.source):
                run.take_again(connection, batch)
                run.tell()
            run.finish(connection)
            if dry_run:
                raise _DryRunError
    except _DryRunError:
        pass


def _steps(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    """Batches of about _STEP images together."""
    step: list[Batch] = []
    number, began = 0, time.monotonic()
    for batch in batches:
        step.append(batch)
        number += len(batch.images) + len(batch.set_aside)
        if number >= _STEP or time.monotonic() - began > _STEP_SECONDS:
            yield step
            step, number, began = [], 0, time.monotonic()
    if step:
        yield step
