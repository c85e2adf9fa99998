"""Short codes of features: their coordinates along the axes in which they differ the most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imagetree.training.randomness import permutation

if TYPE_CHECKING:
    from numpy.typing import NDArray

LENGTH = 128
"""Numbers of a code; fewer where there are fewer images or features."""
_SAMPLE = 20_000
_EXTRA = 16  # axes beyond those wanted, with which the wanted ones are found sooner
_ROUNDS = 6
_BLOCK = 8192


def find_axes(features: NDArray[np.float16]) -> NDArray[np.float32]:
    """Mean and principal axes of features, from twenty thousand of them.

    Powers of the covariance are applied to random vectors (Halko, Martinsson and Tropp 2011): in
    six rounds what is left of other axes is far below the rounding of a code.

    Args:
        features: float16 (N, D), N >= 1.

    Returns:
        float32 (1 + C, D): the mean, then C axes of length one, the longest first.
    """
    rows = np.sort(permutation(len(features), 0)[:_SAMPLE])
    sample = features[rows].astype(np.float32)
    mean = sample.mean(0, dtype=np.float64).astype(np.float32)
    sample -= mean
    length = min(LENGTH, *sample.shape)
    width = min(length + _EXTRA, sample.shape[1])
    axes = np.random.default_rng(0).standard_normal((sample.shape[1], width)).astype(np.float32)
    for _ in range(_ROUNDS):
        axes, _ = np.linalg.qr(sample.T @ (sample @ axes))
    covariance = (sample @ axes).astype(np.float64)
    _, vectors = np.linalg.eigh(covariance.T @ covariance)
    best = axes @ vectors[:, ::-1][:, :length].astype(np.float32)
    return np.concatenate([mean[None], best.T])


def encode(features: NDArray[np.floating], projection: NDArray[np.float32]) -> NDArray[np.float16]:
    """The codes of features.

    Args:
        features: (N, D).
        projection: as `find_axes` gives it; (1 + C, D).

    Returns:
        float16 (N, C).
    """
    mean, axes = projection[0], projection[1:]
    codes = np.empty((len(features), len(axes)), np.float16)
    for start in range(0, len(features), _BLOCK):
        block = features[start : start + _BLOCK].astype(np.float32) - mean
        codes[start : start + _BLOCK] = block @ axes.T
    return codes
