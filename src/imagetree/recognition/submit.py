"""A network's answers on a split, written as a submission."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imagetree.challenge.metrics import NO_GUESS, guesses_from_scores
from imagetree.challenge.submission import MAX_GUESSES, iter_probabilities, render_submission
from imagetree.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from imagetree.recognition.recognizer import Recognizer
    from imagetree.training.batches import Images


def write_submission(
    recognizer: Recognizer,
    images: Images,
    path: Path,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[tuple[str, str], ...]:
    """Answer every image and write the submission: in JSON lines to a path that ends in .jsonl.

    As text each image has up to five classes, and one that cannot be decoded an empty line, which
    counts as wrong. In JSON lines each has the probabilities of all classes, calibrated where the
    run is, and one that cannot be decoded has the same for each.

    Args:
        recognizer: the network.
        images: a split, in its order.
        path: file to write.
        progress: called with (images done, images in all).

    Returns:
        Name and reason of each image without an answer.
    """
    answers = recognizer.predict(images, progress)
    if path.suffix == ".jsonl":
        likely = recognizer.calibrated(answers.probabilities).astype(np.float32)
        likely[~answers.is_readable] = 1 / len(recognizer.wnids)
        write_atomic(path, "".join(iter_probabilities(likely, images.names, recognizer.wnids)))
    else:
        k = min(MAX_GUESSES, len(recognizer.wnids))
        guesses = guesses_from_scores(answers.probabilities, k)
        guesses[~answers.is_readable] = NO_GUESS
        write_atomic(path, render_submission(guesses, recognizer.wnids))
    return tuple((images.names[bad.index], bad.reason) for bad in answers.bad)
