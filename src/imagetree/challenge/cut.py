"""Cutting a challenge out of the database: which synsets are its classes, which images go where.

How the images of a class are dealt out stands in `dealing`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 (the command line reads the types of CutConfig)
from typing import TYPE_CHECKING, Literal

from imagetree.challenge.dealing import Shares, by_wnid, deal, find_leaks
from imagetree.challenge.definition import Entry, save_challenge
from imagetree.curation.duplicates import find_duplicates
from imagetree.database.closure import ancestors_or_self, descendants
from imagetree.database.journal import source_of
from imagetree.database.queries import counts, locate
from imagetree.database.reading import ImageReader
from imagetree.errors import ChallengeError
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from imagetree.challenge.dealing import Leak
    from imagetree.challenge.definition import Challenge
    from imagetree.curation.duplicates import DuplicateGroup
    from imagetree.database.queries import ImageRow
    from imagetree.database.store import Database
    from imagetree.wordnet.synset import Synset

_MAX_SHOWN = 20
_WNID = re.compile(r"n\d{8}\b")


@dataclass(frozen=True, kw_only=True)
class CutConfig:
    """How to cut a challenge.

    Args:
        classes: words or wnids of the classes; every synset that has images of its own if neither
            this nor a list nor a subtree is given.
        class_list: file with a class on each line: a word, or a wnid, behind which anything may
            stand.
        under: words or wnids; every synset at or below them that has images of its own is a class.
        nested: what to do with a class that is an ancestor of another: refuse the challenge, or
            keep the leaves, the classes with no other below them. One that is named itself is not
            left out, but refused.
        min_images: synsets with fewer images are no class.
        minival_share: share of each class's training images that is kept back for choosing.
        val_share: share of each class's images that is kept back for reporting.
        test_share: share of each class's images whose labels are sealed; 0 for no test.
        val_source: an imported archive or folder whose images are val, and no others.
        duplicates: of the same picture: keep them together in one split, report those that lie in
            several, or ignore them. The first two want a database that was checked.
        seed: of the dealing out.
    """

    classes: tuple[str, ...] = ()
    class_list: Path | None = None
    under: tuple[str, ...] = ()
    nested: Literal["refuse", "leaves"] = "refuse"
    min_images: int = 3
    minival_share: float = 0.05
    val_share: float = 0.2
    test_share: float = 0.0
    val_source: str | None = None
    duplicates: Literal["keep-together", "report", "ignore"] = "ignore"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("minival_share", "val_share"):
            if not 0 < getattr(self, name) < 0.5:
                raise ChallengeError(f"{name} is {getattr(self, name)} (expected in (0, 0.5))")
        if not 0 <= self.test_share < 0.5:
            raise ChallengeError(f"test_share is {self.test_share} (expected in [0, 0.5))")

    @property
    def least_images(self) -> int:
        """Fewest images to train on that a class must have: one for each split at least."""
        num_splits = 2 + (self.val_source is None) + (self.test_share > 0)
        return max(self.min_images, num_splits)


def cut_challenge(database: Database, folder: Path, config: CutConfig) -> Challenge:
    """Choose the classes, deal out their images, and write the challenge's folder.

    Args:
        database: where the images are.
        folder: of the challenge; made if it is missing. The same challenge may be there already.
        config: classes and shares.

    Raises:
        ChallengeError: fewer than two classes, a class that is an ancestor of another, a class
            with too few images, an unknown source, another challenge in the folder, or, where
            copies are kept together, some that lie both in val's source and in another.
        DatabaseError: images have not been checked whose copies are asked for, or those of test
            cannot be read.
    """
    val_source = source_of(database, config.val_source).id if config.val_source else None
    named, candidates = _candidates(database, config)
    rows: dict[str, list[ImageRow]] = defaultdict(list)
    for row in locate(database, candidates):
        rows[row.wnid].append(row)
    to_deal = {
        wnid: [row.name for row in each if row.source_id != val_source]
        for wnid, each in rows.items()
    }
    wnids = _choose(to_deal, named, config)
    if val_source is not None:
        _check_val_source(rows, to_deal, val_source, config)
    groups: list[tuple[Entry, ...]] = []
    if config.duplicates == "keep-together":
        groups = _copies(database, wnids, val_source)
    shares = Shares(config.val_share, config.test_share, config.minival_share)
    if val_source is not None:
        shares = dataclasses.replace(shares, val=0.0)
    splits = deal({wnid: to_deal[wnid] for wnid in wnids}, shares, config.seed, groups)
    if val_source is not None:
        every = (row for wnid in wnids for row in rows[wnid] if row.source_id == val_source)
        splits["val"] = sorted((Entry(row.name, row.wnid) for row in every), key=by_wnid)
    splits["test"] = _in_order_of_content(database, splits["test"], rows)
    return save_challenge(folder, wnids, splits)


def find_copies_across(database: Database, challenge: Challenge) -> tuple[Leak, ...]:
    """Copies of one picture that a challenge has in several of its splits.

    Args:
        database: that it was cut from, checked, so that its images have hashes.
        challenge: whose sealed labels, if any, are here.

    Raises:
        ChallengeError: the labels of test are sealed and not here.
        DatabaseError: some of the images have not been checked.
    """
    splits = {split: challenge.read_split(split) for split in challenge.num_images}
    groups = find_duplicates(database, wnids=challenge.wnids)
    return find_leaks(splits, [_entries_of(group) for group in groups])


def _candidates(
    database: Database, config: CutConfig
) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """The wnids that are named one by one, and these with all from subtrees; None for every one.

    A word means that of its senses which has images; the commonest one if none has.
    """
    words = config.classes + _read_class_list(config.class_list)
    if not (words or config.under):
        return (), None
    in_use = counts(database)
    used_or_above = frozenset().union(*map(ancestors_or_self, in_use))
    named = {_resolve(word, in_use).wnid for word in words}
    roots = [_resolve(word, used_or_above).wnid for word in config.under]
    below = descendants(roots) & in_use.keys()
    return tuple(sorted(named)), tuple(sorted(named | below))


def _resolve(word: str, in_use: Container[str]) -> Synset:
    """The synset of a word that is in use."""
    senses = [each for each in load_nouns().find(word) if each.wnid in in_use]
    if len(senses) > 1:
        named = ", ".join(_named(each.wnid) for each in senses)
        raise ChallengeError(
            f"{word!r} has several senses with images: {named}", hint="name the class by its wnid"
        )
    return senses[0] if senses else load_nouns().resolve(word)


def _read_class_list(path: Path | None) -> tuple[str, ...]:
    """The classes of a list, as ImageNet's and Kaggle's files have them too."""
    if path is None:
        return ()
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ChallengeError(f"{path}: cannot be read ({error})") from error
    words = [line.strip() for line in lines if line.strip()]
    if not words:
        raise ChallengeError(f"{path}: no class is in it (expected a word or wnid on each line)")
    return tuple(word[:9] if _WNID.match(word) else word for word in words)


def _choose(
    to_deal: Mapping[str, Sequence[str]], named: tuple[str, ...], config: CutConfig
) -> tuple[str, ...]:
    """The classes: those with enough images, none above another."""
    least = config.least_images
    wnids = tuple(sorted(wnid for wnid, names in to_deal.items() if len(names) >= least))
    for wnid in named:
        if wnid not in wnids:
            raise ChallengeError(
                f"{_named(wnid)} has {len(to_deal.get(wnid, ()))} images to train on "
                f"(expected at least {least})",
                hint="leave the class out, or import more of its images",
            )
    if config.nested == "leaves":
        above = {ancestor for ancestor, _ in nested_pairs(wnids)}.difference(named)
        wnids = tuple(wnid for wnid in wnids if wnid not in above)
    if len(wnids) < 2:
        raise ChallengeError(
            f"{len(wnids)} synsets have at least {least} images to train on (expected two or more)",
            hint="import more: imagetree database import ARCHIVE",
        )
    nested = [f"{_named(a)} is an ancestor of {_named(b)}" for a, b in nested_pairs(wnids)]
    if nested:
        rest = f"; {len(nested)} pairs in all" if len(nested) > _MAX_SHOWN else ""
        raise ChallengeError(
            f"a class may not be an ancestor of another: {'; '.join(nested[:_MAX_SHOWN])}{rest}",
            hint="keep those with no other below them: --nested leaves; or name the classes: "
            "imagetree challenge cut FOLDER --classes WNID ...",
        )
    return wnids


def _check_val_source(
    rows: Mapping[str, Sequence[ImageRow]],
    to_deal: Mapping[str, Sequence[str]],
    val_source: int,
    config: CutConfig,
) -> None:
    """Every class of val's source can be trained on."""
    too_few = [
        _named(wnid)
        for wnid in sorted(rows)
        if len(to_deal[wnid]) < config.least_images
        and any(row.source_id == val_source for row in rows[wnid])
    ]
    if too_few:
        raise ChallengeError(
            f"{config.val_source} has images of classes without training images: "
            + ", ".join(too_few[:_MAX_SHOWN]),
            hint="import the archive to train on, or name the classes: --classes WNID ...",
        )


