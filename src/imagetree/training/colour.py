"""The colours of the training images: their mean, their axes, and noise along these.

Krizhevsky et al. 2012, section 4.1: what an image shows does not change with the strength and the
tint of the light, so in training each image is shifted along the principal axes of the set's
colours, all of its pixels alike, by random amounts that are drawn anew each time.

The paper scales the shift along an axis by the axis's eigenvalue, a variance, which has a meaning
for pixels in 0..1 alone: in 0..255 the shift would be 255 times as large. The code of 2012 scales
it by the standard deviation, which is of the unit of the pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from imagetree.errors import DatabaseError, TrainingError
from imagetree.training.filling import read_picture
from imagetree.training.randomness import permutation, uniforms_each

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imagetree.training.batches import Images
    from imagetree.training.config import TrainConfig

Channels = tuple[float, float, float]

_NUM_IMAGES = 512
_WHITE = 255.0
_PURPOSE = 0xC0
"""Counter that keeps these numbers apart from those of the crops of the same image."""


class ColourAxes(NamedTuple):
    """Principal axes of the colours of a set of images, the longest first.

    Args:
        variances: eigenvalues of the covariance of R, G, B in 0..255.
        directions: unit vector (R, G, B) of each axis; its largest component is positive.
    """

    variances: Channels
    directions: tuple[Channels, Channels, Channels]


class Colours(NamedTuple):
    """What is known of the pixels of a set of images.

    Args:
        mean: of R, G, B, in 0..255.
        std: likewise, the standard deviation.
        axes: along which the colours vary.
    """

    mean: Channels
    std: Channels
    axes: ColourAxes


def measure_colours(images: Images, seed: int) -> Colours:
    """Mean, standard deviation and axes of the colours of some hundred training images.

    Args:
        images: training images; those that cannot be decoded are left out.
        seed: of the choice.

    Raises:
        TrainingError: none of the chosen images can be decoded.
    """
    sums, products, count = np.zeros((2, 3)), np.zeros((3, 3)), 0
    for index in permutation(len(images.labels), seed)[:_NUM_IMAGES]:
        try:
            picture = read_picture(images.reader, images.rows[index])
        except DatabaseError:
            continue
        pixels = picture.reshape(-1, 3).astype(np.float64)
        sums += pixels.sum(0), np.square(pixels).sum(0)
        products += pixels.T @ pixels  # of whole numbers below 2 ** 53: exact in any order
        count += len(pixels)
    if count == 0:
        raise TrainingError(
            "none of the first training images can be decoded",
            hint="list the bad images: imagetree database check --database PATH",
        )
    mean = sums[0] / count
    std = np.sqrt(np.maximum(sums[1] / count - np.square(mean), 1.0))
    return Colours(
        _rounded(mean, 3), _rounded(std, 3), _axes(products / count - np.outer(mean, mean))
    )


def _axes(covariance: NDArray[np.float64]) -> ColourAxes:
    variances, columns = np.linalg.eigh(covariance)  # the shortest axis first
    vectors = columns.T[::-1]
    largest = np.abs(vectors).argmax(1)
    vectors = vectors * np.sign(vectors[np.arange(3), largest])[:, None]
    first, second, third = (_rounded(vector, 6) for vector in vectors)
    return ColourAxes(_rounded(np.maximum(variances[::-1], 0.0), 3), (first, second, third))


def _rounded(values: NDArray[np.float64], digits: int) -> Channels:
    red, green, blue = (round(float(value), digits) for value in values)
    return red, green, blue


def colour_shifts(
    axes: ColourAxes | None, config: TrainConfig, epoch: int, indices: NDArray[np.int64]
) -> NDArray[np.float32] | None:
    """What is added to the pixels of each image; a function of (seed, epoch, image) alone.

    Args:
        axes: of the training set; needed where there is noise.
        config: `colour_noise`, `colour_scale` and `seed`.
        epoch: counted from 0.
        indices: of the images; int64 (N,).

    Returns:
        float32 (N, 3), in 0..255; None where the run has no noise.

    Raises:
        TrainingError: there is noise, and the axes are not known.
    """
    if config.colour_noise == 0:
        return None
    if axes is None:
        raise TrainingError(
            "the checkpoint does not say along which axes the colours vary",
            hint="train again in another folder, or with --colour-noise 0",
        )
    variances = np.array(axes.variances)
    lengths = variances / _WHITE if config.colour_scale == "eigenvalue" else np.sqrt(variances)
    numbers = uniforms_each(4, config.seed, epoch, indices, _PURPOSE).tolist()
    draws = np.array([_normals(*own) for own in numbers])
    along = config.colour_noise * draws * lengths  # (N, 3), by axis
    # a sum and not a product of matrices, which may round otherwise for another number of images
    shifts: NDArray[np.float64] = (along[:, :, None] * np.array(axes.directions)).sum(1)
    return shifts.astype(np.float32)


def _normals(a: float, b: float, c: float, d: float) -> Channels:
    """Three independent numbers of mean 0 and variance 1 of four in [0, 1) (Box, Muller 1958)."""
    near, far = (math.sqrt(-2 * math.log(1 - number)) for number in (a, b))
    return (
        near * math.cos(math.tau * c),
        near * math.sin(math.tau * c),
        far * math.cos(math.tau * d),
    )
