"""`imagetree pictures saliency`, on a real photograph."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import pytest

from .untrained import WNIDS, make_run

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def run(imagenette, tmp_path_factory):
    """A run that was not trained, and its database."""
    return make_run(imagenette, tmp_path_factory.mktemp("saliency"))


def images_in(path) -> list[ElementTree.Element]:
    return list(ElementTree.parse(path).getroot().iter(f"{SVG}image"))


def test_saliency_of_an_image_of_the_split(run, imagetree) -> None:
    """The picture beside the run, a line for each convolution, the place that matters most."""
    name = (run.parent / "challenge" / "val.tsv").read_text().split()[0]
    said = imagetree("pictures", "saliency", run, name)
    assert said.status == 0, said.err
    assert len(images_in(run / "saliency.svg")) == 16
    assert f"saliency.svg: {name}: " in said.out
    for number in range(1, 6):
        assert f"relu{number}" in said.out
    assert "13 x 13 pixels covered around row" in said.out


@pytest.mark.slow
def test_saliency_of_a_file_and_a_class(run, imagetree, tmp_path) -> None:
    """A file needs no database; JSON has the figures of the class that was asked for."""
    file = next((run.parent / "images" / WNIDS[0]).iterdir())
    picture = tmp_path / "why.svg"
    words = ["--output", picture, "--database", tmp_path / "nowhere.db", "--json"]
    told = []
    for wnid in WNIDS:
        said = imagetree("pictures", "saliency", run, file, "--class", wnid, *words)
        assert said.status == 0, said.err
        told.append(json.loads(said.out))
        assert len(images_in(picture)) == 16
    assert [each["wnid"] for each in told] == list(WNIDS)
    assert sum(each["probability"] for each in told) == pytest.approx(1)
    assert max(each["probability"] for each in told) == told[0]["likeliest"]["probability"]
    assert len(told[0]["units"]) == 5


def test_class_and_image_that_are_not_there(run, imagetree) -> None:
    file = next((run.parent / "images" / WNIDS[0]).iterdir())
    said = imagetree("pictures", "saliency", run, file, "--class", "n00000001")
    assert said.status == 1
    assert "the network has no class 'n00000001' (expected one of n01440764, " in said.err
    said = imagetree("pictures", "saliency", run, "nothing.jpg")
    assert said.status == 1
    assert "'nothing.jpg' is no image of the split, and no file" in said.err
