"""The curators' pages: each deed is asked, says what it changes, is done once, and is noted."""

from __future__ import annotations

import re

import pytest
from fastapi import HTTPException
from starlette.datastructures import FormData

from imagetree.curation.check import check_images
from imagetree.curation.polls import status
from imagetree.curation.removal import (
    hidden_synsets,
    hide_synset,
    remove_images,
    show_synset,
)
from imagetree.curation.votes import Vote, add_votes
from imagetree.database import counts, find_image, images_of, open_database
from imagetree.database.journal import change_states, problems, set_aside
from imagetree.database.schema import State
from imagetree.web import curate, deeds

from .acting import ADA, BOB, act_as, hidden_fields, send

DOG, CHIHUAHUA, CAT = "n02084071", "n02085620", "n02121808"
ALL = {DOG: 3, CHIHUAHUA: 1, CAT: 2}


@pytest.fixture
def database(site_place):
    with open_database(site_place) as database:
        yield database


@pytest.fixture
def ada(client):
    act_as(client, ADA)
    return client


def image_id(database, name):
    return find_image(database, name).id


def ask(client, deed, fields):
    """The page that asks, after it was seen that nothing is changed yet."""
    found = send(client, f"/curate/do/{deed}", fields)
    assert found.status_code == 200, found.text
    return found.text


def confirm(client, deed, page):
    """Send what the page that asks would send, and say what was flashed."""
    fields: dict[str, list[str]] = {}
    for name, value in hidden_fields(page):
        fields.setdefault(name, []).append(value)
    found = send(client, f"/curate/do/{deed}", {**fields, "confirmed": "yes"})
    assert found.status_code == 303, found.text
    return client.get(found.headers["location"]).text


def test_setting_aside_is_asked_done_and_noted_with_the_curator(ada, database):
    sent = {"image": [str(image_id(database, f"{DOG}_10"))], "reason": "a drawing"}
    page = ask(ada, "set-aside", sent)
    assert "1 image will be quarantined" in page
    assert f"<code>{DOG}_10</code>" in page
    assert counts(database) == ALL
    assert "1 image set aside" in confirm(ada, "set-aside", page)
    assert counts(database) == {**ALL, DOG: 2}
    (note,) = problems(database)
    assert note.reason == "a drawing, by Ada"


def test_quarantine_shows_reasons_and_images_to_curators_alone(ada, database):
    number = image_id(database, f"{DOG}_10")
    set_aside(database, number, "voted <out>")
    page = ada.get("/curate/quarantine").text
    assert "voted &lt;out&gt;" in page
    thumb = ada.get(f"/curate/image/{number}/thumb")
    assert (thumb.headers["content-type"], thumb.headers["cache-control"]) == (
        *("image/jpeg", "no-store"),
    )
    act_as(ada, BOB)
    assert ada.get(f"/curate/image/{number}/thumb").status_code == 403
    assert ada.get(f"/image/{DOG}_10/thumb").status_code == 404


def test_quarantined_images_are_released(ada, database):
    number = image_id(database, f"{DOG}_10")
    set_aside(database, number, "by mistake")
    page = ask(ada, "restore", {"image": [str(number)], "reason": "it is a dog"})
    assert "1 image will be counted" in page
    assert "1 image restored" in confirm(ada, "restore", page)
    assert counts(database) == ALL
    assert problems(database)[-1].reason == "restored: it is a dog, by Ada"


def test_quarantined_images_are_removed_and_can_still_be_restored(ada, database):
    number = image_id(database, f"{DOG}_10")
    set_aside(database, number, "stolen")
    page = ask(ada, "remove-quarantined", {"image": [str(number)], "reason": "owner asked"})
    assert "1 image removed" in confirm(ada, "remove-quarantined", page)
    assert ada.get("/curate/quarantine.json").json()["images"] == []
    (row,) = ada.get("/curate/removed.json").json()["images"]
    assert (row["name"], row["reason"]) == (f"{DOG}_10", "removed: owner asked, by Ada")
    assert ada.get(f"/curate/image/{number}/thumb").status_code == 404
    confirm(ada, "restore", ask(ada, "restore", {"image": [str(number)], "reason": "agreed"}))
    assert counts(database) == ALL


def test_removal_counts_images_of_the_same_bytes(ada, database):
    """The second dog and the second cat are one picture; the page says so before."""
    check_images(database, threads=1)
    page = ask(ada, "remove", {"names": f"{DOG}_2\n", "reason": "owner asked"})
    assert "2 images will be taken down, 1 image of the same bytes among them" in page
    assert counts(database) == ALL
    assert "2 images removed" in confirm(ada, "remove", page)
    assert counts(database) == {**ALL, DOG: 2, CAT: 1}


@pytest.mark.parametrize("names", ["", "n02084071_99", "n02084071_2\nnone", "\0", "../etc"])
def test_with_an_unknown_name_nothing_is_removed(ada, database, names):
    sent = {"names": names, "reason": "r", "confirmed": "yes"}
    assert send(ada, "/curate/do/remove", sent).status_code == 422
    assert counts(database) == ALL


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "x" * 301])
def test_a_reason_is_needed(ada, database, reason):
    sent = {"image": [str(image_id(database, f"{DOG}_2"))], "reason": reason, "confirmed": "yes"}
    assert send(ada, "/curate/do/set-aside", sent).status_code == 422
    assert counts(database) == ALL


