"""A network drawn as the paper's figure 2 draws it: a stack of boxes, as SVG.

Each box is the output of a convolution: its height and its depth into the page are the sides of
the maps, its width is their number. In it stands the window of the next convolution, and lines
run from there to the value that it gives. All of it comes from the layers as data.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING

from imagetree.alexnet.counts import LayerCount, count_layers, total
from imagetree.alexnet.layers import (
    AdaptiveAveragePool,
    Architecture,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    LocalResponseNorm,
    MaxPool,
    Relu,
    SameMapNorm,
    Tanh,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEIGHT, _WIDTH, _LINE = 21.0, 3.0, 3.0  # pixels by a power of the side, of maps, of units
_POWER = 0.4  # of the side: 227 is drawn 3 times as high as 13, that all can be seen
_SLANT = (0.36, -0.26)  # of the depth into the page: right and up, by the side's height
_WINDOW_AT = (0.3, 0.3)  # where the window stands in its box: into the page, down
_TOWER_GAP = 34  # pixels between the boxes of two towers
_COLUMN, _TITLE, _CAPTION_LINE = 124, 58, 15
_MARGIN = 18
_STYLE = """
.front { fill: #eef3f6; } .top { fill: #f8fafb; } .side { fill: #d9e3e9; }
.box { stroke: #1d2b36; stroke-width: 1; stroke-linejoin: round; }
.hidden { stroke: #1d2b36; stroke-width: .6; stroke-dasharray: 3 3; fill: none; }
.window { fill: #2a6f97; fill-opacity: .45; stroke: #174a68; stroke-width: .8; }
.value { fill: #174a68; }
.see { stroke: #2a6f97; stroke-width: .8; fill: none; }
.dense { stroke: #5d6d79; stroke-width: .7; fill: none; }
text { font: 12px "DejaVu Sans", Verdana, sans-serif; fill: #1d2b36; }
.title { font-size: 17px; font-weight: bold; } .soft { fill: #4c5c68; }
.size { font-size: 12px; paint-order: stroke; stroke: #fff; stroke-width: 3px; }
.name { font-weight: bold; } .caption { font-size: 11px; }
"""

Point = tuple[float, float]


@dataclass(frozen=True)
class _Stage:
    """What is drawn as one box in each tower: the input, a convolution or a dense layer.

    Args:
        name: of the layer.
        maps: channels, or units of a dense layer.
        side: of the maps; None for a dense layer.
        caption: lines under it: the layer itself, then what follows it up to the next.
        window: side of the convolution's window by the side of what it runs over; 0 if dense.
        groups: of the convolution.
    """

    name: str
    maps: int
    side: int | None
    caption: tuple[str, ...] = ()
    window: float = 0.0
    groups: int = 1


@dataclass(frozen=True)
class _Box:
    """A box on the page: front rectangle at (x, y), and the slant of its depth into the page."""

    x: float
    y: float
    width: float
    height: float
    slant: Point
    stage: _Stage
    maps: int

    def at(self, across: float, inward: float, down: float) -> Point:
        """A point of the box by its three coordinates from 0 to 1."""
        return (
            self.x + across * self.width + inward * self.slant[0],
            self.y + down * self.height + inward * self.slant[1],
        )

    @property
    def right(self) -> float:
        """The rightmost edge."""
        return self.x + self.width + self.slant[0]


def render_drawing(
    architecture: Architecture, num_classes: int = 1000, input_size: int | None = None
) -> str:
    """The network as an SVG; see `count_layers` for the arguments and errors.

    Two towers stand apart, one over the other. The same arguments give the same text.
    """
    counts = count_layers(architecture, num_classes, input_size)
    stages = _stages(counts)
    heights = [_extent(stage, 1)[1] for stage in stages]
    tower = max(_extent(stage, architecture.towers)[1] for stage in stages[1:])
    middle = _TITLE + max(heights[0], architecture.towers * (tower + _TOWER_GAP)) / 2 + _MARGIN
    lines = max(len(stage.caption) for stage in stages) + 1
    bottom = 2 * middle - _TITLE + 16
    columns = [
        _column(stage, number, architecture.towers, (middle, tower))
        for number, stage in enumerate(stages)
    ]
    parts = [_shape(box) for column in columns for box in column]
    for before, after in pairwise(columns):
        parts += _connections(before, after)
    parts += [label for column in columns for box in column for label in _sizes(box)]
    for number, stage in enumerate(stages):
        parts += _caption(stage, _centre(number), bottom)
    width = _COLUMN * len(stages) + 2 * _MARGIN
    return _page(architecture, counts, parts, (width, bottom + lines * _CAPTION_LINE + _MARGIN))


def _stages(counts: tuple[LayerCount, ...]) -> list[_Stage]:
    """The boxes, each with the lines of its caption."""
    channels, side = counts[0].input_shape[:2]
    found: list[tuple[_Stage, list[str]]] = [(_Stage("input", channels, side), [])]
    for count in counts:
        layer = count.layer
        if isinstance(layer, Conv):
            stage = _Stage(
                layer.name,
                layer.depth,
                count.output_shape[1],
                window=min(1.0, layer.kernel / count.input_shape[1]),
                groups=layer.groups,
            )
            found.append((stage, _conv_lines(layer, count)))
        elif isinstance(layer, FullyConnected):
            inputs = " x ".join(f"{size}" for size in count.input_shape)
            stage = _Stage(layer.name, count.output_shape[0], None)
            found.append((stage, ["dense", f"from {inputs}"]))
        else:
            found[-1][1].append(_words(count))
    return [_Stage(s.name, s.maps, s.side, tuple(lines), s.window, s.groups) for s, lines in found]


def _conv_lines(layer: Conv, count: LayerCount) -> list[str]:
    lines = [
        f"{layer.depth} of {layer.kernel} x {layer.kernel} x {count.input_shape[0] // layer.groups}"
    ]
    if layer.stride > 1:
        lines.append(f"stride {layer.stride}")
    if layer.padding:
        lines.append(f"padding {layer.padding}")
    if layer.overhang:
        lines.append("last hangs over")
    if layer.groups > 1:
        lines.append(f"{layer.groups} groups")
    return lines


def _words(count: LayerCount) -> str:
    """A layer without a box in a few words."""
    layer = count.layer
    match layer:
        case Relu():
            return "ReLU"
        case Tanh():
            return "tanh"
        case MaxPool():
            return f"max pool to {count.output_shape[1]} x {count.output_shape[2]}"
        case AdaptiveAveragePool():
            return f"average to {layer.size} x {layer.size}"
        case LocalResponseNorm():
            return f"norm over {layer.size} maps"
        case SameMapNorm():
            return f"norm over {layer.size} x {layer.size}"
        case BatchNorm():
            return "batch norm"
        case Dropout():
            return f"dropout {layer.rate:g}"
        case _:
            raise AssertionError(layer)  # convolutions and dense layers have boxes


def _extent(stage: _Stage, towers: int) -> Point:
    """Width and height in pixels of a stage's box, its depth into the page included."""
    maps = stage.maps if stage.name == "input" else stage.maps / towers
    if stage.side is None:
        height = _LINE * sqrt(maps)
        return 9 + 7, height + 5
    height = _HEIGHT * stage.side**_POWER
    return _WIDTH * sqrt(maps) + _SLANT[0] * height, (1 - _SLANT[1]) * height


def _column(
    stage: _Stage, number: int, towers: int, lay_out: tuple[float, float]
) -> tuple[_Box, ...]:
    """The boxes of a stage, one for each tower; input and classes have one for all of them."""
    middle, tower = lay_out
    is_shared = stage.name in ("input", "fc8")
    num_boxes = 1 if is_shared else towers
    width, height = _extent(stage, num_boxes)
    slant = (7.0, -5.0)
    if stage.side is not None:
        side = _HEIGHT * stage.side**_POWER
        slant = (_SLANT[0] * side, _SLANT[1] * side)
    boxes = []
    for tower_number in range(num_boxes):
        centre = middle + (tower_number - (num_boxes - 1) / 2) * (tower + _TOWER_GAP)
        boxes.append(
            _Box(
                _centre(number) - width / 2,
                centre - height / 2 - slant[1],
                width - slant[0],
                height + slant[1],
                slant,
                stage,
                stage.maps // num_boxes,
            )
        )
    return tuple(boxes)


def _centre(number: int) -> float:
    return _MARGIN + (number + 0.5) * _COLUMN


def _shape(box: _Box) -> str:
    """The three faces that are seen of a box."""
    front = [box.at(0, 0, 0), box.at(1, 0, 0), box.at(1, 0, 1), box.at(0, 0, 1)]
    top = [box.at(0, 0, 0), box.at(0, 1, 0), box.at(1, 1, 0), box.at(1, 0, 0)]
    side = [box.at(1, 0, 0), box.at(1, 1, 0), box.at(1, 1, 1), box.at(1, 0, 1)]
    faces = [("front", front), ("top", top), ("side", side)]
    return (
        f'<g class="stage" data-layer="{escape(box.stage.name)}">'
        + "".join(_polygon(f"box {name}", points) for name, points in faces)
        + "</g>"
    )


def _connections(before: tuple[_Box, ...], after: tuple[_Box, ...]) -> list[str]:
    """Windows and lines from the boxes of a stage to those of the next."""
    stage = after[0].stage
    parts = []
    for start_number, start in enumerate(before):
        for end_number, end in enumerate(after):
            is_other_tower = len(before) == len(after) and start_number != end_number
            if stage.groups > 1 and is_other_tower:
                continue
            if stage.side is None:
                parts += _dense(start, end)
            else:
                share = stage.groups if len(after) == 1 else 1
                parts += _window(start, end, share)
    return parts


def _window(start: _Box, end: _Box, groups: int) -> list[str]:
    """The window of `end` in the box that it runs over, and its lines to the value it gives."""
    inward, down = _WINDOW_AT
    size, across = end.stage.window, 1 / groups
    inward, down = min(inward, 1 - size), min(down, 1 - size)
    near, far, low = inward, inward + size, down + size

    def at(*where: float) -> Point:
        return start.at(*where)

    faces = [
        [at(0, near, down), at(across, near, down), at(across, near, low), at(0, near, low)],
        [at(0, near, down), at(0, far, down), at(across, far, down), at(across, near, down)],
        [
            at(across, near, down),
            at(across, far, down),
            at(across, far, low),
            at(across, near, low),
        ],
    ]
    value = end.at(0.5 / groups, inward, down)
    parts = [_polygon("window", face) for face in faces]
    parts += [_line("see", corner, value) for corner in faces[2]]
    parts.append(f'<circle class="value" cx="{value[0]:.1f}" cy="{value[1]:.1f}" r="2"/>')
    if groups > 1:
        for box in (start, end):
            half = [box.at(across, 0, 1), box.at(across, 0, 0), box.at(across, 1, 0)]
            parts.append(f'<polyline class="hidden" points="{_points(half)}"/>')
    return parts


def _dense(start: _Box, end: _Box) -> list[str]:
    """Lines from the whole of a box to the whole of a dense layer's."""
    ends = ((1, 1, 0), (0, 0, 0)), ((1, 0, 1), (0, 0, 1))
    return [_line("dense", start.at(*a), end.at(*b)) for a, b in ends]


def _sizes(box: _Box) -> list[str]:
    """The numbers at a box: its maps below; the sides at the right edge and the slanting one."""
    x, y = box.at(0.5, 0, 1)
    parts = [_text("size maps", (x, y + 13), f"{box.maps:,}")]
    side = box.stage.side
    if side is not None:
        x, y = box.at(1, 1, 0.86)
        parts.append(_text("size edge", (x + 4, y + 2), str(side), anchor="start"))
        x, y = box.at(1, 0.5, 1)
        parts.append(_text("size edge", (x + 3, y + 13), str(side), anchor="start"))
    return parts


def _caption(stage: _Stage, x: float, top: float) -> list[str]:
    lines = [_text("name", (x, top), stage.name)]
    for number, line in enumerate(stage.caption, start=1):
        lines.append(_text("caption soft", (x, top + number * _CAPTION_LINE), line))
    return lines


def _page(
    architecture: Architecture,
    counts: tuple[LayerCount, ...],
    parts: Sequence[str],
    size: tuple[float, float],
) -> str:
    """The whole SVG around what is drawn."""
    totals = total(counts)
    sums = (
        f"{totals.parameters:,} parameters, {totals.macs / 1e6:,.1f} million multiplications "
        f"for one image"
    )
    title = f"{architecture.name}: {architecture.description}"
    width, height = (round(length) for length in size)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">\n'
        f"<title>{escape(title)}</title>\n<desc>{escape(sums)}</desc>\n<style>{_STYLE}</style>\n"
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
    )
    words = [
        _text("title", (_MARGIN, 26), title, anchor="start"),
        _text("soft", (_MARGIN, 46), sums, anchor="start"),
    ]
    return "\n".join([head, *words, *parts, "</svg>"]) + "\n"


def _polygon(kind: str, points: Sequence[Point]) -> str:
    return f'<polygon class="{kind}" points="{_points(points)}"/>'


def _line(kind: str, a: Point, b: Point) -> str:
    return f'<polyline class="{kind}" points="{_points([a, b])}"/>'


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _text(kind: str, at: Point, words: str, anchor: str = "middle") -> str:
    x, y = at
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(words)}</text>'
