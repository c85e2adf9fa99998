"""A network of two fully connected layers, small enough to be known in every weight."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

SIDE, INPUTS, UNITS, CLASSES = 4, 48, 24, 10


def make_small(first: np.ndarray, second: np.ndarray):
    """Pixels (N, 4, 4, 3), fc6 of 24 units with ReLU and no bias, fc7 of 10 with bias 1."""
    tensors = {"fc6.weight": first, "fc7.weight": second, "fc7.bias": np.ones(len(second))}
    nodes = [
        helper.make_node("Cast", ["pixels"], ["float"], "float", to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flatten"], "flatten", axis=1),
        helper.make_node("Gemm", ["flatten", "fc6.weight"], ["fc6"], "fc6", transB=1),
        helper.make_node("Relu", ["fc6"], ["relu6"], "relu6"),
        helper.make_node("Gemm", ["relu6", "fc7.weight", "fc7.bias"], ["logits"], "fc7", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(second)])],
        [numpy_helper.from_array(t.astype(np.float32), name) for name, t in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def pixels(count: int = 200) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