def _copies(
    database: Database, wnids: tuple[str, ...], val_source: int | None
) -> list[tuple[Entry, ...]]:
    """Groups of images that must stay in one split."""
    groups = find_duplicates(database, wnids=wnids)
    mixed = [
        group
        for group in groups
        if 0 < sum(copy.image.source_id == val_source for copy in group.copies) < len(group.copies)
    ]
    if mixed:
        names = ", ".join(copy.image.name for copy in mixed[0].copies[:3])
        raise ChallengeError(
            f"{len(mixed)} pictures are both in val's source and in another, as {names}",
            hint="set those to train on aside: imagetree curation duplicates --set-aside "
            "--across-synsets --protect SOURCE",
        )
    return [_entries_of(group) for group in groups]


def _entries_of(group: DuplicateGroup) -> tuple[Entry, ...]:
    return tuple(Entry(copy.image.name, copy.image.wnid) for copy in group.copies)


def _in_order_of_content(
    database: Database, entries: Sequence[Entry], rows: Mapping[str, Sequence[ImageRow]]
) -> list[Entry]:
    """Images sorted by the SHA-256 of their files.

    Who has an image knows its hash already, so that this order tells nothing new. One that came of
    the names would: participants can guess what is missing in train.
    """
    if not entries:
        return []
    wanted = set(entries)
    found = [row for each in rows.values() for row in each if Entry(row.name, row.wnid) in wanted]
    with ImageReader(database) as reader:
        reader.open_all({row.source_id for row in found})
        digests = {
            Entry(row.name, row.wnid): hashlib.sha256(reader.read(row)).digest() for row in found
        }
    return sorted(entries, key=lambda entry: (digests[entry], entry.wnid, entry.name))


def nested_pairs(wnids: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of synsets (ancestor, descendant) among some, sorted by the descendant.

    >>> nested_pairs(["n02084071", "n02085620", "n02121808"])  # dog, Chihuahua, cat
    [('n02084071', 'n02085620')]
    """
    chosen = set(wnids)
    return [
        (ancestor, wnid)
        for wnid in sorted(chosen)
        for ancestor in sorted(ancestors_or_self(wnid) & chosen - {wnid})
    ]


def _named(wnid: str) -> str:
    return f"{wnid} ({load_nouns().synset(wnid).lemma})"
