"""Layouts: folders of classes, Kaggle's challenge, Tiny ImageNet, tars, from folders and zips."""

from __future__ import annotations

import io
import os
import zipfile
from collections import Counter
from functools import partial

import pytest

from imagetree.errors import DatabaseError
from imagetree.sources import solutions
from imagetree.sources.entries import Entry, FoundImage, SetAside
from imagetree.sources.folders import walk_folder
from imagetree.sources.inflate import read_zip_member
from imagetree.sources.layouts import (
    ClassTar,
    Layout,
    detect_layout,
    scan_class_folders,
    scan_layout,
    tars_in,
)
from imagetree.sources.tarscan import scan_tar
from imagetree.sources.zips import scan_zip

DOG, CAT, PUG = "n02084071", "n02121808", "n02110958"
WORDS = {"dog": DOG, "cat": CAT}


def resolve(label):
    if label == "out":
        return "", "note: 'out' is left out by the mapping"
    wnid = label if label in {DOG, CAT, PUG} else WORDS.get(label, "")
    return wnid, "" if wnid else f"{label!r} is no class"


def entries_of(*names):
    return [Entry(name, 100 * n, 10) for n, name in enumerate(names)]


def sort_out(items):
    """Images as name: wnid, and what was set aside as item: reason."""
    items = list(items)
    images = [(item.name, item.wnid) for item in items if isinstance(item, FoundImage)]
    rest = [(item.item, item.reason) for item in items if isinstance(item, SetAside)]
    assert len(dict(images)) == len(images)
    return dict(images), dict(rest)


def scan_files(layout, files):
    """Scan texts by name, which stand for images too."""
    entries = [Entry(name, n, len(text) + 1) for n, (name, text) in enumerate(files.items())]
    read = {
        name: text if isinstance(text, bytes) else text.encode() for name, text in files.items()
    }
    return sort_out(scan_layout(layout, lambda: entries, lambda entry: read[entry.name], resolve))


def test_label_is_the_folder_directly_above():
    """Whatever lies above it; splits are one synset; names are ImageNet's."""
    images, rest = sort_out(
        scan_class_folders(
            entries_of(
                "dog/1.jpg",
                "data/train/cat/x.PNG",
                f"ILSVRC/Data/CLS-LOC/train/{DOG}/{DOG}_17.JPEG",
                "train/animals/dog/2.jpg",
                "val/dog/3.jpeg",
            ),
            resolve,
        )
    )
    assert images == {
        f"{DOG}_1": DOG,
        f"{CAT}_x": CAT,
        f"{DOG}_17": DOG,
        f"{DOG}_2": DOG,
        f"{DOG}_3": DOG,
    }
    assert rest == {}


def test_places_are_those_of_the_entries():
    """Offset, length and path go through; what the container has set aside too."""
    entries = [Entry("dog/1.jpg", 512, 9, "dog/1.jpg"), SetAside("x", 7, "link")]
    assert list(scan_class_folders(entries, resolve)) == [
        FoundImage(f"{DOG}_1", DOG, 512, 9, "dog/1.jpg"),
        SetAside("x", 7, "link"),
    ]


def test_what_is_no_image_of_a_class_is_told():
    """Oddities one by one; a folder whose label names nothing as one line with a count."""
    entries = [
        *entries_of(*(f"train/unicorn/{n}.jpg" for n in range(50)), "lone.jpg", "dog/notes.txt"),
        *entries_of("out/1.jpg", "out/2.jpg"),
        Entry("dog/empty.jpg", 0, 0),
        Entry("dog/._1.jpg", 0, 5),
    ]
    assert sort_out(scan_class_folders(entries, resolve))[1] == {
        "train/unicorn": "50 images: 'unicorn' is no class",
        ".": "1 images: in no folder of a class",
        "dog/notes.txt": "no image by its name",
        "dog/empty.jpg": "empty: 0 bytes",
        "dog/._1.jpg": "left by a file manager, no image",
        "out": "note: 2 images: 'out' is left out by the mapping",
    }


def test_each_label_is_resolved_once():
    """So that a slow Resolve costs nothing with 1,300 images of a class."""
    calls = Counter()

    def counting(label):
        calls[label] += 1
        return resolve(label)

    list(scan_class_folders(entries_of("dog/1.jpg", "dog/2.jpg", "val/dog/3.jpg"), counting))
    assert calls == {"dog": 1}


