"""The three libraries as engines: PyTorch, which is the reference, ONNX Runtime and OpenVINO."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import torch

from imagetree.alexnet.weights_out import build_network
from imagetree.engines.engine import num_cores, precision_of, require
from imagetree.engines.graph import norm_as_convolution, take_apart
from imagetree.engines.signal_stack import keep_signal_stack
from imagetree.training.device import choose_device, normalise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imagetree.alexnet.weights import Weights

_ERRORS_ALONE = 3
_FIXED = frozenset({1, 32, 64, 128})
"""Sizes of batches that recognition, measures and evaluation ask for. OpenVINO is a tenth faster
where it knows the size; any other goes through a network whose size is open."""


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


class OnnxRuntimeEngine:
    """ONNX Runtime, one thread on each core.

    Args:
        name: `onnxruntime-fp32` or `onnxruntime-int8`.
        model: an `onnx.ModelProto` as `alexnet.onnx_graph` makes them, or in int8.
    """

    def __init__(self, name: str, model: Any) -> None:
        self.name = name
        runtime = require("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = num_cores()
        options.log_severity_level = _ERRORS_ALONE
        # idle threads that spin gain it nothing, and who computes next waits twice as long
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        graph = norm_as_convolution(take_apart(model))
        self._session = runtime.InferenceSession(
            graph.to_model().SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input = model.graph.input[0].name

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Engine`."""
        found: NDArray[np.float32] = self._session.run(None, {self._input: pixels})[0]
        return found


class OpenVinoEngine:
    """OpenVINO, all cores on each batch.

    What is not int8 in an int8 network is bf16, norms above all: it costs half as much to move, and
    what it adds to the error is a fiftieth of what int8 does.

    Args:
        name: `openvino-fp32`, `openvino-bf16` or `openvino-int8`.
        model: an `onnx.ModelProto` as `alexnet.onnx_graph` makes them, or in int8.
    """

    def __init__(self, name: str, model: Any) -> None:
        self.name = name
        self._core = require("openvino").Core()
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32" if precision_of(name) == "fp32" else "bf16",
            "INFERENCE_NUM_THREADS": num_cores(),
        }
        graph = take_apart(model)
        if precision_of(name) == "int8":  # its own LRN wants other layouts before it and behind
            graph = norm_as_convolution(graph)
        self._model = graph.to_model().SerializeToString()
        self._requests: dict[int | None, Any] = {}
        self._lock = threading.Lock()  # a request is one batch's
        _, *square = model.graph.input[0].type.tensor_type.shape.dim
        self._request((1, *(side.dim_value for side in square)))  # what cannot run is told here

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Engine`."""
        with self._lock:
            request = self._request(pixels.shape)
            request.infer([pixels], share_inputs=True)
            found: NDArray[np.float32] = request.get_output_tensor(0).data.copy()
        return found

    def _request(self, shape: tuple[int, ...]) -> Any:
        """The request for images of a shape, compiled when it is first asked for."""
        size = shape[0] if shape[0] in _FIXED else None
        if size not in self._requests:
            model = self._core.read_model(self._model)
            if size is not None:
                model.reshape(list(shape))
            with keep_signal_stack():
                compiled = self._core.compile_model(model, "CPU", self._settings)
            self._requests[size] = compiled.create_infer_request()
        return self._requests[size]
