"""An ONNX network taken apart: its nodes in order and its tensors by name, to be rewritten.

What is given is what `alexnet.onnx_graph` makes: one chain of operators, pixels in, logits out.
Each function here gives a new graph that computes the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from imagetree.engines.engine import require

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_LEARNT = ("Conv", "Gemm")


@dataclass(frozen=True)
class Graph:
    """Nodes and tensors of an ONNX model.

    Args:
        model: what they were taken from; its inputs, outputs, versions and metadata are kept.
        nodes: `NodeProto`s in the order in which they are computed.
        tensors: initialisers by name; those that no node asks for are not written.
    """

    model: Any
    nodes: tuple[Any, ...]
    tensors: Mapping[str, NDArray[Any]]

    def to_model(self, outputs: Sequence[str] | None = None) -> Any:
        """The graph as an `onnx.ModelProto`.

        Args:
            outputs: values to give, as floats, in the place of the graph's own.
        """
        onnx = require("onnx")
        helper, given = onnx.helper, self.model.graph
        used = {name for node in self.nodes for name in node.input}
        wanted = given.output if outputs is None else [_floats(helper, name) for name in outputs]
        graph = helper.make_graph(
            self.nodes,
            given.name,
            list(given.input),
            list(wanted),
            [onnx.numpy_helper.from_array(t, n) for n, t in self.tensors.items() if n in used],
        )
        made = helper.make_model(
            graph,
            opset_imports=list(self.model.opset_import),
            ir_version=self.model.ir_version,
            producer_name=self.model.producer_name,
            producer_version=self.model.producer_version,
        )
        helper.set_model_props(made, {p.key: p.value for p in self.model.metadata_props})
        return made

    def producers(self) -> dict[str, Any]:
        """The node that gives each value."""
        return {name: node for node in self.nodes for name in node.output}


def take_apart(model: Any) -> Graph:
    """The graph of an `onnx.ModelProto`."""
    to_array = require("onnx").numpy_helper.to_array
    tensors = {each.name: to_array(each) for each in model.graph.initializer}
    return Graph(model, tuple(model.graph.node), tensors)


def make_node(operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> Any:
    """A node whose one value has its name."""
    return require("onnx").helper.make_node(operator, inputs, [name], name, **attributes)


def copy_node(node: Any, inputs: Sequence[str], output: str | None = None) -> Any:
    """The same node of other inputs, and perhaps with another name for what it gives."""
    copied = type(node)()
    copied.CopyFrom(node)
    del copied.input[:]
    copied.input.extend(inputs)
    if output is not None:
        copied.output[0] = output
    return copied


def attributes_of(node: Any) -> dict[str, Any]:
    """The attributes of a node by name."""
    get = require("onnx").helper.get_attribute_value
    return {each.name: get(each) for each in node.attribute}


def is_learnt(node: Any, tensors: Mapping[str, NDArray[Any]]) -> bool:
    """Whether it is a layer with weights: a convolution or a fully connected layer."""
    return node.op_type in _LEARNT and len(node.input) > 1 and node.input[1] in tensors


def fold_batch_norm(graph: Graph) -> Graph:
    """Batch normalisation as it is at the test, taken into the layer in front of it.

    w' = w g / sqrt(v + e) and b' = (b - m) g / sqrt(v + e) + beta, with running mean m and variance
    v, scale g and shift beta (Ioffe and Szegedy 2015, section 3.1), computed in float64.
    """
    tensors, nodes = dict(graph.tensors), []
    producers = graph.producers()
    replaced: dict[str, Any] = {}
    for node in graph.nodes:
        before = producers.get(node.input[0])
        is_norm = node.op_type == "BatchNormalization"
        if not (is_norm and before is not None and is_learnt(before, tensors)):
            nodes.append(node)
            continue
        weight, bias = f"{before.name}.folded.weight", f"{before.name}.folded.bias"
        w = tensors[before.input[1]].astype(np.float64)
        b = tensors[before.input[2]].astype(np.float64) if len(before.input) > 2 else 0.0
        scale, shift, mean, variance = (tensors[n].astype(np.float64) for n in node.input[1:])
        factor = scale / np.sqrt(variance + attributes_of(node)["epsilon"])
        tensors[weight] = (w * factor.reshape(-1, *[1] * (w.ndim - 1))).astype(np.float32)
        tensors[bias] = ((b - mean) * factor + shift).astype(np.float32)
        replaced[before.name] = copy_node(before, [before.input[0], weight, bias], node.output[0])
    return replace(
        graph, nodes=tuple(replaced.get(node.name, node) for node in nodes), tensors=tensors
    )


def replace_norms(model: Any) -> Any:
    """An `onnx.ModelProto` with `norm_as_convolution`; the same one if it has no such norms."""
    has_norms = any(node.op_type == "LRN" for node in model.graph.node)
    return norm_as_convolution(take_apart(model)).to_model() if has_norms else model


def norm_as_convolution(graph: Graph) -> Graph:
    """Local response normalisation as a convolution, where the operator itself is slow.

    The sum over neighbouring maps, with alpha and k, is a 1 x 1 convolution with a banded matrix;
    and x / d ** 0.75 is x / (sqrt(d) * sqrt(sqrt(d))). In an int8 network ONNX Runtime's own LRN
    takes a quarter of the time, this a twentieth; OpenVINO's wants its values in another layout and
    in bfloat16 from the pooling on, while this begins and ends with eight bits (docs/log.md).
    Another beta is left as it is.
    """
    depths = _depths(graph)
    tensors, nodes = dict(graph.tensors), []
    for node in graph.nodes:
        constants = attributes_of(node) if node.op_type == "LRN" else {}
        if constants.get("beta") != 0.75:
            nodes.append(node)
            continue
        name, depth, half = node.name, depths[node.input[0]], constants["size"] // 2
        place = np.arange(depth)
        band = np.abs(place[:, None] - place) <= half
        tensors[f"{name}.band"] = (
            (band * (constants["alpha"] / constants["size"]))
            .astype(np.float32)
            .reshape(depth, depth, 1, 1)
        )
        tensors[f"{name}.k"] = np.full(depth, constants["bias"], np.float32)
        x = node.input[0]
        window = [f"{name}.squares", f"{name}.band", f"{name}.k"]
        nodes += [
            make_node("Mul", [x, x], f"{name}.squares"),
            make_node("Conv", window, f"{name}.base", kernel_shape=[1, 1]),
            make_node("Sqrt", [f"{name}.base"], f"{name}.root"),
            make_node("Sqrt", [f"{name}.root"], f"{name}.fourth_root"),
            make_node("Mul", [f"{name}.root", f"{name}.fourth_root"], f"{name}.power"),
            make_node("Div", [x, f"{name}.power"], node.output[0]),
        ]
    return replace(graph, nodes=tuple(nodes), tensors=tensors)


def _depths(graph: Graph) -> dict[str, int]:
    """The number of maps of each value that has some."""
    onnx = require("onnx")
    helper, used = onnx.helper, {name for node in graph.nodes for name in node.input}
    shapes_alone = [  # of the tensors: their values would be copied twice
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(each.dtype), each.shape)
        for name, each in graph.tensors.items()
        if name in used
    ]
    given = graph.model.graph
    made = helper.make_graph(graph.nodes, given.name, [*given.input, *shapes_alone], given.output)
    opsets = list(graph.model.opset_import)
    model = helper.make_model(made, opset_imports=opsets, ir_version=graph.model.ir_version)
    inferred = onnx.shape_inference.infer_shapes(model)
    shapes = {v.name: v.type.tensor_type.shape.dim for v in inferred.graph.value_info}
    return {name: int(dims[1].dim_value) for name, dims in shapes.items() if len(dims) > 1}


def _floats(helper: Any, name: str) -> Any:
    return helper.make_tensor_value_info(name, 1, None)  # 1 is ONNX's number of float32
