"""A page that asks many questions is of one state, and costs one transaction."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import event, text

from imagetree.database import open_database
from imagetree.database.counting import current_revision
from imagetree.errors import DatabaseError


def write(database):
    with database.writing() as connection:
        connection.execute(text("UPDATE meta SET value = '7' WHERE key = 'revision'"))


def in_thread(function, *arguments):
    """What a function gives in a thread of its own."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function(*arguments)))
    thread.start()
    thread.join()
    return found[0]


def test_a_snapshot_is_of_one_state_and_others_go_on(database):
    with database.snapshot():
        before = current_revision(database)
        in_thread(write, database)
        assert current_revision(database) == before
        assert in_thread(current_revision, database) == 7
    assert current_revision(database) == 7


def test_a_snapshot_is_one_transaction(database):
    begun = []
    event.listen(database.engine, "begin", begun.append)
    with database.snapshot():
        for _ in range(5):
            current_revision(database)
        with database.snapshot():
            current_revision(database)
        current_revision(database)
    assert len(begun) == 1
    current_revision(database)
    assert len(begun) == 2


def test_after_a_failure_nothing_is_left_of_it(database):
    with pytest.raises(KeyError), database.snapshot():
        raise KeyError("a")
    write(database)
    assert current_revision(database) == 7
    assert database.engine.pool.checkedout() == 0


def test_an_error_of_the_engine_is_translated_as_ever(tmp_path):
    with open_database(tmp_path / "images.db", create=True) as database:
        with database.writing() as connection:
            connection.execute(text("ALTER TABLE meta RENAME TO gone"))
        with pytest.raises(DatabaseError, match="no such table"), database.snapshot():
            current_revision(database)
