"""Images and what lies nearest to them: figure 4, right, of Krizhevsky et al. 2012."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from imagetree.errors import TrainingError
from imagetree.pictures.answers import (
    Shown,
    class_of,
    shortened,
    square_picture,
    svg_image,
    svg_page,
)
from imagetree.understanding.neighbours import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from imagetree.training.batches import Images
    from imagetree.understanding.features import Extractor

_WIDTH, _MARGIN = 1280, 24
_HEAD, _LABEL, _ROW_GAP = 84, 38, 14
_GAP, _AFTER_QUERY = 14, 30
_TILE = 159  # seven of them fill the width
_FRAME = 3
_CHARACTER = 8  # pixels that a letter of 12 takes
_STYLE = """
text { font: 12px "DejaVu Sans", Verdana, sans-serif; fill: #1d2b36; }
.title { font-size: 18px; font-weight: bold; } .label { font-weight: bold; }
.soft { fill: #4c5c68; } .line { stroke: #c9d4db; }
.same { fill: none; stroke-width: 3; stroke: #5b9bc0; }
.other { fill: none; stroke-width: 3; stroke: #e8963f; }
"""


@dataclass(frozen=True)
class Tile(Shown):
    """One image of the picture.

    Args:
        distance: from the image that its row begins with; None for that one.
    """

    distance: float | None = None


@dataclass(frozen=True)
class Rows:
    """Images with their neighbours.

    Args:
        tiles: for each image that can be decoded itself, and then its neighbours, nearest first.
        bad: name and reason of each image that cannot be decoded, of both sets.
    """

    tiles: tuple[tuple[Tile, ...], ...]
    bad: tuple[tuple[str, str], ...]


def find_neighbours(
    extractor: Extractor,
    queries: Images,
    images: Images,
    count: int = 6,
    progress: Callable[[int, int], None] | None = None,
) -> Rows:
    """The nearest images of a set for each of some others.

    Args:
        extractor: gives the features that distances are taken between.
        queries: what neighbours are looked for of; one image at least.
        images: where they are looked for.
        count: neighbours for each.
        progress: called with (images done, images in all) while the set goes by.

    Raises:
        TrainingError: there is no such layer, or the set has fewer images than are asked for.
        DatabaseError: an image that could be decoded no longer can.
    """
    asked = extractor.extract(queries)
    bad = [(queries.names[each.index], each.reason) for each in asked.bad]
    if not asked.is_readable.any():
        return Rows((), tuple(bad))
    with closing(extractor.iter_features(images, progress)) as batches:
        found = nearest(asked.values[asked.is_readable], batches, count)
    wnids = extractor.recognizer.wnids
    rows = []
    for row, query in enumerate(np.flatnonzero(asked.is_readable).tolist()):
        near = zip(found.indices[row].tolist(), found.distances[row].tolist(), strict=True)
        tiles = [_tile(images, index, wnids, distance) for index, distance in near]
        rows.append((_tile(queries, query, wnids, None), *tiles))
    bad += [(images.names[each.index], each.reason) for each in found.bad]
    return Rows(tuple(rows), tuple(bad))


def _tile(images: Images, index: int, wnids: Sequence[str], distance: float | None) -> Tile:
    picture, wnid = square_picture(images, index, _TILE), class_of(images, index, wnids)
    return Tile(picture, images.names[index], wnid, distance)


def render_neighbours(rows: Sequence[Sequence[Tile]], title: str) -> str:
    """Draw each query with its neighbours beside it, nearest first.

    A blue frame is a neighbour of the query's own class, an orange one of another; where the
    class of the query is unknown there are no frames.

    Args:
        rows: a query and its neighbours, as many in each.
        title: what is shown.

    Returns:
        SVG text, 1,280 wide for six neighbours; the same rows give the same text.

    Raises:
        TrainingError: there is nothing to show.
    """
    if not rows:
        raise TrainingError("none of the images can be decoded, so there is nothing to draw")
    height = _TILE + _LABEL + _ROW_GAP
    columns = len(rows[0])
    width = max(_WIDTH, 2 * _MARGIN + columns * (_TILE + _GAP) - _GAP + _AFTER_QUERY)
    lines = _head(title, width, _HEAD + len(rows) * height)
    for row, tiles in enumerate(rows):
        for column, tile in enumerate(tiles):
            x = _MARGIN + column * (_TILE + _GAP) + (_AFTER_QUERY if column else 0)
            lines += _drawn(tile, tiles[0], x, _HEAD + row * height)
    return svg_page(width, _HEAD + len(rows) * height, _STYLE, lines)


def _head(title: str, width: int, bottom: int) -> list[str]:
    """The title, what the columns are, and the line between the query and the others."""
    first = _MARGIN + _TILE + _GAP + _AFTER_QUERY
    line = first - (_GAP + _AFTER_QUERY) / 2
    key = width - _MARGIN - 310
    return [
        f'<text class="title" x="{_MARGIN}" y="36">{escape(title)}</text>',
        f'<text class="soft" x="{_MARGIN}" y="68">image</text>',
        f'<text class="soft" x="{first}" y="68">nearest training images, with distance</text>',
        f'<line class="line" x1="{line:g}" x2="{line:g}" y1="56" y2="{bottom - _ROW_GAP}"/>',
        f'<rect class="same" x="{key}" y="57" width="12" height="12"/>',
        f'<text class="soft" x="{key + 20}" y="68">of the same class</text>',
        f'<rect class="other" x="{key + 170}" y="57" width="12" height="12"/>',
        f'<text class="soft" x="{key + 190}" y="68">of another class</text>',
    ]


def _drawn(tile: Tile, query: Tile, x: float, y: float) -> list[str]:
    """An image with its label, and where it is a neighbour with frame and distance."""
    kind = "" if tile.distance is not None else ' class="label"'
    label = escape(shortened(tile.label, _TILE // _CHARACTER))
    lines = [
        svg_image(tile, x, y, _TILE),
        f'<text{kind} x="{x:g}" y="{y + _TILE + 15:g}">{label}</text>',
    ]
    if tile.distance is None:
        return lines
    lines.append(f'<text class="soft" x="{x:g}" y="{y + _TILE + 31:g}">{tile.distance:.1f}</text>')
    if query.wnid is not None:
        frame = "same" if tile.wnid == query.wnid else "other"
        lines.append(
            f'<rect class="{frame}" x="{x + _FRAME / 2:g}" y="{y + _FRAME / 2:g}" '
            f'width="{_TILE - _FRAME}" height="{_TILE - _FRAME}"/>'
        )
    return lines
