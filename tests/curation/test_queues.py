"""What waits for a curator, on SQLite and PostgreSQL."""

from __future__ import annotations

import pytest

from imagetree.curation import queues
from imagetree.curation.check import check_images
from imagetree.curation.removal import hide_synset, remove_images, restore_image
from imagetree.curation.votes import Vote, add_votes, set_gold
from imagetree.database import images_of
from imagetree.database.journal import change_states, set_aside
from imagetree.database.schema import State
from imagetree.errors import DatabaseError

ENTITY, DOG, CAT = "n00001740", "n02084071", "n02121808"


def ids(database, wnid):
    return [row.id for row in images_of(database, [wnid])]


def vote(database, image_id, said):
    votes = [Vote(image_id, f"voter {i}", each == "y") for i, each in enumerate(said)]
    add_votes(database, votes)


def test_most_votes_against_the_majority_come_first_then_the_more_divided(filled):
    first, second, third = ids(filled, DOG)
    for image_id, said in ((first, "yyyynn"), (second, "yynn"), (third, "yyn")):
        vote(filled, image_id, said)
    vote(filled, ids(filled, CAT)[0], "yyyy")  # all agree
    found = queues.disputed_images(filled, 9)
    assert [(each.image.id, each.num_yes, each.num_no) for each in found] == [
        *((second, 2, 2), (first, 4, 2), (third, 2, 1))
    ]
    assert queues.disputed_images(filled, 1) == found[:1]
    assert queues.voted_synsets(filled, 9) == ((DOG, 13), (CAT, 4))


def test_votes_that_do_not_count_dispute_nothing(filled):
    """Where there is gold, nobody counts whom it has not shown to be careful."""
    first, second, _ = ids(filled, DOG)
    vote(filled, first, "yn")
    set_gold(filled, {second: True})
    assert queues.disputed_images(filled, 9) == ()


def test_hidden_and_removed_images_are_not_disputed(filled):
    first, second, _ = ids(filled, DOG)
    for each in (first, second):
        vote(filled, each, "yn")
    remove_images(filled, [f"{DOG}_0"], "r")
    assert [each.image.id for each in queues.disputed_images(filled, 9)] == [second]
    hide_synset(filled, DOG, "r")
    assert queues.disputed_images(filled, 9) == ()


def test_each_image_is_listed_once_with_its_latest_note(filled):
    first, second, _ = ids(filled, DOG)
    set_aside(filled, first, "first reason")
    restore_image(filled, f"{DOG}_0", DOG, "mistake")
    set_aside(filled, second, "other")
    set_aside(filled, first, "second reason")
    found = queues.set_aside_images(filled, State.QUARANTINED, 9)
    assert [(each.image.id, each.reason) for each in found] == [
        *((first, "second reason"), (second, "other"))
    ]
    rest = queues.set_aside_images(filled, State.QUARANTINED, 9, before=found[0].problem_id)
    assert rest == found[1:]
    assert queues.set_aside_image(filled, first) == (found[0], State.QUARANTINED)
    assert queues.set_aside_image(filled, ids(filled, CAT)[0]) is None


def test_quarantined_images_alone_are_removed(filled):
    first, second, _ = ids(filled, DOG)
    set_aside(filled, first, "bad")
    assert queues.remove_quarantined(filled, [first, second], "owner asked") == 1
    assert queues.totals(filled)[:3] == (4, 0, 1)
    (row,) = queues.set_aside_images(filled, State.REMOVED, 9)
    assert row.reason == "removed: owner asked"
    with pytest.raises(DatabaseError, match="needs a reason"):
        queues.remove_quarantined(filled, [first], " ")


def test_images_are_counted_with_those_of_the_same_bytes(filled):
    """The second dog and the first cat are one file, known after a check."""
    dog = ids(filled, DOG)[1]
    assert queues.count_with_twins(filled, [dog]) == 1
    check_images(filled, threads=1)
    assert queues.count_with_twins(filled, [dog]) == 2
    assert queues.count_with_twins(filled, ids(filled, DOG)) == 4


def test_images_of_hidden_synsets_can_be_counted(filled):
    hide_synset(filled, ENTITY, "r")
    assert queues.count_in_state_ok(filled, ENTITY, subtree=True) == 5
    assert queues.count_in_state_ok(filled, ENTITY, subtree=False) == 0
    assert queues.count_in_state_ok(filled, DOG, subtree=False) == 3
    assert queues.totals(filled).num_hidden == 1


def test_shown_images_leave_out_what_may_not_be_shown(filled):
    first, second, third = ids(filled, DOG)
    set_aside(filled, first, "bad")
    found = queues.shown_images(filled, [third, first, second, 99_999])
    assert [row.id for row in found] == [second, third]


def test_the_journal_has_no_row_of_a_sealed_image(filled):
    first, second, _ = ids(filled, DOG)
    set_aside(filled, second, "bad")
    with filled.writing() as connection:
        change_states(connection, {first: "sealed"}, {State.OK}, State.SEALED)
    (note,) = queues.journal_page(filled, 9)
    assert (note.item, note.wnid, note.state) == (f"{DOG}_1", DOG, State.QUARANTINED)
    assert queues.journal_page(filled, 9, before=note.id) == ()
