"""A network's answers on a split, written as a submission."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagetree.challenge.metrics import NO_GUESS, guesses_from_scores
from imagetree.challenge.submission import MAX_GUESSES, render_submission
from imagetree.files import write_atomic
from imagetree.training.evaluate import predict

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
    """Answer every image with up to five classes and write the submission.

    An image that cannot be decoded gets an empty line, which counts as wrong.

    Args:
        recognizer: the network.
        images: a split, in its order.
        path: file to write.
        progress: called with (images done, images in all).

    Returns:
        Name and reason of each image without an answer.
    """
    answers = predict(recognizer.network, images, recognizer.view, progress)
    k = min(MAX_GUESSES, len(recognizer.wnids))
    guesses = guesses_from_scores(answers.probabilities, k)
    guesses[~answers.is_readable] = NO_GUESS
    write_atomic(path, render_submission(guesses, recognizer.wnids))
    return tuple((images.names[bad.index], bad.reason) for bad in answers.bad)
