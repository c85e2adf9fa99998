"""What a user points at: every kind of place, and the reason for each that is no image."""

from __future__ import annotations

import io
import os
import pickle
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imagetree.errors import DatabaseError, TrainingError
from imagetree.recognition.inputs import Input, InputReader, iter_inputs

NOBODY = 65534


def jpeg(width: int = 20, **how) -> bytes:
    pixels = np.zeros((10, width, 3), np.uint8)
    pixels[:, : width // 2] = (250, 0, 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95, **how)
    return buffer.getvalue()


@pytest.fixture
def album(tmp_path):
    """A folder of images, one deeper, and of what is none."""
    for name in ("b.jpg", "a.PNG", "deep/er/c.webp"):
        path = tmp_path / "album" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg())
    (tmp_path / "album" / "notes.txt").write_text("text")
    (tmp_path / "album" / "empty.jpg").touch()
    (tmp_path / "album" / ".DS_Store").touch()
    (tmp_path / "album" / "link.jpg").symlink_to(tmp_path / "album" / "b.jpg")
    return tmp_path / "album"


def listed(*places, **how) -> dict[str, str | None]:
    return {each.name: each.fault for each in iter_inputs(map(str, places), **how)}


def test_folder_is_walked_by_name_and_all_else_has_its_reason(album) -> None:
    assert listed(album) == {
        f"{album}/a.PNG": None,
        f"{album}/b.jpg": None,
        f"{album}/deep/er/c.webp": None,
        f"{album}/empty.jpg": "empty: 0 bytes",
        f"{album}/link.jpg": "link, no regular file",
        f"{album}/notes.txt": "no image by its name",
    }


def test_order_is_that_of_the_places(album) -> None:
    names = list(listed(album / "b.jpg", album / "deep", album / "a.PNG"))
    assert names == [f"{album}/b.jpg", f"{album}/deep/er/c.webp", f"{album}/a.PNG"]


def test_patterns(album) -> None:
    assert list(listed(album / "*.jpg")) == [f"{album}/{n}.jpg" for n in ("b", "empty", "link")]
    deep = list(listed(album / "**" / "*.webp"))
    assert deep == [f"{album}/deep/er/c.webp"]
    everything = list(listed(album / "**"))
    assert f"{album}/deep/er/c.webp" in everything
    assert f"{album}/deep" not in everything
    assert listed(album / "*.gif") == {f"{album}/*.gif": "no file matches the pattern"}


def test_file_whose_name_looks_like_a_pattern(tmp_path) -> None:
    (tmp_path / "a[1].jpg").write_bytes(jpeg())
    assert listed(tmp_path / "a[1].jpg") == {f"{tmp_path}/a[1].jpg": None}


def test_empty_folder(tmp_path) -> None:
    assert listed(tmp_path) == {str(tmp_path): "an empty folder"}


@pytest.fixture
def nobodys_folder():
    """A folder of this user's, who is another than root meanwhile: root may read everything."""
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder:  # `tmp_path` lies in a folder closed to others
        if root:
            os.chown(folder, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)


def test_folder_without_permission(nobodys_folder) -> None:
    closed = nobodys_folder / "closed"
    closed.mkdir(mode=0)
    assert "cannot be read" in listed(nobodys_folder)[str(closed)]


@pytest.mark.parametrize("url", ["http://a.example/b.jpg", "https://a.example/b", "s3://b/c.jpg"])
def test_urls_only_where_allowed(url) -> None:
    """Refused before the first image is looked at."""
    with pytest.raises(TrainingError, match="only where it is allowed") as caught:
        iter_inputs(["a.jpg", url])
    assert "--allow-urls" in caught.value.hint
    assert listed(url, allow_urls=True) == {url: None}


def test_other_urls_never() -> None:
    with pytest.raises(TrainingError, match="expected http, https or s3"):
        iter_inputs(["file:///etc/passwd"], allow_urls=True)


def test_allowed_url_of_a_private_address_is_not_fetched() -> None:
    """The fetcher's guard stands between a list of URLs and the network that reads it."""
    with pytest.raises(DatabaseError, match="not public"):
        InputReader().read(Input("http://127.0.0.1:9/a.jpg"))


def test_what_looks_like_an_option() -> None:
    with pytest.raises(TrainingError, match=r"--jsno: no such option"):
        iter_inputs(["--jsno"])


def test_standard_input(monkeypatch) -> None:
    data = jpeg()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert list(iter_inputs(["-"])) == [Input("-", data)]
    assert InputReader().read(Input("-", data)) == data
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert [each.fault for each in iter_inputs(["-"])] == ["empty: 0 bytes"]


def test_photographs_are_turned_upright(tmp_path) -> None:
    """As EXIF says; those that need no turning are left to be decoded in part."""
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "turned.jpg").write_bytes(jpeg(exif=exif))
    (tmp_path / "plain.jpg").write_bytes(jpeg())
    reader = pickle.loads(pickle.dumps(InputReader()))
    pixels = reader.read(Input(str(tmp_path / "turned.jpg")))
    assert pixels.shape == (20, 10, 3)
    assert pixels[:8, :, 0].min() > 200  # its left half, red, is on top
    assert pixels[12:, :, 0].max() < 60
    assert reader.read(Input(str(tmp_path / "plain.jpg"))) == jpeg()


def test_reasons_of_files_that_are_named(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("hello")
    for name, reason in {
        "pipe.jpg": "no regular file",
        "empty.jpg": "empty: 0 bytes",
        "text.jpg": "not an image: 5 bytes",
        "missing.jpg": "cannot be read: No such file",
        "a\0b.jpg": "cannot be read: embedded null",
    }.items():
        [found] = iter_inputs([str(tmp_path / name)])
        with pytest.raises(DatabaseError, match=reason):
            InputReader().read(found)
