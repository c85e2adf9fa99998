"""Packs: the same images, kept, refused when they are not the same any more."""

from __future__ import annotations

import json
import os
import pickle
import tarfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from imagetree.challenge.images import SplitImages
from imagetree.database import import_source, open_database
from imagetree.database.queries import locate
from imagetree.database.reading import ImageReader
from imagetree.errors import DatabaseError, TrainingError
from imagetree.training import pack
from imagetree.training.batches import eval_batch_bytes, iter_centre_batches
from imagetree.training.crops import CentreCrop, resize_into
from imagetree.training.feeder import Feeder
from imagetree.training.filling import read_picture
from imagetree.training.pack import PackedImages, load_pack, make_pack

from .conftest import MemoryImages

if TYPE_CHECKING:
    from pathlib import Path

DOG, CAT = "n02084071", "n02121808"


@pytest.fixture
def images(tmp_path: Path):
    """Forty small photographs in folders, number 7 damaged, with their reader."""
    drawn = MemoryImages(40, damaged=(7,))
    for name, data, label in zip(drawn.names, drawn.rows, drawn.labels, strict=True):
        path = tmp_path / "images" / (DOG, CAT)[label] / f"{name}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        archive.add(tmp_path / "images", ".")
    with open_database(str(tmp_path / "images.db"), create=True) as store:
        import_source(store, tmp_path / "images.tar")
        rows = list(locate(store))
        labels = np.array([row.wnid == CAT for row in rows], dtype=np.int64)
        with ImageReader(store) as reader:
            yield SplitImages(rows, labels, reader)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "PART", 16)


def bad_index(images: SplitImages) -> int:
    [index] = [index for index, name in enumerate(images.names) if name.endswith("image_7")]
    return index


def test_pixels_are_those_of_the_centred_squares(tmp_path: Path, images: SplitImages) -> None:
    """Bit for bit, in the split's order, in workers too; the damaged one is listed, and blank."""
    info = make_pack(images, tmp_path / "pack", 64)
    bad = bad_index(images)
    assert list(info.bad) == [bad]
    assert info.bad[bad].startswith("damaged: ")
    packed = PackedImages(images, tmp_path / "pack")
    assert packed.labels.tolist() == images.labels.tolist()
    for workers in (0, 2):
        with Feeder(packed.reader, workers, eval_batch_bytes(64)) as feeder:
            [batch] = iter_centre_batches(feeder, packed, 64)
            assert [each.index for each in batch.bad] == [bad]
            for index in range(40):
                wanted = np.zeros((64, 64, 3), np.uint8)
                if index != bad:
                    picture = read_picture(images.reader, images.rows[index])
                    resize_into(wanted, picture, flip=False)
                assert np.array_equal(batch.pixels[index], wanted)


def test_jpegs_keep_the_whole_picture(tmp_path: Path, images: SplitImages) -> None:
    """At the short side, never enlarged, and hardly changed."""
    for size, side in ((40, 40), (500, 80)):
        make_pack(images, tmp_path / str(size), size, "jpeg")
        packed = PackedImages(images, tmp_path / str(size))
        picture = read_picture(packed.reader, 0)
        assert picture.shape == (side, side, 3)
        wanted = np.empty_like(picture)
        original = read_picture(images.reader, images.rows[0])
        resize_into(wanted, original, flip=False)
        assert np.abs(picture.astype(int) - wanted).mean() < 6


def test_going_on_makes_only_what_is_missing(
    tmp_path: Path, images: SplitImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off in the second part, it is refused, and finished by packing again."""
    folder, written = tmp_path / "pack", []
    write = pack._write_part

    def broken(folder: Path, number: int, items: list[tuple[bytes, str]]) -> None:
        if number == 1 and len(written) == 1:
            written.append(-1)
            raise KeyboardInterrupt
        written.append(number)
        write(folder, number, items)

    monkeypatch.setattr(pack, "_write_part", broken)
    with pytest.raises(KeyboardInterrupt):
        make_pack(images, folder, 48)
    with pytest.raises(TrainingError, match="no whole pack is here"):
        PackedImages(images, folder)
    info = make_pack(images, folder, 48)
    assert written == [0, -1, 1, 2]
    assert list(info.bad) == [bad_index(images)]
    assert load_pack(folder) == info


def test_another_pack_in_the_folder_is_left_alone(tmp_path: Path, images: SplitImages) -> None:
    make_pack(images, tmp_path / "pack", 48)
    with pytest.raises(TrainingError, match="another pack is here"):
        make_pack(images, tmp_path / "pack", 64)


def test_other_images_than_those_packed_are_refused(tmp_path: Path, images: SplitImages) -> None:
    """A split in another order, and an archive that was imported again after it had changed."""
    make_pack(images, tmp_path / "pack", 48)
    with pytest.raises(TrainingError, match="packed from other images"):
        PackedImages(images.select(range(39, -1, -1)), tmp_path / "pack")
    archive = tmp_path / "images.tar"
    os.utime(archive, ns=(1, 1))
    with open_database(str(tmp_path / "images.db")) as store, ImageReader(store) as reader:
        import_source(store, archive)
        changed = SplitImages(list(locate(store)), images.labels, ImageReader(store))
        with pytest.raises(TrainingError, match="archives that have changed"):
            PackedImages(changed, tmp_path / "pack")
        del reader


def test_damaged_pack_is_refused(tmp_path: Path, images: SplitImages) -> None:
    """A part cut short, one that is missing, and a list that is no JSON."""
    folder = tmp_path / "pack"
    make_pack(images, folder, 32)
    packed = PackedImages(images, folder)
    part = folder / "part-000001.bin"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(DatabaseError, match="has 49151 bytes"):
        packed.reader.read(16)
    part.unlink()
    with pytest.raises(DatabaseError, match="cannot be read"):
        pickle.loads(pickle.dumps(packed.reader)).read(16)
    (folder / "pack.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(TrainingError, match="damaged"):
        load_pack(folder)


def test_random_crops_come_from_the_pack(tmp_path: Path, images: SplitImages) -> None:
    """The crop is taken from the square, at its place."""
    make_pack(images, tmp_path / "pack", 64)
    packed = PackedImages(images, tmp_path / "pack")
    with Feeder(packed.reader, 0, eval_batch_bytes(32)) as feeder:
        [filled] = feeder.iter_filled(packed.rows, [np.array([3])], CentreCrop(0.5), 32)
    assert np.array_equal(filled.pixels[0], packed.reader.read(3)[16:48, 16:48])
