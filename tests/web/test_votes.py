"""Voting by forms: a page of images, one form; undo; who may."""

from __future__ import annotations

import re

import pytest

from imagetree.curation import ballots
from imagetree.curation.polls import image_votes
from imagetree.curation.removal import remove_images
from imagetree.curation.votes import Vote, add_votes, set_gold
from imagetree.database import find_image, images_of, open_database
from imagetree.web.common import puzzle
from imagetree.web.site import User
from imagetree.web.votes import count_guess

from .acting import ADA, BOB, EVE, act_as, hidden_fields, send

DOG, CHIHUAHUA, CAT = "n02084071", "n02085620", "n02121808"


@pytest.fixture
def database(site_place):
    with open_database(site_place) as database:
        yield database


@pytest.fixture
def bob(client):
    act_as(client, BOB)
    return client


def ids(database, wnid=DOG):
    return [row.id for row in images_of(database, [wnid])]


def votes_on(database, wnid=DOG):
    return {each.row.name: (each.num_yes, each.num_no) for each, _ in image_votes(database, wnid)}


def test_a_page_has_one_form_with_three_answers_for_each_image(bob, database):
    page = bob.get(f"/votes/{DOG}").text
    answers = re.findall(r'type="radio" id="\w+" name="image-(\d+)" value="(\w+)"', page)
    assert len(answers) == 9
    assert {int(number) for number, _ in answers} == set(ids(database))
    assert [value for _, value in answers[:3]] == ["yes", "no", "unsure"]
    assert page.count(f'action="/votes/{DOG}/answers"') == 1


def test_answers_are_votes_and_unsure_is_none(bob, database):
    """Yes and no are kept under the voter's name; the unsure image is not shown at once again."""
    first, second, third = ids(database)
    sent = {f"image-{first}": "yes", f"image-{second}": "no", f"image-{third}": "unsure"}
    found = send(bob, f"/votes/{DOG}/answers", sent)
    assert (found.status_code, found.headers["location"]) == (303, f"/votes/{DOG}?skip={third}")
    assert sorted(votes_on(database).values()) == [(0, 0), (0, 1), (1, 0)]
    page = bob.get(found.headers["location"]).text
    assert "2 votes kept, 1 left for another day" in page
    assert 'type="radio"' not in page
    assert "You have voted on 2 of 3 images" in page
    later = bob.get(f"/votes/{DOG}.json").json()
    assert [each["id"] for each in later["images"]] == [third]


def test_skipped_images_stay_skipped_over_pages(bob, database):
    """What a page was told to skip is carried by its form."""
    page = bob.get(f"/votes/{DOG}", params={"skip": "5"}).text
    assert ("skip", "5") in hidden_fields(page)
    first = ids(database)[0]
    found = send(bob, f"/votes/{DOG}/answers", {f"image-{first}": "unsure", "skip": "77"})
    assert found.headers["location"] == f"/votes/{DOG}?skip={first},77"


def test_votes_can_be_taken_back(bob, database):
    first, second, _ = ids(database)
    send(bob, f"/votes/{DOG}/answers", {f"image-{first}": "yes", f"image-{second}": "no"})
    send(bob, f"/votes/{DOG}/undo", {"image": [str(first)]})
    assert sorted(votes_on(database).values()) == [(0, 0), (0, 0), (0, 1)]
    assert "1 vote taken back" in bob.get(f"/votes/{DOG}").text


def test_nobody_takes_back_anothers_vote(bob, database):
    first = ids(database)[0]
    send(bob, f"/votes/{DOG}/answers", {f"image-{first}": "yes"})
    act_as(bob, ADA)
    send(bob, f"/votes/{DOG}/undo", {"image": [str(first)]})
    assert (1, 0) in votes_on(database).values()


def test_votes_on_what_the_page_does_not_show_are_not_kept(bob, database):
    """Images of another synset, removed ones, ids of none, and values that are no answer."""
    other, gone = ids(database, CAT)[0], find_image(database, f"{DOG}_10").id
    remove_images(database, [f"{DOG}_10"], "asked for")
    sent = {
        f"image-{other}": "yes",
        f"image-{gone}": "yes",
        "image-99999999": "yes",
        f"image-{ids(database)[0]}": "maybe",
        "image-x'--": "yes",
    }
    assert send(bob, f"/votes/{DOG}/answers", sent).status_code == 303
    assert ballots.num_votes_of(database, "Bob") == 0