def test_hiding_says_how_many_images_go_and_how_many_come_back(ada, database):
    page = ask(ada, "hide", {"wnid": DOG, "subtree": "true", "reason": "for a test"})
    assert "Hide dog and all below it?" in page
    assert "4 images will no longer be counted" in page
    confirm(ada, "hide", page)
    assert counts(database) == {CAT: 2}
    (row,) = hidden_synsets(database)
    assert row.reason == "for a test, by Ada"
    (shown,) = ada.get("/curate/hidden.json").json()["synsets"]
    assert shown["num_images"] == 4
    page = ask(ada, "show", {"wnid": DOG})
    assert "4 images will be counted" in page
    confirm(ada, "show", page)
    assert counts(database) == ALL


@pytest.mark.parametrize(
    ("deed", "wnid"), [("hide", "n99999999"), ("hide", "'"), ("show", DOG), ("show", "")]
)
def test_no_synset_or_one_that_is_not_hidden_is_refused(ada, deed, wnid):
    assert send(ada, f"/curate/do/{deed}", {"wnid": wnid, "reason": "r"}).status_code == 422


def test_duplicates_are_shown_side_by_side_and_one_is_kept(ada, database):
    check_images(database, threads=1)
    found = ada.get("/curate/duplicates.json").json()
    names = [[copy["name"] for copy in group["copies"]] for group in found["groups"]]
    assert names == [[f"{DOG}_2", f"{CAT}_2"], [f"{CHIHUAHUA}_1", f"{CAT}_1"]]
    assert all(group["is_exact"] and group["crosses_synsets"] for group in found["groups"])
    page = ada.get("/curate/duplicates").text
    assert page.count('type="radio"') == 4
    ids = [str(copy["id"]) for copy in found["groups"][0]["copies"]]
    asked = ask(ada, "keep-one", {"image": ids, "keep": ids[0]})
    assert f"1 image will be quarantined as duplicates of {DOG}_2" in asked
    confirm(ada, "keep-one", asked)
    assert counts(database) == {**ALL, CAT: 1}
    assert problems(database)[-1].reason == f"duplicate of {DOG}/{DOG}_2, by Ada"
    assert ada.get("/curate/duplicates.json").json()["num_groups"] == 1


def test_after_keeping_one_the_same_search_goes_on(ada, database):
    """Within the same synset and distance, whatever else a form may send."""
    check_images(database, threads=1)
    path = f"/curate/duplicates?wnid={DOG}&subtree=true&distance=3"
    assert ("distance", "3") in hidden_fields(ada.get("/curate/duplicates?distance=3").text)
    ids = [str(image_id(database, name)) for name in (f"{DOG}_2", f"{CAT}_2")]
    sent = {"image": ids, "keep": ids[0], "wnid": DOG, "subtree": "true", "distance": "3"}
    found = send(ada, "/curate/do/keep-one", {**sent, "confirmed": "yes", "next": "//b.org"})
    assert found.headers["location"] == path


def test_keeping_one_needs_one_of_the_group(ada, database):
    ids = [str(row.id) for row in images_of(database, [DOG])]
    for keep in ("", "99999", str(image_id(database, f"{CAT}_1"))):
        sent = {"image": ids, "keep": keep, "confirmed": "yes"}
        assert send(ada, "/curate/do/keep-one", sent).status_code == 422
    assert counts(database) == ALL


def test_duplicates_are_not_looked_for_where_images_are_unchecked(ada):
    """The page names the command and no path of this machine."""
    page = ada.get("/curate/duplicates").text
    assert "imagetree database check" in page
    assert "/tmp" not in page
    assert "no synset of WordNet" in ada.get("/curate/duplicates?wnid=x").text


def test_disputed_images_come_first_by_votes_against_the_majority(ada, database):
    first, second, third = (row.id for row in images_of(database, [DOG]))
    said = {first: "yyyn", second: "yynn", third: "yyyy"}
    add_votes(
        database,
        [
            Vote(number, f"voter {i}", answer == "y")
            for number, answers in said.items()
            for i, answer in enumerate(answers)
        ],
    )
    found = ada.get("/curate/votes.json").json()
    assert [each["id"] for each in found["disputed"]] == [second, first]
    assert [(each["num_yes"], each["num_no"]) for each in found["disputed"]] == [(2, 2), (3, 1)]
    (polled,) = found["synsets"]
    assert (polled["wnid"], polled["num_votes"]) == (DOG, 12)
    assert "2 yes, 2 no" in ada.get("/curate/votes").text
    hide_synset(database, DOG, "r")
    assert ada.get("/curate/votes.json").json()["disputed"] == []


