"""How fast training could be: the network's multiplications at the rate of one large product."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import torch

from imagetree.alexnet.counts import count_layers
from imagetree.alexnet.layers import Conv, FullyConnected
from imagetree.training.device import precision_on

if TYPE_CHECKING:
    from imagetree.alexnet.layers import Architecture

_LEAST_SIDE = 256
_MOST_SIDE = {"cpu": 2048, "cuda": 8192}
_LONG = 0.02
"""Seconds of a product that is large enough; where bf16 is not computed, a small one is."""
_PRODUCTS = 5


def operations_per_image(
    architecture: Architecture, num_classes: int, *, input_size: int, size: int
) -> int:
    """Multiplications and additions of a training step for each image.

    Forward, for the gradients of the weights and for those of the inputs: three times the
    multiplications of the table, but for the first layer, whose input needs no gradient.

    Args:
        architecture: the network.
        num_classes: units of its last layer.
        input_size: side in pixels that its fully connected layers are made for.
        size: side of the images.

    >>> from imagetree.alexnet.architectures import architecture_named
    >>> single_gpu = architecture_named("single_gpu")
    >>> round(operations_per_image(single_gpu, 1000, input_size=227, size=227) / 1e9, 2)
    6.6
    """
    macs = [
        (at_size if isinstance(at_size.layer, Conv) else at_input).macs
        for at_size, at_input in zip(
            count_layers(architecture, num_classes, size),
            count_layers(architecture, num_classes, input_size),
            strict=True,
        )
        if isinstance(at_size.layer, Conv | FullyConnected)
    ]
    return 2 * (3 * sum(macs) - macs[0])


def product_rate(device: torch.device, precision: str) -> float:
    """Operations a second of large products of matrices on this machine now.

    The greatest rate of several sides, each the median of five products: where caches are small the
    largest product is not the fastest.

    Args:
        device: where.
        precision: bf16, fp32 or auto.
    """
    kind = torch.bfloat16 if precision_on(device, precision) == "bf16" else torch.float32
    side, rate = _LEAST_SIDE, 0.0
    while True:
        seconds = _product_seconds(side, device, kind)
        rate = max(rate, 2 * side**3 / seconds)
        if seconds > _LONG or side == _MOST_SIDE[device.type]:
            return rate
        side *= 2


def _product_seconds(side: int, device: torch.device, kind: torch.dtype) -> float:
    """How long a product takes: the median of five, after one that warms up."""
    a, b = (torch.ones(side, side, dtype=kind, device=device) for _ in range(2))
    seconds = []
    for _ in range(_PRODUCTS + 1):
        began = time.perf_counter()
        torch.mm(a, b)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])
