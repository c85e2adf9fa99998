"""`imagetree runs`: what runs have reached, side by side."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from imagetree.cli.output import JsonOption, print_json, print_table


def runs(places: tuple[Path, ...] = (Path(),), /, *, json: JsonOption = False) -> int:
    """Compare runs: how far they are, their errors, their speed, and how their settings differ.

    Example: imagetree runs demo/run

    Args:
        places: folders of runs, or folders that hold such folders; the present one if none.
    """
    from imagetree.training.history import differing_settings, find_runs, summarise_run

    summaries = sorted(
        (summarise_run(folder) for folder in find_runs(places)),
        key=lambda run: (run.best_minival_error is None, run.best_minival_error or 0, run.folder),
    )
    if json:
        print_json([dataclasses.asdict(run) for run in summaries])
        return 0
    if not summaries:
        print("no run is here")
        return 1
    differing = differing_settings(summaries)
    print_table(
        ("run", "epochs", "minival error", "best", "loss", "images/s", "bad", *differing),
        [
            (
                str(run.folder),
                f"{run.epochs} of {run.epochs_in_all}",
                _percent(run.minival_error),
                _percent(run.best_minival_error),
                "" if run.loss is None else f"{run.loss:.3f}",
                "" if run.images_per_second is None else f"{run.images_per_second:,.0f}",
                run.num_bad,
                *(str(run.settings.get(name, "")) for name in differing),
            )
            for run in summaries
        ],
        title=f"{len(summaries)} runs, the best first",
    )
    return 0


def _percent(error: float | None) -> str:
    return "" if error is None else f"{error:.1%}"
