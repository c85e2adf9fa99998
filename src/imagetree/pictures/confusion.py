"""The confusion matrix with the hierarchy beside it: kin stand together, and so do errors."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from imagetree.pictures.answers import data_url, shortened, svg_page
from imagetree.pictures.filters import render_png
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imagetree.understanding.confusion import Confusion, Group

_WIDTH, _MARGIN, _HEAD, _FOOT = 1280, 24, 78, 62
_COLUMN = 100  # pixels that a level of the tree takes
_MAX_LEVELS, _MAX_LEVELS_NAMED = 5, 3  # of the tree: without and with names of the classes
_LEAST_SHARE = 0.018  # of all classes: a group below it has no room for its name
_NAMES, _TOP_NAMES, _OVERHANG = (
    150,
    100,
    96,
)  # pixels: class names at the left, above, their overhang
_LEAST_NAMED, _LEAST_NAMED_ABOVE = 11, 16  # pixels of a class that has its name: left, above too
_LEAST_COUNTED = 24  # pixels of a cell that has its number
_LEAST_FOR_TWO_LINES = 32  # pixels of a group that says its share too
_GROUP_CHARACTERS, _NAME_CHARACTERS = 15, 18
_DARK = 0.35  # share from which on a cell's number is white
_RIGHT_COLOUR, _WRONG_COLOUR = (31, 95, 139), (196, 78, 16)
_GAP = 8  # pixels between the tree and a matrix without names
_ROOT, _SMALL_ROOT = 0.5, 0.25  # of the share: how dark a cell is, and one that has no name
_SWATCHES = (0.01, 0.05, 0.25, 1.0)
_CENTRED, _TO_THE_LEFT = 'text-anchor="middle"', 'text-anchor="end"'
_STYLE = """
text { font: 12px "DejaVu Sans", Verdana, sans-serif; fill: #1d2b36; }
.title { font-size: 18px; font-weight: bold; } .soft { fill: #4c5c68; }
.small { font-size: 11px; } .light { fill: #fff; }
.group { fill: #e9f0f4; stroke: #fff; stroke-width: 2; }
.block { fill: none; stroke: #7d93a1; stroke-width: .8; } .frame { fill: none; stroke: #7d93a1; }
"""


@dataclass(frozen=True)
class _Plan:
    """Where things stand, in pixels.

    Args:
        x: of the matrix.
        y: of the matrix.
        side: of the matrix.
        cell: side of one cell.
        num_levels: levels of the tree that are drawn.
        has_names: whether the classes are named at the left.
        has_names_above: whether above the matrix, too.
    """

    x: float
    y: float
    side: float
    cell: float
    num_levels: int
    has_names: bool
    has_names_above: bool = False

    @property
    def root(self) -> float:
        """Power of a cell's share that makes its colour: small cells need the stronger ones."""
        return _ROOT if self.has_names else _SMALL_ROOT


def render_confusion(confusion: Confusion, title: str) -> str:
    """Draw a confusion matrix with the tree of its classes at the left.

    Each cell is shaded by its share of the class's images; a root of it, that single errors be seen
    beside many right answers. Classes are named where there is room, up to about 70; else their
    groups alone are. A group says which share of the errors on its classes stays in it.

    Args:
        confusion: what was taken for what.
        title: what is shown.

    Returns:
        SVG text, 1,280 wide; the same figures give the same text.
    """
    plan = _plan(confusion)
    shown = _shown_groups(confusion, plan.num_levels)
    error = confusion.num_errors / confusion.num_images
    subtitle = (
        f"rows: true class; columns: first answer, in the same order. "
        f"{confusion.num_images:,} images, {error:.1%} answered wrongly"
    )
    lines = [
        f'<text class="title" x="{_MARGIN}" y="36">{escape(title)}</text>',
        f'<text class="soft" x="{_MARGIN}" y="60">{subtitle}</text>',
        _cells(confusion.matrix, plan),
    ]
    for group in shown:
        lines += _group(group, confusion.matrix, plan)
    if plan.has_names:
        lines += _names(confusion.wnids, plan)
    if plan.cell >= _LEAST_COUNTED:
        lines += _counts(confusion.matrix, plan)
    lines += _legend(plan)
    return svg_page(_WIDTH, plan.y + plan.side + _FOOT, _STYLE, lines)


def cell_colours(matrix: NDArray[np.int64], root: float = _ROOT) -> NDArray[np.uint8]:
    """Colours of the cells by their share of the row: blue on the diagonal, orange beside it.

    Args:
        matrix: images by class and answer; int64 (K, K).
        root: power of the share that makes the colour, 0.5 for the square root.

    Returns:
        uint8 (K, K, 3); white where there are none.
    """
    return _shade(_shares(matrix), np.eye(len(matrix), dtype=np.bool_), root)


def _shares(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of the images of each row; float64 (K, K), zeros where a class has no image."""
    shares: NDArray[np.float64] = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    return shares


def _shade(
    shares: NDArray[np.float64], is_right: NDArray[np.bool_], root: float
) -> NDArray[np.uint8]:
    depth = np.power(shares, root)[..., None]
    full = np.where(is_right[..., None], _RIGHT_COLOUR, _WRONG_COLOUR)
    return np.rint(255 + depth * (full - 255.0)).astype(np.uint8)


def _shown_groups(confusion: Confusion, max_levels: int) -> list[Group]:
    """Those that are large enough for a name."""
    least = _LEAST_SHARE * len(confusion.wnids)
    return [
        each
        for each in confusion.groups
        if each.level < max_levels and each.stop - each.start >= least
    ]


def _plan(confusion: Confusion) -> _Plan:
    """The layout with most names that there is room for."""
    count = len(confusion.wnids)
    num_levels = _num_levels(confusion, _MAX_LEVELS_NAMED)
    left = _MARGIN + num_levels * _COLUMN + _NAMES
    side = _WIDTH - left - _OVERHANG
    if side >= _LEAST_NAMED_ABOVE * count:
        top = _HEAD + _TOP_NAMES
        return _Plan(left, top, side, side / count, num_levels, True, True)
    side = _WIDTH - left - _MARGIN
    if side >= _LEAST_NAMED * count:
        return _Plan(left, _HEAD, side, side / count, num_levels, True)
    num_levels = _num_levels(confusion, _MAX_LEVELS)
    left = _MARGIN + num_levels * _COLUMN + _GAP
    side = _WIDTH - left - _MARGIN
    return _Plan(left, _HEAD, side, side / count, num_levels, False)


def _num_levels(confusion: Confusion, max_levels: int) -> int:
    return 1 + max((each.level for each in _shown_groups(confusion, max_levels)), default=-1)


def _cells(matrix: NDArray[np.int64], plan: _Plan) -> str:
    """The matrix as a picture of whole pixels."""
    picture = data_url(render_png(cell_colours(matrix, plan.root), max(1, int(plan.cell))), "png")
    how = ' style="image-rendering:pixelated"' if plan.cell >= 1 else ""  # else cells would be lost
    place = f'x="{plan.x:g}" y="{plan.y:g}" width="{plan.side:g}" height="{plan.side:g}"'
    return (
        f'<image {place} preserveAspectRatio="none" href="{picture}"{how}/>'
        f'<rect class="frame" {place}/>'
    )


def _group(group: Group, matrix: NDArray[np.int64], plan: _Plan) -> list[str]:
    """A group's box in the tree, and its block in the matrix."""
    synset = load_nouns().synset(group.wnid)
    start, size = group.start * plan.cell, (group.stop - group.start) * plan.cell
    x, y = _MARGIN + group.level * _COLUMN, plan.y + start
    middle, centre = x + _COLUMN / 2, y + size / 2
    name = escape(shortened(synset.lemma, _GROUP_CHARACTERS))
    told = f"{synset.words}: {group.stop - group.start} classes"
    staying = _share_staying(matrix, group)
    if staying is not None:
        told += f", {staying:.0%} of the errors on them stay in it"
    if staying is None or size < _LEAST_FOR_TWO_LINES:
        words = [_words("small", middle, centre + 4, name)]
    else:
        words = [
            _words("small", middle, centre - 3, name),
            _words("small soft", middle, centre + 12, f"{staying:.0%}"),
        ]
    box = f'<rect class="group" x="{x:g}" y="{y:g}" width="{_COLUMN}" height="{size:g}"/>'
    left = plan.x + start
    block = f'<rect class="block" x="{left:g}" y="{y:g}" width="{size:g}" height="{size:g}"/>'
    return [f"<g><title>{escape(told)}</title>", box, *words, "</g>", block]


def _words(kind: str, x: float, y: float, words: str, more: str = _CENTRED) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" {more}>{words}</text>'


def _share_staying(matrix: NDArray[np.int64], group: Group) -> float | None:
    """Which share of the errors on the group's classes are classes of the group; None if none."""
    rows = matrix[group.start : group.stop]
    block = rows[:, group.start : group.stop]
    right = int(np.trace(block))
    errors = int(rows.sum()) - right
    return (int(block.sum()) - right) / errors if errors else None


def _names(wnids: tuple[str, ...], plan: _Plan) -> list[str]:
    """The first word of each class at its row and, where there is room, slanting at its column."""
    kind = "" if plan.has_names_above else "small"
    lines = []
    for index, wnid in enumerate(wnids):
        name = escape(shortened(load_nouns().synset(wnid).lemma, _NAME_CHARACTERS))
        middle = (index + 0.5) * plan.cell
        lines.append(_words(kind, plan.x - 7, plan.y + middle + 4, name, _TO_THE_LEFT))
        if plan.has_names_above:
            x, y = plan.x + middle + 3, plan.y - 6
            lines.append(_words(kind, x, y, name, f'transform="rotate(-45 {x:g} {y:g})"'))
    return lines


def _counts(matrix: NDArray[np.int64], plan: _Plan) -> list[str]:
    """The number of images in each cell that has any."""
    shares = _shares(matrix)
    lines = []
    for row, column in np.argwhere(matrix).tolist():
        x, y = plan.x + (column + 0.5) * plan.cell, plan.y + (row + 0.5) * plan.cell + 4
        kind = "light" if shares[row, column] > _DARK else ""
        lines.append(_words(kind, x, y, str(matrix[row, column])))
    return lines


def _legend(plan: _Plan) -> list[str]:
    """What the colours and the percentages mean."""
    y = plan.y + plan.side + 22
    lines = [_words("soft", plan.x, y + 11, "share of the class's images", "")]
    x = plan.x + 182
    for words, is_right in (("wrong", False), ("right", True)):
        lines.append(_words("soft", x, y + 11, words, ""))
        x += 46
        for share in _SWATCHES:
            red, green, blue = _shade(np.array(share), np.array(is_right), plan.root).tolist()
            colour = f'fill="rgb({red},{green},{blue})"'
            lines.append(f'<rect x="{x:g}" y="{y:g}" width="14" height="14" {colour}/>')
            lines.append(_words("soft", x + 19, y + 11, f"{share:.0%}", ""))
            x += 55
        x += 10
    if plan.num_levels:
        lines.append(_words("small soft", _MARGIN, y + 4, "%: share of a group's errors", ""))
        lines.append(_words("small soft", _MARGIN, y + 19, "that stay in the group", ""))
    return lines
