"""The drawing: what it shows, and that a browser shows it legibly."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named
from imagetree.alexnet.drawing import render_drawing
from imagetree.errors import TrainingError

from ..conftest import need

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = [(name, 1000, None) for name in ARCHITECTURES]
DRAWN += [("single_gpu", 10, 131), ("chm", 2, 70), ("two_gpu", 21_841, 300)]


def texts(svg: str, kind: str = "") -> list[str]:
    """The words of a drawing, of one class where one is named."""
    found = ElementTree.fromstring(svg).iter(f"{SVG}text")
    return [each.text or "" for each in found if kind in each.get("class", "").split() or not kind]


def boxes(svg: str, layer: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each box of a layer."""
    found = []
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        if group.get("data-layer") == layer:
            points = " ".join(p.get("points", "") for p in group).split()
            xs, ys = zip(*(map(float, point.split(",")) for point in points), strict=True)
            found.append((min(xs), min(ys), max(xs), max(ys)))
    return found


def test_lectures_numbers_stand_at_the_boxes() -> None:
    """227, 55, 27 and 13 twice at each box, and the maps below: 3, 96, 256, 384, 384, 256."""
    svg = render_drawing(architecture_named("single_gpu"))
    assert texts(svg, "maps") == ["3", "96", "256", "384", "384", "256", "4,096", "4,096", "1,000"]
    assert texts(svg, "edge") == [str(side) for side in (227, 55, 27, 13, 13, 13) for _ in "hw"]
    names = ["input", "conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]
    assert texts(svg, "name") == names
    assert "96 of 11 x 11 x 3" in texts(svg, "caption")


def test_two_towers_stand_apart() -> None:
    """Half of the maps in each, one over the other, between one input and one row of classes."""
    svg = render_drawing(architecture_named("two_gpu"))
    halves = [maps for maps in ("48", "128", "192", "192", "128", "2,048", "2,048") for _ in "ab"]
    assert texts(svg, "maps") == ["3", *halves, "1,000"]
    layers = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"]
    upper = [boxes(svg, layer)[0] for layer in layers]
    lower = [boxes(svg, layer)[1] for layer in layers]
    assert max(box[3] for box in upper) + 20 < min(box[1] for box in lower)
    assert len(boxes(svg, "input")) == len(boxes(svg, "fc8")) == 1


def test_towers_meet_where_the_layers_say() -> None:
    """Windows go from each tower to each in conv3, and stay in their tower in conv2, 4 and 5."""
    ends = render_drawing(architecture_named("two_gpu")).count('class="value"')
    assert ends == 2 + 2 + 4 + 2 + 2
    assert render_drawing(architecture_named("single_gpu")).count('class="value"') == 5


def test_box_grows_with_its_maps_and_sides() -> None:
    svg = render_drawing(architecture_named("single_gpu"))
    heights = [
        b - t for layer in ("input", "conv1", "conv2", "conv3") for _, t, _, b in boxes(svg, layer)
    ]
    assert heights == sorted(heights, reverse=True)
    (front,) = boxes(svg, "conv3")
    (narrow,) = boxes(svg, "conv5")
    assert front[2] - front[0] > narrow[2] - narrow[0]


def test_same_network_same_text() -> None:
    first, again = (render_drawing(architecture_named("chm")) for _ in range(2))
    assert first == again


def test_drawing_in_the_documents_is_fresh() -> None:
    """docs/images/two_gpu.svg is what `imagetree alexnet drawing two_gpu` writes."""
    shown = Path(__file__).parents[2] / "docs" / "images" / "two_gpu.svg"
    assert shown.read_text() == render_drawing(architecture_named("two_gpu"))


def test_too_small_an_input_is_refused() -> None:
    with pytest.raises(TrainingError, match="does not fit"):
        render_drawing(architecture_named("chm"), 10, 20)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What a browser says of every drawing: the rectangles of its words and of its page."""
    chromium = shutil.which("chromium")
    need(chromium, "chromium is not installed")
    folder = tmp_path_factory.mktemp("drawing")
    drawings = [render_drawing(architecture_named(name), n, size) for name, n, size in DRAWN]
    return measure(str(chromium), folder, drawings)


def measure(chromium: str, folder: Path, drawings: list[str]) -> list[dict]:
    script = """<script>onload = () => {
        const rectangle = e => { const r = e.getBoundingClientRect();
            return [r.left, r.top, r.right, r.bottom]; };
        document.title = JSON.stringify([...document.querySelectorAll('svg')].map(svg => ({
            page: rectangle(svg),
            shown: [...svg.querySelectorAll('polygon')].every(p => p.getBBox().width > 1),
            words: [...svg.querySelectorAll('text')].map(t => [t.textContent, rectangle(t)]),
        }))); }</script>"""
    page = folder / "page.html"
    # each drawing's style holds for the whole page; they are all the same
    page.write_text('<!doctype html><meta charset="utf-8">' + "".join(drawings) + script)
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-sync"]
    command += [f"--user-data-dir={folder}/profile", "--host-resolver-rules=MAP * ~NOTFOUND"]
    shown = subprocess.run(
        [*command, "--window-size=1400,900", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
    titles = re.findall(r"<title>(\[.*?)</title>", shown, re.DOTALL)
    assert len(titles) == 1
    return json.loads(html.unescape(titles[0]))


def test_every_drawing_is_shown(measured: list[dict]) -> None:
    assert len(measured) == len(DRAWN)
    assert all(drawing["shown"] for drawing in measured)
    assert all(len(drawing["words"]) > 40 for drawing in measured)


def test_no_words_overlap(measured: list[dict]) -> None:
    """In a browser's own measure no two texts of a drawing touch."""
    overlaps = [
        (DRAWN[number][0], a, b)
        for number, drawing in enumerate(measured)
        for position, (a, first) in enumerate(drawing["words"])
        for b, other in drawing["words"][position + 1 :]
        if first[0] < other[2]
        and other[0] < first[2]
        and first[1] + 1 < other[3] - 1
        and other[1] + 1 < first[3] - 1
    ]
    assert overlaps == []


def test_no_words_leave_the_page(measured: list[dict]) -> None:
    for drawing in measured:
        left, top, right, bottom = drawing["page"]
        for words, (x0, y0, x1, y1) in drawing["words"]:
            assert left <= x0 < x1 <= right, words
            assert top <= y0 < y1 <= bottom, words
