"""The picture of units: a row for each, with the crops that it saw, their classes, its shares."""

from __future__ import annotations

import base64
import io
import tarfile
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from imagetree.alexnet.architectures import architecture_named
from imagetree.alexnet.network import AlexNet
from imagetree.errors import DatabaseError, TrainingError
from imagetree.pictures.units import (
    UnitRow,
    UnitTile,
    caption,
    cut_field,
    render_units,
    unit_rows,
)
from imagetree.recognition.inputs import ImageFiles
from imagetree.recognition.recognizer import Recognizer
from imagetree.sources.regions import Box
from imagetree.training.evaluate import View
from imagetree.understanding.activations import layer_outputs, seen_pixels
from imagetree.understanding.units import Field, find_strongest, receptive_box

SVG = "{http://www.w3.org/2000/svg}"
TENCH, SPRINGER, CHURCH = WNIDS = ("n01440764", "n02102040", "n03028079")
VIEW = View(99, (120.0, 115.0, 105.0), (70.0, 68.0, 70.0), "fp32", 0)
GREY = 226


class Labelled(ImageFiles):
    """Photographs whose classes are known, in turn."""

    def __init__(self, paths) -> None:
        super().__init__(paths)
        self.labels = np.arange(len(paths)) % len(WNIDS)


@pytest.fixture(scope="module")
def photographs(imagenette, tmp_path_factory) -> Labelled:
    folder = tmp_path_factory.mktemp("photographs")
    paths = [folder / f"{number}.JPEG" for number in range(6)]
    with tarfile.open(imagenette / "val.tar") as archive:
        for path in paths:
            path.write_bytes(archive.extractfile(archive.next()).read())
    return Labelled(paths)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    network = AlexNet(architecture_named("two_gpu"), len(WNIDS), 67, seed=1).eval()
    return Recognizer(network, WNIDS, VIEW)


@pytest.fixture(scope="module")
def found(recognizer, photographs):
    return find_strongest(recognizer, photographs, "conv2", 4)


def row_of(unit: int, *, classes=((TENCH, 0.75), (CHURCH, 0.25)), count: int = 9) -> UnitRow:
    crop = np.full((11, 11, 3), unit, np.uint8)
    field = Field(Box(4, 8, 11, 11), Box(4, 8, 11, 11))
    tiles = tuple(
        UnitTile(f"{unit}-{n}.JPEG", SPRINGER, 9.0 - n, crop, field) for n in range(count)
    )
    return UnitRow(unit, classes, tiles)


def images_in(svg: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(f"{SVG}image"))


def texts_in(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def pixels_of(element: ElementTree.Element) -> np.ndarray:
    data = base64.b64decode(element.get("href").partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)))


def test_crop_inside_the_image() -> None:
    pixels = np.random.default_rng(0).integers(0, 226, (40, 40, 3), dtype=np.uint8)
    box = Box(left=5, top=20, width=11, height=11)
    assert np.array_equal(cut_field(pixels, Field(box, box)), pixels[20:31, 5:16])


def test_crop_at_a_corner_keeps_its_place() -> None:
    """Grey where nothing is seen, as wide as the field hangs over; the rest is the image's."""
    pixels = np.random.default_rng(0).integers(0, 226, (40, 40, 3), dtype=np.uint8)
    crop = cut_field(pixels, Field(Box(30, 0, 10, 7), Box(30, -4, 11, 11)))
    assert crop.shape == (11, 11, 3)
    assert np.array_equal(crop[4:, :10], pixels[:7, 30:40])
    assert (crop[:4] == GREY).all()
    assert (crop[:, 10] == GREY).all()


def test_field_larger_than_the_image_shows_the_image() -> None:
    pixels = np.random.default_rng(0).integers(0, 226, (40, 40, 3), dtype=np.uint8)
    crop = cut_field(pixels, Field(Box(0, 0, 39, 40), Box(-60, -60, 163, 163)))
    assert crop.shape == (40, 40, 3)
    assert np.array_equal(crop[:, :39], pixels[:, :39])
    assert (crop[:, 39] == GREY).all()


def test_rows_are_what_was_found(recognizer, photographs, found) -> None:
    """Each crop is what the value sees of what the network saw of the image, of the class it is."""
    rows = unit_rows(recognizer, photographs, found, [200, 3])
    assert [row.unit for row in rows] == [200, 3]
    for row in rows:
        assert [tile.value for tile in row.tiles] == found.values[row.unit].tolist()
        for rank, tile in enumerate(row.tiles):
            index = found.indices[row.unit, rank]
            assert tile.name == photographs.names[index]
            assert tile.wnid == WNIDS[index % 3]
            place = tuple(found.places[row.unit, rank].tolist())
            field = receptive_box(recognizer.network, "conv2", place, 99)
            assert tile.field == field
            box = field.seen
            part = seen_pixels(recognizer, photographs, index)[
                box.top : box.top + box.height, box.left : box.left + box.width
            ]
            top, left = box.top - field.whole.top, box.left - field.whole.left
            shown = tile.crop[top : top + box.height, left : left + box.width]
            assert tile.crop.shape == (51, 51, 3)
            assert np.array_equal(shown, part)


def test_classes_are_those_with_the_greatest_shares(recognizer, photographs, found) -> None:
    [row] = unit_rows(recognizer, photographs, found, [7])
    shares = sorted(zip(found.class_shares[7].tolist(), WNIDS, strict=True), reverse=True)
    assert [(share, wnid) for wnid, share in row.classes] == shares
    assert row.classes_in_words.startswith(f"{lemma_of(shares[0][1])} {shares[0][0]:.0%}, ")


