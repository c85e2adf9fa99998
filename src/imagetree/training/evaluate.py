"""What a network answers on a set of images: probabilities, of one crop an image or of ten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from imagetree.training.batches import BadImage, Images, eval_batch_bytes, iter_centre_batches
from imagetree.training.device import autocast, normalise
from imagetree.training.feeder import Feeder
from imagetree.training.ten_crop import iter_ten_crops, side_for_ten

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from imagetree.alexnet.network import AlexNet
    from imagetree.training.device import Mean

    Logits = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    """From uint8 (N, S, S, 3) to (N, K)."""

_FEW = 64


@dataclass(frozen=True)
class View:
    """How a network is shown an image, and computes.

    Args:
        size: side in pixels of what the network sees.
        mean: of each channel, 0..255; or the mean image, float32 (S, S, 3).
        std: of each channel.
        precision: bf16 or fp32.
        workers: processes that read and decode; few images are decoded without them.
        crops: 1 shows it the centred square; 10 five windows of a larger one and their mirror
            images, and its answer is the mean of the probabilities.
        engine: computes logits in the place of the network, from pixels; None lets the network.
    """

    size: int
    mean: Mean
    std: tuple[float, float, float]
    precision: str = "bf16"
    workers: int = 2
    crops: Literal[1, 10] = 1
    engine: Logits | None = None

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
    network: AlexNet,
    images: Images,
    view: View,
    progress: Callable[[int, int], None] | None = None,
    *,
    feeder: Feeder | None = None,
) -> Predictions:
    """Probabilities of every image, each exactly once.

    Args:
        network: on its device; put into evaluation mode and back.
        images: what to look at; one image at least.
        view: size, normalisation, precision.
        progress: called with (images done, images in all) after each batch.
        feeder: fills the batches, with the reader of the images; if None one is made for it.
    """
    was_training = network.training
    network.eval()
    probabilities, readable = [], []
    bad: list[BadImage] = []
    done = 0
    # for a handful of images workers would take longer to begin than the work itself
    workers = view.workers if len(images.labels) >= _FEW else 0
    owned = feeder or Feeder(images.reader, workers, eval_batch_bytes(view.side))
    try:
        for batch in iter_centre_batches(owned, images, view.side):
            answer = answer_squares(network, batch.pixels, view)
            answer[~batch.is_readable] = 0.0
            probabilities.append(answer)
            readable.append(batch.is_readable)
            bad.extend(batch.bad)
            done += len(answer)
            if progress:
                progress(done, len(images.labels))
    finally:
        network.train(was_training)
        if feeder is None:
            owned.close()
    return Predictions(np.concatenate(probabilities), np.concatenate(readable), tuple(bad))


@torch.no_grad()
def answer_squares(network: AlexNet, pixels: NDArray[np.uint8], view: View) -> NDArray[np.float32]:
    """Probabilities of a batch of centred squares.

    Args:
        network: on its device, in evaluation mode.
        pixels: uint8 (N, side, side, 3), RGB, with the view's side.
        view: how they are shown.

    Returns:
        float32 (N, K).
    """
    device = next(network.parameters()).device
    squares = torch.from_numpy(pixels).to(device)
    answers = []
    for crop in [squares] if view.crops == 1 else iter_ten_crops(squares, view.size):
        if view.engine is not None:
            logits = torch.from_numpy(view.engine(crop.cpu().contiguous().numpy()))
        else:
            x = normalise(crop, device, view.mean, view.std)
            with autocast(device, view.precision):
                logits = network(x)
        answers.append(logits.float().softmax(1))
    answer: NDArray[np.float32] = torch.stack(answers).mean(0).cpu().numpy()
    return answer
