"""Each layer of each network on a page; its maps are those of the site's own run."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from fastapi.testclient import TestClient

from imagetree.alexnet.architectures import ARCHITECTURES
from imagetree.alexnet.counts import count_layers
from imagetree.alexnet.network import AlexNet
from imagetree.curation.removal import remove_images
from imagetree.database import open_database
from imagetree.training.checkpoints import Checkpoint, save_checkpoint
from imagetree.training.config import TrainConfig
from imagetree.training.runs import open_run
from imagetree.web.app import create_app
from imagetree.web.settings import Settings

from .conftest import CHIHUAHUA, DOG

WNIDS = ("n02084071", "n02121808")
MAPS = "/coolstuff/alexnet/single_gpu/conv1/maps.svg?image="


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_layer_has_a_page(client, name) -> None:
    """Its figures are the library's; the pages lead from the first layer to the last and back."""
    table = client.get(f"/coolstuff/alexnet/{name}").text
    before = None
    for count in count_layers(ARCHITECTURES[name]):
        path = f"/coolstuff/alexnet/{name}/{count.layer.name}"
        assert f'href="{path}"' in table
        page, found = client.get(path), client.get(f"{path}.json").json()
        assert page.status_code == 200
        assert found["macs"] == count.macs
        assert tuple(found["input"]) == count.input_shape
        assert tuple(found["output"]) == count.output_shape
        assert f"{count.macs:,}" in page.text
        assert found["previous"] == before
        assert "maps.svg" not in page.text  # this site has no run
        before = count.layer.name
    assert found["next"] is None


def test_the_lectures_formulas(client) -> None:
    found = client.get("/coolstuff/alexnet/single_gpu/conv1.json").json()
    assert found["size_formula"] == "55 = (227 - 11) / 4 + 1"
    assert found["parameter_formula"] == "(11*11*3 + 1) * 96 = 34,944"
    assert (found["weights"], found["biases"]) == (34_848, 96)
    assert found["sees"] == 11


@pytest.mark.parametrize(
    "path",
    ["x/conv1", "single_gpu/conv9", "single_gpu/conv9.json", "single_gpu/conv1/maps.svg?image=x"],
)
def test_what_is_not_there(client, path) -> None:
    assert client.get(f"/coolstuff/alexnet/{path}").status_code == 404


@pytest.fixture
def run(tmp_path):
    config = TrainConfig(architecture="single_gpu", input_size=67, start_size=67, test_size=67)
    run = open_run(tmp_path / "run", config, tmp_path / "challenge", "images.db")
    network = AlexNet(config.network, len(WNIDS), 67, seed=1)
    colours = (120.0, 115.0, 105.0), (70.0, 68.0, 70.0)
    checkpoint = Checkpoint(config, WNIDS, *colours, 0, 1, network.state_dict())
    save_checkpoint(run.checkpoint_path, checkpoint)
    return run.folder


def test_maps_of_an_image_of_the_database(site_place, run) -> None:
    """96 of them, of an image that is shown; a removed one is drawn no more."""
    with TestClient(create_app(Settings(str(site_place), run=run))) as client:
        page = client.get("/coolstuff/alexnet/single_gpu/conv1").text
        assert "maps.svg?image=" in page
        assert (
            f"maps.svg?image={CHIHUAHUA}_1"
            in client.get(f"/coolstuff/alexnet/single_gpu/conv1?image={CHIHUAHUA}_1").text
        )
        found = client.get(f"{MAPS}{DOG}_10")
        assert found.headers["content-type"] == "image/svg+xml"
        root = ET.fromstring(found.text)
        words = "".join(root.itertext())
        assert "conv1: 96 maps of 15 x 15" in words
        assert f"{DOG}_10" in words
        assert client.get(f"{MAPS}{DOG}_77").status_code == 404
        # single values have no maps, and other networks are not this run's
        for other in ("single_gpu/fc7", "batch_norm/conv1"):
            assert "maps.svg" not in client.get(f"/coolstuff/alexnet/{other}").text
            path = f"/coolstuff/alexnet/{other}/maps.svg?image={DOG}_10"
            assert client.get(path).status_code == 404
        with open_database(site_place) as database:
            assert remove_images(database, [f"{DOG}_10"], "its owner asked") == 1
        assert client.get(f"{MAPS}{DOG}_10").status_code == 404
