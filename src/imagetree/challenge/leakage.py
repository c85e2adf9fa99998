"""What it does to a score that pictures to be recognised were learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imagetree.challenge.bootstrap import mean_interval
from imagetree.challenge.dealing import find_leaks
from imagetree.challenge.definition import Entry
from imagetree.curation.duplicates import find_duplicates
from imagetree.errors import ChallengeError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from imagetree.challenge.bootstrap import Interval
    from imagetree.challenge.definition import Challenge
    from imagetree.database.store import Database

_LEARNT = ("train", "minival")


@dataclass(frozen=True)
class Leakage:
    """Error with and without the images that were learnt from.

    Args:
        num_images: of the split.
        num_leaked: with a copy, or nearly one, among the images to learn from.
        error: of all images, a fraction.
        error_on_leaked: of these; None if there are none.
        error_without: of the others; None if there are none.
        interval_without: of this, with 99.9 % confidence.
    """

    num_images: int
    num_leaked: int
    error: float
    error_on_leaked: float | None
    error_without: float | None
    interval_without: Interval | None


def score_leakage(
    misses: NDArray[np.bool_], entries: Sequence[Entry], leaked: Collection[Entry]
) -> Leakage:
    """The error of an entry with and without leaked images.

    Args:
        misses: which images are answered wrongly; bool (N,), N >= 1.
        entries: the images, in their order.
        leaked: images with a copy among those to learn from; others may be among them.

    Raises:
        ChallengeError: there is no image, or not a miss or hit for each.

    >>> a, b = Entry("a", "n00000001"), Entry("b", "n00000001")
    >>> score_leakage(np.array([False, True]), [a, b], {a}).error_without
    1.0
    """
    if misses.shape != (len(entries),) or not len(entries):
        raise ChallengeError(f"{len(entries)} images, and misses of shape {misses.shape}")
    leaked = frozenset(leaked)
    is_leaked = np.array([entry in leaked for entry in entries])
    seen, unseen = misses[is_leaked], misses[~is_leaked]
    return Leakage(
        num_images=len(entries),
        num_leaked=len(seen),
        error=float(misses.mean()),
        error_on_leaked=float(seen.mean()) if len(seen) else None,
        error_without=float(unseen.mean()) if len(unseen) else None,
        interval_without=mean_interval(unseen) if len(unseen) else None,
    )


def leaked_entries(
    database: Database, challenge: Challenge, split: str, *, max_distance: int | None = 4
) -> frozenset[Entry]:
    """The images of a split with a copy, or nearly one, in train or minival.

    Args:
        database: that the challenge was cut from, checked, so that its images have hashes.
        challenge: of the split.
        split: val or test.
        max_distance: as for `curation.duplicates.find_duplicates`.

    Raises:
        ChallengeError: there is no such split, its labels are not here, or it is learnt from.
        DatabaseError: some of the images have not been checked.
    """
    if split in _LEARNT:
        raise ChallengeError(f"{split} is learnt from itself, so that nothing can leak into it")
    splits = {each: challenge.read_split(each) for each in (*_LEARNT, split)}
    groups = find_duplicates(database, max_distance=max_distance, wnids=challenge.wnids)
    entries = [[Entry(c.image.name, c.image.wnid) for c in group.copies] for group in groups]
    leaks = find_leaks(splits, entries)
    return frozenset(
        entry
        for leak in leaks
        if any(each in _LEARNT for each, _ in leak.copies)
        for each, entry in leak.copies
        if each == split
    )
