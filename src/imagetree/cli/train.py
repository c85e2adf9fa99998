"""`imagetree train`: train a network on a challenge, or go on with a run."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

from cyclopts import Parameter

from imagetree.cli.output import DEFAULT_DATABASE, DatabaseOption
from imagetree.training.config import TrainConfig
from imagetree.training.recipes import RECIPES, config_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagetree.training.batches import Images
    from imagetree.training.train import Progress, Result

_IS_MAIN = os.environ.get("RANK", "0") == "0"
"""torchrun numbers the processes of a run; one of them speaks."""


def _shown(value: object) -> str:
    return " ".join(f"{each:.2f}" for each in value) if isinstance(value, tuple) else str(value)


def _settings_to_give() -> Any:
    """The settings with nothing given, so that what is given can be told from what is not."""
    hints = get_type_hints(TrainConfig)
    fields = [
        (field.name, hints[field.name] | None, None) for field in dataclasses.fields(TrainConfig)
    ]
    made = dataclasses.make_dataclass("Settings", fields, frozen=True, kw_only=True)
    text = TrainConfig.__doc__ or ""
    for field in dataclasses.fields(TrainConfig):
        others = {
            name: recipe[field.name] for name, recipe in RECIPES.items() if field.name in recipe
        }
        shown = [f"{_shown(value)} ({name})" for name, value in others.items()]
        values = ", ".join([_shown(field.default), *shown])
        text = text.replace(f"        {field.name}: ", f"        {field.name}: [{values}] ", 1)
    made.__doc__, made.__module__ = text, __name__
    return made


_GIVEN = _settings_to_give()
if TYPE_CHECKING:
    Settings = Any
else:
    Settings = _GIVEN
NOTHING_GIVEN: Settings = _GIVEN()


def train(
    challenge: Path,
    run: Path,
    *,
    recipe: Literal["modern", "paper", "chm"] = "modern",
    pack: Path | None = None,
    database: DatabaseOption = DEFAULT_DATABASE,
    settings: Annotated[Settings, Parameter(name="*")] = NOTHING_GIVEN,
) -> int:
    """Train a network on a challenge; where the run is there already, go on with it.

    Ctrl-C saves a checkpoint and ends; the same command goes on from it and ends with the same
    weights as if it had not been interrupted. Several GPUs or machines: torchrun --nproc-per-node 8
    --no-python imagetree train ...

    Example: imagetree train demo/challenge demo/run --epochs 19

    Args:
        challenge: folder of the challenge.
        run: folder of the run; made if it is missing.
        recipe: settings to begin with: of today, of the paper, or of the code that won in 2012.
        pack: folder of the challenge's pack, to read images from in place of the archives.
        settings: what is to be other than in the recipe.
    """
    return train_run(config_of(recipe, given_settings(settings)), challenge, run, pack, database)


def train_run(
    config: TrainConfig, challenge: Path, run: Path, pack: Path | None, database: str
) -> int:
    """Train a run, or go on with it, and print what came of it; the exit status."""
    from imagetree.challenge.definition import load_challenge
    from imagetree.challenge.images import locate_split
    from imagetree.database.reading import ImageReader
    from imagetree.database.store import open_database
    from imagetree.training.pack import PackedImages
    from imagetree.training.runs import open_run
    from imagetree.training.train import train as train_network

    definition = load_challenge(challenge)
    with open_database(database) as store, ImageReader(store) as reader:
        splits: list[Images] = []
        for split in ("train", "minival"):
            found = locate_split(definition, split, store, reader)
            splits.append(PackedImages(found, pack / split) if pack else found)
        opened = open_run(run, config, challenge, database, pack)
        _tell_of_slow_bf16(config)
        shown, finish = shown_progress(config.epochs)
        try:
            result = train_network(opened, definition.wnids, splits[0], splits[1], shown)
        finally:
            finish()
    _print_result(result, run)
    return 0 if result.is_finished else 130


def _tell_of_slow_bf16(config: TrainConfig) -> None:
    from imagetree.training.device import choose_device, computes_bf16

    if _IS_MAIN and config.precision == "bf16" and not computes_bf16(choose_device(config.device)):
        told = "no bf16 is computed here: --precision fp32 would be many times as fast"
        print(told, file=sys.stderr, flush=True)


def given_settings(settings: Settings) -> dict[str, Any]:
    """The settings that were given."""
    return {name: value for name, value in vars(settings).items() if value is not None}


def _print_result(result: Result, run: Path) -> None:
    if not _IS_MAIN:
        return
    if result.num_bad:
        print(f"{result.num_bad} images could not be decoded; {run}/log.jsonl lists them")
    error = "" if result.minival_error is None else f", top-1 error {result.minival_error:.2%}"
    print(f"{run}: step {result.step:,} of {result.num_steps:,}{error} on minival")
    if not result.is_finished:
        print("interrupted; the same command goes on from here", file=sys.stderr)


def shown_progress(epochs: int) -> tuple[Callable[[Progress], None], Callable[[], None]]:
    """A bar on a terminal, else a line for each epoch; and what ends it."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    if not _IS_MAIN:
        return lambda _: None, lambda: None
    console = Console(stderr=True)
    if not console.is_terminal:
        return _EpochLines(epochs), lambda: None
    bar = Bar(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=console)
    task = bar.add_task("training", total=None)
    bar.start()

    def show(now: Progress) -> None:
        bar.update(task, description=_described(now, epochs), completed=now.step)
        bar.update(task, total=now.num_steps)

    return show, bar.stop


class _EpochLines:
    """Prints a line at the first step of each epoch after the first, and one near the start."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._epoch = 0

    def __call__(self, now: Progress) -> None:
        if now.epoch != self._epoch and now.step % 10 == 0:
            self._epoch = now.epoch
            left = f"{now.seconds_left / 60:.1f} minutes left"
            print(f"{_described(now, self._epochs)}, {left}", file=sys.stderr, flush=True)


def _described(now: Progress, epochs: int) -> str:
    minival = "" if now.minival_error is None else f", minival error {now.minival_error:.1%}"
    return (
        f"epoch {now.epoch}/{epochs}, loss {now.loss:.3f}, "
        f"{now.images_per_second:.0f} images/s ({now.share_of_limit:.0%} of the limit){minival}"
    )
