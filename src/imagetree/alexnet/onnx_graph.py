"""A network as an ONNX graph, made from the architecture as data: pixels in, logits out.

Each layer is the operator that ONNX has for it, by the layer's name, so that the graph reads like
the table and runs anywhere: nothing is traced. Operators: ONNX 1.13's, opset 18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import imagetree
from imagetree.alexnet.counts import count_layers, hanging_over
from imagetree.alexnet.layers import (
    AdaptiveAveragePool,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    LocalResponseNorm,
    MaxPool,
    Relu,
    SameMapNorm,
    Tanh,
)
from imagetree.alexnet.weights import DESCRIPTION_KEY, lacks_onnx

if TYPE_CHECKING:
    from imagetree.alexnet.counts import LayerCount
    from imagetree.alexnet.layers import Layer
    from imagetree.alexnet.weights import Description, Weights

OPSET = 18
IR_VERSION = 8  # of the same release
INPUT, OUTPUT = "pixels", "logits"
_EPSILON = 1e-5  # torch's, of batch normalisation


def make_onnx(weights: Weights) -> Any:
    """The ONNX model of a network.

    Its input `pixels` is uint8 (N, S, S, 3), R, G, B, as decoders give them, S the description's
    `image_size` and N any number; its output `logits` is float32 (N, classes). The model takes mean
    and std itself. Its metadata holds the description under `DESCRIPTION_KEY`.

    Args:
        weights: tensors and what they are.

    Returns:
        An `onnx.ModelProto`, checked by ONNX.

    Raises:
        TrainingError: ONNX is not installed.
    """
    try:
        import onnx
        from onnx import TensorProto, checker, helper
    except ImportError as error:
        lacks_onnx(error)
    described = weights.description
    graph = _Graph(onnx, weights)
    graph.run()
    side = described.image_size
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            described.architecture,
            [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["batch", side, side, 3])],
            [
                helper.make_tensor_value_info(
                    OUTPUT, TensorProto.FLOAT, ["batch", len(described.wnids)]
                )
            ],
            graph.initialisers,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="imagetree",
        producer_version=imagetree.__version__,
    )
    helper.set_model_props(model, {DESCRIPTION_KEY: described.to_json()})
    checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and initialisers, put down layer by layer; `value` names what the last one gave."""

    def __init__(self, onnx: Any, weights: Weights) -> None:
        self._onnx = onnx
        self._weights = weights
        self.nodes: list[Any] = []
        self.initialisers: list[Any] = []
        self.value = INPUT

    def run(self) -> None:
        """Put down the whole network."""
        description = self._weights.description
        self._normalise(description)
        architecture, classes = description.network, len(description.wnids)
        made_for = count_layers(architecture, classes, description.input_size)
        shown = count_layers(architecture, classes, description.image_size)
        pools = [c.layer for c in made_for if isinstance(c.layer, MaxPool | AdaptiveAveragePool)]
        is_flat = False
        for own, count in zip(made_for, shown, strict=True):
            if isinstance(count.layer, FullyConnected) and not is_flat:
                self._add("Flatten", "flatten", axis=1)
                is_flat = True
            grid = own.output_shape[1] if count.layer is pools[-1] else None
            if grid and _pools_otherwise(own, count):
                self._pool_to_grid(count, grid)
            else:
                self._layer(count)
        self.nodes[-1].output[0] = OUTPUT

    def _normalise(self, description: Description) -> None:
        """(pixels - mean) / std, then channels in front."""
        self._add("Cast", "float", to=self._onnx.TensorProto.FLOAT)
        self._add(
            "Sub", "minus_mean", self._constant("mean", np.array(description.mean, np.float32))
        )
        self._add("Div", "by_std", self._constant("std", np.array(description.std, np.float32)))
        self._add("Transpose", "channels_first", perm=[0, 3, 1, 2])

    def _layer(self, count: LayerCount) -> None:
        """Put down one layer as it is at the test."""
        layer = count.layer
        match layer:
            case Conv():
                self._convolve(layer, count.input_shape[1])
            case FullyConnected():
                tensors = self._tensors(layer.name, "weight", "bias")
                self._add("Gemm", layer.name, *tensors, transB=1)
            case BatchNorm():
                kinds = ("weight", "bias", "running_mean", "running_var")
                tensors = self._tensors(layer.name, *kinds)
                self._add("BatchNormalization", layer.name, *tensors, epsilon=_EPSILON)
            case MaxPool():
                over = hanging_over(layer, count.input_shape[1]) if layer.overhang else 0
                window = {"kernel_shape": [layer.kernel] * 2, "strides": [layer.stride] * 2}
                self._add("MaxPool", layer.name, **window, pads=[0, 0, over, over])
            case _:
                self._unlearned(layer)

    def _convolve(self, layer: Conv, side: int) -> None:
        over = hanging_over(layer, side) if layer.overhang else 0
        self._add(
            "Conv",
            layer.name,
            *self._tensors(layer.name, "weight", "bias"),
            kernel_shape=[layer.kernel] * 2,
            strides=[layer.stride] * 2,
            pads=[layer.padding] * 2 + [layer.padding + over] * 2,
            group=layer.groups,
        )

    def _unlearned(self, layer: Layer) -> None:
        """A layer without weights or windows; some do nothing at the test."""
        match layer:
            case Relu():
                self._add("Relu", layer.name)
            case Tanh():
                self._add("Tanh", layer.name)
            case LocalResponseNorm():
                self._normalise_towers(layer)
            case SameMapNorm():
                self._normalise_same_map(layer)
            case Dropout(scaled="test"):
                keep = self._constant(f"{layer.name}.keep", np.float32(1 - layer.rate))
                self._add("Mul", layer.name, keep)

    def _normalise_towers(self, layer: LocalResponseNorm) -> None:
        """LRN in each tower; ONNX writes alpha for the mean of the squares, not their sum."""
        constants = {
            "size": layer.size,
            "alpha": layer.alpha * layer.size,
            "beta": layer.beta,
            "bias": layer.k,
        }
        if layer.groups == 1:
            self._add("LRN", layer.name, **constants)
            return
        towers = [f"{layer.name}.tower{number}" for number in range(1, layer.groups + 1)]
        split = self._onnx.helper.make_node(
            "Split", [self.value], towers, f"{layer.name}.split", axis=1, num_outputs=layer.groups
        )
        self.nodes.append(split)
        normed = []
        for tower in towers:
            self.value = tower
            normed.append(self._add("LRN", f"{tower}.norm", **constants))
        self.value = normed[0]
        self._add("Concat", layer.name, *normed[1:], axis=1)

    def _normalise_same_map(self, layer: SameMapNorm) -> None:
        """The sum of squares is `size` * `size` times their average, zeros beyond the edge."""
        maps, name, half = self.value, layer.name, layer.size // 2
        self._add("Mul", f"{name}.squares", maps)
        self._add(
            "AveragePool",
            f"{name}.averages",
            kernel_shape=[layer.size] * 2,
            pads=[half] * 4,
            count_include_pad=1,
        )
        weight = np.float32(layer.alpha * layer.size**2)
        self._add("Mul", f"{name}.weighted", self._constant(f"{name}.alpha", weight))
        self._add("Add", f"{name}.base", self._constant(f"{name}.k", np.float32(layer.k)))
        power = self._constant(f"{name}.minus_beta", np.float32(-layer.beta))
        self._add("Pow", f"{name}.scale", power)
        self._add("Mul", name, maps)

    def _pool_to_grid(self, count: LayerCount, size: int) -> None:
        """Pool a map of another size to the grid that fc6 takes, rows first, then columns.

        Bin i covers floor(i * side / size) to ceil((i + 1) * side / size), as torch's adaptive
        pooling has it. A shorter bin takes its last row twice, which changes no maximum.
        """
        name, side = count.layer.name, count.input_shape[1]
        first = [i * side // size for i in range(size)]
        last = [-(-(i + 1) * side // size) - 1 for i in range(size)]
        if isinstance(count.layer, AdaptiveAveragePool):
            means = np.zeros((side, size), np.float32)
            for i, (a, b) in enumerate(zip(first, last, strict=True)):
                means[a : b + 1, i] = 1 / (b + 1 - a)
            columns = self._constant(f"{name}.columns", means)
            rows = self._constant(f"{name}.rows", np.ascontiguousarray(means.T))
            self._add("MatMul", f"{name}.by_column", columns)
            node = self._onnx.helper.make_node("MatMul", [rows, self.value], [name], name)
            self.nodes.append(node)
            self.value = name
            return
        longest = max(b - a for a, b in zip(first, last, strict=True)) + 1
        bins = [[min(a + j, b) for j in range(longest)] for a, b in zip(first, last, strict=True)]
        indices = self._constant(f"{name}.bins", np.array(bins, dtype=np.int64))
        for axis, way in ((2, "rows"), (3, "columns")):
            self._add("Gather", f"{name}.{way}", indices, axis=axis)
            within = self._constant(f"{name}.{way}.axis", np.array([axis + 1], dtype=np.int64))
            self._add("ReduceMax", f"{name}.{way}.max", within, keepdims=0)

    def _add(self, operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        """An operator on the last value and `inputs`; its result is the new last value."""
        make_node = self._onnx.helper.make_node
        self.nodes.append(make_node(operator, [self.value, *inputs], [name], name, **attributes))
        self.value = name
        return name

    def _tensors(self, layer: str, *kinds: str) -> list[str]:
        """The layer's tensors among the weights, those there are, as initialisers."""
        names = [f"{layer}.{kind}" for kind in kinds if f"{layer}.{kind}" in self._weights.tensors]
        return [self._constant(name, self._weights.tensors[name].numpy()) for name in names]

    def _constant(self, name: str, values: Any) -> str:
        self.initialisers.append(
            self._onnx.numpy_helper.from_array(np.ascontiguousarray(values), name)
        )
        return name


def _pools_otherwise(made_for: LayerCount, shown: LayerCount) -> bool:
    """Whether the last pooling has more to do than its layer says, to give the grid of fc6."""
    if isinstance(shown.layer, AdaptiveAveragePool):
        return shown.input_shape[1] != shown.layer.size
    return made_for.input_shape != shown.input_shape
