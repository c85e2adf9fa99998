"""What do these images have in common? A guess is right, near by so many steps, or far."""

from __future__ import annotations

import pytest

from imagetree.web.common import judge

DOG, CHIHUAHUA, CAT = "n02084071", "n02085620", "n02121808"


@pytest.mark.parametrize(
    ("guess", "verdict", "more"),
    [
        ("Chihuahua", "right", {}),
        (CHIHUAHUA, "right", {}),
        ("chihuahuas", "right", {}),
        ("toy dog", "above", {"steps": 1}),
        ("dogs", "above", {"steps": 2}),
        ("entity", "above", {"steps": 10}),
        ("pekinese", "far", {"common": ["n02085374"]}),
        ("tram", "far", {"common": ["n00003553"]}),
    ],
)
def test_a_guess_is_judged_by_the_hierarchy(guess, verdict, more):
    found = judge(CHIHUAHUA, guess)
    assert found["verdict"] == verdict
    if "steps" in more:
        assert found["steps"] == more["steps"]
    if "common" in more:
        assert [each["wnid"] for each in found["common"]] == more["common"]


def test_a_guess_below_is_told_from_one_above():
    found = judge(DOG, "chihuahua")
    assert (found["verdict"], found["steps"]) == ("below", 2)


def test_the_best_sense_of_a_word_counts():
    """A crane lifts loads, and wades; both answers are right, and the poet's does not stand in."""
    for wnid in ("n02012849", "n03126707"):
        assert judge(wnid, "crane")["verdict"] == "right"


def test_several_lowest_things_in_common_are_all_named():
    """A Chihuahua and a tabby are domestic animals and carnivores."""
    found = judge(CHIHUAHUA, "tabby")
    assert {"n01317541", "n02075296"} == {each["wnid"] for each in found["common"]}


def test_what_is_no_word_is_told_with_what_was_meant():
    found = judge(DOG, "chihuahwa")
    assert (found["verdict"], found["meant"][0]) == ("unknown", "Chihuahua")
    assert judge(DOG, "xyzzyxyzzy") == {"verdict": "unknown", "meant": []}


def test_a_puzzle_does_not_tell_its_answer(client):
    """Only a right guess and giving up do; not the page, its twin or an image's address."""
    asked = client.get("/common/1.json").json()
    assert asked["answer"] is None
    assert len(asked["images"]) == 3
    answer = client.get("/common/1.json", params={"reveal": "true"}).json()["answer"]
    assert answer["wnid"] == DOG  # the one synset with three images
    for path in ("/common/1", "/common/1.json", "/", "/common/1?guess=animal"):
        assert DOG not in client.get(path).text
    for path in asked["images"]:
        assert client.get(path).headers["content-type"] == "image/jpeg"
    page = client.get("/common/1", params={"guess": "dog"}).text
    assert "Right: dog" in page
    assert f'href="/synset/{DOG}"' in page


def test_a_page_says_how_near_a_guess_is(client):
    near = client.get("/common/1", params={"guess": "carnivore"}).text
    assert "Near: they are a kind of carnivore, 2 steps further down" in near
    below = client.get("/common/1", params={"guess": "chihuahua"}).text
    assert "Near: Chihuahua is a kind of them" in below
    far = client.get("/common/1", params={"guess": "<script>"}).text
    assert "is no noun of WordNet" in far
    assert "<script>" not in far


def test_a_number_leads_to_the_same_images(client):
    assert client.get("/common/1/1").content == client.get("/common/1/1").content
    today = client.get("/common", follow_redirects=False).headers["location"]
    assert client.get(today).status_code == 200
    for path in ("/common/0", "/common/x", "/common/1/0", "/common/1/9", "/common/1/x"):
        assert client.get(path).status_code in {404, 422}
