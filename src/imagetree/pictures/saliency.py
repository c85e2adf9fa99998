"""Why a network says what it says of an image: six maps of the image, five units' deconvnets."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imagetree.pictures.answers import data_url, shortened, svg_page
from imagetree.pictures.filters import render_png
from imagetree.pictures.units import cut_field
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from imagetree.understanding.saliency import Brought, Occlusion, Study

_COLUMNS, _TILE, _GAP, _MARGIN = 6, 192, 16, 24  # pixels: 1,280 in a row
_HEAD, _LABEL = 94, 26  # above the first row, and of the line above each
_BAR, _BELOW_TILE = 10, 84
_CHARACTERS, _LONGEST, _WIDEST = 26, 40, 175  # below a tile, of a name in the title, of a line
_AGAINST, _FOR = (31, 95, 139), (214, 70, 10)  # colours of values below and above zero
_GREY = 128  # of a signal of zero
_SHARE = 99.5  # per cent of a signal's values that are within the scale
_LEAST = float(np.finfo(np.float32).tiny)  # that a scale may have
_FADED = 0.75  # what is left of an image's darkness below an overlay
_STRONGEST = 0.9  # of the overlay's colour at the greatest value, the rest is the image's
_CENTRED, _TO_THE_LEFT = 'text-anchor="middle"', 'text-anchor="end"'
_STYLE = """
text { font: 13px "DejaVu Sans", Verdana, sans-serif; fill: #1d2b36; }
.title { font-size: 20px; font-weight: bold; } .label { font-weight: bold; }
.soft { fill: #4c5c68; font-size: 12px; } .coarse { image-rendering: pixelated; }
.square { fill: none; stroke: #1d2b36; stroke-width: 1.5; stroke-dasharray: 4 3; }
"""


def overlay(
    pixels: NDArray[np.uint8], values: NDArray[np.float32], greatest: float
) -> NDArray[np.uint8]:
    """A map over an image without colours: orange above zero, blue below, nothing at zero.

    Args:
        pixels: uint8 (H, W, 3), RGB.
        values: float32 (H, W).
        greatest: the absolute value that has the full colour.

    Returns:
        uint8 (H, W, 3).
    """
    luma = (pixels * np.array([0.299, 0.587, 0.114])).sum(2)  # of ITU-R BT.601
    grey = 255 - _FADED * (255 - luma)
    share = np.clip(values / max(greatest, _LEAST), -1, 1)[..., None]
    colour = np.where(share < 0, np.array(_AGAINST), np.array(_FOR))
    opacity = _STRONGEST * np.abs(share)
    mixed: NDArray[np.uint8] = np.rint((1 - opacity) * grey[..., None] + opacity * colour).astype(
        np.uint8
    )
    return mixed


def signal_colours(signal: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A signal at the pixels in its colours, grey where it is zero.

    The scale is that of the 99.5th percentile of the absolute values, as single pixels are far
    beyond the others.

    Args:
        signal: float32 (3, H, W).

    Returns:
        uint8 (H, W, 3).
    """
    scaled = np.clip(signal / _scale(np.abs(signal)), -1, 1)
    colours: NDArray[np.uint8] = np.rint(_GREY + (255 - _GREY) * scaled).astype(np.uint8)
    return colours.transpose(1, 2, 0)


def ink(gradient: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A gradient as ink on white: the greatest absolute value of the channels.

    So is the class saliency map of Simonyan et al. 2014, section 3.1, white on black there.

    Args:
        gradient: float32 (3, H, W).

    Returns:
        uint8 (H, W, 3), three times the same.
    """
    strength = np.abs(gradient).max(axis=0)
    share = np.clip(strength / _scale(strength), 0, 1)
    white: NDArray[np.uint8] = np.rint(255 * (1 - share)).astype(np.uint8)
    return white[..., None].repeat(3, axis=2)


def _scale(strengths: NDArray[np.float32]) -> float:
    """Of values not below zero: what most of them are within; never zero."""
    usual = float(np.percentile(strengths, _SHARE)) or float(np.max(strengths))
    return max(usual, _LEAST)


def unit_tiles(
    brought: Brought, pixels: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A unit's signal in what it saw of the image, and the image there; uint8 (h, h, 3) each."""
    seen = brought.field.seen
    box = (slice(seen.top, seen.top + seen.height), slice(seen.left, seen.left + seen.width))
    colours = np.full_like(pixels, _GREY)
    colours[box] = signal_colours(brought.projection.signal[:, *box])
    return cut_field(colours, brought.field), cut_field(pixels, brought.field)


def describe_study(study: Study) -> list[str]:
    """The image, the class and its probability; and the likeliest class, where that is another."""
    name = shortened(Path(study.name).name, _LONGEST)
    told = [f"{name}: {_word(study.wnid)}, {study.occlusion.probability:.1%}"]
    wnid, probability = study.likeliest
    if wnid != study.wnid:
        told.append(f"the likeliest is {_word(wnid)}, {probability:.1%}")
    return told


def describe_occlusion(occlusion: Occlusion) -> str:
    """Where covering takes most from the probability, in a line."""
    row, column = _place_of_most(occlusion)
    rows, columns = occlusion.centres
    return (
        f"{occlusion.side} x {occlusion.side} pixels covered around row {rows[row]}, column "
        f"{columns[column]}: {occlusion.probability:.1%} become "
        f"{occlusion.probabilities[row, column]:.1%}, the least of "
        f"{occlusion.probabilities.size} places"
    )


def render_saliency(study: Study) -> str:
    """Draw the image and what each method says of it, and the strongest units' deconvnets.

    Args:
        study: of one image.

    Returns:
        SVG text, 1,280 wide for five convolutions; the same study gives the same text.
    """
    second = _HEAD + _LABEL + _TILE + _BELOW_TILE
    columns = max(_COLUMNS, 1 + len(study.units))
    width = 2 * _MARGIN + columns * (_TILE + _GAP) - _GAP
    about = (
        "orange speaks for the class, blue against it; dashed is where covering takes most; "
        "gradients are those of the class's logit by the pixels that the network saw"
    )
    title, *likeliest = describe_study(study)
    head = [
        f'<text class="title" x="{_MARGIN}" y="36">{escape(title)}</text>',
        *_lines(_MARGIN, 60, [*likeliest, about], longest=_WIDEST),
    ]
    below = [
        *_lines(_MARGIN, second + _LABEL - 10, ["deconvnet"], kind="label"),
        *_lines(
            _MARGIN,
            second + _LABEL + 14,
            [
                "the strongest unit behind",
                "each convolution, brought",
                "down to the pixels from",
                "its strongest place:",
                "unpooled, rectified,",
                "filtered by the transposed",
                "filters",
            ],
        ),
        *_lines(
            _MARGIN,
            second + _LABEL + _TILE + _GAP / 2 + 14,
            ["what the unit saw of the", "image; pale where it ends"],
        ),
    ]
    units = [
        line
        for number, each in enumerate(study.units, 1)
        for line in _unit(each, study.pixels, _left(number), second)
    ]
    bottom = second + _LABEL + 2 * _TILE + _GAP / 2 + 60
    return svg_page(width, bottom, _STYLE, [*head, *_maps(study), *below, *units])


def _maps(study: Study) -> list[str]:
    """The first row: the image, and the maps beside it."""
    side = len(study.pixels)
    occlusion, cam = study.occlusion, study.cam
    greatest = float(np.abs(occlusion.drop).max())
    most = float(cam.values.max())
    height, width = cam.values.shape
    square = f"{occlusion.side} x {occlusion.side} square"
    panels: list[tuple[str, NDArray[np.uint8], Sequence[str]]] = [
        ("image", study.pixels, [Path(study.name).name, f"{side} x {side} pixels"]),
        (
            "occlusion",
            overlay(study.pixels, occlusion.drop_at_pixels(), greatest),
            ["", "", "probability lost under a", square],
        ),
        (
            "Grad-CAM",
            overlay(study.pixels, cam.at_pixels(), most),
            ["", "", f"of {cam.layer}, {len(cam.weights)} maps", f"of {height} x {width}"],
        ),
        ("gradient", ink(study.gradient), ["the darker, the more the", "logit depends on a pixel"]),
        ("guided gradient", signal_colours(study.guided), ["grey is zero"]),
        (
            "guided Grad-CAM",
            signal_colours(study.guided_cam),
            ["guided gradient, times", "Grad-CAM"],
        ),
    ]
    lines = []
    for number, (label, picture, told) in enumerate(panels):
        x, y = _left(number), _HEAD + _LABEL
        lines += _lines(x, y - 10, [label], kind="label")
        lines.append(_tile(picture, x, y))
        lines += _lines(x, y + _TILE + 18, told)
    ends = (f"-{greatest:.2g}", "0", f"{greatest:.2g}")
    lines += [_square(occlusion, side), *_colour_bar("drop", _left(1), (_AGAINST, _FOR), ends)]
    lines += _colour_bar("cam", _left(2), (_FOR,), ("0", "", f"{most:.2g}"))
    return lines


def _left(number: int) -> int:
    return _MARGIN + number * (_TILE + _GAP)


def _unit(brought: Brought, pixels: NDArray[np.uint8], x: float, top: float) -> list[str]:
    """A unit's signal, what it saw below it, and where that is."""
    signal, crop = unit_tiles(brought, pixels)
    projection, seen = brought.projection, brought.field.seen
    told = (
        f"{seen.width} x {seen.height} pixels",
        f"response {projection.value:.3g}",
    )
    y = top + _LABEL
    below = y + _TILE + _GAP / 2
    label = f"{projection.layer}, unit {projection.unit}"
    return [
        *_lines(x, y - 10, [label], kind="label"),
        _tile(signal, x, y),
        _tile(crop, x, below),
        *_lines(x, below + _TILE + 18, told),
    ]


def _tile(picture: NDArray[np.uint8], x: float, y: float) -> str:
    coarse = ' class="coarse"' if len(picture) < _TILE / 2 else ""
    box = f'x="{x:g}" y="{y:g}" width="{_TILE}" height="{_TILE}"'
    return f'<image{coarse} {box} href="{data_url(render_png(picture), "png")}"/>'


def _lines(
    x: float, y: float, texts: Sequence[str], *, kind: str = "soft", longest: int = _CHARACTERS
) -> list[str]:
    return [
        f'<text class="{kind}" x="{x:g}" y="{y + 17 * number:g}">'
        f"{escape(shortened(text, longest))}</text>"
        for number, text in enumerate(texts)
        if text
    ]


def _square(occlusion: Occlusion, side: int) -> str:
    """The square that takes most from the probability, as large as it was, cut by the edges."""
    scale = _TILE / side
    stretches = []
    for place, centres in zip(_place_of_most(occlusion), occlusion.centres, strict=True):
        first = int(centres[place]) - occlusion.side // 2
        stretches.append((max(first, 0), min(first + occlusion.side, side)))
    (top, bottom), (left, right) = stretches
    return (
        f'<rect class="square" x="{_left(1) + scale * left:.1f}" '
        f'y="{_HEAD + _LABEL + scale * top:.1f}" width="{scale * (right - left):.1f}" '
        f'height="{scale * (bottom - top):.1f}"/>'
    )


def _place_of_most(occlusion: Occlusion) -> tuple[int, int]:
    row, column = divmod(int(occlusion.drop.argmax()), occlusion.drop.shape[1])
    return row, column


def _colour_bar(
    name: str, x: float, colours: Sequence[tuple[int, int, int]], ends: tuple[str, str, str]
) -> list[str]:
    """What the colours of an overlay stand for; over the white of no value."""
    y = _HEAD + _LABEL + _TILE + 6
    white = (255, 255, 255)
    through = (white, *colours) if len(colours) == 1 else (colours[0], white, colours[1])
    stops = zip(np.linspace(0, 1, len(through)), through, strict=True)
    drawn = "".join(
        f'<stop offset="{offset:g}" stop-color="rgb{colour}"/>' for offset, colour in stops
    )
    base = y + _BAR + 13
    box = f'x="{x}" y="{y}" width="{_TILE}" height="{_BAR}"'
    return [
        f'<defs><linearGradient id="{name}">{drawn}</linearGradient></defs>',
        f'<rect class="scale" {box} fill="url(#{name})"/>',
        f'<text class="soft" x="{x}" y="{base}">{ends[0]}</text>',
        f'<text class="soft" x="{x + _TILE / 2:g}" y="{base}" {_CENTRED}>{ends[1]}</text>',
        f'<text class="soft" x="{x + _TILE}" y="{base}" {_TO_THE_LEFT}>{ends[2]}</text>',
    ]


def _word(wnid: str) -> str:
    return load_nouns().synset(wnid).lemma
