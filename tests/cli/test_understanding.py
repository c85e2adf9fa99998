"""`imagetree pictures` answers, neighbours and confusion: on real photographs, from a short run."""

from __future__ import annotations

import json
import re
import tarfile
import xml.etree.ElementTree as ElementTree

import pytest

from imagetree.cli.main import main

WNIDS = ("n01440764", "n02102040", "n03028079")  # tench, English springer, church
PER_CLASS = 14
SETTINGS = [
    *("--input-size", "67", "--start-size", "67", "--test-size", "67"),
    *("--epochs", "1", "--batch-size", "8", "--precision", "fp32", "--workers", "0"),
]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def done(imagenette, tmp_path_factory):
    """A folder with a challenge of 42 photographs, and a run on it of one epoch."""
    folder = tmp_path_factory.mktemp("understanding")
    labels = (imagenette / "val_wnids.tsv").read_text().split()
    wnid_of = dict(zip(labels[::2], labels[1::2], strict=True))
    counts = dict.fromkeys(WNIDS, 0)
    with tarfile.open(imagenette / "val.tar") as archive:
        for member in archive:
            wnid = wnid_of[member.name]
            if counts.get(wnid, PER_CLASS) == PER_CLASS:
                continue
            counts[wnid] += 1
            data = archive.extractfile(member).read()
            path = folder / "images" / wnid / f"{wnid}_{counts[wnid]}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            if set(counts.values()) == {PER_CLASS}:
                break
    database = ["--database", str(folder / "imagetree.db")]
    for words in (
        ["database", "import", folder / "images", *database],
        ["challenge", "cut", folder / "challenge", *database],
        ["train", folder / "challenge", folder / "run", *database, *SETTINGS],
        ["challenge", "run", folder / "run"],
    ):
        assert main([str(word) for word in words]) == 0
    return folder


def names_of(folder, split: str) -> list[str]:
    lines = (folder / "challenge" / f"{split}.tsv").read_text().splitlines()
    return [line.split("\t")[0] for line in lines]


def shown(path) -> list[str]:
    """Names of the images in a picture, row by row."""
    root = ElementTree.parse(path).getroot()
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}image")]


def test_answers_drawn_by_the_seed(done, imagetree) -> None:
    """As many of val as asked for, none twice, and the same ones each time."""
    said = imagetree("pictures", "answers", done / "run", "--images", 6)
    assert said.status == 0
    first = shown(done / "run" / "answers.svg")
    assert len(set(first)) == 6
    assert set(first) <= set(names_of(done, "val"))
    assert re.search(r"answers.svg: 6 images; first answer right for \d of 6$", said.out, re.M)
    text = (done / "run" / "answers.svg").read_text()
    imagetree("pictures", "answers", done / "run", "--images", 6)
    assert (done / "run" / "answers.svg").read_text() == text


def test_answers_for_names_in_their_order(done, imagetree) -> None:
    names = names_of(done, "minival")[::-1]
    words = ["--images", *names, "--split", "minival", "--output", done / "some.svg"]
    assert imagetree("pictures", "answers", done / "run", *words).status == 0
    assert shown(done / "some.svg") == names


def test_answers_for_files_one_of_them_cut_off(done, imagetree, tmp_path) -> None:
    """The others are drawn, the bad one is told with its reason, and the exit status says so."""
    good = done / "images" / WNIDS[0] / f"{WNIDS[0]}_1.JPEG"
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(good.read_bytes()[:500])
    words = ["--images", bad, good, "--output", done / "files.svg"]
    said = imagetree("pictures", "answers", done / "run", *words)
    assert said.status == 1
    assert f"{bad}: " in said.err
    assert shown(done / "files.svg") == [str(good)]
    assert "1 images; first answer right for 0 of 0" in said.out


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["nobody.jpg"], "'nobody.jpg' is no image of the split, and no file"),
        (["0"], "no image is asked for"),
    ],
)
def test_images_that_are_not_there(done, imagetree, asked, message) -> None:
    said = imagetree("pictures", "answers", done / "run", "--images", *asked)
    assert said.status == 1
    assert message in said.err
    assert "hint: --images takes a number" in said.err


