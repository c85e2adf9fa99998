"""Images with the likeliest answers beside them: figure 4, left, of Krizhevsky et al. 2012."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from imagetree.errors import DatabaseError, TrainingError
from imagetree.recognition.inputs import ImageFiles
from imagetree.training.batches import BadImage
from imagetree.training.crops import CentreCrop
from imagetree.training.filling import Draw, fill
from imagetree.training.randomness import permutation
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagetree.challenge.images import SplitImages
    from imagetree.recognition.classifier import Guess
    from imagetree.recognition.recognizer import Recognizer
    from imagetree.training.batches import Images

NUM_GUESSES = 5

_COLUMNS, _TILE, _GAP, _MARGIN = 4, 290, 24, 24  # pixels: 1,280 in a row
_PICTURE, _BAR = 210, 24
_HEAD, _LABEL = 62, 36
_CHARACTERS = 32  # of 13 pixels that a tile has room for beside a percentage
_CENTRED, _TO_THE_LEFT = 'text-anchor="middle"', 'text-anchor="end"'
_STYLE = """
text { font: 13px "DejaVu Sans", Verdana, sans-serif; fill: #1d2b36; }
.title { font-size: 18px; font-weight: bold; } .soft { fill: #4c5c68; }
.label { font-weight: bold; }
.track { fill: #eef3f6; } .bar { fill: #a9c8dc; } .right { fill: #f0b074; }
"""


@dataclass(frozen=True)
class Shown:
    """An image in a picture.

    Args:
        picture: the centred square that the network sees, as a data URL.
        name: of the image.
        wnid: of its class; None where that is unknown.
    """

    picture: str
    name: str
    wnid: str | None

    @property
    def label(self) -> str:
        """The first word of its class; the file's name where that is unknown."""
        return load_nouns().synset(self.wnid).lemma if self.wnid else Path(self.name).name


@dataclass(frozen=True)
class Answer(Shown):
    """An image with what was answered.

    Args:
        guesses: likeliest first.
    """

    guesses: tuple[Guess, ...]


def choose_images(images: SplitImages, asked: Sequence[str], seed: int) -> Images:
    """The images that a picture shows.

    Args:
        images: of a split.
        asked: a number: so many of the split, drawn by the seed. Or names of images of the split.
            Or paths of image files.
        seed: of the drawing.

    Returns:
        Images in the order of the drawing or of the names; the labels of files are unknown, -1.

    Raises:
        TrainingError: a name is neither in the split nor a file, files and names are mixed, or no
            image is asked for.
    """
    hint = "--images takes a number, names of images of the split, or image files"
    if not asked or (len(asked) == 1 and asked[0].isdecimal() and int(asked[0]) == 0):
        raise TrainingError("no image is asked for", hint=hint)
    if len(asked) == 1 and asked[0].isdecimal():
        return images.select(permutation(len(images.labels), seed)[: int(asked[0])].tolist())
    place = {name: index for index, name in reversed(list(enumerate(images.names)))}
    others = [name for name in asked if name not in place]
    if not others:
        return images.select([place[name] for name in asked])
    missing = [name for name in others if not Path(name).is_file()]
    if missing:
        raise TrainingError(f"{missing[0]!r} is no image of the split, and no file", hint=hint)
    if len(others) < len(asked):
        raise TrainingError(
            f"{others[0]!r} is a file, others are names of the split (expected one or the other)",
            hint="draw two pictures",
        )
    return ImageFiles([Path(name) for name in others])


def answer_images(
    recognizer: Recognizer, images: Images
) -> tuple[tuple[Answer, ...], tuple[BadImage, ...]]:
    """The five likeliest classes of each image, or all where there are fewer.

    Returns:
        The answers in the images' order, without the images that cannot be decoded; and these.
    """
    found = recognizer.recognize(images, min(NUM_GUESSES, len(recognizer.wnids)))
    answers, bad = [], []
    for index, each in enumerate(found):
        if each.reason:
            bad.append(BadImage(index, each.reason))
        else:
            picture = square_picture(images, index, _PICTURE)
            wnid = class_of(images, index, recognizer.wnids)
            answers.append(Answer(picture, each.name, wnid, each.guesses))
    return tuple(answers), tuple(bad)


def render_answers(answers: Sequence[Answer], title: str) -> str:
    """Draw images with their classes and, below, bars as long as the answers are likely.

    Args:
        answers: four in a row.
        title: what is shown.

    Returns:
        SVG text; the same answers give the same text.

    Raises:
        TrainingError: there is nothing to show.
    """
    if not answers:
        raise TrainingError("none of the images can be decoded, so there is nothing to draw")
    num_bars = max(len(each.guesses) for each in answers)
    height = _PICTURE + _LABEL + num_bars * _BAR + _GAP
    rows = -(-len(answers) // _COLUMNS)
    width = 2 * _MARGIN + _COLUMNS * (_TILE + _GAP) - _GAP
    tiles = [
        line
        for number, each in enumerate(answers)
        for line in _tile(
            each,
            _MARGIN + number % _COLUMNS * (_TILE + _GAP),
            _HEAD + number // _COLUMNS * height,
        )
    ]
    key_x = width - _MARGIN - 250
    key = [
        f'<rect class="right" x="{key_x}" y="22" width="14" height="14"/>',
        f'<text class="soft" x="{key_x + 20}" y="34">the true class</text>',
        f'<rect class="bar" x="{key_x + 135}" y="22" width="14" height="14"/>',
        f'<text class="soft" x="{key_x + 155}" y="34">another class</text>',
    ]
    head = f'<text class="title" x="{_MARGIN}" y="36">{escape(title)}</text>'
    return svg_page(width, _HEAD + rows * height, _STYLE, [head, *key, *tiles])


def _tile(answer: Answer, x: float, y: float) -> list[str]:
    """One image, its label, its bars."""
    label = escape(shortened(answer.label, _CHARACTERS))
    middle = x + _TILE / 2
    lines = [
        svg_image(answer, middle - _PICTURE / 2, y, _PICTURE),
        f'<text class="label" x="{middle:g}" y="{y + _PICTURE + 21:g}" {_CENTRED}>{label}</text>',
    ]
    for number, guess in enumerate(answer.guesses):
        top = y + _PICTURE + _LABEL + number * _BAR
        kind = "right" if guess.wnid == answer.wnid else "bar"
        words = escape(shortened(load_nouns().synset(guess.wnid).lemma, _CHARACTERS))
        sides = f'x="{x:g}" y="{top:g}" height="{_BAR - 3}"'
        right, base = x + _TILE - 7, top + 15
        lines += [
            f'<rect class="track" {sides} width="{_TILE}"/>',
            f'<rect class="{kind}" {sides} width="{guess.probability * _TILE:.2f}"/>',
            f'<text x="{x + 7:g}" y="{base:g}">{words}</text>',
            f'<text x="{right:g}" y="{base:g}" {_TO_THE_LEFT}>{guess.probability:.1%}</text>',
        ]
    return lines


def class_of(images: Images, index: int, wnids: Sequence[str]) -> str | None:
    """The wnid of an image's class; None where its label is unknown."""
    label = int(images.labels[index])
    return wnids[label] if label >= 0 else None


def square_picture(images: Images, index: int, side: int) -> str:
    """The part of an image that the network sees, as a JPEG in a data URL.

    Args:
        images: which it is one of.
        index: which one.
        side: pixels that it is shown in; it has twice as many, for fine screens.

    Raises:
        DatabaseError: it cannot be read or decoded.
    """
    squares = np.empty((1, 2 * side, 2 * side, 3), np.uint8)
    [fault] = fill(squares, [Draw(index, images.rows[index])], CentreCrop(), images.reader)
    if fault is not None:
        raise DatabaseError(f"{images.names[index]}: {fault}")
    buffer = io.BytesIO()
    Image.fromarray(squares[0]).save(buffer, "JPEG", quality=85)
    return data_url(buffer.getvalue(), "jpeg")


def data_url(data: bytes, kind: str) -> str:
    """An image's file as a URL that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def shortened(text: str, characters: int) -> str:
    """A text that has so many characters at most; what is left out is an ellipsis.

    >>> shortened("German shepherd", 15), shortened("German shepherd", 8)
    ('German shepherd', 'German…')
    """
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"


def svg_image(shown: Shown, x: float, y: float, side: float) -> str:
    """An image as an element of an SVG; its name is shown where the mouse points at it."""
    place = f'x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}"'
    name = f"<title>{escape(shown.name)}</title>"
    return f'<image {place} href="{shown.picture}">{name}</image>'


def svg_page(width: float, height: float, style: str, lines: Sequence[str]) -> str:
    """An SVG on white, of so many pixels."""
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([head, f"<style>{style}</style>", ground, *lines, "</svg>\n"])
