"""All maps of a layer for one image, in a grid beside what the network saw."""

from __future__ import annotations

import io
import math
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from imagetree.pictures.answers import data_url, shortened, svg_page
from imagetree.pictures.filters import render_png, tower_members

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imagetree.understanding.activations import Maps

_WIDTH, _MARGIN, _HEAD = 1280, 24, 92
_SIDE = 240  # pixels of the image at the left
_LEFT = _MARGIN + _SIDE + 64  # of the grid; in front of it stands the number of each row's first
_GAP = 3  # pixels between maps
_TOWER, _TOWER_GAP = 24, 12  # pixels for a tower's name above its maps, and below them
_TEXT_HEIGHT = 168  # of what stands below the image
_ASPECT = 1.5  # of the grid, width over height
_BELOW, _ABOVE = (31, 95, 139), (196, 78, 16)
_CHARACTERS = 32
_CENTRED, _TO_THE_LEFT = 'text-anchor="middle"', 'text-anchor="end"'
_STYLE = """
text { font: 13px "DejaVu Sans", Verdana, sans-serif; fill: #1d2b36; }
.title { font-size: 20px; font-weight: bold; } .formula { font-size: 16px; }
.soft { fill: #4c5c68; font-size: 12px; } .label { font-weight: bold; }
.map { image-rendering: pixelated; } .frame { fill: none; stroke: #c9d4db; }
"""


def map_colours(values: NDArray[np.float32], *, common_scale: bool = False) -> NDArray[np.uint8]:
    """Values as colours: white is zero, orange above, blue below.

    Args:
        values: maps, float32 (C, H, W).
        common_scale: whether the darkest is the greatest absolute value of all maps; else it is
            that of each map.

    Returns:
        uint8 (C, H, W, 3); a map of zeros is white.

    >>> map_colours(np.array([[[-2.0, 0.0, 1.0]]], np.float32))[0, 0].tolist()
    [[31, 95, 139], [255, 255, 255], [226, 166, 136]]
    """
    greatest = np.abs(values).max(axis=None if common_scale else (1, 2), keepdims=True)
    share = values / np.maximum(greatest, np.finfo(np.float32).tiny)
    ends = np.where(share[..., None] < 0, np.array(_BELOW), np.array(_ABOVE))
    colours = 255 + (ends - 255) * np.abs(share)[..., None].astype(np.float64)
    rounded: NDArray[np.uint8] = np.rint(colours).astype(np.uint8)
    return rounded