def test_votes_are_applied_when_the_sample_is_full(ada, database):
    """Until then it is refused; then the rejected go, as many as the page said."""
    assert send(ada, "/curate/do/apply-votes", {"wnid": DOG}).status_code == 422
    ids = [row.id for row in images_of(database, [DOG])]
    add_votes(
        database,
        [Vote(each, f"voter {i}", each != ids[0]) for each in ids for i in range(30)],
    )
    rejected = status(database, DOG).decisions
    page = ask(ada, "apply-votes", {"wnid": DOG})
    number = int(re.search(r"<p>(\d+) images? were voted out", page)[1])
    assert number == rejected["rejected"] == 1
    confirm(ada, "apply-votes", page)
    assert counts(database)[DOG] == 2


def test_a_deed_that_is_no_longer_possible_says_so(ada, database):
    """Confirmed after another curator was quicker."""
    number = str(image_id(database, f"{DOG}_2"))
    sent = {"image": [number], "reason": "r"}
    ask(ada, "set-aside", sent)
    remove_images(database, [f"{DOG}_2"], "owner asked")
    found = send(ada, "/curate/do/set-aside", {**sent, "confirmed": "yes"})
    assert found.status_code == 422
    assert counts(database) == {**ALL, DOG: 2}


def test_what_changes_between_question_and_deed_is_no_failure_of_the_site(database):
    """Another curator shows the synset again in between: 409, and nothing of a path."""
    hide_synset(database, DOG, "r")
    deed = deeds.plan(database, "show", FormData({"wnid": DOG}))
    show_synset(database, DOG)
    with pytest.raises(HTTPException) as caught:
        deeds.perform(deed, "Ada")
    assert caught.value.status_code == 409
    assert caught.value.detail == "this has changed meanwhile: look at the page again"


def test_a_quarantined_image_that_cannot_be_decoded_has_no_picture(ada, database, site_place):
    number = image_id(database, f"{DOG}_2")
    set_aside(database, number, "truncated")
    file = site_place.parent / "classes" / DOG / f"{DOG}_2.JPEG"
    file.write_bytes(file.read_bytes()[:50])
    found = ada.get(f"/curate/image/{number}/thumb")
    assert found.status_code == 404
    assert "/tmp" not in found.text
    assert ada.get("/curate/image/99999999999999999999/thumb").status_code == 404


def test_duplicates_among_too_many_images_are_not_looked_for(ada, database, monkeypatch):
    """Within a smaller synset they are."""
    check_images(database, threads=1)
    monkeypatch.setattr(curate, "MAX_COMPARED", 5)
    assert "there are more than 5 images" in ada.get("/curate/duplicates").text
    path = f"/curate/duplicates.json?wnid={DOG}&subtree=true"
    assert ada.get(path).json()["fault"] == ""


def test_deeds_are_for_curators_with_the_forms_token(ada, database):
    sent = {"image": [str(image_id(database, f"{DOG}_2"))], "reason": "r", "confirmed": "yes"}
    assert ada.post("/curate/do/set-aside", data=sent).status_code == 403
    act_as(ada, BOB)
    assert send(ada, "/curate/do/set-aside", sent).status_code == 403
    assert counts(database) == ALL
    act_as(ada, ADA)
    assert send(ada, "/curate/do/drop-tables", sent).status_code == 404


def test_the_log_is_the_journal_and_pages_show_each_row_once(ada, database):
    number = image_id(database, f"{DOG}_2")
    for i in range(60):
        set_aside(database, number, f"reason {i}")
        with database.writing() as connection:
            back = {number: f"restored {i}"}
            change_states(connection, back, {State.QUARANTINED}, State.OK)
    first = ada.get("/curate/log.json").json()
    second = ada.get("/curate/log.json", params={"before": first["next"]}).json()
    rows = first["notes"] + second["notes"]
    assert len({row["id"] for row in rows}) == len(rows) == 120
    assert rows[0]["reason"] == "restored 59"
    assert "restored 59" in ada.get("/curate/log").text


def test_images_of_a_sealed_test_are_in_no_list(ada, database):
    """Their rows in the journal would tell their labels."""
    number = image_id(database, f"{DOG}_2")
    with database.writing() as connection:
        change_states(connection, {number: "sealed"}, {State.OK}, State.SEALED)
    for name in ("log", "quarantine", "removed", "votes"):
        assert f"{DOG}_2" not in ada.get(f"/curate/{name}").text
        assert f"{DOG}_2" not in ada.get(f"/curate/{name}.json").text


@pytest.mark.parametrize(
    "name", ["", "votes", "quarantine", "duplicates", "removed", "hidden", "log"]
)
def test_every_page_stands_names_its_twin_and_has_no_style_or_script(ada, name):
    path = f"/curate/{name}".rstrip("/")
    page = ada.get(path)
    assert page.status_code == 200
    assert f'href="{path}.json' in page.text
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|<script(?! src=)", page.text)
    ids = re.findall(r'\sid="([^"]+)"', page.text)
    assert len(ids) == len(set(ids))


def test_the_overview_counts(ada, database):
    set_aside(database, image_id(database, f"{DOG}_2"), "r")
    remove_images(database, [f"{CAT}_1"], "r")
    found = ada.get("/curate.json").json()
    assert (found["num_images"], found["num_quarantined"], found["num_removed"]) == (4, 1, 1)
