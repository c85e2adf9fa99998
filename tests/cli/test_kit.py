"""imagetree kit, and cut, show, verify and test-images of imagetree challenge."""

from __future__ import annotations

import json
import re
import tarfile

import pytest

from imagetree.database import import_source, open_database

from .conftest import picture

DOG, CAT, PLANE = "n02084071", "n02121808", "n02691156"


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """The folder of ten drawn pictures of each of three classes, in a database."""
    for place, wnid in enumerate((DOG, CAT, PLANE)):
        for number in range(10):
            path = tmp_path / "images" / wnid / f"{wnid}_{number}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(100 * place + number))
    monkeypatch.setenv("IMAGETREE_DATABASE", str(tmp_path / "x.db"))
    with open_database(tmp_path / "x.db", create=True) as database:
        import_source(database, tmp_path / "images")
    return tmp_path


def test_cut_verify_and_kit(imagetree, photographs) -> None:
    """A challenge with a sealed test is cut, verified, exported, and its kit scored."""
    folder, kit = photographs / "pets", photographs / "kit.tar.gz"
    said = imagetree("challenge", "cut", folder, "--test-share", "0.2")
    assert said.status == 0
    assert "3 classes; images: 15 train, 3 minival, 6 val, 6 test" in said.out
    said = imagetree("challenge", "show", folder)
    assert re.search(r"1 +n02121808 +domestic cat, .* +5 +1 +2 +2 ", said.out)
    said = imagetree("challenge", "show", folder, "--json")
    version = json.loads(said.out)["version"]
    assert len(version) == 64
    said = imagetree("challenge", "verify", folder)
    assert said.status == 0
    assert re.search(r"sealed labels +ok", said.out)

    said = imagetree("kit", "export", folder, kit, "--year", "2010")
    assert "in the form of ILSVRC2010; 3 classes of" in said.out
    figures = json.loads(imagetree("kit", "show", kit, "--json").out)
    assert (figures["classes"], figures["validation images"]) == (3, 6)
    assert figures["training images"] == 18
    assert "from its synsets" not in imagetree("kit", "show", kit).out
    with tarfile.open(kit) as archive:
        archive.extractall(photographs / "out", filter="data")
    demo = photographs / "out" / "kit" / "evaluation"
    said = imagetree("kit", "score", kit, demo / "demo.val.pred.txt")
    for line in (demo / "demo.scores.txt").read_text().splitlines()[1:]:
        assert line.split() in [shown.split() for shown in said.out.splitlines()]
    score = json.loads(imagetree("kit", "score", kit, demo / "demo.val.pred.txt", "--json").out)
    assert (score["num_images"], len(score["flat"]), len(score["hierarchical"])) == (6, 5, 5)


def test_verify_ends_with_1_where_a_file_was_changed(imagetree, photographs) -> None:
    imagetree("challenge", "cut", photographs / "pets")
    with (photographs / "pets" / "val.tsv").open("a") as file:
        file.write("x\n")
    said = imagetree("challenge", "verify", photographs / "pets", "--json")
    assert said.status == 1
    faults = {each["what"]: each["fault"] for each in json.loads(said.out)}
    assert faults["val.tsv"].startswith("changed: SHA-256")
    assert faults["train.tsv"] == ""
    said = imagetree("challenge", "show", photographs / "pets")
    assert said.status == 1
    assert "hint: see what else has: imagetree challenge verify" in said.err


def test_test_images(imagetree, photographs) -> None:
    imagetree("challenge", "cut", photographs / "pets", "--test-share", "0.2")
    said = imagetree("challenge", "test-images", photographs / "pets", photographs / "test.tar")
    assert "6 images" in said.out
    with tarfile.open(photographs / "test.tar") as archive:
        assert archive.getnames() == [f"test_{n:08}.JPEG" for n in range(1, 7)]


def test_cut_reports_copies(imagetree, photographs) -> None:
    """Every dog is once more among the dogs: some pair is parted, and named with its splits."""
    for path in sorted((photographs / "images" / DOG).iterdir()):
        path.with_name(f"{DOG}_copy{path.stem[10:]}.JPEG").write_bytes(path.read_bytes())
    imagetree("database", "import", photographs / "images")
    imagetree("database", "check")
    said = imagetree("challenge", "cut", photographs / "pets", "--duplicates", "report")
    assert said.status == 0
    found = re.findall(r"in several splits: (.*)", said.out)
    assert found
    assert f"{len(found)} pictures are in several splits" in said.out
    assert all(re.match(rf"{DOG}_\w+ \((minival|train)\), {DOG}_\w+ \(", line) for line in found)


def test_kit_of_nothing(imagetree, tmp_path) -> None:
    said = imagetree("kit", "show", tmp_path)
    assert said.status == 1
    assert "no meta.mat in it (expected a development kit of ILSVRC2010 to ILSVRC2012)" in said.err
