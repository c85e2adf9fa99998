"""Published sums, and files that are held to them."""

from __future__ import annotations

import hashlib
import random
import re

import pytest

from imagetree.errors import DatabaseError
from imagetree.sources import published as module
from imagetree.sources.places import open_place
from imagetree.sources.published import PUBLISHED, PublishedSum, published_sum, verify_md5

from ..conftest import shared_path
from .servers import WebFile, serve

NAME = "ILSVRC2012_img_val.tar"
DATA = random.Random(0).randbytes((20 << 20) + 17)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A file of the name of a published one, which is as published."""
    monkeypatch.setitem(PUBLISHED, NAME, PublishedSum(hashlib.md5(DATA).hexdigest(), len(DATA)))
    (tmp_path / NAME).write_bytes(DATA)
    with open_place(tmp_path / NAME) as opened:
        yield opened


def test_sums_are_the_noted_facts():
    """Each stands in the notes on the database, and no size is there without its number."""
    facts = shared_path("facts", "database_and_challenge.md").read_text()
    for published in PUBLISHED.values():
        assert re.fullmatch("[0-9a-f]{32}", published.md5)
        assert published.md5 in facts
        if published.size_bytes is not None:
            assert f"{published.size_bytes:,} B" in facts
    assert len({published.md5 for published in PUBLISHED.values()}) == len(PUBLISHED)


def test_sum_by_path_and_url():
    train = PUBLISHED["ILSVRC2012_img_train.tar"]
    assert published_sum("/data/ILSVRC2012_img_train.tar") == train
    assert published_sum("s3://bucket/ILSVRC2012_img_train.tar") == train
    assert published_sum("https://host/ILSVRC2012_img_train.tar?x=1") == train
    assert published_sum("train.tar") is None


def test_whole_file_is_read_with_progress(place):
    """In order, to the last byte."""
    told = []
    verify_md5(place, lambda done, total: told.append((done, total)))
    assert told == [(min(n, len(DATA)), len(DATA)) for n in (8 << 20, 16 << 20, 24 << 20)]


def test_damaged_file_is_told_with_both_sums(place, tmp_path):
    damaged = bytearray(DATA)
    damaged[-1] ^= 1
    (tmp_path / NAME).write_bytes(damaged)
    with pytest.raises(DatabaseError) as error:
        verify_md5(place)
    for data in (DATA, damaged):
        assert hashlib.md5(data).hexdigest() in error.value.message
    assert error.value.hint is not None
    assert "download it again" in error.value.hint


def test_file_of_another_size_is_not_read(tmp_path, monkeypatch):
    """A download of 6 GB that was cut off is told at once."""
    monkeypatch.setattr(module, "_md5_of", None)
    (tmp_path / NAME).write_bytes(b"x" * 100)
    fault = r"100 bytes \(expected 6744924160\)"
    with open_place(tmp_path / NAME) as place, pytest.raises(DatabaseError, match=fault):
        verify_md5(place)


def test_file_that_became_shorter(place, tmp_path):
    (tmp_path / NAME).write_bytes(DATA[:100])
    with pytest.raises(DatabaseError, match=f"ends after 100 bytes, and had {len(DATA)}"):
        verify_md5(place)


def test_file_of_unknown_name(tmp_path):
    (tmp_path / "mine.tar").write_bytes(b"x")
    fault = r"no sum was published .*ILSVRC2012_img_train\.tar"
    with open_place(tmp_path / "mine.tar") as place, pytest.raises(DatabaseError, match=fault):
        verify_md5(place)


def test_file_on_a_server(monkeypatch):
    data = DATA[: 9 << 20]
    monkeypatch.setitem(PUBLISHED, "train.tar", PublishedSum(hashlib.md5(data).hexdigest()))
    with serve(WebFile(data)) as file, open_place(file.url) as place:
        verify_md5(place)
        assert len(file.requests) == 3
