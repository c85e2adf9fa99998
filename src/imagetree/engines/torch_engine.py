"""PyTorch as an engine, which is the reference."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import torch

from imagetree.alexnet.weights_out import build_network
from imagetree.engines.engine import FIXED_SIZES, no_bf16, precision_of
from imagetree.training.device import choose_device, computes_bf16, normalise

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from imagetree.alexnet.weights import Weights

_WARM_UP = 3


class TorchEngine:
    """PyTorch, on a GPU where there is one.

    There the layers of a batch are one CUDA graph: started one by one, some thirty kernels take the
    processor longer to start than a GPU to compute.

    Args:
        name: `pytorch-fp32` or `pytorch-bf16`.
        weights: the network.

    Raises:
        TrainingError: bf16 is asked for and not computed here.
    """

    def __init__(self, name: str, weights: Weights) -> None:
        self.name = name
        described = weights.description
        self._mean, self._std = described.mean, described.std
        self._dtype = torch.bfloat16 if precision_of(name) == "bf16" else torch.float32
        self._device = choose_device("auto")
        if precision_of(name) == "bf16" and not computes_bf16(self._device):
            raise no_bf16(name)
        network = build_network(weights).network.to(self._device, self._dtype)
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._graphs: dict[torch.Size, _CapturedGraph] = {}
        self._lock = threading.Lock()  # a graph's input and output are one batch's

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Engine`."""
        with torch.inference_mode():
            x = normalise(pixels, self._device, self._mean, self._std).to(self._dtype)
            if self._device.type == "cuda" and len(x) in FIXED_SIZES:
                with self._lock:
                    found = self._graph_of(x)(x).cpu()
            else:
                found = self._network(x).float().cpu()
        logits: NDArray[np.float32] = found.numpy()
        return logits

    def _graph_of(self, x: torch.Tensor) -> _CapturedGraph:
        """The graph for inputs of this shape, captured when it is first asked for."""
        if x.shape not in self._graphs:
            self._graphs[x.shape] = _CapturedGraph(lambda given: self._network(given).float(), x)
        return self._graphs[x.shape]


class _CapturedGraph:
    """A function of one tensor as a CUDA graph.

    Args:
        function: to capture; the same kernels for every input of a shape.
        x: an input, of the shape and layout of those to come.
    """

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> None:
        self._x = x.clone()
        self._graph = torch.cuda.CUDAGraph()
        beside = torch.cuda.Stream(x.device)  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream(x.device))
        with torch.cuda.stream(beside):  # what libraries set up and layers keep is not captured
            for _ in range(_WARM_UP):
                function(self._x)
        torch.cuda.current_stream(x.device).wait_stream(beside)
        # other threads may go on meanwhile, with networks of their own
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._y = function(self._x)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The function's value, which the next call overwrites."""
        self._x.copy_(x)
        self._graph.replay()
        return self._y
