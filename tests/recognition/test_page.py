"""The page of thumbnails: a tile for each image, its answer, nothing from outside, nothing live."""

from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image

from imagetree.recognition.classifier import Guess, Hedged, LevelGuess, Recognition
from imagetree.recognition.page import page_writer

PATH = ("entity", "dog")
DOG = Guess("n02084071", "dog, domestic dog", 0.625, PATH)
WHOLE = LevelGuess("n00003553", "whole, unit", 1.0, ("entity", "whole"), 0.0)


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (67, 67), (9, 99, 9)).save(buffer, "JPEG")
    return buffer.getvalue()


def written(path, *found: Recognition) -> str:
    with page_writer(path, "Dogs & others") as add:
        for each in found:
            add(each)
        assert not path.exists()
    return path.read_text()


def test_a_tile_for_each_image(tmp_path) -> None:
    sure = Recognition("a/dog.jpg", (DOG,), picture=picture())
    unsure = Recognition("b.jpg", (DOG,), None, Hedged(WHOLE, WHOLE, (WHOLE,)), picture())
    bad = Recognition("c.txt", (), "not an image")
    text = written(tmp_path / "page.html", sure, unsure, bad)
    assert text.count("<figure") == 3
    shown = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    assert [Image.open(io.BytesIO(base64.b64decode(each))).size for each in shown] == [(67, 67)] * 2
    assert re.findall(r"<b [^>]*>([^<]+)</b>", text) == ["dog", "not sure: whole"]
    assert text.count("62.5 %") == 2
    assert 'class="bad"><figcaption>not an image' in text
    assert "<h1>Dogs &amp; others</h1>" in text
    assert "prefers-color-scheme: dark" in text


def test_names_are_no_code(tmp_path) -> None:
    """A file's name is text on the page, even one that is not UTF-8."""
    name = '"><script>alert(1)</script>\udcff.jpg'
    text = written(tmp_path / "page.html", Recognition(name, (DOG,), picture=picture()))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "http" not in text.replace('http-equiv="Content-Security-Policy"', "")


def test_page_that_is_broken_off_is_not_there(tmp_path) -> None:
    bad = [Recognition("a.jpg", (DOG,)), None]
    with pytest.raises(AttributeError):
        written(tmp_path / "page.html", *bad)
    assert list(tmp_path.iterdir()) == []
