"""What excites the units of a layer: for each the crops of the images that it responds to most."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from imagetree.errors import TrainingError
from imagetree.pictures.answers import class_of, data_url, shortened, svg_page
from imagetree.pictures.filters import render_png
from imagetree.understanding.activations import seen_pixels
from imagetree.understanding.units import receptive_box
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from imagetree.recognition.recognizer import Recognizer
    from imagetree.training.batches import Images
    from imagetree.understanding.units import Field, Strongest

_WIDTH, _MARGIN, _HEAD = 1280, 24, 104
_NAMES = 208  # pixels for what stands in front of the crops
_TILE, _GAP, _LABEL, _ROW_GAP = 104, 11, 20, 16
_BEYOND = 226  # grey of what a field sees beyond the image's edge: padding
_NUM_CLASSES = 3
_CHARACTER = 6.5  # pixels that a letter takes
_SMALL = 40  # pixels of a crop below which each is drawn as a square
_TO_THE_LEFT = 'text-anchor="end"'
_STYLE = """
text { font: 12px "DejaVu Sans", Verdana, sans-serif; fill: #1d2b36; }
.title { font-size: 20px; font-weight: bold; } .soft { fill: #4c5c68; }
.unit { font-size: 14px; font-weight: bold; } .line { stroke: #dde5ea; }
.bar { fill: #a9c8dc; } .track { fill: #eef3f6; } .coarse { image-rendering: pixelated; }
"""


@dataclass(frozen=True)
class UnitTile:
    """One image that excites a unit.

    Args:
        name: of the image.
        wnid: of its class; None where that is unknown.
        value: the response.
        crop: what the unit saw; uint8 (h, h, 3), grey where that lies beyond the image's edge.
        field: where that lies in the image.
    """

    name: str
    wnid: str | None
    value: float
    crop: NDArray[np.uint8]
    field: Field

    @property
    def label(self) -> str:
        """The first word of its class; nothing where that is unknown."""
        return load_nouns().synset(self.wnid).lemma if self.wnid else ""


@dataclass(frozen=True)
class UnitRow:
    """A unit with what excites it.

    Args:
        unit: its number, from 0.
        classes: wnid and share of the classes that drive it, greatest share first; see
            `Strongest.class_shares`.
        tiles: most exciting first.
    """

    unit: int
    classes: tuple[tuple[str, float], ...]
    tiles: tuple[UnitTile, ...]

    def to_json(self) -> dict[str, object]:
        """What is shown, as plain values: `seen` is left, top, width and height in pixels."""
        nouns = load_nouns()
        return {
            "unit": self.unit,
            "classes": [
                {"wnid": wnid, "words": nouns.synset(wnid).words, "share": share}
                for wnid, share in self.classes
            ],
            "images": [
                {
                    "name": each.name,
                    "wnid": each.wnid,
                    "response": each.value,
                    "seen": list(each.field.seen),
                }
                for each in self.tiles
            ],
        }

    @property
    def classes_in_words(self) -> str:
        """The classes that drive it in a line, with their shares."""
        lemmas = [(load_nouns().synset(wnid).lemma, share) for wnid, share in self.classes]
        return ", ".join(f"{lemma} {share:.0%}" for lemma, share in lemmas)


def unit_rows(
    recognizer: Recognizer, images: Images, found: Strongest, units: Sequence[int]
) -> tuple[UnitRow, ...]:
    """The rows of a picture; the images in it are decoded once more, each once.

    Args:
        recognizer: the network, and how it is shown images.
        images: those that were searched.
        found: what was found.
        units: their numbers, in the order of the rows.

    Raises:
        TrainingError: there is no number, or one is no unit of the layer.
        DatabaseError: an image that could be decoded no longer can.
    """
    if not units:
        raise TrainingError(
            f"no unit of {found.layer} responds above zero to {found.values.shape[1]} images",
            hint="name the units to draw with --units, or ask for fewer images with --count",
        )
    for unit in units:
        if not 0 <= unit < len(found.values):
            raise TrainingError(
                f"{found.layer} has no unit {unit} (expected 0 to {len(found.values) - 1})",
                hint="name others with --units",
            )
    needed = np.unique(found.indices[list(units)]).tolist()
    seen = {index: seen_pixels(recognizer, images, index) for index in needed}
    return tuple(
        UnitRow(
            unit,
            _driving(found.class_shares[unit], recognizer.wnids),
            tuple(
                _tile(recognizer, images, found, (unit, rank), seen)
                for rank in range(found.values.shape[1])
            ),
        )
        for unit in units
    )


def _driving(shares: NDArray[np.float64], wnids: Sequence[str]) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-shares, kind="stable")[:_NUM_CLASSES].tolist()
    return tuple((wnids[index], float(shares[index])) for index in order if shares[index] > 0)


def _tile(
    recognizer: Recognizer,
    images: Images,
    found: Strongest,
    which: tuple[int, int],
    seen: dict[int, NDArray[np.uint8]],
) -> UnitTile:
    index = int(found.indices[which])
    row, column = found.places[which].tolist()
    pixels = seen[index]
    field = receptive_box(recognizer.network, found.layer, (row, column), len(pixels))
    return UnitTile(
        images.names[index],
        class_of(images, index, recognizer.wnids),
        float(found.values[which]),
        cut_field(pixels, field),
        field,
    )


def cut_field(pixels: NDArray[np.uint8], field: Field) -> NDArray[np.uint8]:
    """What a value sees of an image, in its place within the square that it would see without edge.

    Where the field is larger than the image, the image is its square.

    Args:
        pixels: of the image; uint8 (S, S, 3).
        field: of the value.

    Returns:
        uint8 (h, h, 3); light grey where nothing is seen.
    """
    side = len(pixels)
    frame, seen = field.whole, field.seen
    if frame.width > side or frame.height > side:
        frame = frame._replace(left=0, top=0, width=side, height=side)
    crop = np.full((frame.height, frame.width, 3), _BEYOND, np.uint8)
    top, left = seen.top - frame.top, seen.left - frame.left
    crop[top : top + seen.height, left : left + seen.width] = pixels[
        seen.top : seen.top + seen.height, seen.left : seen.left + seen.width
    ]
    return crop


def caption(found: Strongest, rows: Sequence[UnitRow], *, are_selected: bool) -> tuple[str, str]:
    """What the picture shows and how it is to be read, a line each.

    Args:
        found: what was found.
        rows: what is shown of it; one at least.
        are_selected: whether the units are those of `most_selective`.
    """
    height, width, _ = rows[0].tiles[0].crop.shape
    chosen = (
        ", those of which a single class has the greatest share, class by class"
        if are_selected
        else ""
    )
    even = f"{1 / found.class_shares.shape[1]:.1%}"
    crops = f"the {width} x {height} pixels that the greatest value sees, grey beyond the image"
    bars = f"a class's share of the unit's mean response, {even} each if it had no preference"
    return (
        f"{len(rows)} of {len(found.values)} units{chosen}",
        f"crops: {crops}; bars: {bars}",
    )


def render_units(rows: Sequence[UnitRow], title: str, about: Sequence[str] = ()) -> str:
    """Draw a row for each unit: the classes that drive it, and the crops that excite it most.

    Args:
        rows: one at least, as many crops in each.
        title: what is shown.
        about: lines below the title, two at most.

    Returns:
        SVG text, 1,280 wide for nine crops; the same rows give the same text.
    """
    num_tiles = len(rows[0].tiles)
    width = max(_WIDTH, 2 * _MARGIN + _NAMES + num_tiles * (_TILE + _GAP) - _GAP)
    height = _TILE + _LABEL + _ROW_GAP
    lines = [
        f'<text class="title" x="{_MARGIN}" y="38">{escape(title)}</text>',
        *(
            f'<text class="soft" x="{_MARGIN}" y="{62 + 18 * number}">{escape(line)}</text>'
            for number, line in enumerate(about)
        ),
    ]
    for number, row in enumerate(rows):
        y = _HEAD + number * height
        ends = f'x1="{_MARGIN}" x2="{width - _MARGIN}"'
        between = y - _ROW_GAP / 2
        lines.append(f'<line class="line" {ends} y1="{between:g}" y2="{between:g}"/>')
        lines += _head(row, y)
        for place, tile in enumerate(row.tiles):
            lines += _drawn(tile, _MARGIN + _NAMES + place * (_TILE + _GAP), y)
    return svg_page(width, _HEAD + len(rows) * height, _STYLE, lines)


def _head(row: UnitRow, y: float) -> list[str]:
    """The unit's number, and bars for the classes that drive it."""
    lines = [f'<text class="unit" x="{_MARGIN}" y="{y + 14:g}">unit {row.unit}</text>']
    if not row.classes:
        lines.append(f'<text class="soft" x="{_MARGIN}" y="{y + 38:g}">never above zero</text>')
    room = _NAMES - 20
    for place, (wnid, share) in enumerate(row.classes):
        top = y + 26 + place * 26
        lemma = shortened(load_nouns().synset(wnid).lemma, int((room - 42) / _CHARACTER))
        sides = f'x="{_MARGIN}" y="{top:g}" height="21"'
        lines += [
            f'<rect class="track" {sides} width="{room}"/>',
            f'<rect class="bar" {sides} width="{share * room:.2f}"/>',
            f'<text x="{_MARGIN + 6}" y="{top + 15:g}">{escape(lemma)}</text>',
            f'<text x="{_MARGIN + room - 6}" y="{top + 15:g}" {_TO_THE_LEFT}>{share:.0%}</text>',
        ]
    return lines


def _drawn(tile: UnitTile, x: float, y: float) -> list[str]:
    """A crop with its label; name, value and place are shown where the mouse points at it."""
    coarse = ' class="coarse"' if len(tile.crop) < _SMALL else ""
    label = escape(shortened(tile.label, int(_TILE / _CHARACTER)))
    seen = tile.field.seen
    told = (
        f"{tile.name}: {tile.value:.3g}, {seen.width} x {seen.height} pixels "
        f"at {seen.left}, {seen.top}"
    )
    picture = data_url(render_png(tile.crop), "png")
    box = f'x="{x:g}" y="{y:g}" width="{_TILE}" height="{_TILE}"'
    return [
        f'<image{coarse} {box} href="{picture}"><title>{escape(told)}</title></image>',
        f'<text x="{x:g}" y="{y + _TILE + 15:g}">{label}</text>',
    ]
