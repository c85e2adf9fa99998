"""`imagetree challenge run`: a network that is trained on a challenge, or answers it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from imagetree.cli.output import DEFAULT_DATABASE, progress_bar
from imagetree.cli.train import NOTHING_GIVEN, Settings, given_settings, train_run
from imagetree.errors import TrainingError
from imagetree.training.recipes import config_of

if TYPE_CHECKING:
    from imagetree.challenge.definition import Challenge
    from imagetree.training.batches import Images


def run(
    run: Path,
    *,
    challenge: Path | None = None,
    split: str = "val",
    output: Path | None = None,
    crops: Literal[1, 10] = 1,
    images: Path | None = None,
    database: str | None = None,
    recipe: Literal["modern", "paper", "chm"] | None = None,
    settings: Annotated[Settings, Parameter(name="*")] = NOTHING_GIVEN,
) -> int:
    """Answer a split with a network, trained on the challenge first: write a submission.

    With --challenge the network is trained on it where RUN is not there yet or is not finished;
    without, RUN answers as it is.

    Example: imagetree challenge run runs/dogs --challenge dogs --crops 10

    Args:
        run: folder of the run.
        challenge: folder of a challenge to train on, and to answer.
        split: train, minival, val or test.
        output: file to write; RUN/SPLIT.txt if not given. With the ending .jsonl it has the
            probabilities of all classes, calibrated where `imagetree hedge` has been for this
            number of crops, from which challenge score says how well they mean what they say.
        crops: views of an image: the centre alone, or ten whose probabilities are averaged.
        images: tar, zip or folder with the images under the names of the split, as participants
            have those of test; looked up in the database if not given.
        database: where the images are; the run's own if not given, for one that begins that of
            IMAGETREE_DATABASE or imagetree.db.
        recipe: settings of a run that begins; modern if not given.
        settings: of a run that begins, other than in the recipe.
    """
    from imagetree.challenge.definition import load_challenge
    from imagetree.recognition.recognizer import Recognizer
    from imagetree.recognition.submit import write_submission
    from imagetree.training.runs import load_run

    changes = given_settings(settings)
    if challenge is not None:
        status = _train(challenge, run, database, recipe, changes)
        if status:
            return status
    elif recipe is not None or changes:
        raise TrainingError(
            f"{run}: settings are for training, and no challenge to train on is named",
            hint=f"imagetree challenge run {run} --challenge CHALLENGE",
        )
    loaded = load_run(run)
    recognizer = Recognizer.load(loaded.checkpoint_path, calibrated=True, crops=crops)
    definition = load_challenge(loaded.challenge)
    with ExitStack() as stack:
        found = _images_of(definition, split, images, database or loaded.database, stack)
        path, bar = output or run / f"{split}.txt", stack.enter_context(progress_bar(split))
        bad = write_submission(recognizer, found, path, bar)
    for name, reason in bad:
        print(f"{name}: no answer, {reason}")
    print(f"{path}: answers for {len(found.labels):,} images of {split}")
    return 1 if bad else 0


def _train(
    challenge: Path, run: Path, database: str | None, recipe: str | None, changes: dict[str, object]
) -> int:
    """Train a run, or go on with it by its own settings; the exit status."""
    from imagetree.training.runs import load_run

    if not (run / "run.json").exists():
        place = database or os.environ.get("IMAGETREE_DATABASE", DEFAULT_DATABASE)
        return train_run(config_of(recipe or "modern", changes), challenge, run, None, place)
    there = load_run(run)
    # what was given is held against what the run was begun with
    is_given = recipe is not None or changes
    config = config_of(recipe or "modern", changes) if is_given else there.config
    return train_run(config, challenge, run, there.pack, database or there.database)


def _images_of(
    challenge: Challenge, split: str, place: Path | None, database: str, stack: ExitStack
) -> Images:
    """The images of a split: in a place of their own, or in the database."""
    if place is not None:
        from imagetree.challenge.unlabelled import find_images

        found = find_images(challenge, split, place)
        stack.enter_context(found.reader)
        return found
    from imagetree.challenge.images import locate_split
    from imagetree.database.reading import ImageReader
    from imagetree.database.store import open_database

    store = stack.enter_context(open_database(database))
    return locate_split(challenge, split, store, stack.enter_context(ImageReader(store)))
