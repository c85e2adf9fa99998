"""The picture of maps: a tile for each, in the colours of its values, beside what was seen."""

from __future__ import annotations

import base64
import io
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from imagetree.errors import TrainingError
from imagetree.pictures.activations import describe_maps, map_colours, render_activations
from imagetree.understanding.activations import Maps

SVG = "{http://www.w3.org/2000/svg}"
WHITE, BELOW, ABOVE = [255, 255, 255], [31, 95, 139], [196, 78, 16]


def maps_of(count: int, side: int = 5, formula: str = "(27 - 11)/4 + 1 = 5") -> Maps:
    """Noise; the second map is far weaker than the others, the third is nowhere above zero."""
    random = np.random.default_rng(count)
    values = random.normal(size=(count, side, side)).astype(np.float32)
    values[1] *= 0.01
    values[2] = -np.abs(values[2])
    pixels = random.integers(0, 256, (27, 27, 3), dtype=np.uint8)
    return Maps("conv1", values, pixels, formula)


def pixels_of(element: ElementTree.Element) -> np.ndarray:
    """The picture that an image of an SVG holds."""
    data = base64.b64decode(element.get("href").partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)))


def tiles_of(svg: str) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(svg)
    return [each for each in root.iter(f"{SVG}image") if each.get("class") == "map"]


def texts_of(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def box_of(element: ElementTree.Element) -> tuple[float, float, float, float]:
    x, y, width, height = (float(element.get(each)) for each in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def test_colours_of_values() -> None:
    """White is zero on both scales, the ends are the greatest absolute value of a map or of all."""
    values = np.array([[[-4.0, 0.0, 4.0]], [[1.0, 0.0, -2.0]]], np.float32)
    own = map_colours(values)[:, 0].tolist()
    assert own[0] == [BELOW, WHITE, ABOVE]
    assert own[1][1:] == [WHITE, BELOW]
    assert own[1][0] == [226, 166, 136]  # halfway
    common = map_colours(values, common_scale=True)[:, 0].tolist()
    assert common[0] == own[0]
    assert common[1] == [[240, 211, 195], WHITE, [143, 175, 197]]  # a quarter, and half


def test_silent_map_is_white() -> None:
    assert (map_colours(np.zeros((2, 3, 3), np.float32)) == 255).all()


@pytest.mark.parametrize(("count", "columns"), [(96, 12), (256, 20), (384, 24), (64, 10)])
def test_tile_for_every_map_in_its_colours(count: int, columns: int) -> None:
    """In order, row by row, each with the pixels of its values; row numbers are those of maps."""
    maps = maps_of(count)
    svg = render_activations(maps, "photo.jpg")
    tiles = tiles_of(svg)
    expected = map_colours(maps.values)
    assert len(tiles) == count
    for tile, colours in zip(tiles, expected, strict=True):
        assert np.array_equal(pixels_of(tile), colours)
    tops = [box_of(tile)[1] for tile in tiles]
    assert tops.count(tops[0]) == columns
    assert [text for text in texts_of(svg) if text.isdecimal() and text != "0"] == [
        str(number) for number in range(columns, count, columns)
    ]


@pytest.mark.parametrize("towers", [1, 2])
def test_nothing_overlaps_and_all_is_inside(towers: int) -> None:
    """Tiles are apart, right of the photograph, and end where the picture does, 1,280 wide."""
    svg = render_activations(maps_of(96), "photo.jpg", towers=towers)
    root = ElementTree.fromstring(svg)
    _, _, width, height = (float(each) for each in root.get("viewBox").split())
    assert width == 1280
    boxes = [box_of(tile) for tile in tiles_of(svg)]
    for left, right in pairwise(boxes):
        assert right[0] >= left[2] or right[1] >= left[3]
    assert min(box[0] for box in boxes) > 264
    assert 1250 < max(box[2] for box in boxes) <= 1256.01
    assert max(box[3] for box in boxes) <= height - 24


def test_what_the_network_saw_stands_beside() -> None:
    maps = maps_of(96)
    svg = render_activations(maps, "a & b.jpg")
    root = ElementTree.fromstring(svg)
    [seen] = [each for each in root.iter(f"{SVG}image") if each.get("class") == "seen"]
    assert np.array_equal(pixels_of(seen), maps.pixels)
    texts = texts_of(svg)
    assert {"conv1: 96 maps of 5 x 5", "(27 - 11)/4 + 1 = 5", "a & b.jpg"} <= set(texts)
    assert "27 x 27 pixels, as the network sees it" in texts
    assert "1 of 96 maps nowhere above zero" in texts


def test_scale_is_said() -> None:
    """Each its own by default; on one scale the ends are numbers, and the weak map is pale."""
    maps = maps_of(12)
    own, common = (render_activations(maps, "x", common_scale=each) for each in (False, True))
    assert {"each map on its own scale", "below zero", "above zero"} <= set(texts_of(own))
    greatest = f"{np.abs(maps.values).max():.3g}"
    assert {"one scale for all maps", f"-{greatest}", greatest} <= set(texts_of(common))
    assert pixels_of(tiles_of(own)[1]).min() < 100
    assert pixels_of(tiles_of(common)[1]).min() > 230


def test_towers_have_grids_of_their_own() -> None:
    """As in the paper's figure 3: GPU 1 with the first half above GPU 2."""
    svg = render_activations(maps_of(96), "x", towers=2)
    texts = texts_of(svg)
    assert [text for text in texts if text.startswith("GPU")] == ["GPU 1", "GPU 2"]
    tops = [box_of(tile)[1] for tile in tiles_of(svg)]
    name = next(
        each for each in ElementTree.fromstring(svg).iter(f"{SVG}text") if each.text == "GPU 2"
    )
    assert tops[47] < float(name.get("y")) < tops[48]
    assert not [t for t in texts_of(render_activations(maps_of(96), "x")) if "GPU" in t]


def test_towers_that_do_not_part_evenly() -> None:
    with pytest.raises(TrainingError, match=r"9 filters in 2 towers"):
        render_activations(maps_of(9), "x", towers=2)


def test_map_tells_its_number_and_values() -> None:
    maps = maps_of(12)
    titles = [tile.find(f"{SVG}title").text for tile in tiles_of(render_activations(maps, "x"))]
    assert titles[7] == f"map 7: {maps.values[7].min():.3g} to {maps.values[7].max():.3g}"


def test_maps_in_a_line() -> None:
    values = np.array([[[-4.0, 0.5]], [[-1.0, 0.0]]], np.float32)
    maps = Maps("pool5", values, np.zeros((9, 9, 3), np.uint8), "")
    assert describe_maps(maps) == (
        "2 maps of 1 x 2; values from -4 to 0.5, 1 maps nowhere above zero"
    )


def test_same_maps_give_the_same_text() -> None:
    assert render_activations(maps_of(12), "x") == render_activations(maps_of(12), "x")
