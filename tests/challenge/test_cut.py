"""Cutting: disjoint, complete, and the same whatever the order in which images came."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from imagetree.challenge.cut import CutConfig, cut_challenge, find_copies_across
from imagetree.challenge.definition import load_challenge
from imagetree.challenge.images import locate_split, write_test_images
from imagetree.curation.check import check_images
from imagetree.curation.duplicates import find_duplicates, set_duplicates_aside
from imagetree.database import ImageReader, import_source, open_database
from imagetree.database.journal import source_of
from imagetree.errors import ChallengeError, DatabaseError, ImagetreeError

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.database import Database

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
    with pytest.raises(ChallengeError, match=r"test_share is 0.5 .expected in \[0, 0.5\)"):
        CutConfig(test_share=0.5)


BEAGLE, TABBY = "n02088364", "n02123045"


def test_classes_by_subtree(tmp_path: Path) -> None:
    """All below carnivore that have enough images; the airplane is no carnivore."""
    counts = {BEAGLE: 10, TABBY: 10, "n02691156": 10, "n02110185": 2}
    folder = cut(tmp_path / "a", counts, CutConfig(under=("carnivore",)))
    assert load_challenge(folder).wnids == (BEAGLE, TABBY)
    both = CutConfig(under=("cat",), classes=("airplane",))
    assert load_challenge(cut(tmp_path / "b", counts, both)).wnids == (TABBY, "n02691156")


def test_a_subtree_with_several_senses_is_not_guessed(tmp_path: Path) -> None:
    """A crane is a bird, and a machine; both have images below them."""
    counts = {"n02012849": 9, "n03126707": 9}
    with pytest.raises(ChallengeError, match="'crane' has several senses with images"):
        cut(tmp_path / "a", counts, CutConfig(under=("crane",)))


def test_classes_by_a_list(tmp_path: Path) -> None:
    """Words, wnids, and ImageNet's lines of wnid and words."""
    path = tmp_path / "classes.txt"
    path.write_text("beagle\n\nn02123045\ttabby, tabby cat\nn02691156 airplane\n")
    counts = {BEAGLE: 10, TABBY: 10, "n02691156": 10, "n02110185": 10}
    folder = cut(tmp_path / "a", counts, CutConfig(class_list=path))
    assert load_challenge(folder).wnids == (BEAGLE, TABBY, "n02691156")
    path.write_text("\n")
    with pytest.raises(ChallengeError, match=r"classes\.txt: no class is in it"):
        cut(tmp_path / "b", counts, CutConfig(class_list=path))
    with pytest.raises(ChallengeError, match=r"none\.txt: cannot be read"):
        cut(tmp_path / "c", counts, CutConfig(class_list=tmp_path / "none.txt"))


def test_nested_classes_keep_their_leaves_where_asked(tmp_path: Path) -> None:
    """The dog has a beagle below it; its own images are of no class then."""
    counts = {"n02084071": 10, BEAGLE: 10, "n02691156": 10}
    folder = cut(tmp_path / "a", counts, CutConfig(nested="leaves"))
    challenge = load_challenge(folder)
    assert challenge.wnids == (BEAGLE, "n02691156")
    assert sum(challenge.num_images.values()) == 20
    named = CutConfig(nested="leaves", classes=("dog", "beagle", "airplane"))
    with pytest.raises(ChallengeError, match=r"n02084071 .dog. is an ancestor of n02088364"):
        cut(tmp_path / "b", counts, named)


def test_every_class_of_vals_source_must_be_trained_on(tmp_path: Path) -> None:
    cut(tmp_path / "a", dict.fromkeys(WNIDS, 9), CutConfig())
    write_archive(tmp_path / "val.tar", {WNIDS[0]: 4, BEAGLE: 4})
    config = CutConfig(val_source=str(tmp_path / "val.tar"))
    with open_database(tmp_path / "a" / "x.db") as database:
        import_source(database, tmp_path / "val.tar")
        with pytest.raises(
            ChallengeError, match=r"val\.tar has images of classes without .*n02088364 .beagle."
        ):
            cut_challenge(database, tmp_path / "x", config)


def test_sealed_test_is_the_same_in_any_order_and_tells_no_class(tmp_path: Path) -> None:
    """Its images are named in the order of their hashes; no public file has their names."""
    config = CutConfig(test_share=0.2)
    folders = [
        cut(tmp_path / name, dict.fromkeys(WNIDS, 25), config, order)
        for name, order in (("a", 1), ("b", 2))
    ]
    first, second = map(load_challenge, folders)
    assert files_of(folders[0]) == files_of(folders[1])
    assert first.sealed_path.read_bytes() == second.sealed_path.read_bytes()
    assert first.num_images == {"train": 42, "minival": 3, "val": 15, "test": 15}
    test = first.read_split("test")
    contents = [entry.name.replace("_", " ").encode() for entry in test]
    assert contents == sorted(contents, key=lambda data: hashlib.sha256(data).digest())
    assert sorted(entry.wnid for entry in test) != [entry.wnid for entry in test]
    public = b"".join(files_of(folders[0]).values())
    assert all(f"{entry.name}\t".encode() not in public for entry in test)
    others = {entry for split in ("train", "minival", "val") for entry in first.read_split(split)}
    assert others.isdisjoint(test)
    assert len(others) + len(test) == 75


