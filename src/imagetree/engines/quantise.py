"""Int8: weights and what flows between layers as eight bits, on scales found on one's own images.

The graph says so by pairs of QuantizeLinear and DequantizeLinear, which ONNX Runtime and OpenVINO
both read as integer arithmetic. Weights have a scale for each filter or unit; what follows a ReLU
is unsigned from 0, anything else is symmetric about 128 (Jacob et al. 2018, sections 2.1 and 3.1,
without zero points where they cost time).

A row's scale is the sum of its two greatest weights of a sign by 127, and not the greatest alone:
processors without VNNI add the products of two values with two weights in 16 bits and clip what
these do not hold (`vpmaddubsw`); 255 * 128 they do. So a file has the same answers on every machine
(docs/decisions/0008-weights-that-no-sum-clips.md).
"""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from imagetree.engines.engine import require
from imagetree.engines.graph import Graph, copy_node, is_learnt, make_node
from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_PASSES_ON = frozenset({"MaxPool", "Flatten", "Gather", "ReduceMax"})
"""Operators that give values they were given, so that these stay what they were quantised to."""

_CALIBRATION_BATCH = 16
_MOST_BIAS = 1 << 30
_MOST_PAIR = 127  # 128 once both are rounded


class Scale(NamedTuple):
    """How a value is quantised: x is about step * (q - zero), q in 0..255."""

    step: np.float32
    zero: np.uint8


def quantise(graph: Graph, pixels: NDArray[np.uint8]) -> Graph:
    """The graph in int8.

    Args:
        graph: in float32, without batch normalisation (`fold_batch_norm`).
        pixels: images to find the scales on; uint8 (N, S, S, 3), N at least 1.

    Raises:
        TrainingError: a value is not finite on these images.
    """
    sources = quantised_values(graph)
    scales = find_scales(graph, sorted(set(sources.values())), pixels)
    return _Quantiser(graph, sources, scales).run()


def quantised_values(graph: Graph) -> dict[str, str]:
    """The values that become eight bits, and the value whose scale each of them has.

    These are what goes into the layers with weights, and what comes out of them behind their ReLU,
    so that a layer is integer arithmetic at both of its ends.
    """
    producers = graph.producers()

    def source(value: str) -> str:
        while value in producers and producers[value].op_type in _PASSES_ON:
            value = producers[value].input[0]
        return value

    found = {}
    for node in graph.nodes:
        if is_learnt(node, graph.tensors):
            found[node.input[0]] = source(node.input[0])
        before = producers.get(node.input[0])
        if node.op_type == "Relu" and before is not None and is_learnt(before, graph.tensors):
            found[node.output[0]] = node.output[0]
    return found


def find_scales(graph: Graph, values: Sequence[str], pixels: NDArray[np.uint8]) -> dict[str, Scale]:
    """Scales that hold the greatest value of a batch, in the mean over the batches.

    Raises:
        TrainingError: a value is not finite on these images.
    """
    tops: dict[str, list[float]] = {value: [] for value in values}
    bottoms: dict[str, list[float]] = {value: [] for value in values}
    for arrays in iter_values(graph, values, pixels):
        for value, array in zip(values, arrays, strict=True):
            tops[value].append(float(array.max()))
            bottoms[value].append(float(array.min()))
            if not math.isfinite(tops[value][-1] - bottoms[value][-1]):
                raise TrainingError(
                    f"{value} is not finite on an image of the calibration",
                    hint="the network's weights are damaged: train it again",
                )
    return {value: _scale(fmean(bottoms[value]), fmean(tops[value])) for value in values}


