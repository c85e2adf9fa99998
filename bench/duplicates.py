"""How long near duplicates among many perceptual hashes take to find, and against what.

    python bench/duplicates.py                       200,000 hashes, distance 4
    python bench/duplicates.py --hashes 1281167 --distance 8

Random hashes of 64 bits with planted copies at every distance up to the one that is looked for, and
some beyond. "skewed" hashes have bits that are mostly alike, as those of photographs are in part.
The peer compares each hash with each other, on a sample, scaled by the square of the number.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time
from typing import TYPE_CHECKING

import numpy as np

from imagetree.curation.duplicates import group_hashes, near_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUM_BITS = 64
PLANTED_SHARE = 100  # one copy for so many hashes
SAMPLE = 20_000
SKEW = (0.5, 0.8)  # how often a bit is set: evenly; mostly


def planted(number: int, distance: int, often: float) -> tuple[NDArray[np.uint64], int]:
    """Hashes, each one once and rising, and how many planted pairs must be found.

    Args:
        number: of hashes.
        distance: that will be looked for; the copies lie at 1 to twice of it.
        often: share of the bits that are set.
    """
    rng = np.random.default_rng(0)
    hashes = np.zeros(number, np.uint64)
    for bit in range(NUM_BITS):
        hashes |= (rng.random(number) < often).astype(np.uint64) << np.uint64(bit)
    copies = hashes[: number // PLANTED_SHARE].copy()
    num_flips = np.arange(len(copies)) % (2 * distance) + 1
    for row, flips in enumerate(num_flips):
        for bit in rng.choice(NUM_BITS, flips, replace=False).tolist():
            copies[row] ^= np.uint64(1 << bit)
    return np.unique(np.concatenate([hashes, copies])), int((num_flips <= distance).sum())


def brute_force(hashes: NDArray[np.uint64], distance: int) -> int:
    """How many pairs are near, by comparing each with each."""
    total = 0
    for place, one in enumerate(hashes):
        apart = np.bitwise_count(hashes[place + 1 :] ^ one)
        total += int(np.count_nonzero(apart <= distance))
    return total


def main() -> None:
    """Measure both kinds of hashes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hashes", type=int, default=200_000)
    parser.add_argument("--distance", type=int, default=4)
    arguments = parser.parse_args()
    number, distance = arguments.hashes, arguments.distance
    print(f"{platform.platform()}, {os.cpu_count()} cores, numpy {np.__version__}")
    print(f"{number:,} hashes, distance {distance}")
    for often in SKEW:
        hashes, num_planted = planted(number, distance, often)
        began = time.perf_counter()
        pairs = near_pairs(hashes, distance)
        seconds = time.perf_counter() - began
        began = time.perf_counter()
        num_groups = len(np.unique(group_hashes(hashes, distance)))
        both = time.perf_counter() - began
        sample = hashes[:: max(1, len(hashes) // SAMPLE)]
        began = time.perf_counter()
        expected = brute_force(sample, distance)
        brute = (time.perf_counter() - began) * (len(hashes) / len(sample)) ** 2
        assert len(near_pairs(sample, distance)) == expected
        print(f"bits set {often:.0%} of the time")
        print(f"  near_pairs {seconds:8.2f} s   {len(pairs):,} pairs ({num_planted:,} planted)")
        print(f"  with groups{both:8.2f} s   {num_groups:,} groups")
        print(f"  brute force{brute:8.0f} s   from {len(sample):,}: the same {expected} pairs")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()
