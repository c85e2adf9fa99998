"""Runs side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from imagetree.errors import TrainingError
from imagetree.training.history import differing_settings, find_runs, summarise_run
from imagetree.training.log import RunLog
from imagetree.training.runs import open_run

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.training.config import TrainConfig


def a_run(folder: Path, config: TrainConfig, errors: list[float]) -> Path:
    open_run(folder, config, folder / "challenge", "sqlite:////images.db")
    with RunLog(folder, 0) as log:
        for epoch, error in enumerate(errors, 1):
            rate = 100.0 * epoch
            log.write("step", 10 * epoch, loss=2.0 / epoch, images_per_second=rate, lr=0.1)
            log.write("epoch", 10 * epoch, epoch=epoch, minival_top1_error=error)
        log.write("bad image", 10 * len(errors), name="a", reason="damaged")
    return folder


def test_summary(tmp_path: Path, config: TrainConfig) -> None:
    """The last and the best error, the median rate, and what is left out where nothing is yet."""
    run = summarise_run(a_run(tmp_path / "a", config, [0.5, 0.2, 0.3]))
    assert (run.epochs, run.epochs_in_all, run.step) == (3, 2, 30)
    assert (run.minival_error, run.best_minival_error) == (0.3, 0.2)
    assert run.images_per_second == 200
    assert run.loss == pytest.approx(2 / 3)
    assert run.num_bad == 1
    fresh = summarise_run(a_run(tmp_path / "b", config, []))
    assert (fresh.epochs, fresh.minival_error, fresh.best_minival_error) == (0, None, None)


def test_settings_that_differ(tmp_path: Path, config: TrainConfig) -> None:
    one = summarise_run(a_run(tmp_path / "a", config, [0.5]))
    two = summarise_run(a_run(tmp_path / "b", replace(config, lr=0.5, seed=3), [0.5]))
    assert differing_settings([one, two]) == ("lr", "seed")
    assert differing_settings([one]) == ()


def test_runs_are_found_in_a_folder_of_runs(tmp_path: Path, config: TrainConfig) -> None:
    """Named, or directly below; a folder that is no run is an error only where it is named."""
    a, b = (a_run(tmp_path / name, config, []) for name in "ab")
    (tmp_path / "c").mkdir()
    assert find_runs([tmp_path]) == (a, b)
    assert find_runs([b, tmp_path]) == (b, a)
    assert find_runs([tmp_path / "c"]) == ()
    with pytest.raises(TrainingError, match="no run is here"):
        summarise_run(tmp_path / "c")
