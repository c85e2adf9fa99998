"""`imagetree hedge`: how high up a network must answer to keep a promised accuracy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imagetree.cli.output import JsonOption, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagetree.recognition.hedge_score import HedgeScore, Trial


def hedge(
    run: Path, *, accuracy: float = 0.95, crops: Literal[1, 10] = 1, json: JsonOption = False
) -> None:
    """Calibrate a network on minival, and measure on val what its hedged answers keep.

    The temperature and the multipliers go into RUN/calibration.json, for ten crops into
    RUN/calibration_10.json, which `imagetree recognize` reads. On val they are tried, and once more
    with both found on each half of val and measured on the other.

    Example: imagetree hedge demo/run --accuracy 0.9

    Args:
        run: folder of a run.
        accuracy: promised: share of answers that are the image's class or above it.
        crops: views of an image; one and ten have a calibration each.
    """
    from imagetree.recognition.calibrating import (
        ACCURACIES,
        calibrate_run,
        labelled_probabilities,
    )
    from imagetree.recognition.calibration import NAMES
    from imagetree.recognition.hedge_score import Found, try_halves, try_multiplier
    from imagetree.recognition.hedging import check_accuracy
    from imagetree.recognition.recognizer import Recognizer
    from imagetree.recognition.temperature import log_loss
    from imagetree.training.runs import load_run

    check_accuracy(accuracy)
    loaded = load_run(run)
    recognizer = Recognizer.load(run, crops=crops)
    with progress_bar("minival") as progress:
        found = calibrate_run(loaded, recognizer, (*ACCURACIES, accuracy), progress)
    with progress_bar("val") as progress:
        plain, truth = labelled_probabilities(loaded, recognizer, "val", progress)
    tree = recognizer.tree
    used = Found("minival", found.temperature, found.multipliers[accuracy])
    on_val = try_multiplier(tree, plain, truth, used)
    halves = try_halves(tree, plain, truth, accuracy, seed=loaded.config.seed)
    losses = log_loss(plain, truth), log_loss(plain, truth, found.temperature)
    if json:
        print_json(
            {
                "calibration": found.to_json(),
                "val_log_loss_before": losses[0],
                "val_log_loss_after": losses[1],
                "trials": [_as_json(trial) for trial in (on_val, *halves)],
            }
        )
        return
    print(
        f"temperature {found.temperature:.3f}: log loss on {found.num_images:,} images of minival "
        f"{found.log_loss_before:.3f} -> {found.log_loss_after:.3f}, "
        f"on val {losses[0]:.3f} -> {losses[1]:.3f}"
    )
    _print_trials((on_val, *halves), f"{accuracy:.1%} promised, measured on images of val")
    print(f"{run / NAMES[crops]}: written")


def _as_json(trial: Trial) -> dict[str, object]:
    bits = trial.found.multiplier
    return {
        "found_on": trial.found.on,
        "temperature": trial.found.temperature,
        "multiplier": bits if math.isfinite(bits) else None,  # JSON has no infinity
        "hedged": trial.hedged,
        "flat": trial.flat,
    }


def _print_trials(trials: Sequence[Trial], title: str) -> None:
    header = ["found on", "temperature", "multiplier", "answers", "images", "accuracy"]
    rows = []
    for trial in trials:
        found = trial.found
        figures = [found.on, f"{found.temperature:.3f}", f"{found.multiplier:.3f}"]
        rows.append([*figures, "hedged", *_cells(trial.hedged)])
        rows.append(["", "", "", "flat", *_cells(trial.flat)])
    print_table([*header, "information", "height: share of answers"], rows, title=title)


def _cells(score: HedgeScore) -> list[object]:
    """Images, accuracy with its interval, information, and how many answers of each height."""
    low, high = score.interval
    heights = ", ".join(
        f"{height}: {count / score.num_images:.0%}" for height, count in score.num_by_height.items()
    )
    return [
        score.num_images,
        f"{score.accuracy:.2%} ({low:.2%} to {high:.2%})",
        f"{score.information:.3f}",
        heights,
    ]