def render_activations(
    maps: Maps, name: str, *, towers: int = 1, common_scale: bool = False
) -> str:
    """Draw every map of a layer, orange where it is above zero and blue where it is below.

    Zero is white in all of them: in front of a ReLU the blue is what it cuts. Each map has its own
    scale, as most of 96 would be nearly white on that of the strongest: so is seen what a map looks
    for. Which maps respond strongly is seen on one scale for all.

    Args:
        maps: of one image.
        name: of the image.
        towers: parts of the network side by side, `Architecture.towers`; each has its own grid.
        common_scale: whether one scale holds for all maps.

    Returns:
        SVG text, 1,280 wide; the same maps give the same text.

    Raises:
        TrainingError: the maps cannot be parted evenly among the towers.
    """
    count, height, width = maps.values.shape
    columns = math.ceil(math.sqrt(_ASPECT * count))
    step = (_WIDTH - _MARGIN - _LEFT + _GAP) / columns
    colours = map_colours(maps.values, common_scale=common_scale)
    top, tiles = float(_HEAD), []
    for number, members in enumerate(tower_members(count, towers), 1):
        if towers > 1:
            base = top + _TOWER - 9
            tiles.append(f'<text class="label" x="{_LEFT}" y="{base:g}">GPU {number}</text>')
            top += _TOWER
        tiles += _grid(maps, colours, members, (columns, step, top))
        top += -(-(members.stop - members.start) // columns) * step + _TOWER_GAP
    bottom = max(top, _HEAD + _SIDE + _TEXT_HEIGHT) + _MARGIN
    title = f"{maps.layer}: {count} maps of {height} x {width}"
    head = [
        f'<text class="title" x="{_MARGIN}" y="38">{escape(title)}</text>',
        f'<text class="formula" x="{_MARGIN}" y="66">{escape(maps.formula)}</text>',
    ]
    side = [*_image(maps, name), *_key(maps, common_scale=common_scale)]
    return svg_page(_WIDTH, bottom, _STYLE, [*head, *side, *tiles])


def describe_maps(maps: Maps) -> str:
    """The maps in a line: how many, of what size and why, their values."""
    count, height, width = maps.values.shape
    formula = f", {maps.formula}" if maps.formula else ""
    return (
        f"{count} maps of {height} x {width}{formula}; "
        f"values from {maps.values.min():.3g} to {maps.values.max():.3g}, "
        f"{_num_silent(maps)} maps nowhere above zero"
    )


def _num_silent(maps: Maps) -> int:
    return int((maps.values.max(axis=(1, 2)) <= 0).sum())


def _grid(
    maps: Maps, colours: NDArray[np.uint8], members: slice, plan: tuple[int, float, float]
) -> list[str]:
    """The maps of one tower; `plan` has the columns, the pixels from map to map, and the top."""
    columns, step, top = plan
    lines = []
    for place, index in enumerate(range(members.start, members.stop)):
        x, y = _LEFT + place % columns * step, top + place // columns * step
        if place % columns == 0:
            base = y + step / 2 + 2
            text = f'<text class="soft" x="{_LEFT - 10}" y="{base:.2f}" {_TO_THE_LEFT}>'
            lines.append(f"{text}{index}</text>")
        box = f'x="{x:.2f}" y="{y:.2f}" width="{step - _GAP:.2f}" height="{step - _GAP:.2f}"'
        picture = data_url(render_png(colours[index]), "png")
        least, greatest = maps.values[index].min(), maps.values[index].max()
        told = f"<title>map {index}: {least:.3g} to {greatest:.3g}</title>"
        lines += [
            f'<image class="map" {box} href="{picture}">{told}</image>',
            f'<rect class="frame" {box} pointer-events="none"/>',
        ]
    return lines


def _image(maps: Maps, name: str) -> list[str]:
    """What the network saw, and which image it is."""
    buffer = io.BytesIO()
    Image.fromarray(maps.pixels).save(buffer, "PNG")
    box = f'x="{_MARGIN}" y="{_HEAD}" width="{_SIDE}" height="{_SIDE}"'
    below, side = _HEAD + _SIDE, len(maps.pixels)
    shown = escape(shortened(name, _CHARACTERS))
    size = f"{side} x {side} pixels, as the network sees it"
    return [
        f'<image class="seen" {box} href="{data_url(buffer.getvalue(), "png")}"/>',
        f'<text class="label" x="{_MARGIN}" y="{below + 22}">{shown}</text>',
        f'<text class="soft" x="{_MARGIN}" y="{below + 41}">{size}</text>',
    ]


def _key(maps: Maps, *, common_scale: bool) -> list[str]:
    """What the colours mean."""
    y = _HEAD + _SIDE + 64
    greatest = f"{np.abs(maps.values).max():.3g}"
    ends = (f"-{greatest}", greatest) if common_scale else ("below zero", "above zero")
    scale = "one scale for all maps" if common_scale else "each map on its own scale"
    silent = f"{_num_silent(maps)} of {len(maps.values)} maps nowhere above zero"
    stops = "".join(
        f'<stop offset="{offset}" stop-color="rgb{colour}"/>'
        for offset, colour in ((0, _BELOW), (0.5, (255, 255, 255)), (1, _ABOVE))
    )
    right = _MARGIN + _SIDE
    return [
        f'<defs><linearGradient id="scale">{stops}</linearGradient></defs>',
        f'<rect x="{_MARGIN}" y="{y}" width="{_SIDE}" height="16" fill="url(#scale)"/>',
        f'<text class="soft" x="{_MARGIN}" y="{y + 32}">{ends[0]}</text>',
        f'<text class="soft" x="{_MARGIN + _SIDE / 2:g}" y="{y + 32}" {_CENTRED}>0</text>',
        f'<text class="soft" x="{right}" y="{y + 32}" {_TO_THE_LEFT}>{ends[1]}</text>',
        f'<text class="soft" x="{_MARGIN}" y="{y + 62}">{scale}</text>',
        f'<text class="soft" x="{_MARGIN}" y="{y + 81}">{silent}</text>',
    ]
