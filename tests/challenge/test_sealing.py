"""A sealed test is in nothing that its database shows, and the challenge works all the same."""

from __future__ import annotations

import io
import tarfile

import pytest
from PIL import Image

from imagetree.challenge.cut import CutConfig, cut_challenge
from imagetree.challenge.images import locate_split, write_test_images
from imagetree.challenge.sealing import seal_test, unseal_test
from imagetree.curation.check import check_images
from imagetree.database import (
    ImageReader,
    counts,
    find_image,
    images_of,
    import_source,
    locate,
    open_database,
    sample,
    statistics,
)
from imagetree.database.hierarchy import tree
from imagetree.errors import ChallengeError, DatabaseError

DOG, CAT, ENTITY = "n02084071", "n02121808", "n00001740"
PER_CLASS = 30


@pytest.fixture
def classes(tmp_path):
    """Folders with JPEGs of two classes, no two of them alike."""
    for place, wnid in enumerate((DOG, CAT)):
        (tmp_path / "classes" / wnid).mkdir(parents=True)
        for number in range(PER_CLASS):
            file = io.BytesIO()
            colour = (8 * number, 120 * place, 255 - 8 * number)
            Image.new("RGB", (16 + number, 20 + place), colour).save(file, "JPEG")
            path = tmp_path / "classes" / wnid / f"{wnid}_{number}.JPEG"
            path.write_bytes(file.getvalue())
    return tmp_path / "classes"


@pytest.fixture
def store(classes, tmp_path):
    with open_database(tmp_path / "images.db", create=True) as store:
        import_source(store, classes)
        check_images(store)
        yield store


@pytest.fixture
def challenge(store, tmp_path):
    return cut_challenge(store, tmp_path / "pets", CutConfig(test_share=0.2))


def names(rows):
    return {row.name for row in rows}


def test_nothing_shows_a_sealed_image(store, challenge) -> None:
    """Neither a page, a count, a sample, the tree, a list of all, nor a search by its name."""
    secret = {entry.name for entry in challenge.read_split("test")}
    assert len(secret) == 2 * PER_CLASS // 5
    assert secret <= names(locate(store))
    assert seal_test(challenge, store) == len(secret)
    left = 2 * PER_CLASS - len(secret)
    for rows in (
        locate(store),
        images_of(store, [DOG, CAT], limit=100),
        images_of(store, [ENTITY], subtree=True, limit=100),
        images_of(store, [DOG, CAT], limit=100, start=5),
        sample(store, [DOG, CAT], 100, 0),
    ):
        assert not names(rows) & secret
    assert sum(counts(store).values()) == left
    assert tree(store)[ENTITY].num_subtree == left
    assert (statistics(store).num_images, statistics(store).num_sealed) == (left, len(secret))
    for name in secret:
        with pytest.raises(DatabaseError, match="no image"):
            find_image(store, name)


def test_the_challenge_finds_them_all_the_same(store, challenge, tmp_path) -> None:
    """Participants' tar is the same byte for byte, before and after; other splits are untouched."""
    tars = []
    for number in range(2):
        with ImageReader(store) as reader:
            write_test_images(challenge, store, reader, tmp_path / f"{number}.tar")
            for split in ("train", "minival", "val", "test"):
                images = locate_split(challenge, split, store, reader)
                assert len(images.labels) == challenge.num_images[split]
        tars.append((tmp_path / f"{number}.tar").read_bytes())
        seal_test(challenge, store)
    assert tars[0] == tars[1]
    with tarfile.open(fileobj=io.BytesIO(tars[0])) as tar:
        assert len(tar.getnames()) == challenge.num_images["test"]


def test_sealing_is_done_once_and_undone(store, challenge, classes) -> None:
    """And neither the same source again nor a second seal changes anything."""
    before = (counts(store), statistics(store), [row.name for row in locate(store)])
    number = seal_test(challenge, store)
    sealed = counts(store)
    assert seal_test(challenge, store) == 0
    import_source(store, classes)
    assert counts(store) == sealed
    assert unseal_test(challenge, store) == number
    assert (counts(store), statistics(store), [row.name for row in locate(store)]) == before
    assert unseal_test(challenge, store) == 0


def test_another_challenge_is_not_cut_from_them(store, challenge, tmp_path) -> None:
    """What is secret in one challenge is no training image of the next."""
    secret = set(challenge.read_split("test"))
    seal_test(challenge, store)
    other = cut_challenge(store, tmp_path / "other", CutConfig(test_share=0.2))
    for split in ("train", "minival", "val", "test"):
        assert not secret & set(other.read_split(split))


def test_images_of_another_database(challenge, tmp_path) -> None:
    with (
        open_database(tmp_path / "empty.db", create=True) as other,
        pytest.raises(ChallengeError, match="12 of 12 images of 'test' are not in the database"),
    ):
        seal_test(challenge, other)
