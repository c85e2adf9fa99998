"""A database of an older imagetree becomes the one that a new imagetree makes."""

from __future__ import annotations

import importlib

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import MetaData, create_engine, insert, select

from imagetree.database import counts, import_source, journal, locate, open_database, schema
from imagetree.database.store import upgrade
from imagetree.errors import DatabaseError

DOG = "n02084071"


@pytest.fixture
def first(place, train_tar):
    """A database of the first schema: three dogs, one of them quarantined, one named otherwise."""
    engine = create_engine(f"sqlite:///{place}" if "://" not in place else place)
    with engine.begin() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            importlib.import_module("imagetree.migrations.r0001_first").upgrade()
        tables = MetaData()
        tables.reflect(connection)
        facts = train_tar.stat()
        source = {
            "id": 1,
            "path": str(train_tar),
            "kind": "tar of tars",
            "size_bytes": facts.st_size,
            "mtime_ns": facts.st_mtime_ns,
            "imported_at": "2026-11-22T00:00:00+00:00",
        }
        connection.execute(insert(tables.tables["sources"]), source)
        common = {"source_id": 1, "synset": 2084071, "path": None}
        rows = [
            {"name": f"{DOG}_0", "offset": 1024, "length": 10, "state": 0},
            {"name": f"{DOG}_1", "offset": 2048, "length": 20, "state": 1},
            {"name": "val_1", "offset": 3072, "length": 30, "state": 0},
        ]
        connection.execute(insert(tables.tables["images"]), [common | row for row in rows])
        count = {"synset": 2084071, "num_images": 2}
        connection.execute(insert(tables.tables["synset_counts"]), count)
    engine.dispose()
    return place


def test_older_database_names_the_command(first):
    """It is not changed unasked: the error says which command brings it up to date."""
    with pytest.raises(DatabaseError, match=r"(?s)older imagetree made it.*database upgrade"):
        open_database(first)


def test_upgrade_keeps_everything(first):
    """Names, places, states and counts are what they were; a second upgrade changes nothing."""
    assert upgrade(first) == ("0001", schema.REVISION)
    assert upgrade(first) == (schema.REVISION, schema.REVISION)
    with open_database(first) as database:
        rows = [(row.wnid, row.name, row.offset) for row in locate(database)]
        assert rows == [(DOG, f"{DOG}_0", 1024), (DOG, "val_1", 3072)]
        assert counts(database) == {DOG: 2}
        with database.reading() as connection:
            assert tuple(connection.execute(select(schema.synset_counts)).one()) == (
                *(2084071, 2, 1, 0),
                *(40, 0),
            )
        (source,) = journal.sources(database)
        assert (source.resume_at, source.version.isdigit()) == (None, True)


def test_upgraded_database_follows_its_source(first, train_tar):
    """An import after the upgrade finds the images again by name and corrects their places."""
    upgrade(first)
    with open_database(first) as database:
        report = import_source(database, train_tar)
        assert (report.num_known, report.num_gone) == (2, 1)
        assert journal.sources(database)[0].location == str(train_tar)


def test_upgraded_tables_are_the_new_ones(first):
    """Alembic finds no difference between an upgraded database and the tables of the code."""
    upgrade(first)
    with open_database(first) as database, database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


def test_new_tables_are_those_of_the_code(database):
    """Alembic finds no difference in a database that was made at once."""
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