def lemma_of(wnid: str) -> str:
    return {TENCH: "tench", SPRINGER: "English springer", CHURCH: "church"}[wnid]


def test_crop_of_the_greatest_value_has_it(recognizer, photographs, found) -> None:
    """Blanking all that lies outside the crop leaves the response as it is: the place is right."""
    for unit in (0, 90, 255):
        [row] = unit_rows(recognizer, photographs, found, [unit])
        tile, index = row.tiles[0], int(found.indices[unit, 0])
        pixels = np.zeros((99, 99, 3), np.float32)
        box = tile.field.seen
        region = np.s_[box.top : box.top + box.height, box.left : box.left + box.width]
        pixels[region] = seen_pixels(recognizer, photographs, index)[region]
        value = response_at(recognizer, pixels, unit, found.places[unit, 0])
        assert value == pytest.approx(tile.value, abs=1e-4)


def response_at(recognizer: Recognizer, pixels, unit: int, place) -> float:
    x = torch.from_numpy((pixels - VIEW.mean) / VIEW.std).float().permute(2, 0, 1)[None]
    maps = layer_outputs(recognizer.network, x, ["conv2"])["conv2"]
    return float(maps[0, unit, place[0], place[1]])


@pytest.mark.parametrize("unit", [256, -1])
def test_unit_that_is_not_there(unit, recognizer, photographs, found) -> None:
    message = rf"conv2 has no unit {unit} \(expected 0 to 255\)"
    with pytest.raises(TrainingError, match=message):
        unit_rows(recognizer, photographs, found, [0, unit])


def test_no_unit_at_all(recognizer, photographs, found) -> None:
    with pytest.raises(TrainingError, match=r"no unit of conv2 responds above zero to 4 images"):
        unit_rows(recognizer, photographs, found, [])


def test_image_that_is_gone_since(recognizer, found, photographs, tmp_path) -> None:
    gone = Labelled([tmp_path / path.name for path in photographs.rows])
    with pytest.raises(DatabaseError, match=r"cannot be read"):
        unit_rows(recognizer, gone, found, [0])


@pytest.mark.parametrize("count", [1, 9, 14])
def test_row_for_each_unit_with_its_crops(count: int) -> None:
    """As many rows and crops as there are, none over another, each with the lemma of its class."""
    svg = render_units([row_of(unit, count=count) for unit in (5, 80)], "a title", ("one", "two"))
    images = images_in(svg)
    assert [int(pixels_of(each)[0, 0, 0]) for each in images] == [5] * count + [80] * count
    x = [float(each.get("x")) for each in images[:count]]
    assert all(right - left > 104 for left, right in pairwise(x))
    assert len({each.get("y") for each in images}) == 2
    width = float(ElementTree.fromstring(svg).get("width"))
    assert width == max(1280, 48 + 208 + count * 115 - 11)
    assert max(x) + 104 <= width - 24
    texts = texts_in(svg)
    assert texts.count("English springer") == 2 * count
    assert {"a title", "one", "two", "unit 5", "unit 80"} <= set(texts)


def test_nine_crops_fill_the_width() -> None:
    images = images_in(render_units([row_of(0)], ""))
    assert float(images[-1].get("x")) + 104 == 1280 - 24


def test_bars_are_as_long_as_the_shares() -> None:
    svg = render_units([row_of(0)], "")
    rects = ElementTree.fromstring(svg).iter(f"{SVG}rect")
    width = {"bar": [], "track": [], None: []}
    for each in rects:
        width[each.get("class")].append(each.get("width"))
    track = float(width["track"][0])
    assert [float(each) for each in width["bar"]] == [0.75 * track, 0.25 * track]
    texts = texts_in(svg)
    assert texts[texts.index("tench") + 1] == "75%"
    assert texts[texts.index("church") + 1] == "25%"


def test_unit_that_no_class_drives() -> None:
    assert "never above zero" in texts_in(render_units([row_of(0, classes=())], ""))


def test_small_crops_show_their_pixels() -> None:
    """The 11 x 11 of conv1 as squares; larger ones smooth."""
    [small] = images_in(render_units([row_of(0, count=1)], ""))
    assert small.get("class") == "coarse"
    large = np.zeros((163, 163, 3), np.uint8)
    tile = row_of(0).tiles[0]
    wide = UnitRow(0, (), (UnitTile("x", None, 1.0, large, tile.field),))
    svg = render_units([wide], "")
    assert images_in(svg)[0].get("class") is None
    assert "None" not in svg  # an unknown class has no label


def test_crop_tells_its_name_value_and_place() -> None:
    title = images_in(render_units([row_of(3)], ""))[1].find(f"{SVG}title").text
    assert title == "3-1.JPEG: 8, 11 x 11 pixels at 4, 8"


def test_caption_says_how_units_were_chosen(recognizer, photographs, found) -> None:
    rows = unit_rows(recognizer, photographs, found, [1, 2])
    first, second = caption(found, rows, are_selected=True)
    assert (
        first
        == "2 of 256 units, those of which a single class has the greatest share, class by class"
    )
    assert "the 51 x 51 pixels" in second
    assert "33.3% each" in second
    assert caption(found, rows, are_selected=False)[0] == "2 of 256 units"


def test_row_as_plain_values() -> None:
    told = row_of(3, count=1).to_json()
    assert told["classes"][0] == {"wnid": TENCH, "words": "tench, Tinca tinca", "share": 0.75}
    assert told["images"] == [
        {"name": "3-0.JPEG", "wnid": SPRINGER, "response": 9.0, "seen": [4, 8, 11, 11]}
    ]


def test_same_rows_give_the_same_text() -> None:
    assert render_units([row_of(1)], "t") == render_units([row_of(1)], "t")
