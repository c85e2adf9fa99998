"""Scoring at the command line: tables for people, JSON for programs, errors with their hints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from imagetree.challenge.definition import Entry, save_challenge
from imagetree.cli.main import main
from imagetree.sources.numbering import ilsvrc2012_wnids

from ..challenge.samples import DOG, WNIDS, in_turn, write_challenge, write_entry

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def entries(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A challenge of 100 images, and entries to it that miss the first 10 and 40."""
    challenge = write_challenge(tmp_path / "challenge", 20)
    truth = [each.wnid for each in challenge.read_split("val")]
    paths = []
    for num_wrong in (10, 40):
        rows = [
            in_turn(WNIDS[(WNIDS.index(wnid) + (place < num_wrong)) % 5])
            for place, wnid in enumerate(truth)
        ]
        paths.append(write_entry(tmp_path / f"{num_wrong}.txt", rows))
    return challenge.folder, paths[0], paths[1]


def test_score_prints_errors_with_intervals_levels_and_classes(imagetree, entries) -> None:
    challenge, entry, _ = entries
    said = imagetree("challenge", "score", challenge, entry)
    assert said.status == 0
    rows = [line.split() for line in said.out.splitlines()]
    top1 = next(row for row in rows if row[:2] == ["top", "1"])
    assert top1[2:4] == ["10.00%", "2.00%"]
    assert top1[6] == "10"
    assert ["hierarchical", "precision"] in [row[:2] for row in rows]
    assert ["severity", "of", "mistakes"] in [row[:3] for row in rows]
    assert ["0", "10.00%", "10"] in rows
    assert ["dog", "50.0%", "10", "of", "20"] in [row[:5] for row in rows]


def test_score_as_json(imagetree, entries) -> None:
    challenge, entry, _ = entries
    said = imagetree("challenge", "score", challenge, entry, "--json", "--k", "1", "2")
    score = json.loads(said.out)
    assert [top["k"] for top in score["top"]] == [1, 2]
    assert score["top"][0]["error"] == 0.1
    low, high = score["top"][0]["interval"]
    assert low < 0.1 < high
    assert score["levels"][0] == {"height": 0, "num_misses": 10, "error": 0.1}
    assert score["severity"]["num_mistakes"] == 10


def test_compare_says_which_is_better_and_whether_by_chance(imagetree, entries) -> None:
    challenge, first, second = entries
    said = imagetree("challenge", "compare", challenge, first, second)
    assert said.status == 0
    assert "-30.00%" in said.out
    assert "top 1: A is better (99.9 % confidence)" in said.out
    assert "top 5: the difference may well be chance" in said.out
    found = json.loads(imagetree("challenge", "compare", challenge, second, first, "--json").out)
    assert (found[0]["difference"], found[0]["is_significant"]) == (pytest.approx(0.3), True)
    assert (found[0]["only_first"], found[0]["only_second"]) == (0, 30)


def test_formats_are_listed_with_examples(imagetree) -> None:
    said = imagetree("challenge", "formats")
    for words in ("text (.txt)", "csv (.csv)", "kaggle:", "jsonl (.jsonl, .ndjson)", "synsets:"):
        assert words in said.out
    assert "    val_1,1 10 20 99 95 2 0 0 60 60" in said.out
    found = json.loads(imagetree("challenge", "formats", "--json").out)
    assert [each["name"] for each in found["formats"]] == [
        "text",
        "csv",
        "kaggle",
        "jsonl",
        "synsets",
    ]
    assert "class-index" in found["labels"]


def test_numbers_are_read_where_they_are_named(imagetree, entries, tmp_path: Path) -> None:
    challenge, entry, _ = entries
    text = entry.read_text()
    for index, wnid in enumerate(WNIDS):
        text = text.replace(wnid, str(index))
    (tmp_path / "numbers.txt").write_text(text)
    args = ["challenge", "score", challenge, tmp_path / "numbers.txt"]
    said = imagetree(*args)
    assert said.status == 1
    assert "hint: these look like class-index (0 is among them); name what the labels" in said.err
    scored = json.loads(imagetree(*args, "--labels", "class-index", "--json").out)
    assert scored == json.loads(imagetree("challenge", "score", challenge, entry, "--json").out)
    said = imagetree(*args, "--labels", "kaggle-line")
    assert "0 is not in 1..5 of kaggle-line: looks like class-index, from 0" in said.err


def test_real_labels_at_the_command_line(imagetree, tmp_path: Path) -> None:
    """Two images of ILSVRC2012's val whose reassessed labels forgive one of two mistakes."""
    wnids = ilsvrc2012_wnids()[:5]
    val = [Entry("ILSVRC2012_val_00000001", wnids[0]), Entry("ILSVRC2012_val_00000002", wnids[1])]
    splits = {"train": val, "minival": val, "val": val}
    challenge = save_challenge(tmp_path / "challenge", wnids, splits)
    entry = write_entry(tmp_path / "a.txt", [[wnids[2]], [wnids[3]]])
    (tmp_path / "real.json").write_text("[[0, 2], [1]]")
    args = ["challenge", "score", challenge.folder, entry, "--real", tmp_path / "real.json"]
    score = json.loads(imagetree(*args, "--json").out)
    assert score["top"][0]["error"] == 1
    assert (score["real"]["error"], score["real"]["num_several"]) == (0.5, 1)
    assert "ReaL labels" in imagetree(*args).out


def test_leakage_at_the_command_line(imagetree, pets, tmp_path: Path) -> None:
    """The first and the third dog are the same file, once in train and once in val."""
    cat = "n02121808"
    entries = [Entry(f"{DOG}_{n}", DOG) for n in (1, 2, 3)] + [Entry(f"{cat}_1", cat)]
    splits = {"train": entries[:1], "minival": entries[3:], "val": entries[1:3]}
    challenge = save_challenge(tmp_path / "challenge", (DOG, cat), splits)
    entry = write_entry(tmp_path / "a.txt", [[cat], [DOG]])
    database = tmp_path / "pets.db"
    args = ["challenge", "score", challenge.folder, entry, "--database", database]
    said = imagetree(*args)
    assert said.status == 1
    assert "hint: check them: imagetree database check" in said.err
    assert main(["database", "check"]) == 0
    found = json.loads(imagetree(*args, "--json").out)["leakage"]
    assert (found["num_leaked"], found["error"], found["error_without"]) == (1, 0.5, 1)
    rows = [line.split() for line in imagetree(*args).out.splitlines()]
    assert ["learnt", "from", "1", "0.00%"] in rows


def test_files_that_cannot_be_read_are_refused_with_what_helps(
    imagetree, entries, tmp_path: Path
) -> None:
    challenge, entry, _ = entries
    data = entry.read_text()
    (tmp_path / "utf16.txt").write_text(data, "utf-16")
    said = imagetree("challenge", "score", challenge, tmp_path / "utf16.txt")
    assert said.status == 1
    assert "utf16.txt:1: UTF-16 (expected plain UTF-8 text" in said.err
    assert "hint: convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW" in said.err
    said = imagetree("challenge", "compare", challenge, entry, tmp_path / "none.txt")
    assert said.status == 1
    assert "none.txt: cannot be read (No such file or directory)" in said.err
