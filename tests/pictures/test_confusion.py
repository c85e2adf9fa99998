"""The confusion matrix: cells by share, the tree beside it, names where there is room."""

from __future__ import annotations

import base64
import io
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from imagetree.pictures.confusion import cell_colours, render_confusion
from imagetree.understanding.confusion import Confusion, group_by_kin, order_by_kin

from ..conftest import shared_path

SVG = "{http://www.w3.org/2000/svg}"
DOG, CAT, AIRPLANE, CAR = WNIDS = ("n02084071", "n02121808", "n02691156", "n02958343")


def confusion_of(wnids: tuple[str, ...], matrix: np.ndarray) -> Confusion:
    return Confusion(wnids, matrix, group_by_kin(wnids), (), (), 0)


def drawn(confusion: Confusion) -> ElementTree.Element:
    return ElementTree.fromstring(render_confusion(confusion, "run on val"))


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


def rects(root: ElementTree.Element, kind: str) -> list[dict[str, float]]:
    keys = ("x", "y", "width", "height")
    found = [each for each in root.iter(f"{SVG}rect") if each.get("class") == kind]
    return [{key: float(each.get(key)) for key in keys} for each in found]


def pixels(root: ElementTree.Element) -> np.ndarray:
    """Those of the matrix, as the picture holds them."""
    url = next(root.iter(f"{SVG}image")).get("href")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


@pytest.fixture
def four() -> Confusion:
    matrix = [[2, 2, 0, 1], [1, 3, 0, 0], [0, 0, 4, 1], [0, 0, 0, 0]]
    return confusion_of(WNIDS, np.array(matrix))


@pytest.fixture(scope="module")
def thousand() -> Confusion:
    """ILSVRC's classes with 50 images each: 30 are right, 20 the next class in the order."""
    wnids = shared_path("facts", "ilsvrc2012_wnids.txt").read_text().split()
    matrix = 30 * np.eye(1000, dtype=np.int64) + 20 * np.roll(np.eye(1000, dtype=np.int64), 1, 1)
    return confusion_of(tuple(wnids[place] for place in order_by_kin(wnids)), matrix)


def test_colours() -> None:
    """White where nothing is, blue where it is right, orange where it is wrong, darker for more."""
    colours = cell_colours(np.array([[9, 1, 0], [0, 10, 0], [0, 0, 0]])).astype(int)
    assert (colours[2] == 255).all()
    assert (colours[0, 2] == 255).all()
    assert colours[1, 1].tolist() == [31, 95, 139]
    red, _, blue = colours[0, 1]
    assert red > blue
    assert colours[0, 0].sum() > colours[1, 1].sum()
    weak, strong = (cell_colours(np.array([[99, 1], [0, 1]]), root)[0, 1] for root in (0.5, 0.25))
    assert strong.astype(int).sum() < weak.astype(int).sum()


def test_four_classes_are_named_and_counted(four) -> None:
    """Each class stands at its row and at its column; each cell that has images says how many."""
    root = drawn(four)
    words = texts(root)
    assert words[0] == "run on val"
    assert "14 images, 35.7% answered wrongly" in words[1]
    for name in ("dog", "domestic cat", "airplane", "car"):
        assert words.count(name) == 2
    numbers = sorted(int(each) for each in words if each.isdecimal())
    assert numbers == [1, 1, 1, 2, 2, 3, 4]
    side = int(float(next(root.iter(f"{SVG}image")).get("width")) / 4)
    cells = pixels(root)[side // 2 :: side, side // 2 :: side]
    assert np.array_equal(cells, cell_colours(four.matrix))


def test_tree_stands_beside_its_rows(four) -> None:
    """The box of carnivores is as high as their two rows, and so is their block in the matrix."""
    root = drawn(four)
    carnivore, vehicle = rects(root, "group")
    blocks = rects(root, "block")
    [frame] = rects(root, "frame")
    cell = frame["width"] / 4
    assert (carnivore["y"], carnivore["height"]) == (frame["y"], pytest.approx(2 * cell))
    assert vehicle["y"] == pytest.approx(frame["y"] + 2 * cell)
    assert carnivore["x"] + carnivore["width"] < frame["x"]
    assert blocks[1] == pytest.approx(
        {"x": frame["x"] + 2 * cell, "y": vehicle["y"], "width": 2 * cell, "height": 2 * cell}
    )
    words = texts(root)
    assert words[words.index("carnivore") + 1] == "75%"  # 3 of the 4 errors on dogs and cats
    assert words[words.index("vehicle") + 1] == "100%"
    told = ["".join(each.itertext()) for each in root.iter(f"{SVG}title")]
    assert told[0] == "carnivore: 2 classes, 75% of the errors on them stay in it"


def test_group_without_errors_has_no_share() -> None:
    root = drawn(confusion_of(WNIDS, np.diag([3, 3, 3, 3])))
    told = ["".join(each.itertext()) for each in root.iter(f"{SVG}title")]
    assert told[0] == "carnivore: 2 classes"


def test_classes_that_are_no_kin_have_no_tree() -> None:
    """Two classes alone: no group, and no line that explains its percentages."""
    root = drawn(confusion_of((DOG, CAR), np.array([[3, 1], [0, 4]])))
    assert rects(root, "group") == []
    assert not any("stay in the group" in each for each in texts(root))


def test_thousand_classes_are_named_by_their_groups(thousand) -> None:
    """A cell for each pair; no class is named, but the large groups, in boxes that hold a line."""
    root = drawn(thousand)
    assert pixels(root).shape == (1000, 1000, 3)
    words = texts(root)
    for name in ("organism", "mammal", "carnivore", "artifact", "instrumentality", "conveyance"):
        assert words.count(name) == 1
    assert "tench" not in words
    boxes = rects(root, "group")
    assert 15 < len(boxes) < 60
    assert min(box["height"] for box in boxes) >= 12
    [frame] = rects(root, "frame")
    assert max(box["x"] + box["width"] for box in boxes) < frame["x"]
    assert frame["width"] > 700
    assert frame["x"] + frame["width"] <= 1280 - 24


def test_boxes_do_not_overlap(thousand) -> None:
    boxes = sorted(rects(drawn(thousand), "group"), key=lambda box: (box["x"], box["y"]))
    for above, below in pairwise(boxes):
        if above["x"] == below["x"]:
            assert above["y"] + above["height"] <= below["y"] + 1e-2


@pytest.mark.parametrize(
    ("count", "num_names", "num_above"), [(30, 30, 30), (60, 60, 0), (61, 61, 0), (200, 0, 0)]
)
def test_names_as_long_as_there_is_room(thousand, count, num_names, num_above) -> None:
    """Slanting names would overlap first, then those of the rows; all stays within 1,280."""
    part = confusion_of(thousand.wnids[:count], thousand.matrix[:count, :count])
    root = drawn(part)
    assert root.get("width") == "1280"
    all_texts = list(root.iter(f"{SVG}text"))
    above = [each for each in all_texts if "rotate" in each.get("transform", "")]
    rows = [each for each in all_texts if each.get("text-anchor") == "end"]
    assert (len(rows), len(above)) == (num_names, num_above)
    for beside in (rows, above):
        axis = "y" if beside is rows else "x"
        places = [float(each.get(axis)) for each in beside]
        apart = 16 if beside is above else 11
        assert all(second - first >= apart for first, second in pairwise(places))
    assert max(float(each.get("x")) for each in all_texts) < 1250
