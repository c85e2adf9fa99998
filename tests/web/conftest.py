"""A site over a small database of real JPEGs: dogs, a Chihuahua below them, and cats."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from imagetree.database import import_source, open_database
from imagetree.mail.smtp import Smtp

from ..conftest import need

CHROMIUM = "/usr/bin/chromium"
DOG, CHIHUAHUA, CAT = "n02084071", "n02085620", "n02121808"
NO_MAIL = Smtp("smtp", "127.0.0.1", 9, "Images <news@example.org>")
"""Where nobody listens: the pages of mail are there, and it waits."""

NAMES = {DOG: (10, 2, 3), CHIHUAHUA: (1,), CAT: (1, 2)}


@pytest.fixture
def site_place(tmp_path):
    """Path of the database."""
    draw_images(tmp_path / "classes")
    place = tmp_path / "images.db"
    with open_database(place, create=True) as database:
        import_source(database, tmp_path / "classes")
    return place


def draw_images(root):
    """A folder for each class of NAMES."""
    for wnid, numbers in NAMES.items():
        folder = root / wnid
        folder.mkdir(parents=True)
        for number in numbers:
            file = io.BytesIO()
            Image.new("RGB", (16 + number, 12), (9 * number, 40, 200)).save(file, "JPEG")
            (folder / f"{wnid}_{number}.JPEG").write_bytes(file.getvalue())


@pytest.fixture
def client(site_place):
    """A visitor without an account."""
    from fastapi.testclient import TestClient

    from imagetree.web.app import create_app
    from imagetree.web.settings import Settings

    with TestClient(create_app(Settings(str(site_place)))) as client:
        yield client


@pytest.fixture
def address(site_place):
    """Where the same site listens, for a browser: two images on a page, and pages of mail."""
    import uvicorn

    from imagetree.web.app import create_app
    from imagetree.web.settings import Settings

    app = create_app(Settings(str(site_place), page_size=2, smtp=NO_MAIL))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.02)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    yield f"http://{host}:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")  # its event loop runs in this thread while it is open
def browser():
    """Debian's Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api")
    need(Path(CHROMIUM).exists(), "chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
