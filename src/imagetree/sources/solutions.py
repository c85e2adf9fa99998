"""Label files that lie among the images of a set: Kaggle's `LOC_*.csv`, Tiny ImageNet's lists.

A file that is no text, or not the file that its name says, ends the import, for no image could be
named. A bad line costs the image that it is about.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple

from imagetree.errors import DatabaseError
from imagetree.sources.entries import Entry, SetAside, base_of, stem_of
from imagetree.sources.tarscan import printable

ReadEntry = Callable[[Entry], bytes]
"""`read_entry(entry)`: the bytes of a file of a container."""

MAX_LABELS_BYTES = 128 << 20
"""Longest label file that is read; the longest known, LOC_train_solution.csv, has 30 MB."""

_SOLUTION_HEADER = "ImageId,PredictionString"


class Row(NamedTuple):
    """What a label file says of an image: its label, or why there is none."""

    label: str
    fault: str


def find_files(entries: Iterable[Entry | SetAside], bases: frozenset[str]) -> dict[str, Entry]:
    """The files of these names; of several of one name the one in the fewest folders."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if isinstance(entry, Entry) and (base := base_of(entry.name)) in bases:
            first = found.setdefault(base, entry)
            found[base] = min(first, entry, key=lambda each: (each.name.count("/"), each.name))
    return found


def read_text(entry: Entry, read_entry: ReadEntry) -> str:
    """A label file; one that is too long or no text ends the import, for nothing could be named."""
    name = printable(entry.name)
    if entry.length > MAX_LABELS_BYTES:
        raise DatabaseError(
            f"{name}: {entry.length} bytes (expected a file of labels, at most {MAX_LABELS_BYTES})"
        )
    try:
        return read_entry(entry).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatabaseError(
            f"{name}: the labels are no UTF-8 text (byte {error.start})",
            hint="get this file again; nothing was imported",
        ) from None


def parse_solution(text: str, entry: Entry) -> dict[str, Row]:
    """Kaggle's `ImageId,PredictionString`: a wnid and four numbers for each box of an image."""
    file = base_of(entry.name)
    header, _, rest = text.partition("\n")
    if header.strip() != _SOLUTION_HEADER:
        raise DatabaseError(
            f"{printable(entry.name)}:1: got {header[:80]!r} (expected {_SOLUTION_HEADER!r})",
            hint="get this file of Kaggle's again; nothing was imported",
        )
    rows: dict[str, Row] = {}
    for number, line in enumerate(rest.split("\n"), 2):
        image, _, boxes = line.strip().partition(",")
        if image:
            _add_row(rows, image, _row_of_boxes(boxes.split(), f"{file}:{number}"))
    return rows


def _row_of_boxes(words: list[str], where: str) -> Row:
    labels = sorted(set(words[::5]))
    if not words or len(words) % 5:
        return Row("", f"{where}: {len(words)} words (expected wnid x1 y1 x2 y2 for each box)")
    if len(labels) > 1:
        return Row("", f"{where}: its boxes are of several synsets: {', '.join(labels[:5])}")
    return Row(sys.intern(labels[0]), "")


def parse_annotations(text: str) -> dict[str, Row]:
    """Tiny ImageNet's lines of image, wnid and four numbers, parted by tabs."""
    rows: dict[str, Row] = {}
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if words:
            fault = f"val_annotations.txt:{number}: no label" if len(words) == 1 else ""
            _add_row(rows, stem_of(words[0]), Row("" if fault else words[1], fault))
    return rows


def _add_row(rows: dict[str, Row], image: str, row: Row) -> None:
    first = rows.setdefault(image, row)
    if first != row:
        rows[image] = Row("", f"has two labels: {first.label or '?'} and {row.label or '?'}")
