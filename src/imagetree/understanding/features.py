"""Features of images: what a fully connected layer makes of each, after its ReLU.

The last hidden layer's 4,096 values are those in which Krizhevsky et al. 2012 compare images
(section 6.1, figure 4 right).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from imagetree.alexnet.layers import Conv, FullyConnected, Relu, Tanh
from imagetree.errors import TrainingError
from imagetree.training.batches import eval_batch_bytes, iter_centre_batches
from imagetree.training.device import autocast, normalise
from imagetree.training.feeder import Feeder

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import NDArray

    from imagetree.alexnet.layers import Architecture
    from imagetree.recognition.recognizer import Recognizer
    from imagetree.training.batches import BadImage, Images

LAST_HIDDEN = "fc7"
_FEW = 64  # images that this process decodes sooner than workers begin


class FeatureBatch(NamedTuple):
    """Features of some images.

    Args:
        indices: the images that could be decoded, ascending; int64 (B,).
        values: their features; float32 (B, D).
        bad: the images among them that could not be decoded.
    """

    indices: NDArray[np.int64]
    values: NDArray[np.float32]
    bad: tuple[BadImage, ...] = ()


@dataclass(frozen=True)
class Features:
    """Features of N images in their order.

    Args:
        values: float32 (N, D); rows of zeros where the image could not be decoded.
        is_readable: bool (N,).
        bad: the images that could not be decoded.
    """

    values: NDArray[np.float32]
    is_readable: NDArray[np.bool_]
    bad: tuple[BadImage, ...]


def feature_layer(architecture: Architecture, name: str = LAST_HIDDEN) -> str:
    """The layer whose output are the features that a fully connected layer gives.

    Args:
        architecture: the network as data.
        name: of the fully connected layer.

    Returns:
        Its ReLU or tanh, behind the normalisation where there is one; itself for the last layer.

    Raises:
        TrainingError: no fully connected layer is called so.

    >>> from imagetree.alexnet.architectures import architecture_named
    >>> [feature_layer(architecture_named("batch_norm"), name) for name in ("fc7", "fc8")]
    ['relu7', 'fc8']
    """
    dense = [layer.name for layer in architecture.layers if isinstance(layer, FullyConnected)]
    if name not in dense:
        raise TrainingError(
            f"{architecture.name} has no fully connected layer {name!r} "
            f"(expected one of {', '.join(dense)})"
        )
    names = [layer.name for layer in architecture.layers]
    for layer in architecture.layers[names.index(name) + 1 :]:
        if isinstance(layer, Relu | Tanh):
            return layer.name
        if isinstance(layer, Conv | FullyConnected):
            break
    return name


@dataclass(frozen=True)
class Extractor:
    """A network that gives features in the place of answers.

    Args:
        recognizer: the network, and how it is shown images.
        layer: a fully connected layer, taken after its ReLU.
    """

    recognizer: Recognizer
    layer: str = LAST_HIDDEN

    def iter_features(
        self, images: Images, progress: Callable[[int, int], None] | None = None
    ) -> Generator[FeatureBatch]:
        """The features of every image once, batch by batch: never more than one in memory.

        Args:
            images: what to look at.
            progress: called with (images done, images in all) after each batch.

        Raises:
            TrainingError: the network has no such layer.
        """
        network, view = self.recognizer.network, self.recognizer.view
        module = network.get_submodule(feature_layer(network.architecture, self.layer))
        device = next(network.parameters()).device
        workers = view.workers if len(images.labels) >= _FEW else 0
        seen: list[torch.Tensor] = []
        hook = module.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        network.eval()
        done = 0
        try:
            with Feeder(images.reader, workers, eval_batch_bytes(view.size)) as feeder:
                for batch in iter_centre_batches(feeder, images, view.size):
                    x = normalise(batch.pixels, device, view.mean, view.std)
                    with torch.no_grad(), autocast(device, view.precision):
                        network(x)
                    values = seen.pop().float().cpu().numpy()[batch.is_readable]
                    places = done + np.flatnonzero(batch.is_readable)
                    yield FeatureBatch(places, values, batch.bad)
                    done += len(batch.labels)
                    if progress:
                        progress(done, len(images.labels))
        finally:
            hook.remove()

    def extract(self, images: Images) -> Features:
        """The features of a set of images at once: 16 KiB for an image's 4,096.

        Args:
            images: what to look at; one image at least.

        Raises:
            TrainingError: the network has no such layer.
        """
        batches = list(self.iter_features(images))
        width = batches[0].values.shape[1]
        values = np.zeros((len(images.labels), width), dtype=np.float32)
        is_readable = np.zeros(len(values), dtype=np.bool_)
        for batch in batches:
            values[batch.indices] = batch.values
            is_readable[batch.indices] = True
        return Features(values, is_readable, tuple(bad for each in batches for bad in each.bad))
