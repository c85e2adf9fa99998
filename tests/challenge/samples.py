"""A small challenge of five classes on the disk, and submissions to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagetree.challenge.definition import Entry, save_challenge

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from imagetree.challenge.definition import Challenge

WNIDS = ("n02084071", "n02121808", "n02691156", "n02958343", "n07747607")
"""Dog, domestic cat, airplane, car, orange."""
DOG, CAT, PLANE, CAR, ORANGE = WNIDS


def write_challenge(folder: Path, per_class: int = 4) -> Challenge:
    """Val has images val_dog_0 and so on, `per_class` of each class."""
    splits = {
        split: [Entry(f"{split}_{wnid}_{n}", wnid) for wnid in WNIDS for n in range(per_class)]
        for split in ("train", "minival", "val")
    }
    return save_challenge(folder, WNIDS, splits)


def write_entry(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    path.write_text("".join(" ".join(row) + "\n" for row in rows))
    return path


def in_turn(first: str) -> list[str]:
    """All classes, that one first."""
    return [first, *(wnid for wnid in WNIDS if wnid != first)]
