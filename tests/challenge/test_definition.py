"""The folder of a challenge: what is written is read back, and what was changed is refused."""

from __future__ import annotations

import hashlib
import json
import re
import stat
from typing import TYPE_CHECKING

import pytest

from imagetree.challenge.definition import Entry, load_challenge, save_challenge
from imagetree.challenge.verify import verify_challenge
from imagetree.errors import ChallengeError

if TYPE_CHECKING:
    from pathlib import Path

DOG, TOY_DOG, CAT, PLANE = "n02084071", "n02085374", "n02121808", "n02691156"
WNIDS = (DOG, CAT, PLANE)
SPLITS = {
    "train": [Entry(f"{wnid}_1", wnid) for wnid in WNIDS],
    "minival": [Entry(f"{wnid}_2", wnid) for wnid in WNIDS],
    "val": [Entry(f"{wnid}_3", wnid) for wnid in WNIDS],
}
TEST = [Entry(f"{PLANE}_4", PLANE), Entry(f"{DOG}_4", DOG), Entry(f"{CAT}_4", CAT)]
SEALED = {**SPLITS, "test": TEST}


def rewrite(folder: Path, **changes: object) -> None:
    """Change the manifest."""
    path = folder / "challenge.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_round_trip(tmp_path: Path) -> None:
    folder = tmp_path / "pets"
    saved = save_challenge(folder, WNIDS, SPLITS)
    loaded = load_challenge(folder)
    assert saved == loaded
    assert loaded.wnids == WNIDS
    assert loaded.num_images == {"train": 3, "minival": 3, "val": 3}
    for split, entries in SPLITS.items():
        assert loaded.read_split(split) == tuple(entries)
        assert loaded.read_names(split) == tuple(entry.name for entry in entries)
    assert sorted(path.name for path in tmp_path.rglob("*.tsv")) == [
        *("minival.tsv", "train.tsv", "val.tsv")
    ]
    with pytest.raises(ChallengeError, match=r"no split 'test' .expected train, minival, val."):
        loaded.read_split("test")


def test_version_is_that_of_sha256sum_over_the_files(tmp_path: Path) -> None:
    """`sha256sum minival.tsv synsets.txt train.tsv val.tsv | sha256sum` gives it."""
    version = save_challenge(tmp_path / "a", WNIDS, SPLITS).version
    names = ("minival.tsv", "synsets.txt", "train.tsv", "val.tsv")
    sums = [hashlib.sha256((tmp_path / "a" / name).read_bytes()).hexdigest() for name in names]
    lines = "".join(f"{digest}  {name}\n" for digest, name in zip(sums, names, strict=True))
    assert version == hashlib.sha256(lines.encode()).hexdigest()
    assert save_challenge(tmp_path / "b", WNIDS, SPLITS).version == version
    assert save_challenge(tmp_path / "c", WNIDS, SEALED).version != version
    turned = {**SEALED, "test": TEST[::-1]}
    first, second = (load_challenge(tmp_path / "c"), save_challenge(tmp_path / "d", WNIDS, turned))
    assert first.version != second.version, "the same public files, other labels behind them"


def test_sealed_labels_are_beside_the_folder_and_for_their_owner_alone(tmp_path: Path) -> None:
    """Nothing in the folder has a name or label of a test image."""
    challenge = save_challenge(tmp_path / "pets", WNIDS, SEALED)
    assert challenge.read_split("test") == tuple(TEST)
    names = ("test_00000001", "test_00000002", "test_00000003")
    assert challenge.read_names("test") == names
    assert challenge.sealed_path == tmp_path / "pets.sealed.tsv"
    assert stat.S_IMODE(challenge.sealed_path.stat().st_mode) == 0o600
    assert (tmp_path / "pets" / "test.tsv").read_text().split() == list(names)
    for path in (tmp_path / "pets").iterdir():
        assert all(entry.name not in path.read_text() for entry in TEST)


def test_without_the_sealed_labels_all_else_works(tmp_path: Path) -> None:
    challenge = save_challenge(tmp_path / "pets", WNIDS, SEALED)
    challenge.sealed_path.unlink()
    loaded = load_challenge(tmp_path / "pets")
    assert len(loaded.read_names("test")) == 3
    assert loaded.read_split("val") == tuple(SPLITS["val"])
    with pytest.raises(ChallengeError, match=r"labels of test are sealed .*pets\.sealed\.tsv"):
        loaded.read_split("test")
    assert not any(check.fault for check in verify_challenge(tmp_path / "pets"))


def test_sealed_labels_cannot_be_changed_afterwards(tmp_path: Path) -> None:
    challenge = save_challenge(tmp_path / "pets", WNIDS, SEALED)
    text = challenge.sealed_path.read_text()
    challenge.sealed_path.write_text(text.replace(CAT, DOG))
    with pytest.raises(ChallengeError, match="not the labels that were sealed"):
        challenge.read_split("test")


