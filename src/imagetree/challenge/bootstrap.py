"""How sure a mean over images is: bootstrap intervals, and two entries on the same images.

Images are drawn with replacement, N of N. What a mean over images takes from a draw is only how
often each distinct value of it came up, and these counts are multinomial: they are drawn directly,
which is the same bootstrap at a cost that does not grow with the number of images.

The generator is NumPy's MT19937 as `RandomState` has it: its streams are frozen for ever, those of
`Generator` may change with a release, and an interval must not.
Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, 13.3 (percentile intervals);
99.9 % is the confidence of ILSVRC's own report, Russakovsky et al., IJCV 2015.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from imagetree.errors import ChallengeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE = 0.999
NUM_ROUNDS = 100_000
"""Of drawing; at 99.9 % fifty of them lie beyond each end."""
_MAX_DRAWN = 4_000_000  # counts in memory at once, 32 MB


class Interval(NamedTuple):
    """Where a mean lies with a confidence.

    Args:
        low: its lower end.
        high: its upper end.
    """

    low: float
    high: float


class Paired(NamedTuple):
    """Two entries on the same images, by whether each is right.

    Args:
        only_first: images that the first alone has right.
        only_second: images that the second alone has right.
        p_value: of McNemar's exact test, two-sided: how probable so uneven a split is if an image
            that one of them alone has right is as likely to be either's.
    """

    only_first: int
    only_second: int
    p_value: float


def mean_interval(
    values: NDArray[np.floating] | NDArray[np.bool_],
    *,
    confidence: float = CONFIDENCE,
    num_rounds: int = NUM_ROUNDS,
    seed: int = 0,
) -> Interval:
    """The bootstrap's percentile interval of a mean.

    For the difference of two entries give the differences of their images: this is the paired
    bootstrap.

    Args:
        values: one for each image, finite; (N,), N >= 1. Their order does not matter. It is fast
            where few of them are distinct, as misses and costs are.
        confidence: between 0 and 1.
        num_rounds: how often N images are drawn.
        seed: of the draws, 0 to 2^32 - 1.

    Raises:
        ChallengeError: there is no value, one is not finite, or an argument is out of range.

    >>> mean_interval(np.array([True] * 200 + [False] * 800))
    Interval(low=0.159, high=0.242)
    """
    if not len(values) or not np.isfinite(values).all():
        raise ChallengeError("an interval needs values that are finite, and at least one")
    if not 0 < confidence < 1 or num_rounds < 1 or not 0 <= seed < 1 << 32:
        raise ChallengeError(
            f"interval: confidence {confidence}, {num_rounds} rounds, seed {seed} "
            "(expected 0 < confidence < 1, at least one round, 0 <= seed < 2^32)"
        )
    distinct, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    draw = np.random.RandomState(seed)
    means = np.empty(num_rounds)
    step = max(1, _MAX_DRAWN // len(distinct))
    for start in range(0, num_rounds, step):
        size = min(step, num_rounds - start)
        drawn = draw.multinomial(len(values), counts / len(values), size=size)
        means[start : start + size] = (drawn * distinct).sum(axis=1) / len(values)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], method="inverted_cdf").tolist()
    return Interval(low, high)


def compare_misses(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Paired:
    """McNemar's exact test on two entries.

    Only images that one alone has right tell them apart. Of n such images the number that is the
    first's is binomial (n, 1/2) if the entries are equally good.

    Args:
        first: which images the first entry misses; bool (N,).
        second: which images the second misses; bool (N,), the same images in the same order.

    Raises:
        ChallengeError: shapes disagree.

    Source: McNemar, Psychometrika 12, 1947, in its exact binomial form.

    >>> compare_misses(np.array([False, False]), np.array([True, False]))
    Paired(only_first=1, only_second=0, p_value=1.0)
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ChallengeError(
            f"misses of shapes {first.shape} and {second.shape} (expected (N,) twice)"
        )
    only_first, only_second = int((second & ~first).sum()), int((first & ~second).sum())
    return Paired(only_first, only_second, binomial_test(only_first, only_second))


def binomial_test(first: int, second: int) -> float:
    """Probability of a split at least as uneven as first : second if both sides are as likely.

    >>> binomial_test(3, 1)
    0.625
    """
    total, least = first + second, min(first, second)
    if first == second:
        return 1.0
    chosen = np.arange(1, least + 1)
    # log of C(n, i) / 2^n: the numbers themselves have thousands of digits
    logs = np.concatenate([[0.0], np.cumsum(np.log((total - chosen + 1) / chosen))])
    tail = np.exp(logs - total * np.log(2)).sum()
    return min(1.0, 2 * float(tail))
