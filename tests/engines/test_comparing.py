"""What is compared, where the bounds lie, and that speeds are of the engine they are said of."""

from __future__ import annotations

import time

import numpy as np
import pytest

from imagetree.engines.comparing import Comparison, compare, fault_of
from imagetree.engines.measuring import BATCH, measure


def test_figures() -> None:
    """By hand: of four answers one differs, and it was right."""
    reference = np.array([[3, 0], [0, 4], [1, 0], [1, 0]], np.float32)
    logits = np.array([[3, 0], [0, 4], [1, 0], [1, 2]], np.float32)
    found = compare(logits, reference, np.array([0, 1, 1, 0]))
    assert found == Comparison(4, 0.5, 0.25, 0.25, pytest.approx(2 / 27**0.5))


@pytest.mark.parametrize(
    ("name", "figures", "message"),
    [
        ("a-int8", (0.205, 0.2, 0.02, 0.15), None),
        ("a-int8", (0.15, 0.2, 0.02, 0.15), None),
        ("a-int8", (0.206, 0.2, 0.0, 0.0), "0.60% above the reference's (expected at most 0.50%)"),
        ("a-int8", (0.2, 0.2, 0.021, 0.0), "2.10% of the answers differ (expected at most 2.00%)"),
        ("a-int8", (0.2, 0.2, 0.0, 0.16), "logits 16.00% off (expected at most 15.00%)"),
        ("a-int8", (0.2, 0.2, 0.0, float("nan")), "logits nan% off"),
        ("a-bf16", (0.2, 0.2, 0.01, 0.02), None),
        ("a-bf16", (0.2, 0.2, 0.011, 0.0), "(expected at most 1.00%)"),
        ("a-bf16", (0.2, 0.2, 0.0, 0.021), "(expected at most 2.00%)"),
        ("a-fp32", (0.2, 0.2, 0.002, 1e-3), None),
        ("a-fp32", (0.2, 0.2, 0.003, 0.0), "(expected at most 0.20%)"),
        ("a-fp32", (0.2, 0.2, 0.0, 0.002), "(expected at most 0.10%)"),
    ],
)
def test_bounds(name, figures, message) -> None:
    fault = fault_of(name, Comparison(1000, *figures))
    assert fault is None if message is None else message in fault


def test_one_image_of_few_may_differ() -> None:
    """Of ten images none is half a point."""
    assert fault_of("a-int8", Comparison(10, 0.3, 0.2, 0.1, 0.0)) is None
    assert fault_of("a-int8", Comparison(10, 0.4, 0.2, 0.1, 0.0)) is not None


class Sleeper:
    """Answers after a while for each image, and keeps what it was shown."""

    def __init__(self, name: str, seconds: float) -> None:
        self.name = name
        self.shown: list[int] = []
        self._seconds = seconds

    def logits(self, pixels):
        self.shown.append(len(pixels))
        time.sleep(self._seconds * len(pixels))
        return np.zeros((len(pixels), 2), np.float32)


def test_speeds_are_of_their_engine() -> None:
    """In turn, the first round not counted; three images fill a batch by being repeated."""
    fast, slow = Sleeper("fast", 2e-4), Sleeper("slow", 2e-3)
    told: list[tuple[int, int]] = []
    found = measure(
        {"fast": fast, "slow": slow},
        np.zeros((3, 4, 4, 3), np.uint8),
        lambda done, total: told.append((done, total)),
        rounds=2,
    )
    assert found["slow"].latency >= 2e-3 > found["fast"].latency >= 2e-4
    assert found["slow"].rate <= 500 < found["fast"].rate <= 5000
    assert fast.shown == slow.shown == 3 * [1, 1, 1, 1, 1, 1, BATCH]
    assert told == [(1, 3), (2, 3), (3, 3)]
