"""A challenge on the disk: its classes and its splits, a folder of plain text files.

`challenge.json` is the manifest and is written last; `synsets.txt` has one class a line, sorted by
wnid, so the class index is the line number from 0; `train.tsv`, `minival.tsv` and `val.tsv` have an
image's name and its wnid a line, sorted. docs/formats.md describes them. How images are dealt out
to the splits stands in `cut`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from imagetree.errors import ChallengeError
from imagetree.files import sha256_of, write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SPLITS = ("train", "minival", "val")
FORMAT = 1
_MANIFEST = "challenge.json"


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
    """

    folder: Path
    wnids: tuple[str, ...]
    num_images: Mapping[str, int]

    def read_split(self, split: str) -> tuple[Entry, ...]:
        """The images of a split, sorted by wnid and name.

        Raises:
            ChallengeError: there is no such split.
        """
        if split not in self.num_images:
            raise ChallengeError(f"{self.folder}: no split {split!r} (expected one of {SPLITS})")
        lines = (self.folder / f"{split}.tsv").read_text().splitlines()
        return tuple(Entry(*line.split("\t")) for line in lines)


def save_challenge(
    folder: Path, wnids: tuple[str, ...], splits: Mapping[str, tuple[Entry, ...]]
) -> Challenge:
    """Write a challenge's files, the manifest last, and return it.

    Raises:
        ChallengeError: the folder holds another challenge.
    """
    texts = {"synsets.txt": "".join(f"{wnid}\n" for wnid in wnids)}
    for split in SPLITS:
        texts[f"{split}.tsv"] = "".join(f"{entry.name}\t{entry.wnid}\n" for entry in splits[split])
    manifest = {
        "format": FORMAT,
        "num_classes": len(wnids),
        "num_images": {split: len(splits[split]) for split in SPLITS},
        "sha256": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()},
    }
    if (folder / _MANIFEST).exists() and _read_manifest(folder) != manifest:
        raise ChallengeError(
            f"{folder}: another challenge is here already",
            hint="name another folder; a challenge that was scored on is never changed",
        )
    for name, text in texts.items():
        write_atomic(folder / name, text)
    write_atomic(folder / _MANIFEST, json.dumps(manifest, indent=2) + "\n")
    return load_challenge(folder)


def load_challenge(folder: Path) -> Challenge:
    """Read a challenge and check that none of its files has changed.

    Raises:
        ChallengeError: it is missing, of another format, or one of its files was changed.
    """
    manifest = _read_manifest(folder)
    for name, expected in manifest["sha256"].items():
        path = folder / name
        if not path.is_file() or sha256_of(path) != expected:
            raise ChallengeError(
                f"{path}: missing or changed since the challenge was cut",
                hint="cut it again into an empty folder: imagetree challenge cut",
            )
    wnids = tuple((folder / "synsets.txt").read_text().splitlines())
    return Challenge(folder, wnids, dict(manifest["num_images"]))


def _read_manifest(folder: Path) -> dict[str, Any]:
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
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ChallengeError(f"{path}: not a challenge of format {FORMAT}")
    names = {"synsets.txt", *(f"{split}.tsv" for split in SPLITS)}
    if set(manifest.get("sha256", ())) != names:
        raise ChallengeError(f"{path}: the list of files is wrong (expected {sorted(names)})")
    return manifest
