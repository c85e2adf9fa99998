"""Photos that visitors send are recognised by the site's run; torch waits until one comes."""

from __future__ import annotations

import io
import re

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from imagetree.alexnet.network import AlexNet
from imagetree.curation.removal import remove_images
from imagetree.database import open_database
from imagetree.training.checkpoints import Checkpoint, save_checkpoint
from imagetree.training.config import TrainConfig
from imagetree.training.runs import CHECKPOINT
from imagetree.web.app import create_app
from imagetree.web.settings import Settings

from .test_coolstuff import WNIDS


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def _photo() -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def own(site_place, tmp_path):
    """A site with a network of two classes."""
    config = TrainConfig(architecture="single_gpu", input_size=67, start_size=67, test_size=67)
    network = AlexNet(config.network, len(WNIDS), 67, seed=1)
    colours = (120.0, 115.0, 105.0), (70.0, 68.0, 70.0)
    place = tmp_path / CHECKPOINT
    save_checkpoint(place, Checkpoint(config, WNIDS, *colours, 0, 1, network.state_dict()))
    with TestClient(create_app(Settings(str(site_place), run=place))) as client:
        yield client


def _send(client, kind, *photos):
    page = client.get(f"/coolstuff/{kind}").text
    token = re.search(r'name="csrf" value="([^"]+)"', page)
    files = [("photo", ("<script>.png", each)) for each in photos]
    return client.post(f"/coolstuff/{kind}", data={"csrf": token[1]}, files=files)


def test_a_photo_is_recognised(own) -> None:
    """Both classes with their bars, the way through the tree, and two JPEGs made anew."""
    answer = _send(own, "recognize", _photo())
    assert answer.status_code == 200, answer.text
    assert answer.text.count('class="bar"') == len(WNIDS)
    assert '<ol class="way">' in answer.text
    assert "<script>.png" not in answer.text
    shown = re.findall(r'src="(/coolstuff/photo/[^"]+)"', answer.text)
    assert len(shown) == 2
    for each in shown:
        found = own.get(each)
        assert found.headers["cache-control"] == "private, no-store"
        assert Image.open(io.BytesIO(found.content)).format == "JPEG"


def test_several_photos_have_a_common_concept(own) -> None:
    answer = _send(own, "common", _photo(), _photo(), _photo())
    assert answer.status_code == 200, answer.text
    assert len(re.findall(r'src="/coolstuff/photo/', answer.text)) == 3


@pytest.mark.parametrize("kind", ["recognize", "common"])
def test_a_text_is_refused_in_a_sentence(own, kind) -> None:
    answer = _send(own, kind, b"hello")
    assert answer.status_code == 400
    assert '<p role="alert">this is no image' in answer.text


def test_too_many_photos_are_refused(own) -> None:
    assert _send(own, "common", *[_photo()] * 11).status_code == 400
    assert _send(own, "recognize", _photo(), _photo()).status_code == 400


def test_a_form_of_another_site_is_refused(own) -> None:
    found = own.post("/coolstuff/recognize", data={"csrf": "x"}, files={"photo": _photo()})
    assert found.status_code == 403


def test_who_comes_while_all_are_served_is_asked_to_come_back(own, monkeypatch) -> None:
    monkeypatch.setattr("threading.BoundedSemaphore.acquire", lambda *_, **__: False)
    answer = _send(own, "recognize", _photo())
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"


def test_without_a_run_nothing_is_recognised(client) -> None:
    page = client.get("/coolstuff/recognize")
    assert "without a trained network" in page.text
    assert '<form method="post" action="/coolstuff' not in page.text


def test_a_run_that_is_gone_tells_no_path(site_place, tmp_path) -> None:
    with TestClient(create_app(Settings(str(site_place), run=tmp_path / "gone"))) as client:
        answer = _send(client, "recognize", _photo())
    assert answer.status_code == 503
    assert str(tmp_path) not in answer.text


@pytest.mark.parametrize("name", ["x", "a" * 22, "..%2f..%2fetc%2fpasswd"])
def test_no_other_file_is_shown(own, name) -> None:
    assert own.get(f"/coolstuff/photo/{name}").status_code == 404


def test_what_the_network_says_of_an_image_of_the_database(own, site_place) -> None:
    """The same in words and as JSON; a removed image is asked about no more."""
    assert 'href="/image/n02084071_10/seen"' in own.get("/image/n02084071_10").text
    page = own.get("/image/n02084071_10/seen").text
    assert page.count('class="bar"') == len(WNIDS)
    [overlay] = re.findall(r'src="(/coolstuff/photo/[^"]+)"', page)
    assert Image.open(io.BytesIO(own.get(overlay).content)).size == (67, 67)
    found = own.get("/image/n02084071_10/seen.json").json()
    assert {each["wnid"] for each in found["guesses"]} == set(WNIDS)
    assert sum(each["probability"] for each in found["guesses"]) == pytest.approx(1, abs=1e-4)
    assert found["wnid"] == "n02084071"
    assert own.get("/image/n02084071_77/seen").status_code == 404
    with open_database(site_place) as database:
        remove_images(database, ["n02084071_10"], "its owner asked")
    assert own.get("/image/n02084071_10/seen.json").status_code == 404


def test_what_the_network_says_of_a_puzzle(own) -> None:
    """Once it is answered: of each image, and of what they share."""
    assert "/common/1/says" not in own.get("/common/1").text
    assert 'href="/common/1/says"' in own.get("/common/1?reveal=true").text
    found = own.get("/common/1/says.json").json()
    images = own.get("/common/1.json").json()["images"]
    assert [each["image"] for each in found["said"]] == images
    assert {each["wnid"] for each in found["said"]} <= set(WNIDS)
    assert all(0.5 <= each["probability"] <= 1 for each in found["said"])
    page = own.get("/common/1/says").text
    assert page.count('<img src="/common/1/') == len(images)
    assert own.get("/common/0/says.json").status_code == 422


def test_without_a_network_nothing_is_said(client) -> None:
    assert "/says" not in client.get("/common/1?reveal=true").text
    assert client.get("/common/1/says").status_code == 404
    assert "seen" not in client.get("/image/n02084071_10").text
    assert client.get("/image/n02084071_10/seen").status_code == 404
