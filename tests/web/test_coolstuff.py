"""The networks on the site: every figure is the library's, and torch waits until it is needed."""

from __future__ import annotations

import io
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from imagetree.alexnet.architectures import ARCHITECTURES
from imagetree.alexnet.network import AlexNet
from imagetree.training.checkpoints import Checkpoint, save_checkpoint
from imagetree.training.config import TrainConfig
from imagetree.training.runs import open_run
from imagetree.web.app import create_app
from imagetree.web.settings import Settings

WNIDS = ("n02084071", "n02121808")


def test_all_networks_are_there(client) -> None:
    page = client.get("/coolstuff").text
    for name in ARCHITECTURES:
        assert f'href="/coolstuff/alexnet/{name}"' in page
    assert "filters.png" not in page


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_a_networks_page(client, name) -> None:
    page = client.get(f"/coolstuff/alexnet/{name}")
    assert page.status_code == 200
    found = client.get(f"/coolstuff/alexnet/{name}.json").json()
    assert f"{found['totals']['parameters']:,}" in page.text
    for row in found["rows"]:
        if row["parameters"]:
            assert f"{row['parameters']:,}" in page.text
    drawing = client.get(f"/coolstuff/alexnet/{name}/drawing.svg")
    assert ET.fromstring(drawing.text).tag.endswith("svg")


def test_the_lectures_figures(client) -> None:
    page = client.get("/coolstuff/alexnet/single_gpu").text
    assert "62,369,152" in page
    assert "(11*11*3 + 1) * 96 = 34,944" in page
    assert "55 = (227 - 11) / 4 + 1" in page
    stack = client.get("/coolstuff/stack").text
    for printed in ("35K", "307K", "884K", "1.3M", "442K", "37M", "16M", "4M"):
        assert f">{printed}<" in stack
    assert len(client.get("/coolstuff/stack.json").json()["rows"]) >= 8


@pytest.mark.parametrize(
    "path",
    [
        "/coolstuff/alexnet/x",
        "/coolstuff/alexnet/x.json",
        "/coolstuff/alexnet/x/drawing.svg",
        "/coolstuff/filters.png",
    ],
)
def test_what_is_not_there(client, path) -> None:
    assert client.get(path).status_code == 404


def test_the_filters_of_the_sites_own_run(site_place, tmp_path) -> None:
    """96 tiles of 11 x 11 at four pixels a weight; a missing run tells no path."""
    config = TrainConfig(architecture="single_gpu", input_size=67, start_size=67, test_size=67)
    run = open_run(tmp_path / "run", config, tmp_path / "challenge", "images.db")
    network = AlexNet(config.network, len(WNIDS), 67, seed=1)
    colours = (120.0, 115.0, 105.0), (70.0, 68.0, 70.0)
    checkpoint = Checkpoint(config, WNIDS, *colours, 0, 1, network.state_dict())
    save_checkpoint(run.checkpoint_path, checkpoint)
    with TestClient(create_app(Settings(str(site_place), run=run.folder))) as client:
        assert "filters.png" in client.get("/coolstuff").text
        found = client.get("/coolstuff/filters.png")
        assert found.headers["content-type"] == "image/png"
        width, height = Image.open(io.BytesIO(found.content)).size
        assert width * height > 96 * 44 * 44
    gone = Settings(str(site_place), run=tmp_path / "none")
    with TestClient(create_app(gone)) as client:
        found = client.get("/coolstuff/filters.png")
        assert found.status_code == 503
        assert str(tmp_path) not in found.text


def test_the_site_starts_without_torch() -> None:
    """It takes seconds to import, and most pages need none of it."""
    code = "import sys, imagetree.web.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
