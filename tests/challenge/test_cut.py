"""Cutting: disjoint, complete, and the same whatever the order in which images came."""

from __future__ import annotations

import io
import random
import tarfile
from typing import TYPE_CHECKING

import pytest

from imagetree.challenge.cut import CutConfig, cut_challenge
from imagetree.challenge.definition import load_challenge
from imagetree.challenge.images import locate_split
from imagetree.database import ImageReader, import_source, open_database
from imagetree.errors import ChallengeError, ImagetreeError

if TYPE_CHECKING:
    from pathlib import Path

WNIDS = ("n02084071", "n02121808", "n02691156")  # dog, domestic cat, airplane


def write_archive(path: Path, counts: dict[str, int], order: int = 0) -> None:
    """A tar of tars; the images of a class in an order of one's own."""
    wnids = list(counts)
    random.Random(order).shuffle(wnids)
    with tarfile.open(path, "w") as outer:
        for wnid in wnids:
            numbers = list(range(counts[wnid]))
            random.Random(order).shuffle(numbers)
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w") as inner:
                for number in numbers:
                    add(inner, f"{wnid}_{number}.JPEG", f"{wnid} {number}".encode())
            add(outer, f"{wnid}.tar", buffer.getvalue())


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def cut(folder: Path, counts: dict[str, int], config: CutConfig, order: int = 0) -> Path:
    """Write, import and cut in a folder; returns the challenge's."""
    folder.mkdir()
    write_archive(folder / "train.tar", counts, order)
    with open_database(folder / "x.db", create=True) as database:
        import_source(database, folder / "train.tar")
        cut_challenge(database, folder / "challenge", config)
    return folder / "challenge"


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_order_of_the_images_changes_no_byte(tmp_path: Path) -> None:
    counts = dict.fromkeys(WNIDS, 25)
    first = cut(tmp_path / "a", counts, CutConfig(), order=1)
    second = cut(tmp_path / "b", counts, CutConfig(), order=2)
    assert files_of(first) == files_of(second)


def test_one_more_image_moves_no_other(tmp_path: Path) -> None:
    """Only as many images change their split as the shares ask for."""
    splits = []
    for number in (40, 41):
        folder = cut(tmp_path / str(number), dict.fromkeys(WNIDS, number), CutConfig())
        challenge = load_challenge(folder)
        splits.append({e: s for s in challenge.num_images for e in challenge.read_split(s)})
    moved = [entry for entry, split in splits[0].items() if splits[1][entry] != split]
    assert len(moved) <= 2 * len(WNIDS)


def test_splits_are_disjoint_complete_and_as_large_as_asked(tmp_path: Path) -> None:
    config = CutConfig(val_share=0.25, minival_share=0.1)
    challenge = load_challenge(cut(tmp_path / "a", dict.fromkeys(WNIDS, 40), config))
    assert challenge.wnids == tuple(sorted(WNIDS))
    assert challenge.num_images == {"train": 81, "minival": 9, "val": 30}
    names = [e.name for split in challenge.num_images for e in challenge.read_split(split)]
    assert len(names) == len(set(names)) == 120


def test_seed_deals_otherwise(tmp_path: Path) -> None:
    counts = dict.fromkeys(WNIDS, 25)
    first = cut(tmp_path / "a", counts, CutConfig(seed=0))
    second = cut(tmp_path / "b", counts, CutConfig(seed=1))
    assert files_of(first)["val.tsv"] != files_of(second)["val.tsv"]


def test_classes_by_word(tmp_path: Path) -> None:
    config = CutConfig(classes=("dog", "airplane"))
    folder = cut(tmp_path / "a", dict.fromkeys(WNIDS, 10), config)
    assert load_challenge(folder).wnids == ("n02084071", "n02691156")


def test_a_word_means_the_sense_that_has_images(tmp_path: Path) -> None:
    """The commonest star is in the sky; here only the plane figure has images."""
    figures = {"n13881644": 5, "n13879320": 5}
    folder = cut(tmp_path / "a", figures, CutConfig(classes=("star", "triangle")))
    assert load_challenge(folder).wnids == tuple(sorted(figures))
    both = {"n13881644": 5, "n09444100": 5}
    with pytest.raises(ChallengeError, match="'star' has several senses with images: n09444100"):
        cut(tmp_path / "b", both, CutConfig(classes=("star",)))


def test_located_images_are_those_of_the_split(tmp_path: Path) -> None:
    """Labels are class indices and each image reads as its own bytes."""
    folder = cut(tmp_path / "a", dict.fromkeys(WNIDS, 10), CutConfig())
    challenge = load_challenge(folder)
    with open_database(tmp_path / "a" / "x.db") as database, ImageReader(database) as reader:
        images = locate_split(challenge, "train", database, reader)
        for index, entry in enumerate(challenge.read_split("train")):
            assert images.names[index] == entry.name
            assert challenge.wnids[images.labels[index]] == entry.wnid
            assert images.read(index).decode() == entry.name.replace("_", " ")
        some = images.select([5, 0])
        assert some.read(1) == images.read(0)
        assert some.labels.tolist() == [images.labels[5], images.labels[0]]


def test_images_that_are_not_in_the_database(tmp_path: Path) -> None:
    challenge = load_challenge(cut(tmp_path / "a", dict.fromkeys(WNIDS, 10), CutConfig()))
    cut(tmp_path / "b", dict.fromkeys(WNIDS, 5), CutConfig())
    with (
        open_database(tmp_path / "b" / "x.db") as database,
        ImageReader(database) as reader,
        pytest.raises(
            ChallengeError, match=r"(?s)images of 'train' are not in the database, .*hint"
        ),
    ):
        locate_split(challenge, "train", database, reader)


@pytest.mark.parametrize(
    ("counts", "config", "message"),
    [
        ({WNIDS[0]: 9}, CutConfig(), "1 synsets have at least 3 images .*expected two or more"),
        (
            {WNIDS[0]: 9, WNIDS[1]: 2},
            CutConfig(classes=WNIDS[:2]),
            r"n02121808 .domestic cat. has 2 images to train on .expected at least 3.",
        ),
        (
            {WNIDS[0]: 9, "n02085374": 9},
            CutConfig(),
            r"n02084071 .dog. is an ancestor of n02085374 .toy dog.",
        ),
        (
            dict.fromkeys(WNIDS, 9),
            CutConfig(val_source="other.tar"),
            r"other\.tar: not imported into this database",
        ),
    ],
)
def test_refused(tmp_path: Path, counts: dict[str, int], config: CutConfig, message: str) -> None:
    with pytest.raises(ImagetreeError, match=f"(?s){message}"):
        cut(tmp_path / "a", counts, config)


def test_shares_out_of_range() -> None:
    with pytest.raises(ChallengeError, match=r"val_share is 0.7 .expected in \(0, 0.5\)"):
        CutConfig(val_share=0.7)


def test_damaged_manifest(tmp_path: Path) -> None:
    with pytest.raises(ChallengeError, match="no challenge is here"):
        load_challenge(tmp_path)
    (tmp_path / "challenge.json").write_text("{")
    with pytest.raises(ChallengeError, match="cannot be read"):
        load_challenge(tmp_path)
    (tmp_path / "challenge.json").write_text('{"format": 9}')
    with pytest.raises(ChallengeError, match="not a challenge of format 1"):
        load_challenge(tmp_path)
    (tmp_path / "challenge.json").write_text('{"format": 1, "sha256": {"../../x": ""}}')
    with pytest.raises(ChallengeError, match="the list of files is wrong"):
        load_challenge(tmp_path)
