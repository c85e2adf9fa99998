"""WebDataset shards: tars in which the members of one key, side by side, make one sample.

The key of `train/0007.seg.png` is `train/0007`, what follows the first dot of the base name says
what the member is (`seg.png`). Of a sample the image is taken and, out of the small members beside
it, its label. Nothing is unpacked, and no more is read than headers and labels.
Source: the WebDataset format's description, "The WebDataset Format" (Aizman, Maltby, Breuel, 2019).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from imagetree.errors import DatabaseError
from imagetree.sources.entries import (
    IMAGE_SUFFIXES,
    FoundImage,
    SetAside,
    base_of,
    fault_of_base,
    fault_of_length,
    image_name,
)
from imagetree.sources.numbering import EXPLANATION, parse_number, unnamed_numbering
from imagetree.sources.tarscan import Member, Problem, printable, scan_tar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from imagetree.sources.entries import Read, Resolve

LABEL_KINDS = ("cls", "json", "txt")
JSON_KEYS = ("wnid", "synset", "label", "class_name")
MAX_LABEL_BYTES = 1 << 16
"""Longest label member that is read: a JSON object with all that is known of a photograph."""
MAX_LABEL_LENGTH = 256

_META = re.compile(r"__[^/]*__(/|$)")  # what readers of shards pass over
_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_NUMBERS_ALLOWED = 100
_MAX_SHARDS = 1_000_000
_MAX_LABELS_KEPT = 1 << 16


def number_of(label: str | int) -> int | None:
    """The number that a label is; None for a word."""
    return label if isinstance(label, int) else parse_number(label.strip())


def resolve_label(
    label: str | int, classes: Sequence[str] | None, resolve: Resolve
) -> tuple[str, str]:
    """The wnid of a label that may be a number, and ""; or "" and why there is none.

    Args:
        label: wnid, word, or number from 0.
        classes: labels in the order of their numbers; None where no one has said.
        resolve: the synset of a word.
    """
    number = number_of(label)
    if number is not None:
        if classes is None:
            return "", f"label {number} is a number, and the names of the classes are not given"
        if not 0 <= number < len(classes):
            return "", f"label {number} is not in 0..{len(classes) - 1}; {EXPLANATION}"
        label = classes[number]
    label = str(label).strip()
    if not 0 < len(label) <= MAX_LABEL_LENGTH:
        length = len(label)
        return "", f"label of {length} characters (expected 1 to {MAX_LABEL_LENGTH})"
    if not label.isprintable():
        return "", "label holds control characters or is not UTF-8"
    return resolve(label)


def scan_shard(
    read: Read,
    size: int,
    resolve: Resolve,
    label_key: str | None = None,
    classes: Sequence[str] | None = None,
) -> Iterator[FoundImage | SetAside]:
    """The images of a shard, and what is set aside.

    A label is looked for in `.cls` (wnid, word or number) and `.json` (JSON_KEYS, or `label_key`),
    which must not contradict each other, and in `.txt` where there is neither. Members that are
    neither image nor label are counted in one note.

    Args:
        read: of the shard.
        size: of the shard in bytes.
        resolve: the synset of a label.
        label_key: the key of the `.json` objects under which the label is.
        classes: labels in the order of their numbers, from 0, where the labels are numbers.

    Returns:
        Images in the shard's order, named by the base name of their key.

    Raises:
        DatabaseError: all labels are numbers, and `classes` are not given.
    """
    shard = _Shard(read, lru_cache(_MAX_LABELS_KEPT)(resolve), label_key, classes)
    sample = _Sample("")
    for found in scan_tar(read, 0, size):
        if isinstance(found, Problem):
            yield SetAside(found.name or "archive", found.offset, found.reason)
            continue
        key, kind = split_key(found.name)
        if not key:
            fault = fault_of_base(base_of(found.name)) or "no key before its first dot"
            yield SetAside(printable(found.name), found.offset, fault)
            continue
        if key != sample.key:
            yield from shard.finish(sample)
            sample = _Sample(key)
        fault = shard.take(sample, kind, found)
        if fault:
            yield SetAside(printable(found.name), found.offset, fault)
    yield from shard.finish(sample)
    shard.check_numbers(1)
    if shard.num_others:
        reason = f"{shard.num_others} members are neither image nor label, {shard.first_other} the"
        yield SetAside("archive", 0, f"note: {reason} first")


def split_key(name: str) -> tuple[str, str]:
    """The key of a member and what it is, in lower case; two empty strings where it has no key.

    >>> split_key("a.b/0007.Seg.PNG"), split_key("a/.hidden")
    (('a.b/0007', 'seg.png'), ('', ''))
    """
    folder, slash, base = name.rpartition("/")
    stem, dot, kind = base.partition(".")
    return (f"{folder}{slash}{stem}", kind.lower()) if stem and dot else ("", "")


def is_webdataset(members: Sequence[str]) -> bool:
    """Whether the first members of a tar look like samples: an image, its label beside it.

    >>> is_webdataset(["1.cls", "1.jpg", "2.cls", "2.jpg"]), is_webdataset(["1.jpg", "2.jpg"])
    (True, False)
    """
    parts = [split_key(name) for name in members]
    images = {key for key, kind in parts if _is_image(kind)}
    return any(key in images for key, kind in parts if kind in LABEL_KINDS)


def shard_files(place: Path) -> list[Path]:
    """The shards that a place stands for, sorted by name.

    Args:
        place: a folder with shards, one shard, a pattern (`train-*.tar`) or a range in braces
            (`train-{000000..000146}.tar`).

    Raises:
        DatabaseError: there is none, or one of a range is missing.
    """
    if place.is_dir():
        found = [path for path in place.iterdir() if path.suffix.lower() == ".tar"]
    elif place.is_file():
        found = [place]
    elif _BRACES.search(place.name):
        found = [place.with_name(name) for name in _expand(place.name)]
    else:
        found = list(place.parent.glob(place.name)) if "*" in place.name else []
    found.sort(key=lambda path: path.name)
    missing = [path.name for path in found if not path.is_file()]
    if missing:
        raise DatabaseError(
            f"{place}: {len(missing)} of {len(found)} shards are missing, {missing[0]} the first",
            hint="name the range of the shards that are there",
        )
    if not found:
        raise DatabaseError(
            f"{place}: no shards are there",
            hint="name a folder with NAME-000000.tar, ..., one of them, or a range "
            "NAME-{000000..000146}.tar",
        )
    return found


@dataclass
class _Sample:
    """What was met of one key: an image, and the members that may hold its label."""

    key: str
    image: Member | None = None
    is_plain: bool = False  # the image's kind has no further part, as `jpg` and not `seg.png`
    labels: dict[str, Member] = field(default_factory=dict)

    @property
    def offset(self) -> int:
        """Of the first member that was kept."""
        kept = [*self.labels.values(), *([self.image] if self.image else [])]
        return min((member.offset for member in kept), default=0)


@dataclass
class _Shard:
    """A scan under way."""

    read: Read
    resolve: Resolve
    label_key: str | None
    classes: Sequence[str] | None
    num_images: int = 0
    num_numbers: int = 0  # labels that are numbers, and no one has said of what
    num_others: int = 0
    first_other: str = ""

    def take(self, sample: _Sample, kind: str, member: Member) -> str:
        """Add a member to its sample; says why it cannot be."""
        if kind in LABEL_KINDS:
            is_second = kind in sample.labels
            sample.labels.setdefault(kind, member)
            return f"a second .{kind} of the sample" if is_second else ""
        if not _is_image(kind):
            return self._pass_over(member)
        is_plain = "." not in kind
        if sample.image is None or is_plain > sample.is_plain:
            former, sample.image, sample.is_plain = sample.image, member, is_plain
            return self._pass_over(former) if former else ""
        return "a second image of the sample" if is_plain else self._pass_over(member)

    def finish(self, sample: _Sample) -> Iterator[FoundImage | SetAside]:
        """The image of a sample, or why it has none; nothing where it is made of other members."""
        image = sample.image
        if image is None:
            if sample.labels and not _META.match(sample.key):
                yield SetAside(printable(sample.key), sample.offset, "a label without image")
            return
        wnid, fault = self._wnid_of(sample)
        self.num_images += not fault
        self.check_numbers(_NUMBERS_ALLOWED)
        fault = fault or fault_of_length(image.length)
        if fault:
            yield SetAside(printable(image.name), image.offset, fault)
        else:
            name = image_name(f"{base_of(sample.key)}.", wnid)
            yield FoundImage(name, wnid, image.offset, image.length, None)

    def check_numbers(self, limit: int) -> None:
        """Give up where so many labels are numbers and nothing else was found."""
        if not self.num_images and self.num_numbers >= limit:
            raise unnamed_numbering("shard")

    def _pass_over(self, member: Member) -> str:
        self.num_others += 1
        self.first_other = self.first_other or printable(member.name)
        return ""

    def _wnid_of(self, sample: _Sample) -> tuple[str, str]:
        """The synset of a sample and "", or "" and why there is none."""
        kinds = [kind for kind in LABEL_KINDS if kind in sample.labels]
        if len(kinds) > 1 and kinds[-1] == "txt":  # a caption
            kinds.pop()
        found = {kind: self._look_up(kind, sample.labels[kind]) for kind in kinds}
        wnids = {kind: wnid for kind, (wnid, _) in found.items() if wnid}
        if len(set(wnids.values())) > 1:
            return "", f"its labels differ: {wnids['cls']} in .cls, {wnids['json']} in .json"
        if wnids:
            return next(iter(wnids.values())), ""
        faults = "; ".join(f".{kind}: {fault}" for kind, (_, fault) in found.items())
        return "", faults or (
            "no label beside it (expected a .cls, .json or .txt of the same key next to it; "
            "pack shards with `tar --sort=name`)"
        )

    def _look_up(self, kind: str, member: Member) -> tuple[str, str]:
        if member.length > MAX_LABEL_BYTES:
            return "", f"{member.length} bytes (expected at most {MAX_LABEL_BYTES})"
        data = self.read(member.length, member.offset)
        try:
            text = data.decode("utf-8-sig")
            label = self._from_json(text) if kind == "json" else text.strip()
        except UnicodeDecodeError:
            return "", "no UTF-8 text"
        except (ValueError, RecursionError):
            return "", "no JSON"
        self.num_numbers += self.classes is None and number_of(label) is not None
        return resolve_label(label, self.classes, self.resolve)

    def _from_json(self, text: str) -> str | int:
        """The label in a JSON object; of several keys a word goes before a number."""
        value = json.loads(text)
        keys = JSON_KEYS if self.label_key is None else (self.label_key,)
        found = [value[key] for key in keys if key in value] if isinstance(value, dict) else []
        labels = [label for label in found if type(label) in {str, int}]  # True is no class
        return min(labels, key=lambda label: type(label) is int, default="")


def _is_image(kind: str) -> bool:
    return kind.rpartition(".")[2] in IMAGE_SUFFIXES


def _expand(name: str) -> Iterator[str]:
    """The names of a range in braces, which has as many digits as its first number is written with.

    >>> list(_expand("a-{08..10}.tar"))
    ['a-08.tar', 'a-09.tar', 'a-10.tar']
    """
    found = _BRACES.search(name)
    if found is None:
        yield name
        return
    first, last = int(found[1]), int(found[2])
    if not 0 <= last - first < _MAX_SHARDS:
        raise DatabaseError(f"{name}: {found[0]} is no range of shards")
    for number in range(first, last + 1):
        rest = name[: found.start()] + f"{number:0{len(found[1])}}" + name[found.end() :]
        yield from _expand(rest)
