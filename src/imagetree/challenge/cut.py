"""Cutting a challenge out of the database: which synsets are its classes, which images go where.

The split of an image depends on the seed and its name alone, so a second import, another order of
the files or another machine cuts the same challenge.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetree.challenge.definition import Challenge, Entry, save_challenge
from imagetree.database.closure import ancestors_or_self
from imagetree.database.journal import source_of
from imagetree.database.queries import counts, locate
from imagetree.errors import ChallengeError
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from imagetree.database.queries import ImageRow
    from imagetree.database.store import Database


@dataclass(frozen=True, kw_only=True)
class CutConfig:
    """How to cut a challenge.

    Args:
        classes: words or wnids of the classes; every synset that has images of its own if empty.
        min_images: synsets with fewer images are no class.
        minival_share: share of each class's training images that is kept back for choosing.
        val_share: share of each class's images that is kept back for reporting.
        val_source: an imported archive or folder whose images are val, and no others.
        seed: of the dealing out.
    """

    classes: tuple[str, ...] = ()
    min_images: int = 3
    minival_share: float = 0.05
    val_share: float = 0.2
    val_source: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("minival_share", "val_share"):
            if not 0 < getattr(self, name) < 0.5:
                raise ChallengeError(f"{name} is {getattr(self, name)} (expected in (0, 0.5))")


def cut_challenge(database: Database, folder: Path, config: CutConfig) -> Challenge:
    """Choose the classes, deal out their images, and write the challenge's folder.

    Args:
        database: where the images are.
        folder: of the challenge; made if it is missing. The same challenge may be there already.
        config: classes and shares.

    Raises:
        ChallengeError: fewer than two classes, a class that is an ancestor of another, a class
            with too few images, an unknown source, or another challenge in the folder.
    """
    val_source = source_of(database, config.val_source).id if config.val_source else None
    rows: dict[str, list[ImageRow]] = defaultdict(list)
    asked = _asked(database, config.classes)
    for row in locate(database, asked):
        rows[row.wnid].append(row)
    for_training = {
        wnid: [row for row in each if row.source_id != val_source] for wnid, each in rows.items()
    }
    wnids = tuple(sorted(w for w, each in for_training.items() if len(each) >= config.min_images))
    _check_classes(asked or (), wnids, rows, config)
    train: list[Entry] = []
    minival: list[Entry] = []
    val: list[Entry] = []
    for wnid in wnids:
        names = _shuffled([row.name for row in for_training[wnid]], config.seed)
        if val_source is None:
            num_val = _share(len(names), config.val_share)
            for_val, names = names[:num_val], names[num_val:]
        else:
            for_val = [row.name for row in rows[wnid] if row.source_id == val_source]
        num_minival = _share(len(names), config.minival_share)
        val += [Entry(name, wnid) for name in sorted(for_val)]
        minival += [Entry(name, wnid) for name in sorted(names[:num_minival])]
        train += [Entry(name, wnid) for name in sorted(names[num_minival:])]
    splits = {"train": tuple(train), "minival": tuple(minival), "val": tuple(val)}
    return save_challenge(folder, wnids, splits)


def _asked(database: Database, classes: Sequence[str]) -> tuple[str, ...] | None:
    """The wnids that were asked for; None for all.

    A word means that of its senses which has images; the commonest one if none has.
    """
    if not classes:
        return None
    nouns, in_use = load_nouns(), counts(database)
    wnids = set()
    for text in classes:
        senses = [each.wnid for each in nouns.find(text) if each.wnid in in_use]
        if len(senses) > 1:
            raise ChallengeError(
                f"{text!r} has several senses with images: {', '.join(map(_named, senses))}",
                hint="name the class by its wnid",
            )
        wnids.add(senses[0] if senses else nouns.resolve(text).wnid)
    return tuple(sorted(wnids))


def _check_classes(
    asked: Sequence[str],
    wnids: tuple[str, ...],
    rows: Mapping[str, Sequence[ImageRow]],
    config: CutConfig,
) -> None:
    for wnid in asked:
        if wnid not in wnids:
            count = len(rows.get(wnid, ()))
            raise ChallengeError(
                f"{_named(wnid)} has {count} images to train on "
                f"(expected at least {config.min_images})",
                hint="leave the class out, or import more of its images",
            )
    if len(wnids) < 2:
        raise ChallengeError(
            f"{len(wnids)} synsets have at least {config.min_images} images to train on "
            "(expected two or more)",
            hint="import more: imagetree database import ARCHIVE",
        )
    nested = [
        f"{_named(above)} is an ancestor of {_named(below)}" for above, below in _nested(wnids)
    ]
    if nested:
        raise ChallengeError(
            "a class may not be an ancestor of another: " + "; ".join(nested[:20]),
            hint="name the classes: imagetree challenge cut FOLDER --classes WNID ...",
        )
    missing = set(rows) - set(wnids)
    if config.val_source and missing:
        raise ChallengeError(
            f"{config.val_source} has images of classes without training images: "
            + ", ".join(_named(wnid) for wnid in sorted(missing)[:20])
        )


def _nested(wnids: tuple[str, ...]) -> list[tuple[str, str]]:
    """Pairs of classes (ancestor, descendant)."""
    chosen = set(wnids)
    return [
        (ancestor, wnid)
        for wnid in wnids
        for ancestor in sorted(ancestors_or_self(wnid) & chosen - {wnid})
    ]


def _named(wnid: str) -> str:
    return f"{wnid} ({load_nouns().synset(wnid).lemma})"


def _shuffled(names: Sequence[str], seed: int) -> list[str]:
    """Names in the order of the hash of seed and name, which no other name can change."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())


def _share(count: int, share: float) -> int:
    """That share of the images, at least one."""
    return max(1, round(count * share))
