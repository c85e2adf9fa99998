"""What a network answers on a set of images: probabilities, of one crop an image or of ten.

What computes the logits is given, a network of torch's or an engine; nothing here imports torch,
whose start takes longer than an engine's answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from imagetree.training.batches import BadImage, Images, eval_batch_bytes, iter_centre_batches
from imagetree.training.feeder import Feeder
from imagetree.training.ten_crop import iter_ten_crops, side_for_ten

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from imagetree.training.device import Mean

    Logits = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    """From uint8 (N, S, S, 3), RGB, to float32 (N, K)."""

_FEW = 64


@dataclass(frozen=True)
class View:
    """How a network is shown an image, and computes.

    An engine has mean, std and precision of its own.

    Args:
        size: side in pixels of what the network sees.
        mean: of each channel, 0..255; or the mean image, float32 (S, S, 3).
        std: of each channel.
        precision: bf16, fp32, or auto for what is fast on the device.
        workers: processes that read and decode; few images are decoded without them.
        crops: 1 shows it the centred square; 10 five windows of a larger one and their mirror
            images, and its answer is the mean of the probabilities.
    """

    size: int
    mean: Mean
    std: tuple[float, float, float]
    precision: str = "auto"
    workers: int = 2
    crops: Literal[1, 10] = 1

    @property
    def side(self) -> int:
        """Side in pixels of the centred square that the views are cut from."""
        return self.size if self.crops == 1 else side_for_ten(self.size)


@dataclass(frozen=True)
class Predictions:
    """Answers for N images in their order.

    Args:
        probabilities: float32 (N, K); rows of zeros where the image could not be decoded.
        is_readable: bool (N,).
        bad: the images that could not be decoded.
    """

    probabilities: NDArray[np.float32]
    is_readable: NDArray[np.bool_]
    bad: tuple[BadImage, ...]


def predict(
    logits: Logits,
    images: Images,
    view: View,
    progress: Callable[[int, int], None] | None = None,
    *,
    feeder: Feeder | None = None,
) -> Predictions:
    """Probabilities of every image, each exactly once.

    Args:
        logits: of the network.
        images: what to look at; one image at least.
        view: size and crops.
        progress: called with (images done, images in all) after each batch.
        feeder: fills the batches, with the reader of the images; if None one is made for it.
    """
    probabilities, readable = [], []
    bad: list[BadImage] = []
    done = 0
    # for a handful of images workers would take longer to begin than the work itself
    workers = view.workers if len(images.labels) >= _FEW else 0
    owned = feeder or Feeder(images.reader, workers, eval_batch_bytes(view.side))
    try:
        for batch in iter_centre_batches(owned, images, view.side):
            answer = answer_squares(logits, batch.pixels, view)
            answer[~batch.is_readable] = 0.0
            probabilities.append(answer)
            readable.append(batch.is_readable)
            bad.extend(batch.bad)
            done += len(answer)
            if progress:
                progress(done, len(images.labels))
    finally:
        if feeder is None:
            owned.close()
    return Predictions(np.concatenate(probabilities), np.concatenate(readable), tuple(bad))


def answer_squares(logits: Logits, pixels: NDArray[np.uint8], view: View) -> NDArray[np.float32]:
    """Probabilities of a batch of centred squares.

    Args:
        logits: of the network.
        pixels: uint8 (N, side, side, 3), RGB, with the view's side.
        view: how they are shown.

    Returns:
        float32 (N, K).
    """
    crops = [pixels] if view.crops == 1 else iter_ten_crops(pixels, view.size)
    answers = [softmax(logits(crop)) for crop in crops]
    mean: NDArray[np.float32] = np.mean(answers, axis=0)
    return mean


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of logits; both float32 (N, K)."""
    with np.errstate(invalid="ignore"):  # what is not finite stays so, and is told elsewhere
        powers: NDArray[np.float32] = np.exp(logits - logits.max(1, keepdims=True))
        powers /= powers.sum(1, keepdims=True)
    return powers
