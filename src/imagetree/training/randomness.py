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


def mix(*counters: int) -> int:
    """A 64-bit number that depends on every counter and on their order.

    >>> mix(1, 2) == mix(1, 2), mix(1, 2) == mix(2, 1)
    (True, False)
    """
    state = 0
    for counter in counters:
        state = (state ^ (counter & _MASK)) + 0x9E3779B97F4A7C15 & _MASK
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


def uniforms(count: int, *counters: int) -> list[float]:
    """`count` numbers in [0, 1) that depend on the counters alone.

    >>> all(0 <= number < 1 for number in uniforms(5, 7))
    True
    """
    key = mix(*counters)
    return [(mix(key, index) >> 11) / (1 << 53) for index in range(count)]


def permutation(length: int, *counters: int) -> NDArray[np.int64]:
    """0 .. length - 1 in an order that depends on the counters alone.

    >>> sorted(permutation(3, 7).tolist())
    [0, 1, 2]
    """
    return np.random.Generator(np.random.Philox(key=mix(*counters))).permutation(length)
