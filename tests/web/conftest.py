"""A site over a small database of real JPEGs: dogs, a Chihuahua below them, and cats."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from imagetree.database import import_source, open_database

DOG, CHIHUAHUA, CAT = "n02084071", "n02085620", "n02121808"
NAMES = {DOG: (10, 2, 3), CHIHUAHUA: (1,), CAT: (1, 2)}


@pytest.fixture
def site_place(tmp_path):
    """Path of the database."""
    for wnid, numbers in NAMES.items():
        folder = tmp_path / "classes" / wnid
        folder.mkdir(parents=True)
        for number in numbers:
            file = io.BytesIO()
            Image.new("RGB", (16 + number, 12), (9 * number, 40, 200)).save(file, "JPEG")
            (folder / f"{wnid}_{number}.JPEG").write_bytes(file.getvalue())
    place = tmp_path / "images.db"
    with open_database(place, create=True) as database:
        import_source(database, tmp_path / "classes")
    return place


@pytest.fixture
def client(site_place):
    """A visitor without an account."""
    from fastapi.testclient import TestClient

    from imagetree.web.app import create_app
    from imagetree.web.settings import Settings

    with TestClient(create_app(Settings(str(site_place)))) as client:
        yield client
