"""Random numbers from counters: each is a function of the seed and of what it is for.

Nothing depends on how many threads there are, in which order they run, or where a run was broken
off: the crop of image 17 in epoch 3 is the same whoever draws it. The mixing function is
SplitMix64 (Steele, Lea and Flood 2014).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MASK = (1 << 64) - 1
_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""Of SplitMix64: what is added, and the two multipliers."""


def mix(*counters: int) -> int:
    """A 64-bit number that depends on every counter and on their order.

    >>> mix(1, 2) == mix(1, 2), mix(1, 2) == mix(2, 1)
    (True, False)
    """
    state = 0
    for counter in counters:
        state = (state ^ (counter & _MASK)) + _STEP & _MASK
        state = (state ^ (state >> 30)) * _FIRST & _MASK
        state = (state ^ (state >> 27)) * _SECOND & _MASK
        state ^= state >> 31
    return state


def uniforms(count: int, *counters: int) -> list[float]:
    """`count` numbers in [0, 1) that depend on the counters alone.

    >>> all(0 <= number < 1 for number in uniforms(5, 7))
    True
    """
    key = mix(*counters)
    return [(mix(key, index) >> 11) / (1 << 53) for index in range(count)]


def uniforms_each(count: int, *counters: int | NDArray[np.int64]) -> NDArray[np.float64]:
    """`uniforms` for each of N images at once, bit for bit; a fifth of a microsecond a number.

    Args:
        count: numbers for each.
        counters: as for `uniforms`; those that differ from image to image are arrays, (N,).

    Returns:
        (N, count), in [0, 1).

    >>> uniforms_each(2, 7, np.array([3, 4]))[1].tolist() == uniforms(2, 7, 4)
    True
    """
    key = np.zeros(1, np.uint64)
    for counter in counters:
        key = _stir(key, _unsigned(counter))
    first = _stir(np.zeros(1, np.uint64), key)[:, None]
    found = _stir(first, np.arange(count, dtype=np.uint64)[None])
    return (found >> np.uint64(11)).astype(np.float64) / (1 << 53)


def _unsigned(counter: int | NDArray[np.int64]) -> NDArray[np.uint64]:
    if isinstance(counter, np.ndarray):
        return counter.astype(np.uint64)
    return np.array([counter & _MASK], np.uint64)


def _stir(state: NDArray[np.uint64], counter: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A step of `mix` on arrays, whose numbers overflow as they are meant to."""
    state = (state ^ counter) + np.uint64(_STEP)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(_FIRST)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(_SECOND)
    return state ^ (state >> np.uint64(31))


def permutation(length: int, *counters: int) -> NDArray[np.int64]:
    """0 .. length - 1 in an order that depends on the counters alone.

    >>> sorted(permutation(3, 7).tolist())
    [0, 1, 2]
    """
    return np.random.Generator(np.random.Philox(key=mix(*counters))).permutation(length)
