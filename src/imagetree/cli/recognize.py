"""`imagetree recognize`: what images show."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from imagetree.cli.output import JsonOption, print_json
from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from imagetree.recognition.recognizer import Recognition, Recognizer


def recognize(
    run: Path,
    *paths: Path,
    sample: int = 0,
    k: int | None = None,
    json: JsonOption = False,
) -> int:
    """Say what images show: the likeliest classes, with the way through the tree.

    Example: imagetree recognize demo/run photo.jpg --k 3

    Args:
        run: folder of a run, or a checkpoint file.
        paths: image files.
        sample: in the place of files, this many images drawn from the run's val.
        k: answers for each image; 5 if not given, or all classes where there are fewer.
    """
    from imagetree.recognition.recognizer import ImageFiles, Recognizer
    from imagetree.training.checkpoints import NAME

    if bool(paths) == bool(sample):
        raise TrainingError(
            "nothing to look at" if not paths else "files and --sample cannot go together",
            hint=f"imagetree recognize {run} photo.jpg, or imagetree recognize {run} --sample 6",
        )
    recognizer = Recognizer.load(run / NAME if run.is_dir() else run)
    num_guesses = min(5, len(recognizer.wnids)) if k is None else k
    if paths:
        found = recognizer.recognize(ImageFiles(paths), num_guesses)
    else:
        found = _recognize_sample(run, recognizer, sample, num_guesses)
    if json:
        print_json(found)
    else:
        for each in found:
            _print_recognition(each)
    return 1 if any(each.reason for each in found) else 0


def _recognize_sample(
    run: Path, recognizer: Recognizer, count: int, k: int
) -> tuple[Recognition, ...]:
    from imagetree.challenge.definition import load_challenge
    from imagetree.challenge.images import locate_split
    from imagetree.database.reading import ImageReader
    from imagetree.database.store import open_database
    from imagetree.training.randomness import permutation
    from imagetree.training.runs import load_run

    loaded = load_run(run)
    with open_database(loaded.database) as store, ImageReader(store) as reader:
        images = locate_split(load_challenge(loaded.challenge), "val", store, reader)
        chosen = permutation(len(images.labels), loaded.config.seed)[:count]
        return recognizer.recognize(images.select(chosen.tolist()), k)


def _print_recognition(found: Recognition) -> None:
    if found.reason:
        print(f"{found.name}: {found.reason}", file=sys.stderr)
        return
    print(found.name)
    for guess in found.guesses:
        print(f"  {guess.probability:6.1%}  {guess.words}  {guess.wnid}")
    print("          " + " > ".join(found.guesses[0].path))
