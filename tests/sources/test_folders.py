"""The walk of a folder: what lies there, in the order of names, without following anything."""

from __future__ import annotations

import os

import pytest

from imagetree.errors import DatabaseError
from imagetree.sources import folders
from imagetree.sources.entries import Entry, SetAside
from imagetree.sources.folders import MAX_DEPTH, walk_folder


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_files_in_the_order_of_their_names(tmp_path):
    """Folders and files of one folder are in one order; names, lengths and paths are relative."""
    make(tmp_path, "b/z.jpg", "b/a/1.jpg", "a.txt", "c.jpg", "b/a/.DS_Store", "B.jpg")
    found = list(walk_folder(tmp_path))
    names = ["B.jpg", "a.txt", "b/a/.DS_Store", "b/a/1.jpg", "b/z.jpg", "c.jpg"]
    assert found == [Entry(name, 0, len(name), name) for name in names]


def test_links_are_not_followed(tmp_path):
    """Links to files, to folders and in a circle are set aside; the root may be a link."""
    make(tmp_path / "outside", "secret.jpg")
    make(tmp_path / "root", "d/1.jpg")
    (tmp_path / "root/d/file.jpg").symlink_to(tmp_path / "outside/secret.jpg")
    (tmp_path / "root/d/folder").symlink_to(tmp_path / "outside")
    (tmp_path / "root/d/up").symlink_to(tmp_path / "root")
    (tmp_path / "root/d/nowhere").symlink_to("missing")
    (tmp_path / "link").symlink_to(tmp_path / "root")
    reason = "link, no regular file"
    assert list(walk_folder(tmp_path / "link")) == [
        Entry("d/1.jpg", 0, 7, "d/1.jpg"),
        SetAside("d/file.jpg", 0, reason),
        SetAside("d/folder", 0, reason),
        SetAside("d/nowhere", 0, reason),
        SetAside("d/up", 0, reason),
    ]


def test_pipes_do_not_stop_the_walk(tmp_path):
    """A pipe is set aside and never opened."""
    os.mkfifo(tmp_path / "a.jpg")
    make(tmp_path, "b.jpg")
    first, second = walk_folder(tmp_path)
    assert first == SetAside("a.jpg", 0, "device or pipe, no regular file")
    assert second.name == "b.jpg"


def test_names_that_are_no_text_are_set_aside(tmp_path):
    """Files and folders with such names come out printable; nothing below them is walked."""
    (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")
    (tmp_path / os.fsdecode(b"\xfe")).mkdir()
    (tmp_path / os.fsdecode(b"\xfe") / "1.jpg").write_bytes(b"x")
    (tmp_path / "a\nb.jpg").write_bytes(b"x")
    found = list(walk_folder(tmp_path))
    assert [(item.item, item.reason) for item in found] == [
        (r"a\nb.jpg", "name holds control characters"),
        (r"\udcfe", "name is not UTF-8"),
        (r"\udcff.jpg", "name is not UTF-8"),
    ]


def test_depth_is_bounded(tmp_path):
    """MAX_DEPTH folders are walked, the root among them, and no more."""
    deep = "/".join("d" * (MAX_DEPTH - 1))
    make(tmp_path, f"{deep}/1.jpg", f"{deep}/e/2.jpg")
    first, second = walk_folder(tmp_path)
    assert first.name == f"{deep}/1.jpg"
    assert second == SetAside(f"{deep}/e", 0, "more than 32 folders inside one another")


def test_folder_that_cannot_be_read_is_set_aside(tmp_path, monkeypatch):
    """The walk goes on after it; the refusal is made here, for root may read anything."""
    make(tmp_path, "a/1.jpg", "b/1.jpg")
    list_folder = folders._list_folder

    def refuse(path):
        if path.endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return list_folder(path)

    monkeypatch.setattr(folders, "_list_folder", refuse)
    first, second = walk_folder(tmp_path)
    assert first == SetAside("a", 0, "the folder cannot be read (Permission denied)")
    assert second.name == "b/1.jpg"


def test_file_that_is_gone_is_set_aside(tmp_path):
    """A file deleted while its folder is walked costs itself alone."""
    make(tmp_path, "a.jpg", "b.jpg")
    walk = walk_folder(tmp_path)
    next(walk)
    (tmp_path / "b.jpg").unlink()
    assert next(walk).reason == "cannot be looked at (No such file or directory)"


@pytest.mark.parametrize("name", ["missing", "file"])
def test_root_must_be_a_folder(tmp_path, name):
    """A root that is none is an error with a hint."""
    make(tmp_path, "file")
    with pytest.raises(DatabaseError, match="the folder cannot be read") as caught:
        next(walk_folder(tmp_path / name))
    assert caught.value.hint
