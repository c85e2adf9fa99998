"""Entries scored again from their files: the same, or listed with what differs."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from imagetree.database import schema
from imagetree.errors import ChallengeError
from imagetree.leaderboard.audit import read_log
from imagetree.leaderboard.boards import close_board
from imagetree.leaderboard.entries import entries
from imagetree.leaderboard.rescoring import entry_figures, rescore

from .conftest import BOARD, WNIDS


@pytest.fixture
def filled(database, send, answer):
    send(answer("a.txt", 30, far=10))
    send(answer("b.txt", 3))
    return database


def score_rows(database, entry_id):
    table = schema.entry_scores.c
    query = select(table.k, table.num_misses, table.scorer).where(table.entry_id == entry_id)
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(table.id))]


def test_rescored_entries_are_the_same(filled):
    """Of a closed board too; older scores stay beside the new ones."""
    before = entries(filled, BOARD)
    close_board(filled, BOARD)
    done = []
    found = rescore(filled, BOARD, "keeper", lambda *numbers: done.append(numbers))
    assert [(each.entry_id, each.differences, each.fault) for each in found] == [
        (1, (), ""),
        (2, (), ""),
    ]
    assert done == [(1, 2), (2, 2)]
    after = entries(filled, BOARD)
    assert [each.errors for each in after] == [each.errors for each in before]
    rows = score_rows(filled, 1)
    assert rows[:2] == rows[2:]
    log = [(row.action, row.note, row.who) for row in read_log(filled, BOARD)][-2:]
    assert log == [("rescored", "the same", "keeper")] * 2


def test_difference_is_listed_and_counts(filled):
    """A wrong score of an older scorer is told and kept, and counts no more."""
    table = schema.entry_scores
    wrong = {"num_misses": 11, "error": 11 / 400, "scorer": "imagetree 0.0.1"}
    with filled.writing() as connection:
        here = (table.c.entry_id == 1) & (table.c.k == 5)
        connection.execute(update(table).where(here).values(wrong))
    first, second = rescore(filled, BOARD)
    assert first.differences == ("top 5 error: 0.0275 before, 0.025 now",)
    assert (second.differences, second.fault) == ((), "")
    assert entries(filled, BOARD)[0].error_at(5).num_misses == 10
    assert [row[1] for row in score_rows(filled, 1) if row[0] == 5] == [11, 10]
    notes = [row.note for row in read_log(filled) if row.action == "rescored"]
    assert notes == [first.differences[0], "the same"]


def test_lost_and_changed_files_are_listed_and_the_others_scored(filled, board):
    first, _ = entries(filled, BOARD)
    path = board.entries_folder / first.sha256
    path.write_text(f"{WNIDS[0]}\n" * 400)
    found = rescore(filled, BOARD)
    assert "changed since it was sent" in found[0].fault
    assert not found[1].fault
    path.unlink()
    assert "no file is there" in rescore(filled, BOARD)[0].fault
    assert entries(filled, BOARD)[0].errors == first.errors
    close_board(filled, BOARD)
    with pytest.raises(ChallengeError, match="no file is there"):
        entry_figures(filled, first.id)


def test_changed_labels_are_no_reason_to_rescore(filled, challenge):
    """The truth is held to the sum that it was sealed with before anything is scored."""
    text = challenge.sealed_path.read_text()
    challenge.sealed_path.write_text(text.replace(WNIDS[0], WNIDS[1]))
    with pytest.raises(ChallengeError, match="not the labels that were sealed"):
        rescore(filled, BOARD)
    assert len(score_rows(filled, 1)) == 2
