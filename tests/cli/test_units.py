"""`imagetree pictures` activations and units: on real photographs, from a short run."""

from __future__ import annotations

import json
import tarfile
import xml.etree.ElementTree as ElementTree

import pytest

from imagetree.cli.main import main

WNIDS = ("n01440764", "n02102040", "n03028079")  # tench, English springer, church
PER_CLASS = 12
SETTINGS = [
    *("--input-size", "67", "--start-size", "67", "--test-size", "99"),
    *("--epochs", "1", "--batch-size", "8", "--precision", "fp32", "--workers", "0"),
]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def done(imagenette, tmp_path_factory):
    """A folder with a challenge of 36 photographs, and a run on it of one epoch."""
    folder = tmp_path_factory.mktemp("units")
    labels = (imagenette / "val_wnids.tsv").read_text().split()
    wnid_of = dict(zip(labels[::2], labels[1::2], strict=True))
    counts = dict.fromkeys(WNIDS, 0)
    with tarfile.open(imagenette / "val.tar") as archive:
        for member in archive:
            wnid = wnid_of[member.name]
            if counts.get(wnid, PER_CLASS) == PER_CLASS:
                continue
            counts[wnid] += 1
            path = folder / "images" / wnid / f"{wnid}_{counts[wnid]}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.extractfile(member).read())
            if set(counts.values()) == {PER_CLASS}:
                break
    database = ["--database", str(folder / "imagetree.db")]
    for words in (
        ["database", "import", folder / "images", *database],
        ["challenge", "cut", folder / "challenge", *database],
        ["train", folder / "challenge", folder / "run", *database, *SETTINGS],
    ):
        assert main([str(word) for word in words]) == 0
    return folder


def names_of(folder, split: str) -> list[str]:
    lines = (folder / "challenge" / f"{split}.tsv").read_text().splitlines()
    return [line.split("\t")[0] for line in lines]


def images_in(path) -> list[ElementTree.Element]:
    return list(ElementTree.parse(path).getroot().iter(f"{SVG}image"))


def test_activations_of_an_image_of_the_split(done, imagetree) -> None:
    """96 maps at the size of the test, with the formula of the lecture, beside the image."""
    name = names_of(done, "val")[0]
    said = imagetree("pictures", "activations", done / "run", name)
    assert said.status == 0
    assert "activations-conv1.svg: 96 maps of 23 x 23, (99 - 11)/4 + 1 = 23; values" in said.out
    assert len(images_in(done / "run" / "activations-conv1.svg")) == 1 + 96
    assert f">{name}<" in (done / "run" / "activations-conv1.svg").read_text()


def test_activations_of_a_file_need_no_database(done, imagetree, tmp_path) -> None:
    file, picture = done / "images" / WNIDS[0] / f"{WNIDS[0]}_1.JPEG", tmp_path / "maps.svg"
    words = ["--layer", "conv5", "--common-scale", "--output", picture]
    nowhere = ["--database", tmp_path / "nowhere.db"]
    said = imagetree("pictures", "activations", done / "run", file, *words, *nowhere)
    assert said.status == 0
    assert len(images_in(picture)) == 1 + 256
    assert "one scale for all maps" in picture.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["5"], "'5' is no image of the split, and no file"),
        (["nobody.jpg"], "'nobody.jpg' is no image of the split, and no file"),
        (["IMAGE", "--layer", "fc7"], "layer 'fc7' gives 4,096 single values and no maps"),
        (["IMAGE", "--layer", "../x"], "has no layer '../x'"),
    ],
)
def test_activations_that_are_not_there(done, imagetree, words, message) -> None:
    words = [names_of(done, "val")[0] if word == "IMAGE" else word for word in words]
    said = imagetree("pictures", "activations", done / "run", *words)
    assert said.status == 1
    assert message in said.err
    assert "hint: " in said.err


def test_units_drawn_and_told(done, imagetree) -> None:
    """Those asked for, in this order, with images of the split; the same picture each time."""
    words = ["--layer", "conv3", "--units", "5,0", "7", "--count", 3, "--split", "train"]
    said = imagetree("pictures", "units", done / "run", *words)
    assert said.status == 0
    path = done / "run" / "units-conv3.svg"
    images = images_in(path)
    shown = ["".join(image.itertext()).partition(": ")[0] for image in images]
    assert len(shown) == 9
    assert set(shown) <= set(names_of(done, "train"))
    text = path.read_text()
    units = ("unit 5", "unit 0", "unit 7")
    assert sorted(units, key=lambda unit: text.index(f">{unit}<")) == list(units)
    first_words = [line.split()[0] for line in said.out.splitlines() if line.split()]
    assert [word for word in first_words if word.isdecimal()] == ["5", "0", "7"]
    assert "units-conv3.svg: 3 of 384 units\n" in said.out
    assert "%" in said.out
    imagetree("pictures", "units", done / "run", *words)
    assert path.read_text() == text


def test_units_as_json(done, imagetree) -> None:
    """Without numbers the ten of which one class has most, class by class; nine crops of each."""
    said = imagetree("pictures", "units", done / "run", "--layer", "conv4", "--json")
    told = json.loads(said.out)
    best = [unit["classes"][0] for unit in told["units"]]
    assert len(best) == 10
    classes = [each["wnid"] for each in best]
    rounds = [classes[:at].count(wnid) for at, wnid in enumerate(classes)]
    assert rounds == sorted(rounds)
    for number in set(rounds):
        shares = [each["share"] for each, own in zip(best, rounds, strict=True) if own == number]
        assert shares == sorted(shares, reverse=True)
    for unit in told["units"]:
        responses = [image["response"] for image in unit["images"]]
        assert responses == sorted(responses, reverse=True)
        assert all(image["name"].startswith(image["wnid"]) for image in unit["images"])
    assert "those of which a single class" in (done / "run" / "units-conv4.svg").read_text()


def test_bad_image_is_told_and_left_out(done, imagetree) -> None:
    names = names_of(done, "train")
    damaged = done / "images" / names[0].partition("_")[0] / f"{names[0]}.JPEG"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1000] + bytes(1000))
    try:
        words = ["--layer", "conv1", "--units", "0", "--count", 50, "--split", "train"]
        said = imagetree("pictures", "units", done / "run", *words)
    finally:
        damaged.write_bytes(whole)
    assert said.status == 1
    assert f"{names[0]}: " in said.err
    images = images_in(done / "run" / "units-conv1.svg")
    shown = {"".join(image.itertext()).partition(": ")[0] for image in images}
    assert shown == set(names[1:])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--units", "0,x"], "'x' is no number of a unit"),
        (["--units", "256"], "conv5 has no unit 256 (expected 0 to 255)"),
        (["--layer", "conv7"], "has no layer 'conv7'"),
    ],
)
def test_units_that_are_not_there(done, imagetree, words, message) -> None:
    said = imagetree("pictures", "units", done / "run", *words)
    assert said.status == 1
    assert message in said.err