BASE = "ILSVRC/Data/CLS-LOC"
KAGGLE = {
    f"ILSVRC/Annotations/CLS-LOC/train/{DOG}/{DOG}_1.xml": "<xml/>",
    "ILSVRC/Annotations/CLS-LOC/val/ILSVRC2012_val_00000001.xml": "<xml/>",
    f"{BASE}/test/ILSVRC2012_test_00000001.JPEG": "x",
    f"{BASE}/test/ILSVRC2012_test_00000002.JPEG": "x",
    f"{BASE}/train/{CAT}/{CAT}_2.JPEG": "x",
    f"{BASE}/train/{DOG}/{DOG}_1.JPEG": "x",
    f"{BASE}/val/ILSVRC2012_val_00000001.JPEG": "x",
    f"{BASE}/val/ILSVRC2012_val_00000002.JPEG": "x",
    "ILSVRC/ImageSets/CLS-LOC/train_cls.txt": "x",
    "LOC_sample_submission.csv": "ImageId,PredictionString\n",
    "LOC_synset_mapping.txt": f"{DOG} dog, domestic dog\n{CAT} domestic cat\n",
    "LOC_train_solution.csv": f"ImageId,PredictionString\n{DOG}_1,{DOG} 1 2 3 4 {DOG} 5 6 7 8 \n",
    "LOC_val_solution.csv": "ImageId,PredictionString\n"
    f"ILSVRC2012_val_00000002,{CAT} 85 1 499 272 \n"
    f"ILSVRC2012_val_00000001,{DOG} 85 1 499 272 {DOG} 1 1 9 9\n",
}
KAGGLE_IMAGES = {
    f"{CAT}_2": CAT,
    f"{DOG}_1": DOG,
    "ILSVRC2012_val_00000001": DOG,
    "ILSVRC2012_val_00000002": CAT,
}
KAGGLE_NOTES = {
    "ILSVRC/Annotations": "note: 2 files of boxes and lists, which are not imported",
    "ILSVRC/ImageSets": "note: 1 files of boxes and lists, which are not imported",
    f"{BASE}/test": "note: 2 images of the test set, which have no label",
}


def test_kaggle():
    """Train by folder, val by its solution, test and boxes as one note each."""
    assert detect_layout(KAGGLE) is Layout.KAGGLE
    assert scan_files(Layout.KAGGLE, KAGGLE) == (KAGGLE_IMAGES, KAGGLE_NOTES)


@pytest.mark.parametrize("prefix", ["", "challenge/"])
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_kaggle_from_folder_and_zip(tmp_path, prefix, kind):
    """The same images from real containers, read where they lie."""
    if kind == "folder":
        for name, text in KAGGLE.items():
            path = tmp_path / prefix / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

        def entries():
            return walk_folder(tmp_path)

        def read_entry(entry):
            return (tmp_path / entry.path).read_bytes()
    else:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in KAGGLE.items():
                archive.writestr(prefix + name, text)
        data = file.getvalue()

        def read(length, offset):
            return data[offset : offset + length]

        def entries():
            return scan_zip(read, len(data))

        def read_entry(entry):
            return read_zip_member(read, entry.offset, entry.length)

    images, notes = sort_out(scan_layout(Layout.KAGGLE, entries, read_entry, resolve))
    assert images == KAGGLE_IMAGES
    assert notes == {prefix + item: reason for item, reason in KAGGLE_NOTES.items()}


VAL1, VAL2 = "ILSVRC2012_val_00000001", "ILSVRC2012_val_00000002"


