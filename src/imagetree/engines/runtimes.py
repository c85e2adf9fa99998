"""ONNX Runtime and OpenVINO as engines, which start without torch."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from imagetree.engines.engine import FIXED_SIZES, no_bf16, num_cores, precision_of, require
from imagetree.engines.graph import replace_norms
from imagetree.engines.signal_stack import keep_signal_stack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imagetree.engines.engine import Engine

FILE_ENGINE = "openvino-int8"
"""What a model file runs on: the fastest int8 of those here (docs/log.md)."""

_ERRORS_ALONE = 3


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
        self._session = runtime.InferenceSession(
            replace_norms(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input = model.graph.input[0].name

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Engine`."""
        found: NDArray[np.float32] = self._session.run(None, {self._input: pixels})[0]
        return found


class OpenVinoEngine:
    """OpenVINO, all cores on each batch.

    What is not int8 in an int8 network is bf16 where that is computed, norms above all: it costs
    half as much to move, and what it adds to the error is a fiftieth of what int8 does.

    Args:
        name: `openvino-fp32`, `openvino-bf16` or `openvino-int8`.
        model: an `onnx.ModelProto` as `alexnet.onnx_graph` makes them, or in int8.

    Raises:
        TrainingError: it is not installed; or bf16 is asked for and not computed here.
    """

    def __init__(self, name: str, model: Any) -> None:
        self.name = name
        self._core = require("openvino").Core()
        with keep_signal_stack():
            has_bf16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision_of(name) == "bf16" and not has_bf16:
            raise no_bf16(name)
        is_float = precision_of(name) == "fp32" or not has_bf16
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32" if is_float else "bf16",
            "INFERENCE_NUM_THREADS": num_cores(),
        }
        # the LRN of an int8 network wants other layouts before it and behind
        replaced = replace_norms(model) if precision_of(name) == "int8" else model
        self._model = replaced.SerializeToString()
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
        size = shape[0] if shape[0] in FIXED_SIZES else None
        if size not in self._requests:
            model = self._core.read_model(self._model)
            if size is not None:
                model.reshape(list(shape))
            with keep_signal_stack():
                compiled = self._core.compile_model(model, "CPU", self._settings)
            self._requests[size] = compiled.create_infer_request()
        return self._requests[size]


def build_on(name: str, model: Any) -> Engine:
    """An engine of an `onnx.ModelProto`.

    Args:
        name: one of those that begin with `onnxruntime` or `openvino`.
        model: as `alexnet.onnx_graph` makes them, or in int8.

    Raises:
        TrainingError: its library is not installed.
    """
    return (OnnxRuntimeEngine if name.startswith("onnxruntime") else OpenVinoEngine)(name, model)
