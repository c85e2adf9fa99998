"""A leaderboard as a page: one HTML file that holds all it shows, opens offline, and runs nothing.

All text of teams goes through the template's escaping, and each piece is its own island of writing
direction. The bars are drawn here as SVG, of numbers alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from imagetree.challenge.bootstrap import CONFIDENCE

if TYPE_CHECKING:
    from imagetree.challenge.score import TopK
    from imagetree.leaderboard.ranking import Standings

Style = Literal["board", "results"]
"""Ranks and intervals; or the plain tables of ILSVRC2012's results page."""
_WIDTH, _HEIGHT, _MARGIN = 280, 22, 14  # of a bar, in CSS pixels
_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
_MAX_TICKS = 6


@dataclass(frozen=True)
class Axis:
    """The scale that all bars of a page share.

    Args:
        ticks: errors that are labelled, as fractions; the first and the last are its ends.
    """

    ticks: tuple[float, ...]

    def x(self, error: float) -> float:
        """Where an error is drawn, in pixels from the left."""
        share = (error - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return round(_MARGIN + share * (_WIDTH - 2 * _MARGIN), 2)


def render_page(shown: Standings, style: Style = "board") -> str:
    """The page of a leaderboard. The same standings give the same bytes.

    Args:
        shown: the entries.
        style: how they are shown.
    """
    environment = Environment(
        loader=PackageLoader("imagetree", "leaderboard"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    k = shown.board.rank_k
    axis = axis_of([row.entry.error_at(k) for row in shown.rows])
    return environment.get_template(f"{style}.html").render(
        board=shown.board,
        rows=shown.rows,
        members=shown.members,
        view=shown.view,
        confidence=f"{CONFIDENCE:.1%}".replace("%", " %"),
        axis=Markup(_draw_axis(axis)),  # of numbers alone, as the bars are
        bar=lambda top: Markup(_draw_bar(axis, top)),
    )


def axis_of(errors: list[TopK]) -> Axis:
    """The scale on which all intervals of some entries have room.

    >>> axis_of([]).ticks
    (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    """
    low = min((top.interval.low for top in errors), default=0.0)
    high = max((top.interval.high for top in errors), default=1.0)
    for step in _STEPS:
        first, last = (
            math.floor(low / step),
            max(math.ceil(high / step), math.floor(low / step) + 1),
        )
        if last - first < _MAX_TICKS:
            break
    return Axis(tuple(round(number * step, 3) for number in range(first, last + 1)))


def _draw_axis(axis: Axis) -> str:
    labels = "".join(
        f'<text x="{axis.x(tick)}" y="15" text-anchor="middle">{_percent(tick)}</text>'
        for tick in axis.ticks
    )
    return f'{_svg_head("axis")} aria-hidden="true">{labels}</svg>'


def _draw_bar(axis: Axis, top: TopK) -> str:
    """The interval of an error as a bar, the error itself as a dot on it."""
    middle = _HEIGHT / 2
    grid = "".join(
        f'<line class="grid" x1="{axis.x(tick)}" x2="{axis.x(tick)}" y1="0" y2="{_HEIGHT}"/>'
        for tick in axis.ticks
    )
    low, high = (axis.x(end) for end in top.interval)
    label = (
        f"error {100 * top.error:.2f} %, between {100 * top.interval.low:.2f} % "
        f"and {100 * top.interval.high:.2f} %"
    )
    return (
        f'{_svg_head("bar")} role="img" aria-label="{label}"><title>{label}</title>{grid}'
        f'<rect class="range" x="{low}" y="{middle - 3}" width="{max(high - low, 1):.2f}" '
        f'height="6" rx="3"/><circle class="dot" cx="{axis.x(top.error)}" cy="{middle}" r="4.5"/>'
        "</svg>"
    )


def _svg_head(kind: str) -> str:
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg class="{kind}" {size}'


def _percent(error: float) -> str:
    return f"{100 * error:.4g} %"
