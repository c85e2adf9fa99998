"""A voter's own votes, on SQLite and PostgreSQL."""

from __future__ import annotations

from imagetree.curation import ballots
from imagetree.curation.removal import hide_synset, remove_images
from imagetree.curation.votes import Vote, add_votes
from imagetree.database import images_of

DOG, CAT = "n02084071", "n02121808"


def ids(database, wnid):
    return [row.id for row in images_of(database, [wnid])]


def test_synsets_with_fewest_votes_for_each_image_come_first(filled):
    """Without votes the smaller wnid; then the one with fewer votes for each image."""
    wanting = ballots.synsets_wanting(filled, "ada", 9)
    assert [(row.wnid, row.num_images) for row in wanting] == [(DOG, 3), (CAT, 2)]
    add_votes(filled, [Vote(ids(filled, DOG)[0], "bob", True)])
    first, second = ballots.synsets_wanting(filled, "ada", 9)
    assert (first.wnid, second.wnid) == (CAT, DOG)
    assert (second.num_votes, second.num_own) == (1, 0)
    assert len(ballots.synsets_wanting(filled, "ada", 1)) == 1


def test_a_synset_that_is_done_or_hidden_is_left_out(filled):
    add_votes(filled, [Vote(each, "ada", True) for each in ids(filled, CAT)])
    assert [row.wnid for row in ballots.synsets_wanting(filled, "ada", 9)] == [DOG]
    assert len(ballots.synsets_wanting(filled, "bob", 9)) == 2
    hide_synset(filled, DOG, "r")
    assert ballots.synsets_wanting(filled, "ada", 9) == ()


def test_recent_votes_are_the_voters_own_on_images_in_use(filled):
    first, second, third = ids(filled, DOG)
    add_votes(filled, [Vote(first, "ada", True), Vote(second, "ada", False)])
    add_votes(filled, [Vote(third, "bob", True), Vote(ids(filled, CAT)[0], "ada", True)])
    found = ballots.recent_votes(filled, DOG, "ada", 9)
    assert {(each.image.id, each.is_match) for each in found} == {(first, True), (second, False)}
    assert len(ballots.recent_votes(filled, DOG, "ada", 1)) == 1
    remove_images(filled, [found[0].image.name], "r")
    assert len(ballots.recent_votes(filled, DOG, "ada", 9)) == 1
    assert ballots.num_votes_of(filled, "ada") == 3


def test_withdrawing_takes_ones_own_votes_and_no_others(filled):
    first, second, _ = ids(filled, DOG)
    add_votes(filled, [Vote(each, who, True) for each in (first, second) for who in ("ada", "bob")])
    assert ballots.withdraw_votes(filled, "ada", [first, 99_999]) == 1
    assert ballots.withdraw_votes(filled, "ada", []) == 0
    assert (ballots.num_votes_of(filled, "ada"), ballots.num_votes_of(filled, "bob")) == (1, 2)


def test_ids_are_told_apart_by_synset_and_by_voter(filled):
    dogs, cats = ids(filled, DOG), ids(filled, CAT)
    add_votes(filled, [Vote(dogs[1], "ada", True)])
    assert ballots.ids_of_synset(filled, DOG, dogs + cats + [99_999]) == set(dogs)
    assert ballots.voted_ids(filled, "ada", dogs + cats) == {dogs[1]}
    assert ballots.voted_ids(filled, "bob", dogs) == set()
