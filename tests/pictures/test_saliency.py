"""The picture of a study: its tiles, their colours, what stands beside them."""

from __future__ import annotations

import base64
import io
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from imagetree.pictures.saliency import (
    describe_occlusion,
    describe_study,
    ink,
    overlay,
    render_saliency,
    signal_colours,
    unit_tiles,
)
from imagetree.sources.regions import Box
from imagetree.understanding.deconvnet import Projection
from imagetree.understanding.saliency import Brought, ClassMap, Occlusion, Study
from imagetree.understanding.units import Field

SVG = "{http://www.w3.org/2000/svg}"
SIDE = 60
SPRINGER, CHURCH = "n02102040", "n03028079"
TITLES = (
    "image",
    "occlusion",
    "Grad-CAM",
    "gradient",
    "guided gradient",
    "guided Grad-CAM",
    "deconvnet",
)


def brought(number: int) -> Brought:
    """A unit that sees 11 x 11 pixels, three columns of the first one's left of the image."""
    left = -3 if number == 1 else 9 * number
    whole = Box(left, 20, 11, 11)
    seen = Box(max(left, 0), 20, 11 - max(-left, 0), 11)
    signal = np.zeros((3, SIDE, SIDE), np.float32)
    signal[:, 20:31, seen.left : seen.left + seen.width] = number
    signal[0, 25, seen.left + 2] = -number
    projection = Projection(f"relu{number}", 10 * number, (number, 2), 1.5 * number, signal)
    return Brought(projection, Field(seen, whole))


def study(name: str = "folder/a & b.jpg", likeliest: str = SPRINGER) -> Study:
    random = np.random.default_rng(0)
    occlusion = Occlusion((SIDE, SIDE), 12, 10, 0.9, random.uniform(0.5, 1, (6, 6)))
    occlusion.probabilities[5, 1] = 0.1
    values = random.random((4, 4)).astype(np.float32)
    signals = random.normal(size=(3, 3, SIDE, SIDE)).astype(np.float32)
    return Study(
        name,
        random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8),
        SPRINGER,
        (likeliest, 0.9),
        occlusion,
        ClassMap("relu5", (SIDE, SIDE), np.ones(8, np.float32), values),
        *signals,
        tuple(brought(number) for number in range(1, 6)),
    )


def tree_of(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts_of(svg: str) -> list[str]:
    return [each.text or "" for each in tree_of(svg).iter(f"{SVG}text")]


def pictures_of(svg: str) -> list[np.ndarray]:
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(each.get("href").partition(",")[2]))))
        for each in tree_of(svg).iter(f"{SVG}image")
    ]


def test_overlay_is_the_faded_image_where_nothing_is() -> None:
    """Grey at zero; orange above and blue below, the more the greater, full at the greatest."""
    pixels = np.full((1, 5, 3), (200, 100, 50), np.uint8)
    values = np.array([[-2.0, -1.0, 0.0, 1.0, 2.0]], np.float32)
    [row] = overlay(pixels, values, 2.0).astype(int)
    assert len(set(row[2])) == 1  # without colour
    assert 100 < row[2, 0] < 255  # the luma of 124, faded
    warmth = row[:, 0] - row[:, 2]
    assert (np.diff(warmth) > 0).all()
    assert warmth[0] < -80
    assert warmth[4] > 150
    assert np.array_equal(overlay(pixels, 2 * values, 2.0)[0, -1], row[4])  # no colour beyond


def test_overlay_of_nothing() -> None:
    """A map of zeros, of which zero is the greatest, leaves the image."""
    pixels = np.full((2, 2, 3), 80, np.uint8)
    found = overlay(pixels, np.zeros((2, 2), np.float32), 0.0)
    assert (found == found[0, 0, 0]).all()


