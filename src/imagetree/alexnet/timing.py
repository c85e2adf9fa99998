"""How long each layer takes on this machine, forward and backward, measured layer by layer."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

import torch

from imagetree.alexnet.layers import FullyConnected
from imagetree.alexnet.measures import LayerTime
from imagetree.alexnet.network import AlexNet
from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from imagetree.alexnet.layers import Architecture


def layer_times(
    architecture: Architecture,
    num_classes: int = 1000,
    input_size: int | None = None,
    *,
    batch: int = 8,
    repeats: int = 5,
) -> tuple[LayerTime, ...]:
    """Seconds of every layer for one image in training, float32, the median of some passes.

    Each layer is run by itself on a batch that the one before it gives, so that nothing of its
    neighbours overlaps with it. A GPU is taken where there is one; the first pass warms up.

    Args:
        architecture: the network as data.
        num_classes: units of the last layer.
        input_size: side of the input in pixels; the architecture's own if None.
        batch: images in the batch.
        repeats: passes that are timed.

    Raises:
        TrainingError: the input is too small, or batch or repeats are below their least.
    """
    for name, value, least in (("batch", batch, 2), ("repeats", repeats, 1)):
        if value < least:
            raise TrainingError(f"{name} is {value} (expected at least {least})")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = AlexNet(architecture, num_classes, input_size).to(device).train()
    size = network.input_size
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, size, size, generator=generator).to(device)
    passes = [_one_pass(network, images) for _ in range(repeats + 1)][1:]
    return tuple(
        LayerTime(
            each[0].name,
            median(t.forward for t in each) / batch,
            median(t.backward for t in each) / batch,
        )
        for each in zip(*passes, strict=True)
    )


def _one_pass(network: AlexNet, x: torch.Tensor) -> list[LayerTime]:
    """Every layer once, forward and backward."""
    found: list[LayerTime] = []
    for layer in network.architecture.layers:
        module = network.get_submodule(layer.name)
        if isinstance(layer, FullyConnected):
            x = x.flatten(1)
        # no gradient of the images themselves: training needs none
        x = x.detach().requires_grad_(bool(found))
        given = x.clone()  # some layers work in place, which torch forbids on x itself
        started = _now(x.device)
        output = module(given)
        between = _now(x.device)
        wanted = [*module.parameters(), *([x] if found else [])]
        torch.autograd.grad(output, wanted, torch.ones_like(output))
        found.append(LayerTime(layer.name, between - started, _now(x.device) - between))
        x = output
    return found


def _now(device: torch.device) -> float:
    """Seconds on the clock, when the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
