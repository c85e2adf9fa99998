"""What answers on minival tell: the temperature, and the multipliers of promises.

Apart from `calibration`, which all recognition reads, because this needs the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagetree.challenge.definition import load_challenge
from imagetree.challenge.images import locate_split
from imagetree.database.reading import ImageReader
from imagetree.database.store import open_database
from imagetree.errors import TrainingError
from imagetree.files import sha256_of
from imagetree.recognition.calibration import Calibration, save_calibration
from imagetree.recognition.hedging import accuracy_by_multiplier, answer_tree
from imagetree.recognition.temperature import find_temperature, log_loss, soften

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from imagetree.recognition.recognizer import Recognizer
    from imagetree.training.runs import Run

ACCURACIES = (0.8, 0.9, 0.95, 0.99)
"""Promises whose multipliers are always found; others on demand."""


def labelled_probabilities(
    run: Run,
    recognizer: Recognizer,
    split: str,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """What a network answers on a split of its challenge, and the truth.

    Args:
        run: whose challenge and database are used.
        recognizer: the network.
        split: `minival` or `val`.
        progress: called with (images done, images in all).

    Returns:
        Probabilities (N, K) as the network gives them, and class indices (N,); of the images that
        can be decoded.

    Raises:
        ChallengeError: the classes are not the network's, or images are missing.
        TrainingError: the network has other classes, or the split has no image.
    """
    challenge = load_challenge(run.challenge)
    if challenge.wnids != recognizer.wnids:
        raise TrainingError(
            f"{run.challenge}: its {len(challenge.wnids)} classes are not the "
            f"{len(recognizer.wnids)} of the network",
            hint="name the run whose checkpoint this is",
        )
    with open_database(run.database) as store, ImageReader(store) as reader:
        images = locate_split(challenge, split, store, reader)
        if not len(images.labels):
            raise TrainingError(
                f"{run.challenge}: {split} has no images",
                hint="cut a challenge with more images: imagetree challenge cut --help",
            )
        found = recognizer.predict(images, progress)
    return found.probabilities[found.is_readable], images.labels[found.is_readable]


def calibrate_run(
    run: Run,
    recognizer: Recognizer,
    accuracies: Sequence[float] = ACCURACIES,
    progress: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Find temperature and multipliers on a run's minival, and keep them in its folder.

    Args:
        run: the run.
        recognizer: the network of its checkpoint; for its number of crops they are found.
        accuracies: to promise, each in (0, 1].
        progress: called with (images done, images in all).

    Raises:
        ChallengeError: images are missing.
        TrainingError: minival is empty, or an accuracy is not in (0, 1].
    """
    probabilities, truth = labelled_probabilities(run, recognizer, "minival", progress)
    found = find_calibration(run, recognizer.wnids, probabilities, truth, accuracies)
    save_calibration(run.folder, found, recognizer.view.crops)
    return found


def find_calibration(
    run: Run,
    wnids: tuple[str, ...],
    probabilities: NDArray[np.float32],
    truth: NDArray[np.int64],
    accuracies: Sequence[float] = ACCURACIES,
) -> Calibration:
    """Find temperature and multipliers.

    Args:
        run: of whose checkpoint the network is.
        wnids: of its classes.
        probabilities: that it gives to images of minival, (N, K).
        truth: their class indices, (N,).
        accuracies: see `calibrate_run`.

    Raises:
        TrainingError: as `calibrate_run`.
    """
    temperature = find_temperature(probabilities, truth)
    calibrated = soften(probabilities, temperature)
    turn = accuracy_by_multiplier(answer_tree(wnids), calibrated, truth)
    return Calibration(
        checkpoint=sha256_of(run.checkpoint_path),
        temperature=temperature,
        num_images=len(truth),
        log_loss_before=log_loss(probabilities, truth),
        log_loss_after=log_loss(probabilities, truth, temperature),
        multipliers={each: turn.least_multiplier(each) for each in sorted(set(accuracies))},
    )