def test_colours_of_a_signal() -> None:
    """Grey is zero, each channel goes up and down by itself, one far value spoils no scale."""
    signal = np.tile(np.array([-1.0, 0.0, 0.5, 1.0], np.float32), (3, 300, 1))
    signal[0, :, 3] = 0
    signal[2, 7, 3] = 1000
    found = signal_colours(signal)
    assert found.shape == (300, 4, 3)
    assert found[0].tolist() == [[1, 1, 1], [128, 128, 128], [192, 192, 192], [128, 255, 255]]
    assert found[7, 3, 2] == 255
    assert (signal_colours(np.zeros((3, 4, 4), np.float32)) == 128).all()


def test_ink_of_a_gradient() -> None:
    """White is zero; the greatest channel counts, of either sign."""
    gradient = np.zeros((3, 2, 2), np.float32)
    gradient[:, 0, 0] = (0.1, -1.0, 0.2)
    gradient[:, 0, 1] = (0.0, 0.5, 0.0)
    found = ink(gradient)
    assert found[..., 0].max() == 255
    assert found[0, 0].tolist() == [0, 0, 0]
    assert 120 <= found[0, 1, 0] <= 132
    assert (ink(np.zeros((3, 2, 2), np.float32)) == 255).all()


def test_unit_has_its_own_scale_and_its_part_of_the_image() -> None:
    """Scaled by what it sees alone, grey beyond the image; the crop has the same pixels."""
    pixels = np.arange(SIDE * SIDE * 3, dtype=np.uint32).astype(np.uint8).reshape(SIDE, SIDE, 3)
    signal, crop = unit_tiles(brought(3), pixels)
    assert signal.shape == crop.shape == (11, 11, 3)
    assert np.array_equal(crop, pixels[20:31, 27:38])
    assert signal[0, 0].tolist() == [255, 255, 255]
    assert signal[5, 2].tolist() == [1, 255, 255]
    signal, crop = unit_tiles(brought(1), pixels)
    assert np.array_equal(crop[:, 3:], pixels[20:31, :8])
    assert (signal[:, :3] == signal[0, 0]).all()
    assert np.array_equal(signal[:, :3], crop[:, :3])


def test_all_tiles_are_there_in_their_colours() -> None:
    """The image and five maps of it; then a signal and a crop for each of five units."""
    own = study()
    found = pictures_of(render_saliency(own))
    assert len(found) == 6 + 2 * 5
    assert np.array_equal(found[0], own.pixels)
    drop = own.occlusion.drop_at_pixels()
    assert np.array_equal(found[1], overlay(own.pixels, drop, np.abs(own.occlusion.drop).max()))
    cam = own.cam.at_pixels()
    assert np.array_equal(found[2], overlay(own.pixels, cam, own.cam.values.max()))
    assert np.array_equal(found[3], ink(own.gradient))
    assert np.array_equal(found[4], signal_colours(own.guided))
    assert np.array_equal(found[5], signal_colours(own.guided_cam))
    for number, each in enumerate(own.units):
        for offset, tile in enumerate(unit_tiles(each, own.pixels)):
            assert np.array_equal(found[6 + 2 * number + offset], tile)


def test_everything_is_named() -> None:
    texts = texts_of(render_saliency(study()))
    assert texts[0] == "a & b.jpg: English springer, 90.0%"
    assert set(TITLES) <= set(texts)
    assert {f"relu{n}, unit {10 * n}" for n in range(1, 6)} <= set(texts)
    told = {"8 x 11 pixels", "11 x 11 pixels", "response 7.5", "of 4 x 4", "12 x 12 square"}
    assert told <= set(texts)
    assert not [text for text in texts if text.endswith("…")]


def test_long_name_is_cut() -> None:
    texts = texts_of(render_saliency(study("x" * 400 + ".jpg")))
    assert max(map(len, texts)) < 170