def iter_values(
    graph: Graph, values: Sequence[str], pixels: NDArray[np.uint8]
) -> Iterator[list[NDArray[np.float32]]]:
    """What the graph's values are on images, batch after batch."""
    runtime = require("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(
        graph.to_model(values).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    [given] = session.get_inputs()
    for start in range(0, len(pixels), _CALIBRATION_BATCH):
        yield session.run(list(values), {given.name: pixels[start : start + _CALIBRATION_BATCH]})


def _scale(bottom: float, top: float) -> Scale:
    if bottom >= 0:
        return Scale(np.float32(max(top, 1e-9) / 255), np.uint8(0))
    return Scale(np.float32(max(-bottom, top) / 127), np.uint8(128))


class _Quantiser:
    """Puts down the nodes of a graph again, with quantised values between them."""

    def __init__(self, graph: Graph, sources: dict[str, str], scales: dict[str, Scale]) -> None:
        self._graph = graph
        self._sources = sources
        self._scales = scales
        self._nodes: list[Any] = []
        self._tensors = dict(graph.tensors)
        self._renamed: dict[str, str] = {}

    def run(self) -> Graph:
        for node in self._graph.nodes:
            inputs = [self._renamed.get(name, name) for name in node.input]
            if is_learnt(node, self._graph.tensors):
                inputs[1:] = self._layer(node)
            self._nodes.append(copy_node(node, inputs))
            for value in node.output:
                if value in self._sources:
                    self._renamed[value] = self._activation(value)
        return replace(self._graph, nodes=tuple(self._nodes), tensors=self._tensors)

    def _activation(self, value: str) -> str:
        """The value, quantised and back."""
        scale = self._scales[self._sources[value]]
        names = self._put(value, scale.step, scale.zero)
        self._nodes.append(make_node("QuantizeLinear", [value, *names], f"{value}.q"))
        self._nodes.append(make_node("DequantizeLinear", [f"{value}.q", *names], f"{value}.dq"))
        return f"{value}.dq"

    def _layer(self, node: Any) -> list[str]:
        """Weights as int8, biases as int32 on the scale of the sums that they are added to."""
        weights = self._tensors[node.input[1]]
        has_bias = len(node.input) > 2
        bias = self._tensors[node.input[2]] if has_bias else np.zeros(len(weights), np.float32)
        step = float(self._scales[self._sources[node.input[0]]].step)
        quantised, scales = quantise_weights(weights, least=np.abs(bias) / (step * _MOST_BIAS))
        steps = (step * scales).astype(np.float32)
        whole = np.rint(bias.astype(np.float64) / steps).astype(np.int32)
        bias_name = node.input[2] if has_bias else f"{node.name}.bias"
        return [
            self._constant(node.input[1], quantised, scales),
            self._constant(bias_name, whole, steps),
        ]

    def _constant(self, name: str, values: NDArray[Any], scales: NDArray[np.float32]) -> str:
        """A tensor of integers with a scale for each of its rows."""
        names = self._put(name, scales, np.zeros(len(scales), values.dtype))
        self._tensors[f"{name}.q"] = values
        self._nodes.append(
            make_node("DequantizeLinear", [f"{name}.q", *names], f"{name}.dq", axis=0)
        )
        return f"{name}.dq"

    def _put(self, name: str, scale: Any, zero: Any) -> list[str]:
        self._tensors[f"{name}.scale"] = np.asarray(scale)
        self._tensors[f"{name}.zero"] = np.asarray(zero)
        return [f"{name}.scale", f"{name}.zero"]


def quantise_weights(
    weights: NDArray[np.float32], least: NDArray[np.float32] | float = 0.0
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Weights as eight bits on a scale for each filter or unit.

    Args:
        weights: float32 (units, ...).
        least: no scale is below it; float32 (units,) or one number.

    Returns:
        int8 in -127..127, of the same shape, no two of a row and a sign more than 128 together; and
        float32 (units,): weights are about one times the other.

    >>> quantise_weights(np.array([[1.0, -0.5], [0.5, 0.5], [0.0, 0.0]], np.float32))[0].tolist()
    [[127, -64], [64, 64], [0, 0]]
    """
    rows = weights.reshape(len(weights), -1)
    pairs = np.maximum(_greatest_pair(rows), _greatest_pair(-rows))
    scales = np.maximum(pairs / _MOST_PAIR, least).astype(np.float32)
    scales[scales == 0] = 1
    shape = (-1, *[1] * (weights.ndim - 1))
    return np.rint(weights / scales.reshape(shape)).astype(np.int8), scales


def _greatest_pair(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum of the two greatest values above 0 of each row."""
    second = max(0, rows.shape[1] - 2)
    two = np.partition(rows.clip(min=0), second, axis=1)[:, second:]
    total: NDArray[np.float32] = two.sum(1)
    return total
