"""What runs have reached, side by side: read from their folders, nothing is loaded or computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imagetree.training.log import read_log
from imagetree.training.runs import load_run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class RunSummary:
    """A run in one line.

    Args:
        folder: of the run.
        epochs: finished and evaluated.
        epochs_in_all: that its settings ask for.
        step: of the newest record.
        loss: mean over the last ten steps; None before the first record.
        minival_error: top-1 error after the last finished epoch; None before.
        best_minival_error: the least of all epochs; None before.
        images_per_second: median over the run; None before the first record.
        num_bad: images that could not be decoded.
        settings: as `run.json` has them.
    """

    folder: Path
    epochs: int
    epochs_in_all: int
    step: int
    loss: float | None
    minival_error: float | None
    best_minival_error: float | None
    images_per_second: float | None
    num_bad: int
    settings: dict[str, Any]


def summarise_run(folder: Path) -> RunSummary:
    """What a run has reached.

    Raises:
        TrainingError: there is no run.
    """
    run = load_run(folder)
    records = read_log(folder)
    steps = [record for record in records if record["kind"] == "step"]
    epochs = [record for record in records if record["kind"] == "epoch"]
    errors = [record["minival_top1_error"] for record in epochs]
    rates = sorted(record["images_per_second"] for record in steps)
    return RunSummary(
        folder=folder,
        epochs=len(epochs),
        epochs_in_all=run.config.epochs,
        step=max((record["step"] for record in records), default=0),
        loss=steps[-1]["loss"] if steps else None,
        minival_error=errors[-1] if errors else None,
        best_minival_error=min(errors, default=None),
        images_per_second=rates[len(rates) // 2] if rates else None,
        num_bad=sum(record["kind"] == "bad image" for record in records),
        settings=run.config.to_json(),
    )


def differing_settings(runs: Iterable[RunSummary]) -> tuple[str, ...]:
    """Names of the settings in which not all runs agree, in the order of the settings."""
    every = [run.settings for run in runs]
    names = dict.fromkeys(name for settings in every for name in settings)
    return tuple(name for name in names if len({str(settings.get(name)) for settings in every}) > 1)


def find_runs(places: Iterable[Path]) -> tuple[Path, ...]:
    """The folders of runs: those named, and for any other folder the runs directly in it."""
    found: dict[Path, None] = {}
    for place in places:
        if (place / "run.json").is_file() or not place.is_dir():
            found[place] = None
            continue
        found |= {path.parent: None for path in sorted(place.glob("*/run.json"))}
    return tuple(found)
