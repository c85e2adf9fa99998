"""What the files of a container show, by how they are laid out: folders of classes, Kaggle's, ...

A layout is a function over the entries of any container, a folder, a zip or a tar. What cannot be
used comes out one by one where it is an oddity, and as one line with a count where it is a whole
kind (a class without a synset, test images, boxes): there may be 100,000 of them. Labels become
wnids by a `Resolve`; whoever passes one that only notes them gets the labels of a source.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from imagetree.errors import DatabaseError
from imagetree.sources.entries import (
    Entry,
    FoundImage,
    Resolve,
    SetAside,
    base_of,
    fault_of_base,
    fault_of_length,
    image_name,
    stem_of,
)
from imagetree.sources.solutions import (
    ReadEntry,
    Row,
    find_files,
    parse_annotations,
    parse_solution,
    read_text,
)
from imagetree.sources.tarscan import printable

Entries = Callable[[], Iterable[Entry | SetAside]]
"""`entries()`: what a container gives, from its beginning each time."""

_MAPPING = "LOC_synset_mapping.txt"
_SOLUTIONS = {"train": "LOC_train_solution.csv", "val": "LOC_val_solution.csv"}
_KAGGLE_FILES = frozenset({_MAPPING, *_SOLUTIONS.values(), "LOC_sample_submission.csv"})
_KAGGLE_IMAGE = re.compile(r"(?:.*/)?CLS-LOC/(train|val|test)/(?:([^/]+)/)?[^/]+")
_KAGGLE_BOXES = re.compile(r"((?:.*/)?(?:Annotations|ImageSets))/.+")

_ANNOTATIONS, _WNIDS = "val_annotations.txt", "wnids.txt"
_TINY_FILES = frozenset({_ANNOTATIONS, _WNIDS, "words.txt"})
_TINY_IMAGE = re.compile(
    r"(?:.*/)?(train|val|test)/(?:(?!images/)([^/]+)/)?(?:images/)?[^/]+"  # val in folders too
)
_TINY_BOXES = re.compile(r"((?:.*/)?train)/[^/]+/[^/]+_boxes\.txt")
_TINY_MARK = re.compile(r"(?:.*/)?(?:train/[^/]+/images/[^/]+|val/val_annotations\.txt)")

_WNID_FOLDER = re.compile(r"(?:.*/)?n[0-9]{8}/[^/]+")
_COMPRESSED_TAR = re.compile(r".+\.(?:tar\.(?:gz|bz2|xz|zst)|tgz|tbz2?|txz)", re.IGNORECASE)


class Layout(StrEnum):
    """How the files of a container are laid out."""

    LABELLED = "flat, with labels"
    ONE_CLASS = "one class"
    CLASS_FOLDERS = "folder per class"
    KAGGLE = "Kaggle localization"
    TINY_IMAGENET = "Tiny ImageNet"
    TARS = "tar per class"
    WEBDATASET = "WebDataset"
    TABLE = "table"
    LIST = "list"


def holds_tars(layout: str) -> bool:
    """Whether the images of a folder lie in tars."""
    return layout in {Layout.TARS, Layout.WEBDATASET}


class ClassTar(NamedTuple):
    """A tar of the images of one synset, among the files of a container."""

    wnid: str
    entry: Entry


@dataclass
class _Kit:
    """What Kaggle's files and Tiny ImageNet's have in common: splits, and files of labels.

    Args:
        image: matches an image's name; its groups are the split and the folder of the class.
        boxes: matches what is not imported; its group is the folder that the note names.
        labels: entries of the label files by the last part of their names.
        classes: all labels, in the file `classes_file`; any where it is empty.
        rows: by split and stem of the image's name, what the split's label file says.
        row_files: the split's label file.
    """

    image: re.Pattern[str]
    boxes: re.Pattern[str]
    row_files: dict[str, str]
    classes_file: str
    labels: dict[str, Entry]
    classes: frozenset[str] = frozenset()
    rows: dict[str, dict[str, Row]] = field(default_factory=dict)


_Tally = Counter[tuple[str, str]]
"""How many files come out as one line: by the item and the reason that the line will give."""


def detect_layout(names: Iterable[str], where: str = "source") -> Layout:
    """How files of these names are laid out; no more names are taken when it is certain.

    Args:
        names: of the entries of a container, in its order.
        where: what they are of, for the error.

    Raises:
        DatabaseError: no layout fits; it says what was looked for.

    >>> detect_layout(["train/dog/1.jpg"]), detect_layout(["n02084071.tar"])
    (<Layout.CLASS_FOLDERS: 'folder per class'>, <Layout.TARS: 'tar per class'>)
    """
    seen: Counter[str] = Counter()
    for name in names:
        base = base_of(name)
        is_image = not fault_of_base(base)
        if is_image and _KAGGLE_IMAGE.fullmatch(name):
            return Layout.KAGGLE
        if _TINY_MARK.fullmatch(name):
            return Layout.TINY_IMAGENET
        if is_image and _WNID_FOLDER.fullmatch(name):
            return Layout.CLASS_FOLDERS
        seen["files"] += 1
        seen["images"] += is_image
        seen["images in folders"] += is_image and "/" in name
        seen["tars"] += base.lower().endswith(".tar")
        seen["compressed tars"] += _COMPRESSED_TAR.fullmatch(base) is not None
        seen["Kaggle's files"] += base in _KAGGLE_FILES
    if seen["images in folders"]:
        return Layout.CLASS_FOLDERS
    if seen["tars"] and not seen["images"]:
        return Layout.TARS
    raise _no_layout(seen, where)


def scan_layout(
    layout: Layout, entries: Entries, read_entry: ReadEntry, resolve: Resolve
) -> Iterator[FoundImage | SetAside]:
    """The images of a container that is laid out so; `tars_in` is for `Layout.TARS`.

    Raises:
        DatabaseError: the container cannot be read, or a label file is none.
        ValueError: the layout is `Layout.TARS`.
    """
    if layout is Layout.TARS:
        raise ValueError("tars are listed by tars_in, and scanned one by one")
    if layout is Layout.KAGGLE:
        return scan_kaggle(entries, read_entry, resolve)
    if layout is Layout.TINY_IMAGENET:
        return scan_tiny_imagenet(entries, read_entry, resolve)
    return scan_class_folders(entries(), resolve)


def scan_class_folders(
    entries: Iterable[Entry | SetAside], resolve: Resolve
) -> Iterator[FoundImage | SetAside]:
    """Images whose label is the folder that they lie in, whatever lies above it.

    So `train/dog/1.jpg` and `val/dog/7.jpg` show one synset. The images of a folder whose label
    names no synset come out as one line.

    >>> entries = [Entry("train/dog/1.jpg", 512, 9), Entry("train/x/2.jpg", 1536, 9)]
    >>> for found in scan_class_folders(entries, {"dog": ("n02084071", ""), "x": ("", "?")}.get):
    ...     print(tuple(found))
    ('n02084071_1', 'n02084071', 512, 9, None)
    ('train/x', 0, '1 images: ?')
    """
    resolve, tally = cache(resolve), _Tally()
    for entry in map(_judge, entries):
        if isinstance(entry, SetAside):
            yield entry
            continue
        folder, _, base = entry.name.rpartition("/")
        wnid, fault = resolve(base_of(folder)) if folder else ("", "in no folder of a class")
        if fault:
            tally[folder or ".", _of_images(fault)] += 1
        else:
            yield FoundImage(image_name(base, wnid), wnid, *entry[1:])
    yield from _summaries(tally)


def scan_kaggle(
    entries: Entries, read_entry: ReadEntry, resolve: Resolve
) -> Iterator[FoundImage | SetAside]:
    """Images of Kaggle's ILSVRC localization challenge: `ILSVRC/Data/CLS-LOC`, `LOC_*`.

    The wnid of a val image is that of its boxes in `LOC_val_solution.csv`; that of a train image is
    its folder, which `LOC_train_solution.csv` must not contradict. Test images have none.

    Raises:
        DatabaseError: a `LOC_*` file cannot be read, or is no file of Kaggle's.
    """
    labels = find_files(entries(), _KAGGLE_FILES)
    kit = _Kit(_KAGGLE_IMAGE, _KAGGLE_BOXES, _SOLUTIONS, _MAPPING, labels)
    if _MAPPING in labels:
        lines = read_text(labels[_MAPPING], read_entry).splitlines()
        kit.classes = frozenset(line.split(None, 1)[0] for line in lines if line.strip())
    for split, file in _SOLUTIONS.items():
        if file in labels:
            kit.rows[split] = parse_solution(read_text(labels[file], read_entry), labels[file])
    yield from _scan_kit(kit, entries(), resolve)


def scan_tiny_imagenet(
    entries: Entries, read_entry: ReadEntry, resolve: Resolve
) -> Iterator[FoundImage | SetAside]:
    """Images of Tiny ImageNet: `train/W/images`, `val/images` with `val_annotations.txt`.

    Raises:
        DatabaseError: `wnids.txt` or `val_annotations.txt` cannot be read.
    """
    labels = find_files(entries(), _TINY_FILES)
    kit = _Kit(_TINY_IMAGE, _TINY_BOXES, {"val": _ANNOTATIONS}, _WNIDS, labels)
    if _WNIDS in labels:
        kit.classes = frozenset(read_text(labels[_WNIDS], read_entry).split())
    if _ANNOTATIONS in labels:
        kit.rows["val"] = parse_annotations(read_text(labels[_ANNOTATIONS], read_entry))
    yield from _scan_kit(kit, entries(), resolve)


def tars_in(entries: Iterable[Entry | SetAside], resolve: Resolve) -> Iterator[ClassTar | SetAside]:
    """The tars of a container whose names are labels, `n02084071.tar`, in the container's order.

    Each is to be scanned where its entry lies; compressed ones are set aside.
    """
    for entry in entries:
        if isinstance(entry, SetAside):
            yield entry
            continue
        base = base_of(entry.name)
        if _COMPRESSED_TAR.fullmatch(base):
            wnid, fault = "", "compressed (expected a plain .tar: images are read in place)"
        elif base.lower().endswith(".tar"):
            wnid, fault = resolve(stem_of(base))
        else:
            wnid, fault = "", "no archive WNID.tar"
        yield _set_aside(entry, fault) if fault else ClassTar(wnid, entry)


def _judge(entry: Entry | SetAside) -> Entry | SetAside:
    """An image by its name and length, or why it is none."""
    if isinstance(entry, SetAside):
        return entry
    fault = fault_of_base(base_of(entry.name)) or fault_of_length(entry.length)
    return _set_aside(entry, fault) if fault else entry


def _scan_kit(
    kit: _Kit, entries: Iterable[Entry | SetAside], resolve: Resolve
) -> Iterator[FoundImage | SetAside]:
    tally, resolve = _Tally(), cache(resolve)
    used = {entry.name for entry in kit.labels.values()}
    for entry in entries:
        if isinstance(entry, SetAside):
            yield entry
        elif boxes := kit.boxes.fullmatch(entry.name):
            tally[boxes[1], "note: files of boxes and lists, which are not imported"] += 1
        elif entry.name not in used:
            image = _judge(entry)
            found = image if isinstance(image, SetAside) else _place(kit, image, resolve, tally)
            if found is not None:
                yield found
    for split, rows in kit.rows.items():
        if rows:
            file = kit.labels[kit.row_files[split]].name
            tally[file, f"labels whose images are not in {split}"] += len(rows)
    yield from _summaries(tally)


def _place(
    kit: _Kit, entry: Entry, resolve: Resolve, tally: _Tally
) -> FoundImage | SetAside | None:
    """An image of a split; None where it is counted as one of many of its kind."""
    place = kit.image.fullmatch(entry.name)
    if place is None:
        return _set_aside(entry, "in none of the folders train/WNID, val and test")
    folder, _, base = entry.name.rpartition("/")
    split, label = place[1], place[2] or ""
    if split == "test":
        tally[folder, "note: images of the test set, which have no label"] += 1
        return None
    row = kit.rows.get(split, {}).pop(stem_of(base), None)
    if row is not None:
        file = kit.row_files[split]
        if not row.fault and label and row.label != label:
            row = Row("", f"is {row.label} in {file}, and in the folder {label!r}")
        if row.fault:
            return _set_aside(entry, row.fault)
    elif not label:
        return _without_label(kit, entry, split, tally)
    wnid, fault = resolve(row.label if row else label)
    if kit.classes and not fault and (row.label if row else label) not in kit.classes:
        fault = f"{row.label if row else label!r} is no class of {kit.classes_file}"
    if fault:
        tally[folder, _of_images(fault)] += 1
        return None
    name = image_name(base, wnid) if split == "train" else stem_of(base)
    return FoundImage(name, wnid, entry.offset, entry.length, entry.path)


def _without_label(kit: _Kit, entry: Entry, split: str, tally: _Tally) -> SetAside | None:
    """An image that only a label file could name: the file is missing, or its line."""
    file = kit.row_files.get(split, "")
    if file in kit.labels:
        return _set_aside(entry, f"{file} has no label for it")
    reason = f"images without a label: {file} is missing" if file else "images in no folder WNID"
    tally[entry.name.rpartition("/")[0], reason] += 1
    return None


def _summaries(tally: _Tally) -> Iterator[SetAside]:
    for (item, reason), count in sorted(tally.items()):
        note = "note: " if reason.startswith("note: ") else ""
        yield SetAside(printable(item), 0, f"{note}{count} {reason.removeprefix('note: ')}")


def _of_images(fault: str) -> str:
    note = "note: " if fault.startswith("note: ") else ""
    return f"{note}images: {fault.removeprefix('note: ')}"


def _set_aside(entry: Entry, reason: str) -> SetAside:
    return SetAside(printable(entry.name), entry.offset, reason)


def _no_layout(seen: Counter[str], where: str) -> DatabaseError:
    """The error that says what was looked for."""
    if seen["Kaggle's files"] and seen["compressed tars"]:
        return DatabaseError(
            f"{where}: Kaggle's images lie in a compressed archive, and images are read in place",
            hint="unpack it beside the LOC_* files, and import the folder: "
            "tar -xzf imagenet_object_localization_patched2019.tar.gz",
        )
    if seen["compressed tars"] and not seen["images"]:
        return DatabaseError(
            f"{where}: its {seen['compressed tars']} tars are compressed, and images are read in "
            "place",
            hint="unpack them to plain tars: gunzip *.tar.gz",
        )
    if seen["images"]:
        return DatabaseError(
            f"{where}: {seen['images']} images lie side by side, and nothing says what they show",
            hint="name the file of their labels: --labels FILE, with a file name and a wnid a line",
        )
    return DatabaseError(
        f"{where}: no layout fits its {seen['files']} files (expected LABEL/ANY.JPEG, WNID.tar, "
        "Kaggle's ILSVRC/Data/CLS-LOC/train/WNID/ANY.JPEG with LOC_val_solution.csv, or Tiny "
        "ImageNet's train/WNID/images/ANY.JPEG with val/val_annotations.txt)",
        hint="arrange the images in folders that are named by their wnids or by words of WordNet",
    )
