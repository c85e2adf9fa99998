"""Compression: what is expected to be lost, what is chosen, and the file at the end."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from imagetree.engines.compressing import (
    Choice,
    Reference,
    Tried,
    answer,
    choose,
    every_choice,
    try_choices,
)
from imagetree.engines.images import iter_squares, load_squares
from imagetree.engines.runtimes import FILE_ENGINE, build_on
from imagetree.errors import TrainingError


def test_expected_loss_by_hand() -> None:
    """Where the answer is another, the difference of what the whole network gives to the two."""
    logits = np.log(np.array([[0.6, 0.4], [0.2, 0.8], [0.9, 0.1], [0.3, 0.7]], np.float32))
    judge = Reference(logits, np.array([0, 1, 0, 0]))
    assert judge.judge(logits) == (0.25, 0.0)
    other = logits.copy()
    other[0] = other[0, ::-1]  # wrong now
    error, excess = judge.judge(other)
    assert error == 0.5
    [first, second] = judge._probabilities[0]
    assert excess == pytest.approx((first - second) / 4)


NONE = np.zeros((0, 2), np.float32)


def tried(**changes) -> Tried:
    base = Tried("a", Choice(1.0, 0.9), {}, 1000, 0.2, 0.001, NONE, model="m")
    return dataclasses.replace(base, **changes)


WHOLE = Tried("whole", None, {}, 4000, 0.2, 0.0, NONE)


def test_the_smallest_within_the_points() -> None:
    """Both what is expected to be lost and what was lost on these images count."""
    others = [
        tried(name="large", size=900),
        tried(name="small", size=100, error=0.204, excess=0.004),
        tried(name="worse", size=90, error=0.206),
        tried(name="unsure", size=80, excess=0.006),
    ]
    assert choose([WHOLE, *others], 0.5).name == "small"
    assert choose([WHOLE, *others], 1.0).name == "unsure"
    assert choose([WHOLE, *others], 0.2).name == "large"
    with pytest.raises(TrainingError, match="nothing is within 0 points"):
        choose([WHOLE, tried(excess=0.1)], 0.0)


@pytest.mark.parametrize(("units", "variance"), [(0, 1), (1.5, 1), (1, 0), (1, -1)])
def test_shares_out_of_range(units, variance) -> None:
    with pytest.raises(TrainingError, match="expected above 0 and at most 1"):
        every_choice((units,), (variance,))


@pytest.mark.slow
def test_choices_are_tried(weights, squares, run) -> None:
    """Smaller from one to the next; the same answers as far as they lose nothing."""
    val = load_squares(run, weights.description, "val")
    choices = (Choice(1.0, 1.0), Choice(1.0, 0.9), Choice(0.25, 1.0))
    told: list[tuple[int, int]] = []
    found = try_choices(
        weights, val, squares.pixels, choices, lambda done, total: told.append((done, total))
    )
    whole, int8, thin, few = found
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert whole.size == sum(t.numel() * 4 for t in weights.tensors.values())
    assert int8.size < 0.26 * whole.size
    assert (int8.ranks, few.ranks) == ({}, {})
    assert set(thin.ranks) == {"fc6", "fc7", "fc8"}
    assert max(thin.size, few.size) < int8.size
    assert whole.excess == 0
    assert [(each.logits.argmax(1) != val.labels).mean() for each in found] == [
        each.error for each in found
    ]
    assert int8.excess < 0.02
    for each in found:
        assert 0 < each.latency < 10
        assert each.rate > 0
    [logits, again] = [answer(build_on(FILE_ENGINE, int8.model), val.pixels) for _ in range(2)]
    np.testing.assert_array_equal(logits, again)


def test_squares_are_the_challenges_own(run, weights) -> None:
    """Each image of a split once, at the network's size, with its class; some of them if asked."""
    minival = load_squares(run, weights.description, "train")
    assert minival.pixels.shape[1:] == (67, 67, 3)
    assert minival.pixels.dtype == np.uint8
    assert set(minival.labels.tolist()) == {0, 1, 2}
    some = load_squares(run, weights.description, "train", 5)
    assert len(some.labels) == 5
    for pixels in some.pixels:
        assert (minival.pixels == pixels).all((1, 2, 3)).sum() == 1
    total = sum(len(part.labels) for part in iter_squares(run, weights.description, "train"))
    assert total == len(minival.labels)


def test_another_network_is_refused(run, weights) -> None:
    two = dataclasses.replace(weights.description, wnids=weights.description.wnids[:2])
    with pytest.raises(TrainingError, match="its 3 classes are not the 2 of the network"):
        load_squares(run, two, "train")