@pytest.mark.parametrize(
    ("file", "rows", "item", "reason"),
    [
        ("val", f"{VAL1},{DOG} 1 2 3 4 {CAT} 1 2 3 4\n{VAL2},{CAT} 1 2 3 4",
         f"{BASE}/val/{VAL1}.JPEG",
         f"LOC_val_solution.csv:2: its boxes are of several synsets: {DOG}, {CAT}"),
        ("val", f"{VAL1},{DOG} 1 2 3\n{VAL2},{CAT} 1 2 3 4", f"{BASE}/val/{VAL1}.JPEG",
         "LOC_val_solution.csv:2: 4 words (expected wnid x1 y1 x2 y2 for each box)"),
        ("val", f"{VAL2},{CAT} 1 2 3 4", f"{BASE}/val/{VAL1}.JPEG",
         "LOC_val_solution.csv has no label for it"),
        ("val", f"{VAL1},{DOG} 1 2 3 4\n{VAL1},{CAT} 1 2 3 4\n{VAL2},{CAT} 1 2 3 4",
         f"{BASE}/val/{VAL1}.JPEG", f"has two labels: {DOG} and {CAT}"),
        ("val", f"{VAL1},{DOG} 1 2 3 4\n{VAL2},{CAT} 1 2 3 4\nmore,{CAT} 1 2 3 4",
         "LOC_val_solution.csv", "1 labels whose images are not in val"),
        ("val", f"{VAL1},{PUG} 1 2 3 4\n{VAL2},{CAT} 1 2 3 4", f"{BASE}/val",
         f"1 images: {PUG!r} is no class of LOC_synset_mapping.txt"),
        ("val", f"{VAL1},unicorn 1 2 3 4\n{VAL2},{CAT} 1 2 3 4", f"{BASE}/val",
         "1 images: 'unicorn' is no class"),
        ("train", f"{DOG}_1,{CAT} 1 2 3 4", f"{BASE}/train/{DOG}/{DOG}_1.JPEG",
         f"is {CAT} in LOC_train_solution.csv, and in the folder {DOG!r}"),
    ],
)  # fmt: skip
def test_kaggle_labels_that_do_not_fit(file, rows, item, reason):
    """Each costs the image that it is about, and the other labels stand."""
    name = f"LOC_{file}_solution.csv"
    files = KAGGLE | {name: f"ImageId,PredictionString\r\n{rows}\n"}
    images, rest = scan_files(Layout.KAGGLE, files)
    assert {key: rest[key] for key in rest.keys() - KAGGLE_NOTES.keys()} == {item: reason}
    assert images.items() <= KAGGLE_IMAGES.items()
    assert len(images) == (4 if item.endswith("csv") else 3)


def test_kaggle_without_its_label_files():
    """Train stands by its folders; val is one line that names the missing file."""
    files = {name: text for name, text in KAGGLE.items() if not name.startswith("LOC_")}
    images, rest = scan_files(Layout.KAGGLE, files)
    assert set(images) == {f"{CAT}_2", f"{DOG}_1"}
    assert rest[f"{BASE}/val"] == "2 images without a label: LOC_val_solution.csv is missing"


def test_val_sorted_into_folders():
    """Val images in folders of their wnids keep their names, with or without the solution."""
    files = {
        name.replace("/val/ILSVRC", f"/val/{CAT if '2.JPEG' in name else DOG}/ILSVRC"): text
        for name, text in KAGGLE.items()
    }
    assert scan_files(Layout.KAGGLE, files)[0] == KAGGLE_IMAGES
    del files["LOC_val_solution.csv"]
    assert scan_files(Layout.KAGGLE, files)[0] == KAGGLE_IMAGES


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"\xff\xfe", "no UTF-8 text"),
        (b"<html>404", "expected 'ImageId,PredictionString'"),
        (b"x" * 65, "expected a file of labels, at most 64"),
    ],
)
def test_label_file_that_is_none(text, fault, monkeypatch):
    """It ends the import, because no image could be named."""
    monkeypatch.setattr(solutions, "MAX_LABELS_BYTES", 64)
    files = {name: text for name, text in KAGGLE.items() if not name.startswith("LOC_")}
    with pytest.raises(DatabaseError, match=fault):
        scan_files(Layout.KAGGLE, files | {"LOC_val_solution.csv": text})


ROOT = "tiny-imagenet-200/"
TINY = {
    f"{ROOT}words.txt": "x",
    f"{ROOT}wnids.txt": f"{DOG}\n{CAT}\n",
    f"{ROOT}test/images/test_0.JPEG": "x",
    f"{ROOT}train/{DOG}/images/{DOG}_0.JPEG": "x",
    f"{ROOT}train/{DOG}/{DOG}_boxes.txt": "x",
    f"{ROOT}train/{CAT}/images/{CAT}_7.JPEG": "x",
    f"{ROOT}train/{CAT}/{CAT}_boxes.txt": "x",
    f"{ROOT}val/images/val_0.JPEG": "x",
    f"{ROOT}val/images/val_1.JPEG": "x",
    f"{ROOT}val/val_annotations.txt": f"val_0.JPEG\t{CAT}\t0\t32\t44\t62\n"
    f"val_1.JPEG\t{DOG}\t5\t5\t9\t9\n",
}
TINY_IMAGES = {f"{DOG}_0": DOG, f"{CAT}_7": CAT, "val_0": CAT, "val_1": DOG}


@pytest.mark.parametrize("root", ["", ROOT, "a/b/"])
def test_tiny_imagenet(root):
    """Wherever its folder lies; val keeps its names."""
    files = {name.replace(ROOT, root): text for name, text in TINY.items()}
    assert detect_layout(files) is Layout.TINY_IMAGENET
    images, rest = scan_files(Layout.TINY_IMAGENET, files)
    assert images == TINY_IMAGES
    assert rest == {
        f"{root}test/images": "note: 1 images of the test set, which have no label",
        f"{root}train": "note: 2 files of boxes and lists, which are not imported",
    }