def test_scales_are_said() -> None:
    """Occlusion has as much above as below zero; Grad-CAM begins at zero; a bar for each."""
    own = study()
    svg = render_saliency(own)
    greatest = f"{np.abs(own.occlusion.drop).max():.2g}"
    assert {f"-{greatest}", greatest, f"{own.cam.values.max():.2g}"} <= set(texts_of(svg))
    bars = [each for each in tree_of(svg).iter(f"{SVG}rect") if each.get("class") == "scale"]
    stops = [
        [stop.get("stop-color") for stop in each]
        for each in tree_of(svg).iter(f"{SVG}linearGradient")
    ]
    assert len(bars) == len(stops) == 2
    assert stops[0][1] == stops[1][0] == "rgb(255, 255, 255)"
    assert stops[0][2] == stops[1][1]


def test_square_is_where_most_is_lost() -> None:
    """In the scale of the tile, cut by the image's lower edge."""
    own = study()
    [square] = [
        each for each in tree_of(render_saliency(own)).iter(f"{SVG}rect")
        if each.get("class") == "square"
    ]  # fmt: skip
    tile = list(tree_of(render_saliency(own)).iter(f"{SVG}image"))[1]
    scale = float(tile.get("width")) / SIDE
    left, top = (float(square.get(each)) - float(tile.get(each)) for each in ("x", "y"))
    # row 5, column 1 of squares of 12 around pixels 55 and 15: rows 49 to 59, columns 9 to 20
    assert (left / scale, top / scale) == pytest.approx((9, 49), abs=0.1)
    assert float(square.get("width")) / scale == pytest.approx(12, abs=0.1)
    assert float(square.get("height")) / scale == pytest.approx(11, abs=0.1)


def test_tiles_do_not_overlap_and_stand_in_columns() -> None:
    """1,280 pixels wide; the units' tiles stand exactly below the maps'."""
    root = tree_of(render_saliency(study()))
    _, _, width, height = (float(each) for each in root.get("viewBox").split())
    assert width == 1280
    names = ("x", "y", "width", "height")
    boxes = [[float(each.get(name)) for name in names] for each in root.iter(f"{SVG}image")]
    for one, other in combinations(boxes, 2):
        apart = [
            one[axis] + one[axis + 2] <= other[axis] or other[axis] + other[axis + 2] <= one[axis]
            for axis in (0, 1)
        ]
        assert any(apart)
    assert len({box[0] for box in boxes}) == 6
    assert max(box[0] + box[2] for box in boxes) == width - 24
    texts = [float(each.get("y")) for each in root.iter(f"{SVG}text")]
    assert max(texts) < height - 10


def test_likeliest_is_told_where_it_is_another() -> None:
    """In a line of its own, as both words may be long; and nothing of it where it is the same."""
    own = "a & b.jpg: English springer, 90.0%"
    assert describe_study(study()) == [own]
    assert describe_study(study(likeliest=CHURCH)) == [own, "the likeliest is church, 90.0%"]
    assert texts_of(render_saliency(study(likeliest=CHURCH)))[:2] == [
        own,
        "the likeliest is church, 90.0%",
    ]


def test_occlusion_in_a_line() -> None:
    assert describe_occlusion(study().occlusion) == (
        "12 x 12 pixels covered around row 55, column 15: 90.0% become 10.0%, "
        "the least of 36 places"
    )


def test_image_that_nothing_changes() -> None:
    """A network that says the same of everything: all maps are empty, and none is an error."""
    own = study()
    zeros = np.zeros((3, SIDE, SIDE), np.float32)
    flat = replace(
        own,
        occlusion=replace(own.occlusion, probabilities=np.full((6, 6), 0.9)),
        cam=replace(own.cam, values=np.zeros((4, 4), np.float32)),
        gradient=zeros,
        guided=zeros,
        guided_cam=zeros,
    )
    found = pictures_of(render_saliency(flat))
    assert (found[1][..., 0] == found[1][..., 2]).all()
    assert (found[3] == 255).all()
    assert (found[4] == 128).all()


def test_same_study_gives_the_same_text() -> None:
    assert render_saliency(study()) == render_saliency(study())
