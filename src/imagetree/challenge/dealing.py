"""Dealing images out to splits: by the hash of their names, copies of a picture to one side.

Pure functions of names. The split of an image depends on the seed, its name and how many its class
has, so a second import, another order of the files or another machine deals alike.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from imagetree.challenge.definition import SPLITS, Entry
from imagetree.errors import ChallengeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_KEPT_BACK = ("val", "test", "minival")
"""In the order in which a class's images go to them; what is left is train."""


@dataclass(frozen=True)
class Shares:
    """How much of a class is kept back.

    Args:
        val: share of its images; 0 where val comes from elsewhere.
        test: share of its images; 0 for no test.
        minival: share of what is left to train on.
    """

    val: float
    test: float
    minival: float

    def quotas(self, num_images: int) -> dict[str, int]:
        """How many of a class's images go to each split but train; at least one to each.

        >>> Shares(0.2, 0.0, 0.05).quotas(100)
        {'val': 20, 'test': 0, 'minival': 4}
        """
        val, test = _share(num_images, self.val), _share(num_images, self.test)
        return {"val": val, "test": test, "minival": _share(num_images - val - test, self.minival)}


class Leak(NamedTuple):
    """Copies of one picture that lie in several splits.

    Args:
        copies: split and image, sorted.
    """

    copies: tuple[tuple[str, Entry], ...]


def by_wnid(entry: Entry) -> tuple[str, str]:
    """The order of a split."""
    return entry.wnid, entry.name


def deal(
    names: Mapping[str, Sequence[str]],
    shares: Shares,
    seed: int,
    groups: Iterable[Sequence[Entry]] = (),
) -> dict[str, list[Entry]]:
    """Deal the images of each class out.

    Within a class they go in the order of the hash of seed and name to val until it has its share,
    then to test, to minival, and the rest to train. A group goes as one, in the place of the least
    of its names and with the first of its classes, and counts towards the shares of all of them.

    Args:
        names: of the images of each class, by wnid, each once; in any order.
        shares: of each class that are kept back.
        seed: of the order.
        groups: images that must be in one split; none is in two groups. Images of no class of
            `names` do not count.

    Returns:
        The images of each split by its name, sorted by wnid and name.

    Raises:
        ChallengeError: nothing is left of a class to train on.

    >>> splits = deal({"n00000001": ["a", "b", "c"]}, Shares(0.2, 0.0, 0.05), 0)
    >>> [len(splits[split]) for split in ("train", "minival", "val", "test")]
    [1, 1, 1, 0]
    """
    entries = {Entry(name, wnid) for wnid, each in names.items() for name in each}
    unit_of: dict[Entry, tuple[Entry, ...]] = {entry: (entry,) for entry in entries}
    for group in groups:
        unit = tuple(sorted(entries.intersection(group), key=by_wnid))
        unit_of.update(dict.fromkeys(unit, unit))
    split_of: dict[Entry, str] = {}
    for wnid in sorted(names):
        own = [Entry(name, wnid) for name in names[wnid]]
        quotas = shares.quotas(len(own))
        filled = Counter(split_of[entry] for entry in own if entry in split_of)
        units = {unit_of[entry] for entry in own if entry not in split_of}
        for unit in sorted(units, key=lambda unit: _rank(unit[0], seed)):
            split = next((s for s in _KEPT_BACK if filled[s] < quotas[s]), "train")
            split_of.update(dict.fromkeys(unit, split))
            filled[split] += sum(entry.wnid == wnid for entry in unit)
        if not filled["train"]:
            raise ChallengeError(
                f"{wnid}: nothing is left of its {len(own)} images to train on",
                hint="import more of its images, leave the class out, or keep back smaller shares",
            )
    splits: dict[str, list[Entry]] = {split: [] for split in SPLITS}
    for entry in sorted(entries, key=by_wnid):
        splits[split_of[entry]].append(entry)
    return splits


def find_leaks(
    splits: Mapping[str, Iterable[Entry]], groups: Iterable[Sequence[Entry]]
) -> tuple[Leak, ...]:
    """The groups that lie in several splits.

    Args:
        splits: images by the name of their split.
        groups: copies of one picture each; images of no split do not count.

    Returns:
        Those that do, sorted by their images.

    >>> a, b = Entry("a", "n00000001"), Entry("b", "n00000001")
    >>> len(find_leaks({"train": [a], "val": [b]}, [(a, b)]))
    1
    """
    splits_of: defaultdict[Entry, list[str]] = defaultdict(list)
    for split, entries in splits.items():
        for entry in entries:
            splits_of[entry].append(split)
    found = []
    for group in groups:
        copies = sorted((split, entry) for entry in group for split in splits_of.get(entry, ()))
        if len({split for split, _ in copies}) > 1:
            found.append(Leak(tuple(copies)))
    return tuple(sorted(found))


def _rank(entry: Entry, seed: int) -> bytes:
    """Place of a name in an order that no other name can change."""
    return hashlib.sha256(f"{seed}:{entry.name}".encode()).digest()


def _share(num_images: int, share: float) -> int:
    """That share of the images, at least one of them where it is not nothing."""
    return max(1, round(num_images * share)) if share else 0
