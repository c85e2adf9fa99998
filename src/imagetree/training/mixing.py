"""Mixtures of two images with the mixture of their labels: mixup and cutmix, on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from imagetree.training.randomness import mix, uniforms

if TYPE_CHECKING:
    from imagetree.training.config import TrainConfig


def mix_batch(
    x: torch.Tensor, labels: torch.Tensor, config: TrainConfig, step: int
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """A batch mixed with itself turned round by one place.

    Mixup (Zhang et al. 2018) adds the images with weights, cutmix (Yun et al. 2019) puts a box of
    one into the other; where both are asked for, each step draws one. The share comes from
    Beta(alpha, alpha) and is a function of (seed, step), the same for the whole batch.

    Args:
        x: (N, 3, S, S), changed in place.
        labels: class indices; (N,).
        config: `mixup` and `cutmix`, the alphas; 0 for none.
        step: of the run.

    Returns:
        The batch, the labels of what was mixed in, and the share in [0, 1] that is still x's own.
    """
    which, left, top = uniforms(3, config.seed, step, 1)
    is_cutmix = config.cutmix > 0 and (config.mixup == 0 or which < 0.5)
    alpha = config.cutmix if is_cutmix else config.mixup
    if alpha == 0:
        return x, labels, 1.0
    generator = np.random.Generator(np.random.Philox(key=mix(config.seed, step, 2)))
    share = float(generator.beta(alpha, alpha))
    if not is_cutmix:
        return x.lerp_(x.roll(1, 0), 1 - share), labels.roll(1), share
    size = x.shape[-1]
    side = round(size * (1 - share) ** 0.5)
    x0, y0 = int(left * (size - side + 1)), int(top * (size - side + 1))
    box = (..., slice(y0, y0 + side), slice(x0, x0 + side))
    x[box] = x.roll(1, 0)[box]
    return x, labels.roll(1), 1 - side * side / size**2


def mixed_loss(
    logits: torch.Tensor, labels: torch.Tensor, others: torch.Tensor, share: float, smoothing: float
) -> torch.Tensor:
    """Cross-entropy against the mixture of two labels.

    Args:
        logits: (N, K).
        labels: class indices; (N,).
        others: those of what was mixed in; (N,).
        share: of `labels`.
        smoothing: probability that each target leaves to all classes.
    """
    loss = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    if share == 1.0:
        return loss
    other = torch.nn.functional.cross_entropy(logits, others, label_smoothing=smoothing)
    return share * loss + (1 - share) * other