def test_a_folder_of_format_1_is_read(tmp_path: Path) -> None:
    """It has no version of its own, and gets the one that it would have today."""
    folder = tmp_path / "old"
    version = save_challenge(folder, WNIDS, SPLITS).version
    manifest = json.loads((folder / "challenge.json").read_text())
    del manifest["version"]
    (folder / "challenge.json").write_text(json.dumps(manifest | {"format": 1}))
    assert load_challenge(folder).version == version
    assert not any(check.fault for check in verify_challenge(folder))
    assert save_challenge(folder, WNIDS, SPLITS).version == version
    assert json.loads((folder / "challenge.json").read_text())["format"] == 2


def test_another_challenge_is_not_overwritten(tmp_path: Path) -> None:
    save_challenge(tmp_path / "pets", WNIDS, SPLITS)
    save_challenge(tmp_path / "pets", WNIDS, SPLITS)
    with pytest.raises(ChallengeError, match="another challenge is here already"):
        save_challenge(tmp_path / "pets", WNIDS, SEALED)
    assert not (tmp_path / "pets.sealed.tsv").exists()


@pytest.mark.parametrize("name", ["synsets.txt", "train.tsv", "minival.tsv", "val.tsv", "test.tsv"])
def test_a_changed_file_is_refused_and_named(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "pets"
    save_challenge(folder, WNIDS, SEALED)
    with (folder / name).open("a") as file:
        file.write("\n")
    with pytest.raises(ChallengeError, match=f"{name}: missing or changed"):
        load_challenge(folder)
    assert {c.what for c in verify_challenge(folder) if c.fault.startswith("changed")} == {name}
    (folder / name).unlink()
    assert {c.what for c in verify_challenge(folder) if c.fault == "missing"} == {name}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 3}, "not a challenge of format 1 or 2"),
        ({"sha256": {"../../x": ""}}, "the list of files is wrong"),
        ({"sha256": None}, "the list of files is wrong"),
        ({"sealed_sha256": "0" * 64}, "the list of files is wrong"),
        ({"num_images": {"train": 3, "val": 3}}, "the splits are wrong"),
        ({"num_images": {"train": -3, "minival": 3, "val": 3}}, "a number of images is no number"),
        ({"version": "0" * 64}, "the version is not that of its classes and splits"),
    ],
)
def test_a_damaged_manifest_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    save_challenge(tmp_path, WNIDS, SPLITS)
    rewrite(tmp_path, **changes)
    with pytest.raises(ChallengeError, match=message):
        load_challenge(tmp_path)


def test_a_sum_that_is_no_text_is_refused(tmp_path: Path) -> None:
    save_challenge(tmp_path, WNIDS, SPLITS)
    sums = json.loads((tmp_path / "challenge.json").read_text())["sha256"]
    rewrite(tmp_path, sha256=sums | {"val.tsv": 7})
    with pytest.raises(ChallengeError, match="a sum is no text"):
        load_challenge(tmp_path)


STRANGER = Entry("n03000684_1", "n03000684")


@pytest.mark.parametrize(
    ("wnids", "splits", "what", "fault"),
    [
        ((DOG, "n00000001"), {}, "classes", "'n00000001' is no noun of WordNet 3.0"),
        ((CAT, DOG), {}, "classes", "not sorted by wnid"),
        ((DOG,), {}, "classes", r"1 .expected two or more."),
        ((DOG, TOY_DOG), {}, "classes", f"{DOG} is an ancestor of {TOY_DOG}"),
        (WNIDS, {"train": [STRANGER]}, "splits", "train.tsv:1: 'n03000684' is no class"),
        (WNIDS, {"val": SPLITS["val"][::-1]}, "val", "not sorted by wnid and name"),
        (WNIDS, {"val": SPLITS["val"][:1] * 2}, "val", "an image is there twice"),
        (
            WNIDS,
            {"val": SPLITS["train"]},
            "no image in two splits",
            f"{DOG}_1 is in train and in val",
        ),
    ],
)
def test_verify_finds_what_is_wrong_though_every_sum_is_right(
    tmp_path: Path, wnids: tuple[str, ...], splits: dict[str, list[Entry]], what: str, fault: str
) -> None:
    all_of_them = SPLITS if wnids == WNIDS else {split: [] for split in SPLITS}
    save_challenge(tmp_path, wnids, {**all_of_them, **splits})
    found = {check.what: check.fault for check in verify_challenge(tmp_path) if check.fault}
    assert list(found) == [what]
    assert re.search(fault, found[what])


def test_verify_counts_images_and_looks_at_who_may_read_the_labels(tmp_path: Path) -> None:
    challenge = save_challenge(tmp_path / "pets", WNIDS, SEALED)
    assert not any(check.fault for check in verify_challenge(tmp_path / "pets"))
    challenge.sealed_path.chmod(0o644)
    rewrite(tmp_path / "pets", num_images={"train": 3, "minival": 3, "val": 4, "test": 3})
    faults = {c.what: c.fault for c in verify_challenge(tmp_path / "pets") if c.fault}
    assert faults["val"] == "3 images (expected 4)"
    assert "expected mode 600, got 644" in faults["sealed labels"]


def test_a_line_with_a_wrong_number_of_columns(tmp_path: Path) -> None:
    save_challenge(tmp_path, WNIDS, {**SPLITS, "val": [Entry("a\tb", DOG)]})
    with pytest.raises(ChallengeError, match=r"val\.tsv:1: 3 columns .expected 2."):
        load_challenge(tmp_path).read_split("val")
