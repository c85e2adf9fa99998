"""`imagetree lr`: find a learning rate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from imagetree.cli.output import (
    DEFAULT_DATABASE,
    DatabaseOption,
    JsonOption,
    print_json,
    print_table,
    progress_bar,
)
from imagetree.cli.train import NOTHING_GIVEN, Settings, given_settings
from imagetree.training.recipes import config_of


def lr(
    challenge: Path,
    *,
    lowest: float = 1e-5,
    highest: float = 1.0,
    steps: int = 100,
    recipe: Literal["modern", "paper", "chm"] = "modern",
    database: DatabaseOption = DEFAULT_DATABASE,
    settings: Annotated[Settings, Parameter(name="*")] = NOTHING_GIVEN,
    json: JsonOption = False,
) -> None:
    """Find a learning rate: some steps at rising rates, until the loss diverges.

    Nothing is saved. The rate at which the loss falls fastest is one to begin with; that of the
    least loss is too high.

    Example: imagetree lr demo/challenge --architecture single_gpu --database demo/imagetree.db

    Args:
        challenge: folder of the challenge.
        lowest: rate of the first step.
        highest: rate of the last step.
        steps: how many.
        recipe: settings to begin with.
        settings: what is to be other than in the recipe.
    """
    from imagetree.challenge.definition import load_challenge
    from imagetree.challenge.images import locate_split
    from imagetree.database.reading import ImageReader
    from imagetree.database.store import open_database
    from imagetree.training.finder import find_learning_rate, rising_rates
    from imagetree.training.runs import Run

    run = Run(challenge, config_of(recipe, given_settings(settings)), challenge, database)
    definition = load_challenge(challenge)
    with (
        open_database(database) as store,
        ImageReader(store) as reader,
        progress_bar("learning rates", "steps") as bar,
    ):
        images = locate_split(definition, "train", store, reader)
        found = find_learning_rate(
            run,
            definition.wnids,
            images,
            rising_rates(lowest, highest, steps),
            bar,
        )
    if json:
        print_json(found)
        return
    every = max(1, len(found.trials) // 12)
    print_table(
        ("learning rate", "smoothed loss"),
        [(f"{trial.lr:.2g}", f"{trial.loss:.3f}") for trial in found.trials[::every]],
    )
    print(f"the loss falls fastest at {found.steepest:.2g}: try --lr {found.steepest:.2g}")
    print(f"it is least at {found.lowest:.2g}, which is too high to train with")
