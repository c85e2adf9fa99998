"""Stochastic gradient descent as each recipe has it, and its layer-wise form for large batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.optim import SGD

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagetree.alexnet.network import AlexNet
    from imagetree.training.config import TrainConfig

TRUST = 0.001
"""How far a layer's update may go, as a share of its weights' norm (You et al. 2017, section 4)."""


class LARS(SGD):
    """Layer-wise adaptive rates (You, Gitman and Ginsburg 2017): every layer moves alike.

    The gradient of a weight w, with its decay, is scaled by TRUST |w| / (|g| + decay |w|), so that
    one learning rate serves layers whose gradients differ by a thousand. Biases and normalisation
    are left to plain descent, as in the paper's code.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update; the gradients are changed."""
        decays = [group["weight_decay"] for group in self.param_groups]
        for group, decay in zip(self.param_groups, decays, strict=True):
            group["weight_decay"] = 0.0
            for weight in group["params"]:
                if weight.grad is not None and weight.ndim > 1:
                    _scale(weight, decay)
                elif weight.grad is not None:
                    weight.grad.add_(weight, alpha=decay)
        result = super().step(closure)
        for group, decay in zip(self.param_groups, decays, strict=True):
            group["weight_decay"] = decay
        return result  # type: ignore[no-any-return]


def _scale(weight: torch.Tensor, decay: float) -> None:
    size, slope = weight.norm(), weight.grad.norm()  # type: ignore[union-attr]
    total = slope + decay * size
    ratio = torch.where((size > 0) & (slope > 0), TRUST * size / total, torch.ones_like(size))
    weight.grad.add_(weight, alpha=decay).mul_(ratio)  # type: ignore[union-attr]


def make_optimiser(network: AlexNet, config: TrainConfig) -> SGD:
    """The optimiser of a run, in three groups: weights, biases of layers, all else.

    Weights decay; biases and what normalises do not. A group's `lr_factor` is what its learning
    rate is multiplied by, and `set_learning_rate` heeds it.

    Args:
        network: on its device.
        config: learning rate, momentum, weight decay, factor of biases.
    """
    biases = {
        id(module.bias)
        for module in network.modules()
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear) and module.bias is not None
    }
    weights, of_layers, others = [], [], []
    for parameter in network.parameters():
        if parameter.ndim > 1:
            weights.append(parameter)
        elif id(parameter) in biases:
            of_layers.append(parameter)
        else:
            others.append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": config.weight_decay, "lr_factor": 1.0},
        {"params": of_layers, "weight_decay": 0.0, "lr_factor": config.bias_lr_factor},
        {"params": others, "weight_decay": 0.0, "lr_factor": 1.0},
    ]
    kind = {"sgd": SGD, "lars": LARS}[config.optimiser]
    return kind(
        [group for group in groups if group["params"]],
        lr=config.lr,
        momentum=config.momentum,
        nesterov=config.nesterov and config.momentum > 0,
        fused=True,
    )


def set_learning_rate(optimiser: SGD, lr: float) -> None:
    """Give every group its share of a learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group["lr_factor"]
