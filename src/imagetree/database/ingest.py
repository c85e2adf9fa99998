"""Importing a source: its images' places go into the database, each one once.

A new source is written in steps of some ten thousand images. Each step is one transaction that
holds the images, the counts, what was set aside, and where to go on: a killed import has lost its
last step at most, and the same command goes on after it. A source that was imported before is
compared in one transaction instead, and only what has changed in it is changed: an image keeps its
id and its state, one that moved gets its new place, one that is gone is deleted (unless it was
removed by hand: that stays on record). An image that another source has brought before is set aside
as a duplicate.

Any number of processes may import at a time, and take turns: one writes while the others wait. Who
finds that another process has gone on with the same source compares what is there by then.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from imagetree.database import known
from imagetree.database.import_run import ImportReport, ImportRun, Progress
from imagetree.errors import DatabaseError
from imagetree.sources.layouts import Layout
from imagetree.sources.places import is_url
from imagetree.sources.source import find_source, scan_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection

    from imagetree.database.journal import SourceRow
    from imagetree.database.store import Database
    from imagetree.sources.source import Batch, Source, SourceOptions

__all__ = ["ImportReport", "Progress", "import_source", "relink_source"]

_STEP = 50_000  # images in a transaction: about half a second
_STEP_SECONDS = 2.0  # or less, where finding them takes long


class _DryRunError(Exception):
    """Ends the transaction of a dry run, so that it is rolled back."""


class _TakenOverError(Exception):
    """Another process has gone on with this source."""


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
    row = _row_of(database, source)
    _check_options(row, source)
    run = ImportRun(source, row, progress)
    is_done = (row is None or _can_go_on(row, source)) and _import_new(database, run, dry_run)
    if not is_done:
        run = ImportRun(source, _row_of(database, source), progress)
        _compare(database, run, source.location, dry_run)
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
        old: where it lay.
        location: where it lies now.
        options: as for its import.
        progress: told from time to time how far it is.

    Raises:
        DatabaseError: no such source was imported, or most of its images are not in the new place;
            the database is as it was before.
    """
    source = find_source(location, options)
    with database.reading() as connection:
        row = known.known_source(connection, str(old)) or _row_of_path(connection, old)
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
    _check_options(row, source)
    run = ImportRun(source, row, progress)
    _compare(database, run, row.location, dry_run=False)
    return run.report()


def _row_of(database: Database, source: Source) -> SourceRow | None:
    with database.reading() as connection:
        return known.known_source(connection, source.location)


def _row_of_path(connection: Connection, old: str | Path) -> SourceRow | None:
    """The source of a path as users write it."""
    path = "" if is_url(old) else str(Path(old).expanduser().resolve())
    return known.known_source(connection, path)


def _check_options(row: SourceRow | None, source: Source) -> None:
    """Refuse to compare a source without the labels that it was imported with.

    Its images would be taken for gone where nothing else says what they show.
    """
    if row is not None and row.labels_path and not source.labels_path:
        option = "--labels" if row.layout == Layout.LABELLED else "--mapping"
        raise DatabaseError(
            f"{source.location}: was imported with {row.labels_path}, and now without",
            hint=f"name it again: {option} {row.labels_path}",
        )


def _can_go_on(row: SourceRow, source: Source) -> bool:
    """Whether an import was broken off, and its source and labels are what they were then."""
    is_same = (row.version, row.labels_sha256) == (source.version, source.labels_sha256)
    return row.resume_at is not None and source.version != "" and is_same


def _import_new(database: Database, run: ImportRun, dry_run: bool) -> bool:
    """Write a source step by step; says whether it did, or another process has gone on with it."""
    batches = scan_source(run.source, run.resume_at)
    location, row = run.source.location, run.row
    try:
        for step in [batches] if dry_run else _steps(batches):
            with database.writing() as connection:
                _check_alone(connection, location, row)
                run.start(connection)
                for batch in step:
                    run.take_new(connection, batch)
                run.end_step(connection, is_last=False)
                if dry_run:
                    raise _DryRunError
                row = known.known_source(connection, location)
            run.tell()
        with database.writing() as connection:
            _check_alone(connection, location, row)
            run.start(connection)
            run.end_step(connection, is_last=True)
    except _DryRunError:
        return True
    except _TakenOverError:
        return False
    return True


def _compare(database: Database, run: ImportRun, location: str, dry_run: bool) -> None:
    """Hold a source against what the database knows of the one at a location."""
    run.num_found = run.num_known = run.bytes = 0  # a part that was imported is met again
    try:
        with database.writing() as connection:
            run.row = known.known_source(connection, location)
            if run.row is None:
                raise DatabaseError(
                    f"{location}: another process has relinked this source meanwhile",
                    hint=f"imagetree database sources --database {database.place}",
                )
            run.start(connection)
            for batch in scan_source(run.source):
                run.take_again(connection, batch)
                run.tell()
            run.finish(connection)
            if dry_run:
                raise _DryRunError
    except _DryRunError:
        pass


def _check_alone(connection: Connection, location: str, row: SourceRow | None) -> None:
    """Make sure that the row of a source is what this import last saw or wrote."""
    if known.known_source(connection, location) != row:
        raise _TakenOverError


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
