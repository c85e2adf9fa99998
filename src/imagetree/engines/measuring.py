"""How fast engines are here: each in turn, round after round, so that all see the same machine."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from imagetree.engines.engine import Engine

BATCH = 64
_ROUNDS, _SINGLES = 5, 5


class Speed(NamedTuple):
    """What an engine reaches.

    Args:
        latency: seconds for one image.
        rate: images a second, `BATCH` at a time.
    """

    latency: float
    rate: float


def measure(
    engines: Mapping[str, Engine],
    pixels: NDArray[np.uint8],
    progress: Callable[[int, int], None] | None = None,
    *,
    rounds: int = _ROUNDS,
) -> dict[str, Speed]:
    """Medians of some rounds, after one that warms up.

    Args:
        engines: by name.
        pixels: images to show; uint8 (N, S, S, 3), N at least 1, repeated to fill a batch.
        progress: called with (rounds done, rounds in all).
        rounds: that are timed.
    """
    batch = np.ascontiguousarray(pixels[np.arange(BATCH) % len(pixels)])
    singles: dict[str, list[float]] = {name: [] for name in engines}
    batches: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(rounds + 1):
        for name, engine in engines.items():
            engine.logits(batch[:1])  # what another engine left in the caches is not its fault
            first = [_seconds(engine, batch[:1]) for _ in range(_SINGLES)]
            whole = _seconds(engine, batch)
            if number:
                singles[name] += first
                batches[name].append(whole)
        if progress:
            progress(number + 1, rounds + 1)
    return {name: Speed(median(singles[name]), BATCH / median(batches[name])) for name in engines}


def _seconds(engine: Engine, pixels: NDArray[np.uint8]) -> float:
    began = time.perf_counter()
    engine.logits(pixels)
    return time.perf_counter() - began
