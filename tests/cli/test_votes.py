"""`imagetree votes`: votes come in, voters are judged, images are decided."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from .conftest import CAT, DOG, DOGS

VOTERS = tuple(f"voter{n:02}" for n in range(14))
SAMPLE = ("--sample-images", "3")


@pytest.fixture
def voted(pets, imagetree, tmp_path):
    """All voters say that the first and the last dog are dogs, and that the second is none."""
    lines = [
        f"{dog}\t{voter}\t{'no' if dog == DOGS[1] else 'yes'}\n" for dog in DOGS for voter in VOTERS
    ]
    (tmp_path / "votes.tsv").write_text("".join(lines))
    said = imagetree("votes", "import", tmp_path / "votes.tsv")
    assert (said.status, said.out) == (0, f"{tmp_path}/votes.tsv: 42 votes added\n")
    return "".join(lines)


def test_votes_go_in_and_out(voted, imagetree, tmp_path) -> None:
    """One more by hand; then all, and those of one synset, as `import` reads them."""
    said = imagetree("votes", "add", f"{CAT}_1", "ada", "yes")
    assert (said.status, said.out) == (0, f"{CAT}_1: ada says yes\n")
    said = imagetree("votes", "export", tmp_path / "all.tsv")
    assert said.out == f"{tmp_path}/all.tsv: 43 votes\n"
    assert (tmp_path / "all.tsv").read_text() == f"{voted}{CAT}_1\tada\tyes\n"
    assert imagetree("votes", "export", tmp_path / "dogs.tsv", "dog").status == 0
    assert (tmp_path / "dogs.tsv").read_text() == voted


def test_second_vote_replaces_the_first(pets, imagetree, tmp_path) -> None:
    for answer in ("yes", "no"):
        imagetree("votes", "add", DOGS[0], "ada", answer)
    imagetree("votes", "export", tmp_path / "all.tsv")
    assert (tmp_path / "all.tsv").read_text() == f"{DOGS[0]}\tada\tno\n"


def test_votes_that_cannot_be_added(pets, imagetree, tmp_path) -> None:
    """An unknown image, no voter, no answer; a file with a fault adds nothing and names it."""
    assert imagetree("votes", "add", DOGS[0], "ada", "maybe").status == 2
    assert "no image 'n02084071_9'" in imagetree("votes", "add", f"{DOG}_9", "ada", "yes").err
    assert "expected 1 to 100 printable" in imagetree("votes", "add", DOGS[0], " ", "yes").err
    path = tmp_path / "votes.tsv"
    path.write_text(f"{DOGS[0]}\tada\tyes\n{DOGS[1]}\tada\tmaybe\n")
    said = imagetree("votes", "import", path)
    assert said.status == 1
    assert "votes.tsv:2: answer 'maybe' (expected yes or no)" in said.err
    assert imagetree("votes", "import", tmp_path / "none.tsv").status == 1
    assert json.loads(imagetree("votes", "voters", "--json").out) == []


def test_gold_judges_voters(voted, imagetree) -> None:
    """Without gold all count; with it nobody who was right once each, until it is unset again."""
    rows = json.loads(imagetree("votes", "voters", "--json").out)
    assert [row["voter"] for row in rows] == list(VOTERS)
    assert all(row["is_counted"] and row["num_gold"] == 0 for row in rows)
    said = imagetree("votes", "gold", DOGS[0], "yes")
    assert (said.status, said.out) == (0, f"{DOGS[0]}: gold, yes\n")
    assert imagetree("votes", "gold", DOGS[1], "no").out == f"{DOGS[1]}: gold, no\n"
    rows = json.loads(imagetree("votes", "voters", "--json").out)
    assert all(row["num_gold"] == 2 and not row["is_counted"] for row in rows)
    shown = imagetree("votes", "voters").out.splitlines()
    assert ["voter00", "3", "2", "66.7%", "39.2%", "no"] in [line.split() for line in shown]
    for dog in DOGS[:2]:
        assert imagetree("votes", "gold", dog, "unset").out == f"{dog}: no gold\n"
    rows = json.loads(imagetree("votes", "voters", "--json").out)
    assert all(row["is_counted"] for row in rows)


def test_gold_needs_an_image_and_a_truth(pets, imagetree) -> None:
    assert imagetree("votes", "gold", f"{DOG}_9", "yes").status == 1
    assert imagetree("votes", "gold", DOGS[0], "perhaps").status == 2


def test_next(pets, imagetree) -> None:
    """What a voter has not voted on yet, of the synset alone, no more than was asked for."""
    imagetree("votes", "add", DOGS[1], "ada", "yes")
    said = imagetree("votes", "next", "dog", "ada")
    assert said.status == 0
    assert sorted(said.out.split()) == [DOGS[0], DOGS[2]]
    rows = json.loads(imagetree("votes", "next", "dog", "bob", "--n", 2, "--json").out)
    assert len(rows) == 2
    assert {row["wnid"] for row in rows} == {DOG}
    sample = imagetree("votes", "next", "dog", "bob", "--sample-images", 1)
    assert len(sample.out.split()) == 1
    assert imagetree("votes", "next", "dog", "bob", "--n", 0).status == 2


def test_status(voted, imagetree) -> None:
    said = imagetree("votes", "status", "dog", *SAMPLE)
    assert (said.status, said.out.splitlines()) == (
        0,
        [
            f"{DOG}: 42 votes, 42 counted",
            "  sample: 3 of 3 images have their votes",
            "  images: 2 accepted, 1 rejected, 0 open, 0 undecided",
        ],
    )
    found = json.loads(imagetree("votes", "status", CAT, "--json").out)
    assert (found["wnid"], found["num_votes"], found["sample_size"]) == (CAT, 0, 2)
    assert found["decisions"] == {"accepted": 0, "rejected": 0, "open": 2, "undecided": 0}


def test_settings_change_what_is_decided(voted, imagetree) -> None:
    """The flags of the consensus reach it, and its error is one line."""
    words = ["votes", "status", "dog", "--json"]
    found = json.loads(imagetree(*words, "--precision", 0.99999, "--max-votes", 14).out)
    assert found["decisions"]["accepted"] == 0
    assert found["decisions"]["undecided"] == 2
    found = json.loads(imagetree(*words, "--rejection", 0.99999).out)
    assert found["decisions"]["rejected"] == 0
    said = imagetree(*words, "--precision", 1)
    assert said.status == 1
    assert "precision is 1.0 (expected in (0.5, 1))" in said.err


def test_table(voted, imagetree) -> None:
    """Confidence rises with each yes and falls with each no; what is decided is marked."""
    found = json.loads(imagetree("votes", "table", "dog", "--most", 12, "--json").out)
    rows = found["confidence_by_yes_and_no"]
    assert (found["wnid"], found["num_images"]) == (DOG, 3)
    assert (len(rows), {len(row) for row in rows}) == (13, {13})
    assert all(a[0] < b[0] for a, b in pairwise(rows))
    assert rows[0] == sorted(rows[0], reverse=True)
    lines = [x.split() for x in imagetree("votes", "table", "dog", "--most", 12).out.splitlines()]
    cells = {line[0]: line[2:] for line in lines if line[1:2] == ["yes"]}
    assert cells["12"][0] == f"{rows[12][0]:.3f}+"
    assert cells["0"][12] == f"{rows[0][12]:.3f}-"
    assert cells["1"][1] == f"{rows[1][1]:.3f}"
    assert imagetree("votes", "table", "dog", "--most", -1).status == 2


def test_apply(voted, imagetree) -> None:
    """What was voted out is set aside, with the votes in its reason."""
    said = imagetree("votes", "apply", "dog")
    assert (said.status, said.out) == (
        0,
        f"{DOG}: 1 images set aside; left: 2 accepted, 0 rejected, 0 open, 0 undecided\n",
    )
    assert "voted out: 0 yes, 14 no" in imagetree("database", "problems").out
    report = json.loads(imagetree("votes", "apply", "dog", "--json").out)
    assert (report["num_quarantined"], report["decisions"]["accepted"]) == (0, 2)


def test_apply_to_the_undecided(voted, imagetree) -> None:
    words = ["votes", "apply", "dog", "--precision", 0.99999, "--max-votes", 14, "--json"]
    assert json.loads(imagetree(*words).out)["num_quarantined"] == 1
    assert json.loads(imagetree(*words, "--undecided").out)["num_quarantined"] == 2


def test_nothing_is_decided_before_the_sample_is_full(pets, imagetree) -> None:
    for command in ("table", "apply"):
        said = imagetree("votes", command, "dog")
        assert said.status == 1
        assert "0 of 3 images of the sample have 10 counted votes" in said.err
    for command in ("table", "apply", "status"):
        assert "'doog' is no noun" in imagetree("votes", command, "doog").err
