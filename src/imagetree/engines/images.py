"""Squares of a run's own images, as the network is shown them, for calibration and comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from imagetree.challenge.definition import load_challenge
from imagetree.challenge.images import locate_split
from imagetree.database.reading import ImageReader
from imagetree.database.store import open_database
from imagetree.errors import TrainingError
from imagetree.training.batches import eval_batch_bytes, iter_centre_batches
from imagetree.training.feeder import Feeder
from imagetree.training.randomness import permutation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from imagetree.alexnet.weights import Description
    from imagetree.training.runs import Run

MOST = 512
"""Images that scales and directions are found on; more change them little."""

_WITHOUT_WORKERS = 64


class Squares(NamedTuple):
    """Images with their classes.

    Args:
        pixels: uint8 (N, S, S, 3), R, G, B.
        labels: class indices; int64 (N,).
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


def load_squares(run: Run, description: Description, split: str, most: int = MOST) -> Squares:
    """Images of a split that can be decoded.

    Args:
        run: whose challenge and database are used.
        description: of the network: classes, and the side of an image.
        split: `minival` or `val`.
        most: so many of them, drawn by the run's seed.

    Raises:
        ChallengeError: an image is not in the database.
        TrainingError: the challenge has other classes, or no image can be decoded.
    """
    parts = list(iter_squares(run, description, split, most))
    if not parts:
        raise TrainingError(
            f"{run.challenge}: {split} has no image that can be decoded",
            hint="cut a challenge with more images: imagetree challenge cut --help",
        )
    pixels, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Squares(pixels, labels)


def iter_squares(
    run: Run, description: Description, split: str, most: int | None = None
) -> Iterator[Squares]:
    """The same, batch after batch; all of the split if `most` is None."""
    challenge = load_challenge(run.challenge)
    if challenge.wnids != description.wnids:
        raise TrainingError(
            f"{run.challenge}: its {len(challenge.wnids)} classes are not the "
            f"{len(description.wnids)} of the network",
            hint="name the run whose checkpoint this is",
        )
    side = description.image_size
    with open_database(run.database) as store, ImageReader(store) as reader:
        images = locate_split(challenge, split, store, reader)
        if most is not None and len(images.labels) > most:
            chosen = permutation(len(images.labels), run.config.seed)[:most]
            images = images.select(sorted(chosen.tolist()))
        if not len(images.labels):
            return
        workers = run.config.workers if len(images.labels) > _WITHOUT_WORKERS else 0
        with Feeder(images.reader, workers, eval_batch_bytes(side)) as feeder:
            for batch in iter_centre_batches(feeder, images, side):
                good = batch.is_readable
                if good.any():
                    yield Squares(batch.pixels[good], batch.labels[good])
