"""A challenge on the disk: its classes and its splits, a folder of plain text files.

`challenge.json` is the manifest and is written last; `synsets.txt` has one class a line, sorted by
wnid, so the class index is the line number from 0; `train.tsv`, `minival.tsv` and `val.tsv` have an
image's name and its wnid a line, sorted. docs/formats.md describes them. How images are dealt out
to the splits stands in `cut`.

A challenge may have a fourth split, `test`, whose labels are sealed. `test.tsv` has names alone,
test_00000001 and so on, given in the order of the images' own hashes, so that neither name nor
order tells a class. What they stand for is in FOLDER.sealed.tsv: beside the folder, so that a copy
of the folder never takes it along, and readable by its owner alone. The manifest has its SHA-256,
so that the truth cannot be changed once answers have come in. What sealing is worth: labels are
hidden from who gets the folder and the images under their new names. They are not from who has the
archives that the images came from, and can look a picture up there.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from imagetree.errors import ChallengeError
from imagetree.files import atomic_writer, sha256_of, write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SPLITS = ("train", "minival", "val", "test")
"""All that a challenge may have; it has no test where none was asked for."""
FORMAT = 2
_OPEN = SPLITS[:-1]
_TEST = SPLITS[-1]
_MANIFEST = "challenge.json"
_SYNSETS = "synsets.txt"
_SEALED_MODE = 0o600


class Entry(NamedTuple):
    """An image of a split: its name in the database and the wnid of its class."""

    name: str
    wnid: str


@dataclass(frozen=True)
class Challenge:
    """A challenge as it lies on the disk.

    Args:
        folder: where its files are.
        wnids: the classes, sorted; a class index is a position here.
        num_images: images in each split, by its name.
        version: SHA-256 of the classes and the splits, the sealed labels included: two challenges
            are the same one where their versions are equal.
        sealed_sha256: of the file with the labels of test; empty where there is no test.
    """

    folder: Path
    wnids: tuple[str, ...]
    num_images: Mapping[str, int]
    version: str
    sealed_sha256: str = ""

    @property
    def sealed_path(self) -> Path:
        """Where the labels of test are, on the machine of who cut the challenge."""
        return sealed_path_of(self.folder)

    def read_split(self, split: str) -> tuple[Entry, ...]:
        """The images of a split, sorted by wnid and name; those of test in the order of test.tsv.

        Raises:
            ChallengeError: there is no such split, a line of it is damaged, or its labels are
                sealed and not here.
        """
        self._check_split(split)
        if split == _TEST:
            path, entries = self.sealed_path, [Entry(*rest) for _, *rest in self._read_sealed()]
        else:
            path = self.folder / f"{split}.tsv"
            entries = [Entry(*row) for row in _read_rows(path, 2)]
        classes = set(self.wnids)
        for number, entry in enumerate(entries, 1):
            if entry.wnid not in classes:
                raise ChallengeError(f"{path}:{number}: {entry.wnid[:20]!r} is no class")
        return tuple(entries)

    def read_names(self, split: str) -> tuple[str, ...]:
        """What the images of a split are called before its participants, in the order of answers.

        Raises:
            ChallengeError: there is no such split, or a line of it is damaged.
        """
        self._check_split(split)
        width = 1 if split == _TEST else 2
        return tuple(row[0] for row in _read_rows(self.folder / f"{split}.tsv", width))

    def _check_split(self, split: str) -> None:
        if split not in self.num_images:
            raise ChallengeError(
                f"{self.folder}: no split {split!r} (expected {', '.join(self.num_images)})"
            )

    def _read_sealed(self) -> list[list[str]]:
        path = self.sealed_path
        if not path.is_file():
            raise ChallengeError(
                f"{self.folder}: the labels of test are sealed (expected them in {path})",
                hint="only who cut the challenge has them; answers to test are scored there",
            )
        if sha256_of(path) != self.sealed_sha256:
            raise ChallengeError(
                f"{path}: not the labels that were sealed when the challenge was cut",
                hint="put back the file that was written with the challenge",
            )
        return _read_rows(path, 3)


def sealed_path_of(folder: Path) -> Path:
    """The file with the sealed labels of a challenge: beside its folder, never in it."""
    folder = folder.resolve()
    return folder.with_name(f"{folder.name}.sealed.tsv")


def save_challenge(
    folder: Path, wnids: tuple[str, ...], splits: Mapping[str, Sequence[Entry]]
) -> Challenge:
    """Write a challenge's files, the manifest last, and return it.

    Args:
        folder: where they go; made if it is missing.
        wnids: the classes, sorted.
        splits: the images of train, minival and val and, if any, of test, whose order is the one
            that they are named in.

    Raises:
        ChallengeError: the folder holds another challenge.
    """
    texts = {_SYNSETS: "".join(f"{wnid}\n" for wnid in wnids)}
    for split in _OPEN:
        texts[f"{split}.tsv"] = "".join(f"{entry.name}\t{entry.wnid}\n" for entry in splits[split])
    test = splits.get(_TEST, ())
    names = [f"{_TEST}_{number:08}" for number in range(1, len(test) + 1)]
    sealed = "".join(f"{n}\t{e.name}\t{e.wnid}\n" for n, e in zip(names, test, strict=True))
    if test:
        texts[f"{_TEST}.tsv"] = "".join(f"{name}\n" for name in names)
    manifest = _manifest_of(texts, sealed, len(wnids), {s: len(splits[s]) for s in splits})
    has_other = (folder / _MANIFEST).exists()
    if has_other and _version_of(read_manifest(folder)) != manifest["version"]:
        raise ChallengeError(
            f"{folder}: another challenge is here already",
            hint="name another folder; a challenge that was scored on is never changed",
        )
    if test:
        _write_sealed(sealed_path_of(folder), sealed)
    for name, text in texts.items():
        write_atomic(folder / name, text)
    write_atomic(folder / _MANIFEST, json.dumps(manifest, indent=2) + "\n")
    return load_challenge(folder)


def load_challenge(folder: Path) -> Challenge:
    """Read a challenge and check that none of its files has changed.

    Folders of format 1, which had no version, are read as well.

    Raises:
        ChallengeError: it is missing, of another format, or one of its files was changed.
    """
    manifest = read_manifest(folder)
    for name, expected in manifest["sha256"].items():
        if _sha256_or_none(folder / name) != expected:
            raise ChallengeError(
                f"{folder / name}: missing or changed since the challenge was cut",
                hint=f"see what else has: imagetree challenge verify {folder}",
            )
    wnids = tuple((folder / _SYNSETS).read_text().splitlines())
    version, sealed = _version_of(manifest), manifest.get("sealed_sha256", "")
    return Challenge(folder, wnids, dict(manifest["num_images"]), version, sealed)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a challenge, in the form that it must have; its files are not looked at.

    Raises:
        ChallengeError: it is missing, damaged, or of another format.
    """
    path = folder / _MANIFEST
    try:
        manifest = json.loads(path.read_text())
    except FileNotFoundError:
        raise ChallengeError(
            f"{folder}: no challenge is here ({_MANIFEST} is missing)",
            hint="make one: imagetree challenge cut FOLDER --database PATH",
        ) from None
    except (OSError, ValueError) as error:
        raise ChallengeError(f"{path}: cannot be read ({error})") from error
    known = range(1, FORMAT + 1)
    if not isinstance(manifest, dict) or manifest.get("format") not in known:
        raise ChallengeError(
            f"{path}: not a challenge of format 1 or {FORMAT}",
            hint="a newer imagetree wrote it, or it is another file",
        )
    fault = _fault_of_manifest(manifest)
    if fault:
        raise ChallengeError(f"{path}: {fault}", hint="cut the challenge again")
    return manifest


