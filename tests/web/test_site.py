"""The site's pages over a small database of real JPEGs in folders."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from imagetree.database import import_source, open_database

DOG = "n02084071"


@pytest.fixture
def client(tmp_path):
    from fastapi.testclient import TestClient

    from imagetree.web.app import create_app
    from imagetree.web.settings import Settings

    folder = tmp_path / "classes" / DOG
    folder.mkdir(parents=True)
    for number in range(3):
        file = io.BytesIO()
        Image.new("RGB", (16 + number, 12)).save(file, "JPEG")
        (folder / f"{DOG}_{number}.JPEG").write_bytes(file.getvalue())
    place = tmp_path / "images.db"
    with open_database(place, create=True) as database:
        import_source(database, folder.parent)
    with TestClient(create_app(Settings(str(place), page_size=2))) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/search?q=dog", f"/synset/{DOG}", "/none", "/health"])
def test_every_answer_has_the_security_headers(client, path):
    headers = client.get(path).headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_counters_are_the_databases(client):
    assert "3 images, 1 synsets indexed" in client.get("/").text
    assert client.get("/index.json").json()["num_images"] == 3


def test_pages_by_key_show_each_image_once(client):
    first = client.get(f"/synset/{DOG}.json").json()
    second = client.get(f"/synset/{DOG}.json", params={"after": first["next"]}).json()
    assert first["images"] + second["images"] == [f"{DOG}_{n}" for n in range(3)]
    assert second["next"] is None


@pytest.mark.parametrize("wnid", ["n99999999", "x", "n02084071'--"])
def test_a_synset_that_is_none_is_not_found(client, wnid):
    assert client.get(f"/synset/{wnid}").status_code == 404


def test_what_is_searched_for_is_escaped(client):
    assert "<script>" not in client.get("/search", params={"q": '"><script>'}).text
