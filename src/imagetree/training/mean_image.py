"""The mean image of a training set: what Krizhevsky et al. 2012 subtract (section 2).

Each pixel of the mean is that of the centred part of the images, as the code of 2012 has it: the
same image is subtracted wherever a crop lies.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from imagetree.errors import TrainingError
from imagetree.training.crops import CentreCrop
from imagetree.training.feeder import Feeder, num_bytes
from imagetree.training.randomness import permutation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imagetree.training.batches import Images
    from imagetree.training.config import TrainConfig

_MOST_IMAGES = 10_000
"""Beyond these the mean of ILSVRC's pixels, whose deviation is 70, moves by less than one."""
_BATCH = 64


def measure_mean_image(images: Images, config: TrainConfig) -> NDArray[np.float32]:
    """The mean of the training images, or of ten thousand of them.

    Args:
        images: training images; those that cannot be decoded are left out.
        config: size, crop, seed of the choice, workers.

    Returns:
        float32 (S, S, 3), RGB in 0..255, S the network's input size.

    Raises:
        TrainingError: no image can be decoded.
    """
    size = config.input_size
    share = config.window_share if config.crop == "window" else 1.0
    chosen = permutation(len(images.labels), config.seed)[:_MOST_IMAGES]
    places = (chosen[start : start + _BATCH] for start in range(0, len(chosen), _BATCH))
    total, count = np.zeros((size, size, 3), np.int64), 0  # whole numbers: exact in any order
    with (
        Feeder(images.reader, config.workers, num_bytes(_BATCH, size)) as feeder,
        closing(feeder.iter_filled(images.rows, places, CentreCrop(share), size)) as batches,
    ):
        for filled in batches:
            is_readable = np.array([fault is None for fault in filled.faults])
            total += filled.pixels[is_readable].sum(0, dtype=np.int64)
            count += int(is_readable.sum())
    if count == 0:
        raise TrainingError(
            "none of the training images can be decoded",
            hint="list the bad images: imagetree database check --database PATH",
        )
    return (total / count).astype(np.float32)
