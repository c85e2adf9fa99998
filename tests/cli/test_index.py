"""`imagetree index` and the model card: real photographs, a run with its first weights."""

from __future__ import annotations

import json
import shutil

import pytest

from imagetree.files import sha256_of

from .untrained import WNIDS, make_run


@pytest.fixture(scope="module")
def run(imagenette, tmp_path_factory):
    """A run's folder; beside it `images/`, with photographs by class."""
    return make_run(imagenette, tmp_path_factory.mktemp("index"))


@pytest.fixture(scope="module")
def index(run):
    """An index of all photographs, one of which is a text."""
    from imagetree.cli.main import main

    folder = run.parent / "photographs"
    shutil.copytree(run.parent / "images", folder)
    (folder / "notes.txt").write_text("no image")
    made = run.parent / "index"
    assert main(["index", "build", str(run), str(made), "--folder", str(folder)]) == 1
    return made


def test_an_image_is_its_own_nearest(run, index, imagetree) -> None:
    paths = sorted((run.parent / "images").rglob("*.JPEG"))[:3]
    said = imagetree("index", "search", run, index, *paths, "--count", 4, "--json")
    assert said.status == 0
    for path, rows in json.loads(said.out).items():
        assert rows[0]["name"].endswith(path.rsplit("/", 1)[1])
        assert rows[0]["distance"] < 0.01 * rows[1]["distance"]
        assert [row["distance"] for row in rows] == sorted(row["distance"] for row in rows)
    table = imagetree("index", "search", run, index, paths[0], "--count", 2)
    assert "distance" in table.out


def test_a_bad_question_is_told_and_the_rest_answered(run, index, imagetree) -> None:
    text = run.parent / "photographs" / "notes.txt"
    good = next((run.parent / "images").rglob("*.JPEG"))
    said = imagetree("index", "search", run, index, text, good, "--json")
    assert said.status == 1
    assert "notes.txt: " in said.out
    found = json.loads(said.out[: said.out.rindex("}") + 1])
    assert found[str(text)] is None
    assert len(found[str(good)]) == 10


def test_a_copy_is_the_first_pair(run, index, imagetree, tmp_path) -> None:
    """And the split of a challenge has the class of each image."""
    made = tmp_path / "val"
    assert imagetree("index", "build", run, made, "--split", "val").status == 0
    photo = next((run.parent / "images").rglob("*.JPEG"))
    found = json.loads(imagetree("index", "search", run, made, photo, "--count", 5, "--json").out)
    assert {row["wnid"] for row in found[str(photo)]} <= set(WNIDS)
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number, path in enumerate(sorted((run.parent / "images").rglob("*.JPEG"))[:5]):
        shutil.copy(path, folder / f"{number}.jpg")
    shutil.copy(folder / "3.jpg", folder / "copy.jpg")
    assert imagetree("index", "build", run, tmp_path / "pairs", "--folder", folder).status == 0
    said = imagetree("index", "duplicates", tmp_path / "pairs", "--count", 1, "--json")
    assert said.status == 0, said.err
    [pair] = json.loads(said.out)
    assert pair["distance"] == 0
    assert {each["name"].rsplit("/")[-1] for each in pair["images"]} == {"3.jpg", "copy.jpg"}


def test_nothing_to_index(run, imagetree, tmp_path) -> None:
    said = imagetree("index", "build", run, tmp_path / "index", "--folder", tmp_path)
    assert said.status == 1
    assert "no files are here" in said.err


def test_the_model_card(run, imagetree, tmp_path) -> None:
    """Every figure of it, measured or not, and no more than is known."""
    output = tmp_path / "network.safetensors"
    said = imagetree("weights", "export", run, output)
    assert "--evaluate puts its error on val into it" in said.out
    card = (tmp_path / "network.safetensors.card.md").read_text()
    assert "Not measured." in card
    assert "Licence of the weights: not stated." in card
    assert sha256_of(run / "checkpoint.safetensors") in card
    for wnid in WNIDS:
        assert f"| {wnid} |" in card
    words = ("--evaluate", "--licence", "CC BY 4.0")
    assert imagetree("weights", "export", run, output, *words).status == 0
    card = (tmp_path / "network.safetensors.card.md").read_text()
    assert 'license_name: "CC BY 4.0"' in card
    assert imagetree("challenge", "run", run, "--output", tmp_path / "val.txt").status == 0
    scored = imagetree(
        "challenge", "score", run.parent / "challenge", tmp_path / "val.txt", "--json"
    )
    values = json.loads(scored.out)
    error = values["top"][0]["error"]
    assert f"| val | {values['num_images']} | top-1 | {error:.2%} | " in card
