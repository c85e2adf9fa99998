"""A treemap: rectangles whose areas are as their values, none of them too narrow.

Source of the layout: Bruls, Huizing and van Wijk, "Squarified Treemaps" (2000): rectangles are laid
in rows along the shorter side of what is left, and a row takes another one for as long as its worst
ratio of sides becomes no worse by it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Rect(NamedTuple):
    """A rectangle; its corner is the upper left one."""

    x: float
    y: float
    width: float
    height: float


def squarify(values: Sequence[float], area: Rect) -> list[Rect]:
    """Rectangles that fill an area, in the order of their values.

    Args:
        values: above zero, falling: the layout is good only then.
        area: to be filled.

    >>> squarify([3, 1], Rect(0, 0, 8, 4))
    [Rect(x=0, y=0, width=6.0, height=4.0), Rect(x=6.0, y=0, width=2.0, height=4.0)]
    """
    if not values:
        return []
    scale = area.width * area.height / sum(values)
    sizes = [value * scale for value in values]
    found: list[Rect] = []
    while sizes:
        side = min(area.width, area.height)
        number = 1
        while number < len(sizes) and _worst(sizes[: number + 1], side) <= _worst(
            sizes[:number], side
        ):
            number += 1
        row, sizes = sizes[:number], sizes[number:]
        placed, area = _lay(row, area)
        found += placed
    return found


def grid(number: int, area: Rect) -> list[Rect]:
    """So many rectangles that fill an area in rows, as square as they can be.

    The last row may have fewer, which are wider.

    >>> [(rect.x, rect.y, rect.width) for rect in grid(3, Rect(0, 0, 4, 4))]
    [(0.0, 0.0, 2.0), (2.0, 0.0, 2.0), (0.0, 2.0, 4.0)]
    """
    num_rows = min(max(1, round((number * area.height / area.width) ** 0.5)), number)
    found: list[Rect] = []
    for row in range(num_rows):
        first, last = (math.ceil(number * each / num_rows) for each in (row, row + 1))
        width, height = area.width / (last - first), area.height / num_rows
        found += [
            Rect(area.x + width * column, area.y + height * row, width, height)
            for column in range(last - first)
        ]
    return found


def _worst(row: Sequence[float], side: float) -> float:
    """The worst ratio of sides in a row along a side."""
    depth = sum(row) / side
    return max(max(depth * depth / size, size / (depth * depth)) for size in row)


def _lay(row: Sequence[float], area: Rect) -> tuple[list[Rect], Rect]:
    """A row along the shorter side of an area, and what is left of the area."""
    total, placed = sum(row), []
    if area.width >= area.height:
        depth, y = total / area.height, area.y
        for size in row:
            placed.append(Rect(area.x, y, depth, size / depth))
            y += size / depth
        return placed, Rect(area.x + depth, area.y, max(area.width - depth, 0.0), area.height)
    depth, x = total / area.width, area.x
    for size in row:
        placed.append(Rect(x, area.y, size / depth, depth))
        x += size / depth
    return placed, Rect(area.x, area.y + depth, area.width, max(area.height - depth, 0.0))
