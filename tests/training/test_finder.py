"""A learning rate that is found trains; nothing is left behind."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from imagetree.errors import TrainingError
from imagetree.training import finder
from imagetree.training.finder import Trial, find_learning_rate, rising_rates
from imagetree.training.runs import Run

from .conftest import WNIDS, MemoryImages

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.training.config import TrainConfig


@pytest.mark.slow
def test_rate_lies_where_the_loss_falls(
    tmp_path: Path, images: MemoryImages, config: TrainConfig
) -> None:
    """Between the rates at which nothing happens and those at which the loss grows."""
    run = Run(tmp_path, config, tmp_path, "images.db")
    found = find_learning_rate(run, WNIDS, images, rising_rates(1e-6, 30.0, 40))
    assert 1e-5 < found.steepest < found.lowest < 30.0
    rates = [trial.lr for trial in found.trials]
    assert rates == sorted(rates)
    assert rates[0] == 1e-6
    assert not any(tmp_path.iterdir())


def test_judgement() -> None:
    """Flat, then down, then up: the steepest part is in the middle of the way down."""
    losses = (
        [2.3] * 20 + [2.3 - 0.1 * step for step in range(1, 16)] + [0.8 + step for step in range(5)]
    )
    trials = tuple(Trial(10 ** (-5 + place / 8), loss) for place, loss in enumerate(losses))
    found = finder._judge(trials)
    places = [round(8 * (math.log10(rate) + 5)) for rate in (found.steepest, found.lowest)]
    assert 20 <= places[0] <= 33
    assert places[1] == 34


def test_divergence_at_once_says_so(
    tmp_path: Path, images: MemoryImages, config: TrainConfig
) -> None:
    wild = Run(tmp_path, replace(config, architecture="single_gpu"), tmp_path, "images.db")
    with pytest.raises(
        TrainingError, match=r"the loss diverged after \d+ steps\nhint: begin lower"
    ):
        find_learning_rate(wild, WNIDS, images, rising_rates(1e15, 1e18, 20))
    with pytest.raises(TrainingError, match="0 < lowest < highest"):
        rising_rates(1.0, 0.1, 100)