def test_names_and_files_together_are_refused(done, imagetree) -> None:
    file = done / "images" / WNIDS[0] / f"{WNIDS[0]}_1.JPEG"
    said = imagetree(
        "pictures", "answers", done / "run", "--images", names_of(done, "val")[0], file
    )
    assert said.status == 1
    assert "expected one or the other" in said.err


def test_neighbours_are_training_images(done, imagetree) -> None:
    """Two images of val with three of train each; a damaged one of train is told and left out."""
    names = names_of(done, "train")
    damaged = done / "images" / names[0].partition("_")[0] / f"{names[0]}.JPEG"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1000] + bytes(1000))
    try:
        words = ["--images", 2, "--count", 3, "--layer", "fc6"]
        said = imagetree("pictures", "neighbours", done / "run", *words)
    finally:
        damaged.write_bytes(whole)
    images = shown(done / "run" / "neighbours.svg")
    assert len(images) == 8
    assert {images[0], images[4]} <= set(names_of(done, "val"))
    assert {*images[1:4], *images[5:]} <= set(names[1:])
    assert said.status == 1
    assert f"{names[0]}: " in said.err
    assert re.search(r"neighbours.svg: 2 images; \d of 6 neighbours are of their class", said.out)


def test_neighbours_by_a_layer_that_is_not_there(done, imagetree) -> None:
    said = imagetree("pictures", "neighbours", done / "run", "--layer", "conv5")
    assert said.status == 1
    assert "no fully connected layer 'conv5'" in said.err


def test_confusion_is_drawn_and_told(done, imagetree) -> None:
    """The figures of the table are those of the score, and the picture names the classes."""
    said = imagetree("pictures", "confusion", done / "run")
    assert said.status == 0
    score = imagetree("challenge", "score", done / "challenge", done / "run" / "val.txt", "--json")
    top1 = json.loads(score.out)["top"][0]
    val = names_of(done, "val")
    assert f"{top1['num_misses']} errors in {len(val)} images of val" in said.out
    assert "errors by lowest common hypernym" in said.out
    svg = (done / "run" / "confusion.svg").read_text()
    for lemma in ("tench", "English springer", "church"):
        assert f">{lemma}<" in svg


def test_confusion_as_json(done, imagetree) -> None:
    """Meetings and pairs account for every error, and examples are images of the true class."""
    said = imagetree("pictures", "confusion", done / "run", "--json")
    found = json.loads(said.out)
    assert found["num_errors"] == sum(each["count"] for each in found["meetings"])
    assert found["num_errors"] == sum(each["count"] for each in found["pairs"])
    words = {each["wnid"]: each["words"] for each in found["meetings"]}
    assert set(words) <= {"n01471682", "n00003553"}
    assert set(words.values()) <= {"vertebrate, craniate", "whole, unit"}
    for pair in found["pairs"]:
        assert {name.partition("_")[0] for name in pair["examples"]} == {pair["truth"]}


def test_confusion_before_answers(done, imagetree) -> None:
    said = imagetree("pictures", "confusion", done / "run", "--split", "minival")
    assert said.status == 1
    assert "imagetree challenge run" in said.err


@pytest.mark.parametrize(
    ("words", "ending"),
    [
        (("pictures", "confusion", "run", "--output", "a.png"), "svg"),
        (("pictures", "saliency", "run", "photo.jpg", "--output", "a"), "svg"),
        (("pictures", "filters", "run", "--output", "a.svg"), "png"),
        (("pictures", "formation", "run", "--output", "a.png"), "gif"),
        (("alexnet", "drawing", "chm", "a.png"), "svg"),
    ],
)
def test_a_picture_of_another_ending_is_refused(words, ending, imagetree) -> None:
    """Nothing would open it; told before anything is read."""
    said = imagetree(*words)
    assert said.status == 2
    assert f'must have extension "{ending}"' in " ".join(said.err.replace("│", " ").split())
