"""Tiny archives of real JPEGs, made by Python's tarfile."""

from __future__ import annotations

import io
import tarfile

import pytest
from PIL import Image

DOG, CAT, CHIHUAHUA = "n02084071", "n02121808", "n02085620"


def _jpeg(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16 + number, 12), (9 * number, 40, 200)).save(file, "JPEG")
    return file.getvalue()


def _write_tar(path, members, pax=tarfile.GNU_FORMAT):
    """Write (name, bytes) pairs or ready TarInfos as an archive; None writes into memory."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=pax) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            entry = tarfile.TarInfo(member[0])
            entry.size = len(member[1])
            archive.addfile(entry, io.BytesIO(member[1]))
    if path is None:
        return file.getvalue()
    path.write_bytes(file.getvalue())
    return path


@pytest.fixture(scope="session")
def jpegs():
    return [_jpeg(number) for number in range(8)]


@pytest.fixture(scope="session")
def write_tar():
    return _write_tar


@pytest.fixture
def train_tar(tmp_path, jpegs):
    """A tar of tars: three dogs and two cats."""
    dogs = _write_tar(None, [(f"{DOG}_{n}.JPEG", jpegs[n]) for n in range(3)])
    cats = _write_tar(None, [(f"{CAT}_{n}.JPEG", jpegs[n]) for n in (3, 4)])
    return _write_tar(tmp_path / "train.tar", [(f"{DOG}.tar", dogs), (f"{CAT}.tar", cats)])


@pytest.fixture
def val_tar(tmp_path, jpegs):
    """A flat tar of three images."""
    members = [(f"val_{n}.JPEG", jpegs[5 + n]) for n in (2, 0, 1)]
    return _write_tar(tmp_path / "val.tar", members)


@pytest.fixture
def val_labels(tmp_path):
    path = tmp_path / "val.tsv"
    path.write_text(f"val_0.JPEG\t{DOG}\nval_1.JPEG\t{CHIHUAHUA}\nval_2.JPEG\t{CAT}\n")
    return path


@pytest.fixture
def class_folder(tmp_path, jpegs):
    """A folder with one folder for each of two synsets."""
    root = tmp_path / "classes"
    for wnid, name, data in ((DOG, "b.jpg", 0), (DOG, f"{DOG}_a.JPEG", 1), (CAT, "c.png", 2)):
        (root / wnid).mkdir(parents=True, exist_ok=True)
        (root / wnid / name).write_bytes(jpegs[data])
    return root
