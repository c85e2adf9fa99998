"""A database of the tiny archive: three dogs and two cats."""

from __future__ import annotations

import io
import tarfile

import pytest
from PIL import Image

from imagetree.database import import_source

DOG, CAT = "n02084071", "n02121808"


def pack(members):
    """(name, bytes) pairs as a tar."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


@pytest.fixture
def train_tar(tmp_path):
    """A tar of tars; the second dog and the first cat are the same file."""
    images = []
    for number in (0, 1, 2, 1, 3):
        file = io.BytesIO()
        Image.new("RGB", (16 + number, 12), (40 * number, 40, 200)).save(file, "JPEG")
        images.append(file.getvalue())
    dogs = pack((f"{DOG}_{n}.JPEG", images[n]) for n in range(3))
    cats = pack((f"{CAT}_{n}.JPEG", images[n]) for n in (3, 4))
    path = tmp_path / "train.tar"
    path.write_bytes(pack([(f"{DOG}.tar", dogs), (f"{CAT}.tar", cats)]))
    return path


@pytest.fixture
def filled(database, train_tar):
    """The archive, imported."""
    import_source(database, train_tar)
    return database
