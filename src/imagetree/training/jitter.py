"""Brightness, contrast and saturation, changed at random in training, on the device.

Each is multiplied by a number around one, in this order, as is done everywhere since Howard 2013;
but values are not cut off at black and white, so that the three are one linear map of each pixel
and cost one product of matrices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from imagetree.training.randomness import uniforms_each

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imagetree.training.config import TrainConfig

_LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of R, G, B in what is seen as brightness (ITU-R BT.601)."""
_PURPOSE = 0x71
"""Counter that keeps these numbers apart from the others of the same image."""


def jitter_factors(
    config: TrainConfig, epoch: int, indices: NDArray[np.int64]
) -> NDArray[np.float32] | None:
    """Brightness, contrast and saturation of each image; a function of (seed, epoch, image) alone.

    Args:
        config: `jitter`, the most by which a factor differs from one, and `seed`.
        epoch: counted from 0.
        indices: of the images; int64 (N,).

    Returns:
        float32 (N, 3); None where the run has no jitter.
    """
    if config.jitter == 0:
        return None
    draws = uniforms_each(3, config.seed, epoch, indices, _PURPOSE)
    return (1 + config.jitter * (2 * draws - 1)).astype(np.float32)


def jitter(pixels: torch.Tensor, factors: NDArray[np.float32]) -> torch.Tensor:
    """Images with other brightness, contrast and saturation.

    Args:
        pixels: float32 (N, H, W, 3), RGB in 0..255.
        factors: of each image, one for each of the three; float32 (N, 3).

    Returns:
        float32 (N, H, W, 3); below 0 and above 255 where a factor leads there.
    """
    bright, contrast, saturation = factors.T.astype(np.float64)[:, :, None, None]
    luma = np.tile(_LUMA, (3, 1))  # (3, 3): each channel becomes the grey of the pixel
    maps = bright * contrast * (saturation * np.eye(3) + (1 - saturation) * luma)
    flat = pixels.flatten(1, 2)  # (N, H W, 3)
    weights = torch.from_numpy(_LUMA.astype(np.float32)).to(pixels.device)
    greys = (flat.mean(1) * weights).sum(1)  # contrast is about the mean grey of the image
    away = torch.from_numpy(((1 - contrast) * bright).astype(np.float32)[:, 0, 0]).to(pixels.device)
    turned = torch.from_numpy(maps.astype(np.float32)).to(pixels.device).transpose(1, 2)
    return torch.baddbmm((away * greys)[:, None, None], flat, turned).view(pixels.shape)
