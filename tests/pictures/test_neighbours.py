"""The picture of neighbours: rows of a query and what lies nearest, framed by class."""

from __future__ import annotations

import tarfile
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from imagetree.alexnet.architectures import architecture_named
from imagetree.alexnet.network import AlexNet
from imagetree.errors import TrainingError
from imagetree.pictures.neighbours import Tile, find_neighbours, render_neighbours
from imagetree.recognition.inputs import ImageFiles
from imagetree.recognition.recognizer import Recognizer
from imagetree.training.evaluate import View
from imagetree.understanding.features import Extractor

SVG = "{http://www.w3.org/2000/svg}"
TENCH, SPRINGER, CHURCH = WNIDS = ("n01440764", "n02102040", "n03028079")
VIEW = View(67, (120.0, 115.0, 105.0), (70.0, 68.0, 70.0), "fp32", 0)


def tile(wnid: str | None, distance: float | None = None) -> Tile:
    return Tile("data:image/png;base64,", "name", wnid, distance)


def of_kind(root: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    """Frames of a kind; a swatch of the key, 12 x 12, is none."""
    found = [each for each in root.iter(f"{SVG}rect") if each.get("class") == kind]
    return [each for each in found if each.get("width") != "12"]


@pytest.fixture(scope="module")
def photographs(imagenette, tmp_path_factory) -> list:
    """Eight photographs in files; the fourth is cut off, the last is the first once more."""
    folder = tmp_path_factory.mktemp("photographs")
    with tarfile.open(imagenette / "val.tar") as archive:
        data = [archive.extractfile(archive.next()).read() for _ in range(7)]
    data[3] = data[3][:200]
    paths = [folder / f"{number}.jpg" for number in range(8)]
    for path, each in zip(paths, [*data, data[0]], strict=True):
        path.write_bytes(each)
    return paths


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    network = AlexNet(architecture_named("batch_norm"), len(WNIDS), 67).eval()
    return Extractor(Recognizer(network, WNIDS, VIEW))


def test_rows_and_frames() -> None:
    """Two queries with three neighbours each: labels, distances, and frames by class."""
    rows = [
        (tile(TENCH), tile(TENCH, 1.25), tile(CHURCH, 2.0), tile(TENCH, 30.06)),
        (tile(SPRINGER), tile(TENCH, 4.0), tile(CHURCH, 5.0), tile(CHURCH, 6.0)),
    ]
    root = ElementTree.fromstring(render_neighbours(rows, "two"))
    places = [(float(each.get("x")), float(each.get("y"))) for each in root.iter(f"{SVG}image")]
    assert len(set(places)) == 8
    assert len({y for _, y in places[:4]}) == 1
    assert places[0][0] == places[4][0]
    assert len(of_kind(root, "same")) == 2
    assert len(of_kind(root, "other")) == 4
    words = ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]
    assert words[0] == "two"
    assert [each for each in words if each[0].isdecimal()] == [
        "1.2",
        "2.0",
        "30.1",
        "4.0",
        "5.0",
        "6.0",
    ]
    assert words.count("tench") == 4
    line = next(root.iter(f"{SVG}line"))
    assert places[0][0] + 159 < float(line.get("x1")) < places[1][0]


def test_five_rows_of_six_fit_1280() -> None:
    rows = [(tile(TENCH), *[tile(TENCH, 1.0)] * 6)] * 5
    root = ElementTree.fromstring(render_neighbours(rows, "figure 4"))
    assert root.get("width") == "1280"
    assert max(float(each.get("x")) for each in root.iter(f"{SVG}image")) + 159 <= 1280 - 24


def test_class_of_the_query_unknown() -> None:
    """Its neighbours have no frames."""
    root = ElementTree.fromstring(render_neighbours([(tile(None), tile(TENCH, 1.0))], "file"))
    assert of_kind(root, "same") == of_kind(root, "other") == []


def test_neighbours_of_real_photographs(photographs, extractor) -> None:
    """A photograph's nearest is itself, in both its files, but for rounding at distance 0."""
    images = ImageFiles(photographs)
    images.labels = np.arange(8) % 3
    queries = ImageFiles([photographs[3], photographs[0]])
    told = []
    found = find_neighbours(extractor, queries, images, 3, lambda *done: told.append(done))
    [row] = found.tiles
    assert (row[0].name, row[0].wnid, row[0].distance) == (str(photographs[0]), None, None)
    itself = {each.name: each for each in row[1:3]}
    assert itself.keys() == {str(photographs[0]), str(photographs[7])}
    assert itself[str(photographs[7])].wnid == SPRINGER
    assert max(each.distance for each in row[1:3]) < 1e-3 < row[3].distance
    assert [name for name, _ in found.bad] == [str(photographs[3])] * 2  # of queries and of set
    assert told == [(8, 8)]
    assert all(each.picture.startswith("data:image/jpeg;base64,") for each in row)


def test_no_query_can_be_decoded(photographs, extractor) -> None:
    """The set is not gone through in vain, and there is nothing to draw."""
    found = find_neighbours(extractor, ImageFiles(photographs[3:4]), ImageFiles([]), 3)
    assert found.tiles == ()
    assert [name for name, _ in found.bad] == [str(photographs[3])]
    with pytest.raises(TrainingError, match="none of the images can be decoded"):
        render_neighbours(found.tiles, "none")
