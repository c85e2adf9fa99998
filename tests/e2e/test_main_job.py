"""The main job by its commands: from archives to a score, pictures and a page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from imagetree.cli.main import main

from ..conftest import need
from .conftest import WNIDS, picture, write_train, write_val

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = [
    *("--input-size", "67", "--start-size", "67", "--test-size", "67"),
    *("--epochs", "4", "--batch-size", "12", "--lr", "0.01", "--label-smoothing", "0"),
]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole job was done once."""
    folder = tmp_path_factory.mktemp("job")
    write_train(folder / "train.tar")
    write_val(folder / "val.tar", folder / "val.tsv")
    database = ["--database", str(folder / "imagetree.db")]
    for words in (
        ["database", "import", folder / "train.tar", *database],
        ["database", "import", folder / "val.tar", "--labels", folder / "val.tsv", *database],
        ["challenge", "cut", folder / "challenge", "--val-source", folder / "val.tar", *database],
        ["train", folder / "challenge", folder / "run", *database, *SETTINGS],
        ["challenge", "run", folder / "run"],
        ["pictures", "filters", folder / "run"],
        ["pictures", "curves", folder / "run"],
        ["report", folder / "run"],
    ):
        assert main([str(word) for word in words]) == 0
    return folder


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_tree_counts_as_sets(done: Path, imagetree) -> None:
    """114 images in all; dog and cat below carnivore and domestic animal, each counted once."""
    said = imagetree("database", "tree", "--database", done / "imagetree.db")
    assert said.status == 0
    assert re.search(r"^whole  114  n00003553$", said.out, re.MULTILINE)
    assert re.search(r"^ +dog  38  n02084071  \(canine and domestic", said.out, re.MULTILINE)
    assert "dog  38  n02084071  (canine and domestic animal)  (also above)" in said.out


def test_tree_as_json(done: Path, imagetree) -> None:
    database = ["--database", done / "imagetree.db"]
    said = imagetree("database", "tree", "--root", "carnivore", "--json", *database)
    nodes = {node["wnid"]: node for node in json.loads(said.out)}
    assert nodes["n02075296"]["num_subtree"] == 76
    assert nodes[WNIDS[0]]["num_own"] == 38
    assert len(nodes[WNIDS[0]]["parents"]) == 2


def test_splits_are_disjoint_and_complete(done: Path) -> None:
    names = {
        split: [line.split("\t")[0] for line in lines_of(done / "challenge" / f"{split}.tsv")]
        for split in ("train", "minival", "val")
    }
    assert {split: len(each) for split, each in names.items()} == {
        "train": 84,
        "minival": 6,
        "val": 24,
    }
    assert len({name for each in names.values() for name in each}) == 114
    assert all(name.startswith("ILSVRC2012_val_") for name in names["val"])


def test_score(done: Path, imagetree) -> None:
    """Stripes in three directions are learnt; the score is that of the submission's own lines."""
    said = imagetree("challenge", "score", done / "challenge", done / "run" / "val.txt", "--json")
    score = json.loads(said.out)
    truth = [line.split()[1] for line in lines_of(done / "challenge" / "val.tsv")]
    first = [line.split()[0] for line in lines_of(done / "run" / "val.txt")]
    misses = sum(a != b for a, b in zip(first, truth, strict=True))
    assert [top["k"] for top in score["top"]] == [1]
    assert score["top"][0]["num_misses"] == misses
    assert score["top"][0]["error"] == misses / 24 <= 0.25


def test_k_above_the_classes(done: Path, imagetree) -> None:
    entry = [done / "challenge", done / "run" / "val.txt"]
    said = imagetree("challenge", "score", *entry, "--k", "5")
    assert said.status == 1
    assert "top-5 has no meaning with 3 classes" in said.err
    said = imagetree("recognize", done / "run", "--sample", "1", "--k", "4")
    assert said.status == 1
    assert "top-4 needs 4 guesses, but there are 3 classes" in said.err


def test_recognize_files(done: Path, imagetree, tmp_path: Path) -> None:
    """A photograph gets answers with a way through the tree; a text file is named and skipped."""
    good, bad = tmp_path / "good.jpg", tmp_path / "bad.jpg"
    good.write_bytes(picture(2, 5000))
    bad.write_text("no image")
    said = imagetree("recognize", done / "run", good, bad, tmp_path / "none.jpg", "--k", "2")
    assert said.status == 1
    lines = said.out.splitlines()
    assert lines[0] == str(good)
    assert re.match(r" +\d+\.\d%  .*  n\d{8}$", lines[1])
    assert lines[3].split(" > ")[0].strip() == "entity"
    assert f"{bad}: not an image: 8 bytes" in said.err
    assert f"{tmp_path}/none.jpg: cannot be read: No such file or directory" in said.err


