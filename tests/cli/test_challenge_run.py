"""`imagetree challenge run`: trains or answers, one crop or ten, and what a participant has."""

from __future__ import annotations

import json

import pytest

from imagetree.challenge.definition import load_challenge

from .untrained import PER_CLASS, WNIDS, make_run

pytestmark = pytest.mark.slow

TINY = (
    *("--input-size", 67, "--start-size", 67, "--test-size", 67, "--epochs", 1),
    *("--batch-size", 8, "--precision", "fp32", "--workers", 0),
)


@pytest.fixture(scope="module")
def house(imagenette, tmp_path_factory):
    """A folder with `images/`, `imagetree.db`, `challenge/` and a run that nobody trained."""
    return make_run(imagenette, tmp_path_factory.mktemp("challenge_run")).parent


def score(imagetree, challenge, path, *more: object) -> dict:
    return json.loads(imagetree("challenge", "score", challenge, path, "--json", *more).out)


def test_a_network_is_trained_and_answers(house, imagetree) -> None:
    """Begun with the settings given; finished it only answers, of ten crops too."""
    new, challenge = house / "new", house / "challenge"
    place = ("--challenge", challenge, "--database", house / "imagetree.db")
    said = imagetree("challenge", "run", new, *place, *TINY)
    assert said.status == 0
    num_val = load_challenge(challenge).num_images["val"]
    assert said.out.splitlines()[-1] == f"{new}/val.txt: answers for {num_val} images of val"
    assert score(imagetree, challenge, new / "val.txt")["num_images"] == num_val
    weights = (new / "checkpoint.safetensors").read_bytes()
    # by the settings that it was begun with, without naming them again
    said = imagetree("challenge", "run", new, *place, "--crops", 10, "--output", new / "ten.txt")
    assert said.status == 0
    assert (new / "ten.txt").read_text().count("\n") == num_val
    assert (new / "checkpoint.safetensors").read_bytes() == weights
    said = imagetree("challenge", "run", new, *place, "--lr", 0.5)
    assert said.status == 1
    assert "another run is here" in said.err


def test_settings_without_a_challenge_are_refused(house, imagetree) -> None:
    said = imagetree("challenge", "run", house / "run", "--epochs", 3)
    assert said.status == 1
    assert "settings are for training" in said.err
    assert not (house / "run" / "val.txt").exists()


def test_a_sealed_test_is_answered_from_its_images_alone(house, imagetree, tmp_path) -> None:
    """By who has the challenge without its labels, a run, and the tar that was given out."""
    challenge = tmp_path / "sealed"
    database = ("--database", house / "imagetree.db")
    share = ("--test-share", 0.3, "--val-share", 0.3)
    assert imagetree("challenge", "cut", challenge, *share, *database).status == 0
    images = tmp_path / "test.tar"
    assert imagetree("challenge", "test-images", challenge, images, *database).status == 0
    labels = challenge.with_name("sealed.sealed.tsv")
    truth = labels.read_bytes()
    labels.unlink()
    train = ("challenge", "run", tmp_path / "run", "--challenge", challenge, *database, *TINY)
    assert imagetree(*train).status == 0
    again = ("challenge", "run", tmp_path / "run", "--split", "test")
    assert "the labels of test are sealed" in imagetree(*again).err
    said = imagetree(*again, "--images", images)
    assert said.status == 0
    labels.write_bytes(truth)
    found = score(imagetree, challenge, tmp_path / "run" / "test.txt", "--split", "test")
    assert found["num_images"] == len(WNIDS) * round(PER_CLASS * 0.3)
    # the same images found in the database, by who holds the labels
    assert imagetree(*again, "--output", tmp_path / "same.txt").status == 0
    assert (tmp_path / "same.txt").read_text() == (tmp_path / "run" / "test.txt").read_text()
    said = imagetree(*again, "--images", house / "images")
    assert said.status == 1
    assert "images of 'test' are not in it" in said.err