def _manifest_of(
    texts: Mapping[str, str], sealed: str, num_classes: int, num_images: Mapping[str, int]
) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "version": "",
        "num_classes": num_classes,
        "num_images": {s: num_images.get(s, 0) for s in (SPLITS if sealed else _OPEN)},
        "sha256": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()},
    }
    if sealed:
        manifest["sealed_sha256"] = hashlib.sha256(sealed.encode()).hexdigest()
    return manifest | {"version": _version_of(manifest)}


def _version_of(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of the lines that `sha256sum` prints of the files, sorted by name."""
    sums = dict(manifest["sha256"])
    if "sealed_sha256" in manifest:
        sums["sealed"] = manifest["sealed_sha256"]
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _write_sealed(path: Path, text: str) -> None:
    with atomic_writer(path) as file:
        os.fchmod(file.fileno(), _SEALED_MODE)  # before there is anything in it to be read
        file.write(text.encode())


def _fault_of_manifest(manifest: Mapping[str, Any]) -> str:
    """Why a manifest cannot be what was written; empty where it can."""
    num_images, sums = manifest.get("num_images"), manifest.get("sha256")
    has_test = "sealed_sha256" in manifest
    splits = SPLITS if has_test else _OPEN
    names = {_SYNSETS, *(f"{split}.tsv" for split in splits)}
    if not isinstance(sums, dict) or set(sums) != names:
        return f"the list of files is wrong (expected {sorted(names)})"
    if not all(
        isinstance(text, str) for text in (*sums.values(), manifest.get("sealed_sha256", ""))
    ):
        return "a sum is no text"
    if not isinstance(num_images, dict) or list(num_images) != list(splits):
        return f"the splits are wrong (expected {', '.join(splits)})"
    if not all(type(count) is int and count >= 0 for count in num_images.values()):
        return "a number of images is no number"
    if manifest["format"] > 1 and manifest.get("version") != _version_of(manifest):
        return "the version is not that of its classes and splits"
    return ""


def _sha256_or_none(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() else None


def _read_rows(path: Path, width: int) -> list[list[str]]:
    """The lines of a split, cut at tabs."""
    try:
        rows = [line.split("\t") for line in path.read_text().split("\n")[:-1]]
    except (OSError, UnicodeDecodeError) as error:
        raise ChallengeError(f"{path}: cannot be read ({error})") from error
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise ChallengeError(f"{path}:{number}: {len(row)} columns (expected {width})")
    return rows
