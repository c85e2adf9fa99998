"""The running mean of a network's weights, which answers better than the last weights do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn


class WeightAverage:
    """Exponential moving average of every weight and statistic of a network.

    In the first steps the mean is over less, (1 + n) / (10 + n) in place of `decay` where that is
    smaller, or the initial weights would weigh on it for 1 / (1 - decay) steps.

    Args:
        network: what is averaged; on its device.
        decay: share of the mean that stays at each update, in (0, 1).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self._network = network
        self.num_updates = 0
        self.tensors = {name: value.clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the network's present weights in."""
        self.num_updates += 1
        share = 1 - min(self._decay, (1 + self.num_updates) / (10 + self.num_updates))
        present = self._network.state_dict()
        names = [name for name, value in self.tensors.items() if value.is_floating_point()]
        means = [self.tensors[name] for name in names]
        torch._foreach_lerp_(means, [present[name] for name in names], share)
        for name in self.tensors.keys() - names:  # how many batches were seen
            self.tensors[name].copy_(present[name])

    def restore(self, tensors: Mapping[str, torch.Tensor], num_updates: int) -> None:
        """Go on with the means of a checkpoint."""
        for name, value in self.tensors.items():
            value.copy_(tensors[name])
        self.num_updates = num_updates

    @torch.no_grad()
    def exchange(self) -> None:
        """Put the means into the network and its weights here; a second time undoes the first."""
        for name, value in self._network.state_dict().items():
            mean = self.tensors[name]
            kept = value.clone()
            value.copy_(mean)
            mean.copy_(kept)
