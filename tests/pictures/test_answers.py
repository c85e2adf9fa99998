"""The picture of answers: every image, its label, bars as long as the probabilities."""

from __future__ import annotations

import base64
import io
import tarfile
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from imagetree.alexnet.architectures import architecture_named
from imagetree.alexnet.network import AlexNet
from imagetree.errors import TrainingError
from imagetree.pictures.answers import Answer, answer_images, render_answers, square_picture
from imagetree.recognition.classifier import Guess
from imagetree.recognition.inputs import ImageFiles
from imagetree.recognition.recognizer import Recognizer
from imagetree.training.evaluate import View

SVG = "{http://www.w3.org/2000/svg}"
WNIDS = ("n01440764", "n02102040", "n02979186", "n03000684", "n03028079", "n03394916")
LEMMAS = ("tench", "English springer", "cassette player", "chain saw", "church", "French horn")
VIEW = View(67, (120.0, 115.0, 105.0), (70.0, 68.0, 70.0), "fp32", 0)
PROBABILITIES = (0.5, 0.25, 0.125, 0.0625, 0.03125)
TILE = 290
"""Pixels that a bar of probability 1 takes."""


def answer(wnid: str | None, name: str = "a photograph") -> Answer:
    """One whose five guesses are the first five classes."""
    guesses = [Guess(w, "", p, ()) for w, p in zip(WNIDS[:5], PROBABILITIES, strict=True)]
    return Answer("data:image/png;base64,", name, wnid, tuple(guesses))


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


def rects(root: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    """Bars of a kind; a swatch of the key, 14 x 14, is none."""
    found = [each for each in root.iter(f"{SVG}rect") if each.get("class") == kind]
    return [each for each in found if each.get("width") != "14"]


def test_eight_images_with_five_bars_each() -> None:
    """Every bar is as long as its answer is likely, the true class's in a colour of its own."""
    root = ElementTree.fromstring(render_answers([answer(WNIDS[1])] * 8, "eight"))
    assert len(list(root.iter(f"{SVG}image"))) == 8
    assert len(rects(root, "track")) == 40
    right, others = rects(root, "right"), rects(root, "bar")
    assert [float(each.get("width")) for each in right] == [0.25 * TILE] * 8
    expected = [round(p * TILE, 2) for p in PROBABILITIES if p != 0.25]
    assert [float(each.get("width")) for each in others[:4]] == expected
    words = texts(root)
    assert words[0] == "eight"
    assert words.count("English springer") == 16  # below the image, and in its bar
    assert words.count("tench") == 8
    assert words.count("50.0%") == 8


def test_nothing_overlaps() -> None:
    """Four in a row of 1,280 pixels; images, labels and bars each in a place of their own."""
    root = ElementTree.fromstring(render_answers([answer(WNIDS[0])] * 6, "six"))
    assert root.get("width") == "1280"
    images = [(float(each.get("x")), float(each.get("y"))) for each in root.iter(f"{SVG}image")]
    assert len(set(images)) == 6
    assert [len({y for _, y in images[:4]}), len({x for x, _ in images[:4]})] == [1, 4]
    tracks = {(each.get("x"), each.get("y")) for each in rects(root, "track")}
    assert len(tracks) == 30
    bottom = max(float(y) for _, y in tracks)
    assert bottom < float(root.get("height")) - 20
    first_row = sorted(float(y) for x, y in tracks if float(x) == 24)
    assert first_row[0] > images[0][1] + 210
    assert images[4][1] > first_row[4]


def test_class_that_is_not_answered_and_file_of_no_known_class() -> None:
    """No bar is marked; a file is called by its name, whatever is in that."""
    svg = render_answers([answer(WNIDS[5]), answer(None, "/home/x/a<b>&c.jpg")], "two")
    root = ElementTree.fromstring(svg)
    assert rects(root, "right") == []
    assert "French horn" in texts(root)
    assert "a<b>&c.jpg" in texts(root)


def test_long_words_are_shortened() -> None:
    root = ElementTree.fromstring(render_answers([answer(None, "x" * 99)], "long"))
    assert max(map(len, texts(root))) == 32


def test_nothing_to_draw() -> None:
    with pytest.raises(TrainingError, match="none of the images can be decoded"):
        render_answers([], "none")


def test_answers_of_real_photographs(imagenette, tmp_path) -> None:
    """The five likeliest in their order, with the picture; a bad image is told with its reason."""
    paths = []
    with tarfile.open(imagenette / "val.tar") as archive:
        for number in range(3):
            data = archive.extractfile(archive.next()).read()
            paths.append(tmp_path / f"{number}.jpg")
            paths[-1].write_bytes(data[:300] if number == 1 else data)
    images = ImageFiles(paths)
    images.labels = np.array([0, 1, 4])
    network = AlexNet(architecture_named("batch_norm"), len(WNIDS), 67).eval()
    found, bad = answer_images(Recognizer(network, WNIDS, VIEW), images)
    assert [each.name for each in found] == [str(paths[0]), str(paths[2])]
    assert [each.label for each in found] == ["tench", "church"]
    assert [each.index for each in bad] == [1]
    assert bad[0].reason
    for each in found:
        likely = [guess.probability for guess in each.guesses]
        assert len(likely) == 5
        assert likely == sorted(likely, reverse=True)
    shown = Image.open(io.BytesIO(base64.b64decode(found[0].picture.partition(",")[2])))
    assert shown.size == (420, 420)


def test_picture_is_the_centred_square(tmp_path) -> None:
    """Of a picture that is red at the left, green in the middle and blue at the right: green."""
    pixels = np.zeros((100, 300, 3), np.uint8)
    for third in range(3):
        pixels[:, third * 100 : (third + 1) * 100, third] = 255
    Image.fromarray(pixels).save(tmp_path / "flag.png")
    url = square_picture(ImageFiles([tmp_path / "flag.png"]), 0, 50)
    assert url.startswith("data:image/jpeg;base64,")
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))
    assert shown.shape == (100, 100, 3)
    assert (np.abs(shown.astype(int) - (0, 255, 0)).max(axis=(0, 1)) <= 3).all()