def test_a_class_needs_an_image_for_each_split(tmp_path: Path) -> None:
    counts = {WNIDS[0]: 9, WNIDS[1]: 9, WNIDS[2]: 3}
    config = CutConfig(test_share=0.2, min_images=1)
    assert load_challenge(cut(tmp_path / "a", counts, config)).wnids == WNIDS[:2]


def import_photographs(imagenette: Path, folder: Path) -> Database:
    """Twelve photographs of two classes, four of each once more and smaller, all checked.

    The copies of one class have the label of the other.
    """
    names = []
    with tarfile.open(imagenette / "train.tar") as outer:
        for wnid, other in (("n01440764", "n03888257"), ("n03888257", "n01440764")):
            inner_file = outer.extractfile(f"{wnid}.tar")
            assert inner_file is not None
            with tarfile.open(fileobj=inner_file) as inner:
                for number, member in zip(range(12), inner, strict=False):
                    data = inner.extractfile(member).read()  # type: ignore[union-attr]
                    names.append((wnid, member.name, data))
                    if number < 4:
                        buffer = io.BytesIO()
                        Image.open(io.BytesIO(data)).convert("RGB").save(buffer, "JPEG", quality=60)
                        names.append((other, f"{other}_copy{number}.JPEG", buffer.getvalue()))
    for wnid, name, data in names:
        path = folder / "photographs" / wnid / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    database = open_database(folder / "x.db", create=True)
    import_source(database, folder / "photographs")
    return database


def test_copies_of_photographs_are_kept_together(imagenette: Path, tmp_path: Path) -> None:
    """Whatever the seed, no picture is in two splits; without, some are, and are told."""
    with import_photographs(imagenette, tmp_path) as database:
        with pytest.raises(DatabaseError, match=r"(?s)not been checked.*database check"):
            cut_challenge(database, tmp_path / "x", CutConfig(duplicates="keep-together"))
        check_images(database)
        told = 0
        for seed in range(5):
            together = CutConfig(duplicates="keep-together", test_share=0.2, seed=seed)
            challenge = cut_challenge(database, tmp_path / f"together{seed}", together)
            assert sum(challenge.num_images.values()) == 32
            assert find_copies_across(database, challenge) == ()
            apart = cut_challenge(database, tmp_path / f"apart{seed}", CutConfig(seed=seed))
            told += len(find_copies_across(database, apart))
        assert told > 5


def test_copies_in_the_archive_of_val_cannot_be_kept_together(
    imagenette: Path, tmp_path: Path
) -> None:
    """They must be set aside first; the hint is the command that does."""
    with import_photographs(imagenette, tmp_path) as database:
        val = tmp_path / "val"
        for path in sorted((tmp_path / "photographs").glob("*/*copy0.JPEG")):
            (val / path.parent.name).mkdir(parents=True)
            (val / path.parent.name / f"{path.parent.name}_val.JPEG").write_bytes(path.read_bytes())
        import_source(database, val)
        check_images(database)
        config = CutConfig(duplicates="keep-together", val_source=str(val))
        with pytest.raises(
            ChallengeError, match=r"(?s)2 pictures are both .*curation duplicates --set-aside"
        ):
            cut_challenge(database, tmp_path / "x", config)
        groups = find_duplicates(database)
        protected = [source_of(database, str(val)).id]
        set_duplicates_aside(database, groups, across_synsets=True, protected=protected)
        challenge = cut_challenge(database, tmp_path / "x", config)
        assert {entry.name for entry in challenge.read_split("val")} == {
            *("n01440764_val", "n03888257_val")
        }
        assert find_copies_across(database, challenge) == ()


def test_test_images_are_written_under_their_public_names(tmp_path: Path) -> None:
    """The tar has the bytes of each under a name that tells no class, and is reproducible."""
    config = CutConfig(test_share=0.3)
    challenge = load_challenge(cut(tmp_path / "a", dict.fromkeys(WNIDS, 10), config))
    with open_database(tmp_path / "a" / "x.db") as database, ImageReader(database) as reader:
        paths = [tmp_path / "first.tar", tmp_path / "second.tar"]
        assert [write_test_images(challenge, database, reader, path) for path in paths] == [9, 9]
        images = locate_split(challenge, "test", database, reader)
        assert images.names == tuple(entry.name for entry in challenge.read_split("test"))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with tarfile.open(paths[0]) as archive:
        members = archive.getmembers()
        assert [member.name for member in members] == [f"test_{n:08}.JPEG" for n in range(1, 10)]
        for member, entry in zip(members, challenge.read_split("test"), strict=True):
            content = archive.extractfile(member).read()  # type: ignore[union-attr]
            assert content.decode() == entry.name.replace("_", " ")


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