def test_tiny_imagenet_that_does_not_fit():
    """A class that wnids.txt lacks, a val image without a line, and what lies elsewhere."""
    files = TINY | {
        f"{ROOT}train/{PUG}/images/{PUG}_0.JPEG": "x",
        f"{ROOT}val/images/val_2.JPEG": "x",
        f"{ROOT}lone.JPEG": "x",
        f"{ROOT}train/images/1.JPEG": "x",
    }
    images, rest = scan_files(Layout.TINY_IMAGENET, files)
    assert images == TINY_IMAGES
    assert rest[f"{ROOT}train/{PUG}/images"] == f"1 images: {PUG!r} is no class of wnids.txt"
    assert rest[f"{ROOT}val/images/val_2.JPEG"] == "val_annotations.txt has no label for it"
    assert rest[f"{ROOT}lone.JPEG"] == "in none of the folders train/WNID, val and test"
    assert rest[f"{ROOT}train/images"] == "1 images in no folder WNID"


def test_tars(tmp_path, jpegs, write_tar):
    """Tars by label in a folder, each of which scans; others are set aside."""
    write_tar(tmp_path / f"{DOG}.tar", [(f"{DOG}_1.JPEG", jpegs[0])])
    write_tar(tmp_path / "cat.tar", [("1.jpg", jpegs[1])])
    for name in ("unicorn.tar", f"{PUG}.tar.gz", "README"):
        (tmp_path / name).write_bytes(b"x")
    assert detect_layout(entry.name for entry in walk_folder(tmp_path)) is Layout.TARS
    found = list(tars_in(walk_folder(tmp_path), resolve))
    tars = [item for item in found if isinstance(item, ClassTar)]
    assert [(tar.wnid, tar.entry.path) for tar in tars] == [(CAT, "cat.tar"), (DOG, f"{DOG}.tar")]
    fd = os.open(tmp_path / tars[1].entry.path, os.O_RDONLY)
    (member,) = scan_tar(partial(os.pread, fd), 0, tars[1].entry.length)
    os.close(fd)
    assert member.name == f"{DOG}_1.JPEG"
    assert sort_out(item for item in found if isinstance(item, SetAside))[1] == {
        "README": "no archive WNID.tar",
        f"{PUG}.tar.gz": "compressed (expected a plain .tar: images are read in place)",
        "unicorn.tar": "'unicorn' is no class",
    }


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["README", "dog/1.jpg"], Layout.CLASS_FOLDERS),
        (["dog/1.jpg", "cat.tar"], Layout.CLASS_FOLDERS),
        ([f"val/{DOG}/1.jpg", "words.txt"], Layout.CLASS_FOLDERS),
        (["dog.tar", "cat.tar", "labels.txt"], Layout.TARS),
        ([f"{BASE}/train/{DOG}/1.JPEG"], Layout.KAGGLE),
        (["CLS-LOC/val/1.JPEG"], Layout.KAGGLE),
        (["val/val_annotations.txt", "val/images/1.JPEG"], Layout.TINY_IMAGENET),
    ],
)
def test_detects(names, layout):
    """The layout is seen in the names."""
    assert detect_layout(names) is layout


def test_detection_takes_no_more_names_than_it_needs():
    """A million images of a class are not walked to see that they are images of a class."""

    def names():
        yield "README"
        yield f"train/{DOG}/1.jpg"
        raise AssertionError("a name too many")

    assert detect_layout(names()) is Layout.CLASS_FOLDERS


@pytest.mark.parametrize(
    ("names", "fault", "hint"),
    [
        ([], "no layout fits its 0 files", "folders"),
        (["a.txt", "b/c.csv"], "no layout fits its 2 files", "folders"),
        (["1.jpg", "2.jpg"], "2 images lie side by side", "--labels"),
        ([f"{DOG}.tar.gz"], "its 1 tars are compressed", "gunzip"),
        (["LOC_val_solution.csv", "imagenet_object_localization_patched2019.tar.gz"],
         "Kaggle's images lie in a compressed archive", "tar -xzf"),
    ],
)  # fmt: skip
def test_no_layout(names, fault, hint):
    """The error says what was looked for, or what to do with what was seen."""
    with pytest.raises(DatabaseError, match=f"^there: {fault}") as caught:
        detect_layout(names, "there")
    assert hint in caught.value.hint
