"""The nearest images by fc7: as the features have them, and only those that may be shown."""

from __future__ import annotations

import io
import re
import shutil

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from imagetree.alexnet.network import AlexNet
from imagetree.curation.removal import hide_synset, remove_images
from imagetree.database import find_image, open_database
from imagetree.database.journal import set_aside
from imagetree.errors import ImagetreeError
from imagetree.files import sha256_of
from imagetree.index.build import Contents, build_index
from imagetree.index.search import VectorIndex
from imagetree.recognition.inputs import ImageFiles
from imagetree.recognition.recognizer import Recognizer
from imagetree.training.checkpoints import Checkpoint, save_checkpoint
from imagetree.training.config import TrainConfig
from imagetree.training.runs import CHECKPOINT
from imagetree.understanding.features import Extractor
from imagetree.web.app import create_app
from imagetree.web.recognize import holder_of
from imagetree.web.serving import check_settings
from imagetree.web.settings import Settings

from .conftest import CAT, CHIHUAHUA, DOG, NAMES, draw_images
from .test_coolstuff import WNIDS

pytestmark = pytest.mark.slow

UNKNOWN = f"{CAT}_2"
"""The image that the index has not got."""


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network of two classes, with its initial weights."""
    config = TrainConfig(architecture="single_gpu", input_size=67, start_size=67, test_size=67)
    network = AlexNet(config.network, len(WNIDS), 67, seed=1)
    colours = (120.0, 115.0, 105.0), (70.0, 68.0, 70.0)
    folder = tmp_path_factory.mktemp("run")
    save_checkpoint(
        folder / CHECKPOINT, Checkpoint(config, WNIDS, *colours, 0, 1, network.state_dict())
    )
    return folder


class Named(ImageFiles):
    """Images under the names that the database has for them."""

    def __init__(self, paths):
        super().__init__(paths)
        self.names = tuple(path.stem for path in paths)


@pytest.fixture(scope="module")
def index(run, tmp_path_factory):
    """Of all images of the site but one."""
    folder = tmp_path_factory.mktemp("index")
    draw_images(folder / "classes")
    files = sorted((folder / "classes").glob("*/*.JPEG"))
    paths = [path for path in files if path.stem != UNKNOWN]
    contents = Contents(Named(paths), [path.parent.name for path in paths], "a test")
    extractor = Extractor(Recognizer.load(run / CHECKPOINT))
    build_index(folder / "index", extractor, contents, sha256_of(run / CHECKPOINT))
    return folder / "index"


@pytest.fixture
def near(site_place, run, index):
    """A site with the index."""
    holder_of.cache_clear()
    with TestClient(create_app(Settings(str(site_place), run=run, index=index))) as client:
        yield client


def names_near(client, key):
    found = client.get(f"/image/{key}/neighbours.json")
    assert found.status_code == 200, found.text
    return [each["name"] for each in found.json()["neighbours"]]


def test_they_come_in_the_order_of_their_features(near, index, run) -> None:
    """All that the index has but the image itself; the network need not be loaded for it."""
    opened = VectorIndex(index)
    own = [name for name, _ in opened.names].index(f"{DOG}_10")
    features = opened.features.astype(np.float64)
    distances = np.linalg.norm(features - features[own], axis=1)
    distances[own] = np.inf
    found = near.get(f"/image/{DOG}_10/neighbours.json").json()
    got = [each["distance"] for each in found["neighbours"]]
    assert got == pytest.approx(np.sort(distances)[:-1], rel=1e-3)
    assert (found["layer"], found["num_indexed"], len(got)) == ("fc7", 5, 4)
    assert f"{DOG}_10" not in names_near(near, f"{DOG}_10")
    assert holder_of(run)._recognizer is None


def test_the_page_shows_them_and_the_image_leads_there(near) -> None:
    assert f'href="/image/{DOG}_10/neighbours"' in near.get(f"/image/{DOG}_10").text
    page = near.get(f"/image/{DOG}_10/neighbours").text
    assert page.count('loading="lazy"') == 4
    assert f'href="/image/{CHIHUAHUA}_1"' in page
    assert f'href="/image/{DOG}_10/neighbours.json"' in page


def test_an_image_that_the_index_has_not_is_looked_at(near) -> None:
    """And so is never its own neighbour."""
    assert sorted(names_near(near, UNKNOWN)) == sorted(
        f"{wnid}_{n}" for wnid in NAMES for n in NAMES[wnid] if f"{wnid}_{n}" != UNKNOWN
    )


def test_what_may_not_be_shown_is_gone_at_once(near, site_place) -> None:
    """Removed, set aside, hidden: neither near another nor asked about."""
    assert len(names_near(near, f"{DOG}_10")) == 4
    with open_database(site_place) as database:
        remove_images(database, [f"{DOG}_3"], "its owner asked")
        assert f"{DOG}_3" not in names_near(near, f"{DOG}_10")
        set_aside(database, find_image(database, f"{DOG}_2").id, "a drawing")
        assert f"{DOG}_2" not in names_near(near, f"{DOG}_10")
        hide_synset(database, CHIHUAHUA, "for a test")
    assert names_near(near, f"{DOG}_10") == [f"{CAT}_1"]
    for key in (f"{DOG}_3", f"{DOG}_2", f"{CHIHUAHUA}_1", f"{DOG}_77"):
        assert near.get(f"/image/{key}/neighbours").status_code == 404
        assert near.get(f"/image/{key}/neighbours.json").status_code == 404


def _send(client, data):
    page = client.get("/coolstuff/neighbours").text
    token = re.search(r'name="csrf" value="([^"]+)"', page)
    sent = {"csrf": token[1]}
    files = [("photo", ("<script>.png", data))]
    return client.post("/coolstuff/neighbours", data=sent, files=files)


def test_a_photo_finds_what_is_like_it(near, site_place) -> None:
    file = io.BytesIO()
    place = site_place.parent / "classes" / DOG / f"{DOG}_10.JPEG"
    Image.open(place).save(file, "PNG")
    answer = _send(near, file.getvalue())
    assert answer.status_code == 200, answer.text
    assert "<script>.png" not in answer.text
    shown = re.findall(r'<li><a href="(/image/[^"]+)"', answer.text)
    assert shown[0] == f"/image/{DOG}_10"
    assert len(shown) == 5
    [photo] = re.findall(r'src="(/coolstuff/photo/[^"]+)"', answer.text)
    assert Image.open(io.BytesIO(near.get(photo).content)).format == "JPEG"


def test_a_text_is_refused_in_a_sentence(near) -> None:
    answer = _send(near, b"hello")
    assert answer.status_code == 400
    assert '<p role="alert">this is no image' in answer.text


def test_without_an_index_nothing_is_looked_for(client) -> None:
    assert "without an index" in client.get("/coolstuff/neighbours").text
    assert "neighbours" not in client.get(f"/image/{DOG}_10").text
    assert client.get(f"/image/{DOG}_10/neighbours").status_code == 404


def test_an_index_of_another_run_is_refused(site_place, run, index, tmp_path) -> None:
    """At the start; and should the run go on meanwhile, a visitor is told no path."""
    run = shutil.copytree(run, tmp_path / "run")
    check_settings(Settings(str(site_place), run=run, index=index))
    with pytest.raises(ImagetreeError, match="needs the run"):
        check_settings(Settings(str(site_place), index=index))
    with pytest.raises(ImagetreeError, match="no index is here"):
        check_settings(Settings(str(site_place), run=run, index=tmp_path / "none"))
    with (run / CHECKPOINT).open("ab") as file:
        file.write(b"x")
    with pytest.raises(ImagetreeError, match="made with another run"):
        check_settings(Settings(str(site_place), run=run, index=index))
    with TestClient(create_app(Settings(str(site_place), run=run, index=index))) as client:
        found = client.get(f"/image/{DOG}_10/neighbours.json")
    assert found.status_code == 503
    assert str(tmp_path) not in found.text
    (run / CHECKPOINT).unlink()
    with pytest.raises(ImagetreeError, match="its checkpoint cannot be read"):
        check_settings(Settings(str(site_place), run=run, index=index))
