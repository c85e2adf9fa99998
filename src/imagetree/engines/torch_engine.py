"""PyTorch as an engine, which is the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from imagetree.alexnet.weights_out import build_network
from imagetree.engines.engine import precision_of
from imagetree.training.device import choose_device, normalise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imagetree.alexnet.weights import Weights


class TorchEngine:
    """PyTorch, on a GPU where there is one.

    Args:
        name: `pytorch-fp32` or `pytorch-bf16`.
        weights: the network.
    """

    def __init__(self, name: str, weights: Weights) -> None:
        self.name = name
        described = weights.description
        self._mean, self._std = described.mean, described.std
        self._dtype = torch.bfloat16 if precision_of(name) == "bf16" else torch.float32
        self._device = choose_device("auto")
        network = build_network(weights).network.to(self._device, self._dtype)
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Engine`."""
        with torch.inference_mode():
            x = normalise(pixels, self._device, self._mean, self._std).to(self._dtype)
            found: NDArray[np.float32] = self._network(x).float().cpu().numpy()
        return found
