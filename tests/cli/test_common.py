"""`imagetree common`: of labels in the database, and of photographs by a network."""

from __future__ import annotations

import json

import pytest

from .conftest import CAT, CHIHUAHUA, DOG
from .untrained import make_run


@pytest.fixture(scope="module")
def run(imagenette, tmp_path_factory):
    """A run's folder; beside it the database, and `images/` with photographs by class."""
    return make_run(imagenette, tmp_path_factory.mktemp("common"))


def test_labels(pets, imagetree) -> None:
    """Of chihuahua and dog the dog, a Chihuahua being one."""
    said = imagetree("common", "--names", f"{CHIHUAHUA}_1", f"{DOG}_1")
    assert said.status == 0
    words, figures = said.out.splitlines()
    assert words == f"dog, domestic dog, Canis familiaris  {DOG}"
    assert figures == "  0.58 bits, coverage 100.0%, 2 of 2 images"  # two of three classes


def test_labels_with_a_share(pets, imagetree) -> None:
    """The cat that does not fit is named."""
    names = [f"{CHIHUAHUA}_1", f"{CHIHUAHUA}_2", f"{CAT}_1"]
    said = imagetree("common", "--names", *names, "--share", 0.6)
    assert said.out.splitlines() == [
        f"Chihuahua  {CHIHUAHUA}",
        "  1.58 bits, coverage 66.7%, 2 of 3 images",
        f"  not {CAT}_1",
    ]


def test_nothing_in_common_is_said(pets, imagetree) -> None:
    """In a database of pets, that a dog and a cat are carnivores says nothing."""
    said = imagetree("common", "--names", f"{DOG}_1", f"{CAT}_1")
    assert said.status == 0
    [line] = said.out.splitlines()
    assert line.startswith("nothing in common for 100% of the images but what all of the 3 classes")
    assert "carnivore" in line
    found = json.loads(imagetree("common", "--names", f"{DOG}_1", f"{CAT}_1", "--json").out)
    assert found["concepts"] == []
    assert any("carnivore" in words for words in found["everything"])


def test_name_that_is_not_there(pets, imagetree) -> None:
    said = imagetree("common", "--names", f"{DOG}_99")
    assert said.status == 1
    assert f"{DOG}_99" in said.err


def test_photographs(run, imagetree, tmp_path) -> None:
    """A low share is met by classes; what is no image has its line, and the rest goes on."""
    (tmp_path / "bad.jpg").write_text("no image")
    photographs = sorted((run.parent / "images").rglob("*.JPEG"))[:3]
    words = ["common", *photographs, tmp_path / "bad.jpg", "--run", run]
    said = imagetree(*words, "--share", 0.2, "--json")
    assert said.status == 1
    found = json.loads(said.out)
    assert found["images"] == list(map(str, photographs))
    assert [each["name"] for each in found["bad"]] == [f"{tmp_path}/bad.jpg"]
    assert found["concepts"]
    assert all(each["coverage"] >= 0.2 for each in found["concepts"])
    assert f"{tmp_path}/bad.jpg: not an image" in said.err
    said = imagetree(*words, "--share", 1)
    assert said.out.startswith("nothing in common for 100% of the images but what all of the 3")


def test_nothing_can_be_read(run, imagetree, tmp_path) -> None:
    (tmp_path / "bad.jpg").touch()
    said = imagetree("common", tmp_path / "bad.jpg", "--run", run)
    assert said.status == 1
    assert "none of 1 images can be read" in said.err
    assert "empty: 0 bytes" in said.err


@pytest.mark.parametrize("words", [[], ["a.jpg"], ["a.jpg", "--names", "n02084071_1"]])
def test_photographs_need_a_run(words, imagetree) -> None:
    said = imagetree("common", *words)
    assert said.status == 1
    assert "need a run" in said.err