def test_voting_needs_the_forms_token_and_a_role(bob, database):
    first = ids(database)[0]
    assert bob.post(f"/votes/{DOG}/answers", data={f"image-{first}": "yes"}).status_code == 403
    act_as(bob, EVE)
    assert bob.get("/votes").status_code == 403
    assert send(bob, f"/votes/{DOG}/answers", {f"image-{first}": "yes"}).status_code == 403
    act_as(bob, None)
    found = bob.get("/votes", follow_redirects=False)
    assert (found.status_code, found.headers["location"]) == (303, "/login?next=/votes")
    assert bob.get("/votes.json", follow_redirects=False).status_code == 401
    assert ballots.num_votes_of(database, "Bob") == 0


def test_a_name_that_cannot_be_a_voters_is_told(bob, database):
    act_as(bob, User(4, " ", "annotator"))
    found = send(bob, f"/votes/{DOG}/answers", {f"image-{ids(database)[0]}": "yes"})
    assert found.status_code == 422
    assert "expected 1 to 100 printable characters" in found.text


def test_synsets_with_fewest_votes_for_each_image_come_first(bob, database):
    """Two of three dogs have a vote, one of two cats: the Chihuahua first, then cats, then dogs."""
    dogs, cats = ids(database), ids(database, CAT)
    sent = {f"image-{each}": "yes" for each in dogs[:2]}
    send(bob, f"/votes/{DOG}/answers", sent)
    send(bob, f"/votes/{CAT}/answers", {f"image-{cats[0]}": "no"})
    found = bob.get("/votes.json").json()
    assert [each["wnid"] for each in found["synsets"]] == [CHIHUAHUA, CAT, DOG]
    assert [(each["num_votes"], each["num_own"]) for each in found["synsets"]] == [
        *((0, 0), (1, 1), (2, 2))
    ]
    assert found["num_own"] == 3


def test_what_a_voter_has_done_is_not_offered(bob, database):
    (only,) = ids(database, CHIHUAHUA)
    send(bob, f"/votes/{CHIHUAHUA}/answers", {f"image-{only}": "yes"})
    assert CHIHUAHUA not in {each["wnid"] for each in bob.get("/votes.json").json()["synsets"]}
    assert "No image of this synset wants a vote" in bob.get(f"/votes/{CHIHUAHUA}").text


def test_gold_is_not_told_apart(bob, database):
    """Neither the ballot nor its twin says which images judge the voter."""
    first = ids(database)[0]
    set_gold(database, {first: True})
    found = bob.get(f"/votes/{DOG}.json").json()
    assert first in {each["id"] for each in found["images"]}
    assert len({frozenset(each) for each in found["images"]}) == 1
    form = bob.get(f"/votes/{DOG}").text.partition("<h1>")[2]
    assert "gold" not in form


def test_a_right_guess_counts_once_and_keeps_what_was_voted(database):
    images = images_of(database, [DOG])
    add_votes(database, [Vote(images[0].id, "Bob", False)])
    assert count_guess(database, BOB, images) == 2
    assert count_guess(database, BOB, images) == 0
    assert sorted(votes_on(database).values()) == [(0, 1), (1, 0), (1, 0)]
    assert count_guess(database, EVE, images) == 0


@pytest.mark.parametrize("wnid", ["n99999999", "x", "n00001740"])
def test_a_synset_without_images_has_no_ballot(bob, wnid):
    assert bob.get(f"/votes/{wnid}").status_code == 404
    if wnid != "n00001740":
        assert send(bob, f"/votes/{wnid}/answers", {}).status_code == 404
        assert send(bob, f"/votes/{wnid}/undo", {}).status_code == 404


def test_a_typed_wnid_leads_to_its_ballot(bob):
    found = bob.get("/votes", params={"wnid": f" {DOG} "}, follow_redirects=False)
    assert found.headers["location"] == f"/votes/{DOG}"
    page = bob.get("/votes", params={"wnid": "<script>"}).text
    assert "No synset of WordNet 3.0 has this ID" in page
    assert "<script>" not in page


def test_a_right_guess_of_the_game_is_counted_for_who_says_so(bob, database):
    """A wrong one is not, nor one of a visitor without the role; the page offers it to voters."""
    found = puzzle(database, 1)
    action = 'action="/common/1/votes"'
    assert action not in bob.get("/common/1?guess=entity").text
    assert action not in bob.get("/common/1?reveal=true").text
    assert action in bob.get(f"/common/1?guess={found.wnid}").text
    assert send(bob, "/common/1/votes", {"guess": "entity"}).status_code == 422
    assert sum(map(sum, votes_on(database, found.wnid).values())) == 0
    answer = send(bob, "/common/1/votes", {"guess": found.wnid})
    assert answer.headers["location"] == f"/common/1?guess={found.wnid}"
    assert sorted(votes_on(database, found.wnid).values()) == [(1, 0)] * len(found.images)
    act_as(bob, EVE)
    assert action not in bob.get(f"/common/1?guess={found.wnid}").text
    assert send(bob, "/common/1/votes", {"guess": found.wnid}).status_code == 403