def test_recognize_needs_something_to_look_at(done: Path, imagetree) -> None:
    said = imagetree("recognize", done / "run")
    assert said.status == 1
    assert "nothing to look at" in said.err


def test_read_gives_the_bytes_back(done: Path, imagetree, tmp_path: Path) -> None:
    database = ["--database", done / "imagetree.db"]
    said = imagetree("database", "read", f"{WNIDS[1]}_3", tmp_path / "a.jpeg", *database)
    assert said.status == 0
    assert (tmp_path / "a.jpeg").read_bytes() == picture(1, 3)


def test_filters_picture(done: Path) -> None:
    """96 tiles of 11 x 11 with white between them, at four pixels a weight."""
    image = Image.open(done / "run" / "filters.png")
    assert image.size == (4 * (16 * 12 + 1), 4 * (6 * 12 + 1))
    pixels = image.convert("L").load()
    assert all(pixels[x, 0] == 255 for x in range(image.width))
    tiles = [
        image.crop((48 * i + 4, 48 * j + 4, 48 * i + 48, 48 * j + 48))
        for j in range(6)
        for i in range(16)
    ]
    assert len({tile.tobytes() for tile in tiles}) == 96
    assert all(
        max(high for _, high in tile.getextrema()) == 255
        or min(low for low, _ in tile.getextrema()) == 0
        for tile in tiles
    )


def test_report_holds_all_it_shows(done: Path) -> None:
    """No address outside the page; the score, the tree, the pictures and the table are in it."""
    page = (done / "run" / "report.html").read_text()
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "top-1 error on val" in page
    assert page.count("data:image/jpeg;base64,") >= 3 * 6 + 6
    assert "data:image/png;base64," in page
    assert "<svg" in page
    assert "Conv1" in page
    assert "n02084071" in page


def test_report_opens_in_a_browser(done: Path, tmp_path: Path) -> None:
    """Chromium without a network draws the page, and every picture on it has its size."""
    chromium = shutil.which("chromium")
    need(chromium, "chromium is not installed")
    page = (done / "run" / "report.html").read_text()
    probe = tmp_path / "probe.html"
    script = (
        "<script>onload = () => document.title = [...document.images]"
        ".filter(i => !i.naturalWidth).length + ' broken of ' + document.images.length</script>"
    )
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert policy in page
    probe.write_text(page.replace(policy, policy + "; script-src 'unsafe-inline'") + script)
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path}/profile", "--host-resolver-rules=MAP * ~NOTFOUND"]
    shown = subprocess.run(
        [*command, "--dump-dom", probe.as_uri()], capture_output=True, text=True, timeout=120
    ).stdout
    count = page.count("<img ")
    assert f"<title>0 broken of {count}</title>" in shown


def test_same_commands_again_change_nothing(done: Path, imagetree) -> None:
    """Import, cut and train find everything done."""
    database = ["--database", done / "imagetree.db"]
    said = imagetree("database", "import", done / "train.tar", *database)
    assert "0 added, 90 known before" in said.out
    before = (done / "run" / "checkpoint.safetensors").read_bytes()
    folder = done / "challenge"
    said = imagetree("challenge", "cut", folder, "--val-source", done / "val.tar", *database)
    assert said.status == 0
    said = imagetree("train", folder, done / "run", *database, *SETTINGS)
    assert said.status == 0
    assert (done / "run" / "checkpoint.safetensors").read_bytes() == before


def test_another_challenge_in_the_same_folder(done: Path, imagetree) -> None:
    said = imagetree("challenge", "cut", done / "challenge", "--database", done / "imagetree.db")
    assert said.status == 1
    assert "another challenge is here already" in said.err


def test_changed_challenge_is_refused(done: Path, imagetree, tmp_path: Path) -> None:
    folder = tmp_path / "challenge"
    shutil.copytree(done / "challenge", folder)
    with (folder / "val.tsv").open("a") as file:
        file.write("x\tn02084071\n")
    said = imagetree("challenge", "show", folder)
    assert said.status == 1
    assert "val.tsv: missing or changed since the challenge was cut" in said.err
