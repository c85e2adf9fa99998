"""Two entries on the same images: which is better, and whether by more than chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imagetree.challenge.bootstrap import CONFIDENCE, compare_misses, mean_interval
from imagetree.challenge.score import check_ks
from imagetree.errors import ChallengeError

if TYPE_CHECKING:
    from imagetree.challenge.bootstrap import Interval
    from imagetree.challenge.score import Marked


@dataclass(frozen=True)
class Difference:
    """Two entries at k guesses. A difference is the first less the second: below 0 it is better.

    Args:
        k: guesses that count.
        first_error: of the first entry, a fraction.
        second_error: of the second.
        difference: of these errors.
        interval: of the difference, paired bootstrap, 99.9 % confidence.
        only_first: images that the first alone has right.
        only_second: images that the second alone has right.
        p_value: of McNemar's exact test, two-sided.
        hierarchical_difference: of the hierarchical errors, in levels.
        hierarchical_interval: of this difference.
    """

    k: int
    first_error: float
    second_error: float
    difference: float
    interval: Interval
    only_first: int
    only_second: int
    p_value: float
    hierarchical_difference: float
    hierarchical_interval: Interval

    @property
    def is_significant(self) -> bool:
        """Whether the flat errors differ by more than chance, with 99.9 % confidence.

        By the exact test, which no seed decides.
        """
        return self.p_value < 1 - CONFIDENCE


def compare_entries(
    first: Marked, second: Marked, ks: tuple[int, ...] | None = None
) -> tuple[Difference, ...]:
    """Compare two entries image by image.

    Args:
        first: an entry.
        second: another, to the same split of the same challenge.
        ks: guesses that count; if None 1 and, where there are five classes or more and both hold
            five guesses, 5.

    Raises:
        ChallengeError: they answer different images, there is none, or a k is greater than the
            number of classes or of guesses.
    """
    if first.task != second.task or not np.array_equal(first.truth, second.truth):
        raise ChallengeError("the entries answer different images, so they cannot be compared")
    num_classes = len(first.task.wnids)
    guesses = min(first.answers.guesses.shape[1], second.answers.guesses.shape[1])
    ks = ks or ((1, 5) if min(num_classes, guesses) >= 5 else (1,))
    check_ks(ks, num_classes)
    return tuple(_difference(first, second, k) for k in ks)


def _difference(first: Marked, second: Marked, k: int) -> Difference:
    ours, theirs = first.misses(k), second.misses(k)
    apart = ours.astype(np.float64) - theirs
    levels = first.costs(k) - second.costs(k)
    paired = compare_misses(ours, theirs)
    return Difference(
        k=k,
        first_error=float(ours.mean()),
        second_error=float(theirs.mean()),
        difference=float(apart.mean()),
        interval=mean_interval(apart),
        only_first=paired.only_first,
        only_second=paired.only_second,
        p_value=paired.p_value,
        hierarchical_difference=float(levels.mean()),
        hierarchical_interval=mean_interval(levels),
    )
