"""Bad input at the command line: a clear error or a list, status 1, and nothing lost."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

from .conftest import WNIDS, add, picture, write_train, write_val

if TYPE_CHECKING:
    from pathlib import Path


def test_missing_archive(imagetree, tmp_path: Path) -> None:
    said = imagetree("database", "import", tmp_path / "none.tar", "--database", tmp_path / "x.db")
    assert said.status == 1
    assert said.err.startswith(f"imagetree: {tmp_path}/none.tar: ")
    assert "Traceback" not in said.err


def test_missing_database(imagetree, tmp_path: Path) -> None:
    said = imagetree("database", "tree", "--database", tmp_path / "x.db")
    assert said.status == 1
    assert "hint: " in said.err
    assert not (tmp_path / "x.db").exists()


def test_truncated_archive_keeps_what_is_whole(imagetree, tmp_path: Path) -> None:
    """Cut in the middle of an image: the images before it are there, the cut one is listed."""
    write_train(tmp_path / "train.tar", per_class=4)
    data = (tmp_path / "train.tar").read_bytes()
    (tmp_path / "train.tar").write_bytes(data[: len(data) * 3 // 5])
    said = imagetree("database", "import", tmp_path / "train.tar", "--database", tmp_path / "x.db")
    assert said.status == 1
    assert "truncated" in said.out
    tree = imagetree("database", "tree", "--database", tmp_path / "x.db")
    assert "dog  4  n02084071" in tree.out
    problems = imagetree("database", "problems", "--database", tmp_path / "x.db")
    assert "truncated" in problems.out


def test_member_that_is_no_image_and_unknown_wnids(imagetree, tmp_path: Path) -> None:
    """Each is set aside with its reason; an offset of WordNet 3.1 is told; the rest is imported."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as archive:
        add(archive, f"{WNIDS[0]}_1.JPEG", picture(0, 1))
        add(archive, "notes.txt", b"hello")
    with tarfile.open(tmp_path / "train.tar", "w") as outer:
        for name in (WNIDS[0], "n02086723", "n99999999"):
            add(outer, f"{name}.tar", inner.getvalue())
    said = imagetree("database", "import", tmp_path / "train.tar", "--database", tmp_path / "x.db")
    assert said.status == 1
    assert "1 added" in said.out
    assert "notes.txt: " in said.out
    assert "n02086723 is an offset of WordNet 3.1; in WordNet 3.0 this synset is n02084071" in (
        said.out
    )
    assert "n99999999 is no noun synset of WordNet 3.0" in said.out


def test_labels_with_unknown_names_import_nothing(imagetree, tmp_path: Path) -> None:
    write_val(tmp_path / "val.tar", tmp_path / "val.tsv", per_class=2)
    with (tmp_path / "val.tsv").open("a") as file:
        file.write("other.JPEG\tn02084071\n")
    source = [tmp_path / "val.tar", "--labels", tmp_path / "val.tsv"]
    said = imagetree("database", "import", *source, "--database", tmp_path / "x.db")
    assert said.status == 1
    assert "val.tsv:7: 'other.JPEG'" in said.err
    assert imagetree("database", "sources", "--json", "--database", tmp_path / "x.db").out == "[]\n"


def test_labels_of_the_wrong_count(imagetree, tmp_path: Path) -> None:
    write_val(tmp_path / "val.tar", tmp_path / "val.tsv", per_class=2)
    (tmp_path / "ids.txt").write_text("n02084071\n" * 5)
    source = [tmp_path / "val.tar", "--labels", tmp_path / "ids.txt"]
    said = imagetree("database", "import", *source, "--database", tmp_path / "x.db")
    assert said.status == 1
    assert "5" in said.err
    assert "6" in said.err


def test_junk_under_the_name_of_an_image(imagetree, tmp_path: Path) -> None:
    """An import reads no image; `database check` finds what is none and the counts follow."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as archive:
        add(archive, f"{WNIDS[0]}_1.JPEG", picture(0, 1))
        add(archive, f"{WNIDS[0]}_2.JPEG", b"this is text and no JPEG")
    with tarfile.open(tmp_path / "train.tar", "w") as outer:
        add(outer, f"{WNIDS[0]}.tar", inner.getvalue())
    database = ["--database", tmp_path / "x.db"]
    assert imagetree("database", "import", tmp_path / "train.tar", *database).status == 0
    said = imagetree("database", "check", *database)
    assert said.status == 1
    assert "2 images checked, 1 set aside" in said.out
    assert f"{WNIDS[0]}_2: not an image: 24 bytes" in said.out
    assert "dog  1  n02084071" in imagetree("database", "tree", *database).out


def test_classes_above_one_another_are_refused_with_the_pairs(imagetree, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "train.tar", "w") as outer:
        for wnid in ("n02084071", "n02085374"):  # dog, toy dog
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as archive:
                for number in range(4):
                    add(archive, f"{wnid}_{number}.JPEG", picture(0, number))
            add(outer, f"{wnid}.tar", inner.getvalue())
    database = ["--database", tmp_path / "x.db"]
    imagetree("database", "import", tmp_path / "train.tar", *database)
    said = imagetree("challenge", "cut", tmp_path / "challenge", *database)
    assert said.status == 1
    assert "n02084071 (dog) is an ancestor of n02085374 (toy dog)" in said.err


def test_archive_that_changed_or_went_is_found_before_training(imagetree, tmp_path: Path) -> None:
    """Not one image is blamed: the archive is named, and what repairs it."""
    archive = tmp_path / "train.tar"
    write_train(archive, per_class=6)
    database = ["--database", tmp_path / "x.db"]
    imagetree("database", "import", archive, *database)
    imagetree("challenge", "cut", tmp_path / "challenge", *database)
    train = ["train", tmp_path / "challenge", tmp_path / "run", *database]
    with archive.open("ab") as file:
        file.write(bytes(512))
    said = imagetree(*train)
    assert said.status == 1
    assert f"{archive}: changed since it was imported" in said.err
    assert f"hint: import it again: imagetree database import {archive}" in said.err
    archive.unlink()
    said = imagetree(*train)
    assert said.status == 1
    assert f"{archive}: the source cannot be opened (No such file" in said.err
    assert f"imagetree database relink {archive} NEW" in said.err
    assert not (tmp_path / "run").exists()


def test_wrong_usage_ends_with_two(imagetree) -> None:
    assert imagetree("synset", "shwo", "dog").status == 2
    assert imagetree("train").status == 2


def test_settings_out_of_range_end_with_one_line(imagetree, tmp_path: Path) -> None:
    said = imagetree("train", tmp_path, tmp_path, "--epochs", "0")
    assert said.status == 1
    assert "epochs is 0 (expected at least 1)" in said.err
    assert "Traceback" not in said.err


def test_unknown_word_gets_suggestions(imagetree) -> None:
    said = imagetree("synset", "show", "doog")
    assert said.status == 1
    assert "doog" in said.err
    assert "hint: " in said.err
