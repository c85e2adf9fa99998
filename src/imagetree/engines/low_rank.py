"""Fully connected layers made small: whole units left out, and products of two thin matrices.

Both look at what the layers give on images, and not at the weights alone: of all matrices of rank r
the one nearest to W on inputs X, least |W X - B X|, is B = U U' W with U the r leading principal
directions of the outputs W X (Eckart and Young 1936; Zhang et al. 2015, section 3.1). U' W and U
take r (i + o) values in the place of i o.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from imagetree.engines.graph import Graph, copy_node, is_learnt, make_node
from imagetree.engines.quantise import iter_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_RIDGE = 0.01
"""Weight of W itself beside what it gives: some hundred images do not show every direction."""

_MOST = 512
_MORE, _TURNS = 32, 2
_BY_UNIT = frozenset({"Relu", "Tanh", "Mul"})


class Basis(NamedTuple):
    """Principal directions of a layer's outputs, the greatest variance first.

    Args:
        directions: orthonormal; float32 (units, R).
        mean: of the outputs, without the bias; float32 (units,).
        deviations: standard deviation along each direction; float32 (R,).
        shares: of the variance that the first 1, 2, ... R directions hold; float32 (R,).
    """

    directions: Floats
    mean: Floats
    deviations: Floats
    shares: Floats


def find_bases(graph: Graph, pixels: NDArray[np.uint8]) -> dict[str, Basis]:
    """The bases of the fully connected layers on images.

    Args:
        graph: in float32.
        pixels: uint8 (N, S, S, 3).
    """
    layers = _fully_connected(graph)
    inputs = _collect(graph, [node.input[0] for node in layers], pixels)
    return {
        node.name: _basis(graph.tensors[node.input[1]], inputs[node.input[0]]) for node in layers
    }


def lower_rank(
    graph: Graph, bases: Mapping[str, Basis], share: float
) -> tuple[Graph, dict[str, int]]:
    """Each fully connected layer as two, where that is smaller.

    Args:
        graph: in float32.
        bases: of this graph.
        share: of the variance of a layer's outputs that has to be kept, in (0, 1].

    Returns:
        The graph, and the rank of each layer that was split. Between the two each direction has
        variance 1, so that eight bits hold the small ones as well as the great ones.
    """
    tensors, nodes, ranks = dict(graph.tensors), [], {}
    for node in graph.nodes:
        basis = bases.get(node.name)
        rank = 0 if basis is None else 1 + int(np.searchsorted(basis.shares, share))
        units, inputs = tensors[node.input[1]].shape if basis else (0, 0)
        if basis is None or rank > len(basis.shares) or not _saves(rank, units, inputs):
            nodes.append(node)
            continue
        name, kept = node.name, basis.directions[:, :rank]
        deviations = np.maximum(basis.deviations[:rank], basis.deviations[0] * 1e-4)
        tensors[f"{name}.down"] = (kept.T @ tensors[node.input[1]]) / deviations[:, None]
        tensors[f"{name}.up"] = kept * deviations
        # what the directions leave out is made up for in the mean
        tensors[f"{name}.shift"] = _bias(node, tensors) + basis.mean - kept @ (kept.T @ basis.mean)
        down = [node.input[0], f"{name}.down"]
        nodes.append(make_node("Gemm", down, f"{name}.between", transB=1))
        nodes.append(copy_node(node, [f"{name}.between", f"{name}.up", f"{name}.shift"]))
        ranks[name] = rank
    return replace(graph, nodes=tuple(nodes), tensors=tensors), ranks


def _saves(rank: int, units: int, inputs: int) -> bool:
    """Whether a layer of that rank is worth a step more: a quarter of its weights less."""
    return 4 * rank * (units + inputs) <= 3 * units * inputs


def keep_units(graph: Graph, share: float, pixels: NDArray[np.uint8]) -> Graph:
    """Leave out whole units of the hidden fully connected layers.

    One mask takes rows of a layer and columns of the next. A unit counts by what it adds to the
    next layer: its standard deviation times the norm of the weights that take it. The next layer
    takes what it misses from those that are left, by least squares (He et al. 2017, section 3.2).

    Args:
        graph: in float32.
        share: of the units of each layer to keep, in (0, 1]; one stays at least.
        pixels: images to see them on; uint8 (N, S, S, 3).
    """
    if share == 1:
        return graph
    tensors, nodes = dict(graph.tensors), {node.name: node for node in graph.nodes}
    pairs = [(before.name, after.name) for before, after in _hidden_pairs(graph)]
    values = _collect(graph, [nodes[name].input[0] for _, name in pairs], pixels)
    for first, second in pairs:
        before, after = nodes[first], nodes[second]
        given, taking = values[after.input[0]], tensors[after.input[1]]
        counts = given.std(0) * np.linalg.norm(taking, axis=0)
        order = np.argsort(-counts, kind="stable")
        kept = np.sort(order[: max(1, round(share * len(order)))])
        mean = given.mean(0)
        told = _told_by(given - mean, kept)
        weights, biases = tensors[before.input[1]], _bias(before, tensors)
        nodes[first] = _with(before, tensors, weights[kept], biases[kept])
        shift = taking @ (mean - told @ mean[kept])
        nodes[second] = _with(after, tensors, taking @ told, _bias(after, tensors) + shift)
    cut = tuple(nodes[node.name] for node in graph.nodes)
    return replace(graph, nodes=cut, tensors=tensors)


def _told_by(given: Floats, kept: NDArray[np.intp]) -> Floats:
    """What the kept units tell of all: float32 (units, kept), least squares with a ridge."""
    x = torch.from_numpy(given)
    few = x[:, torch.from_numpy(kept)]
    own = few.T @ few
    own.diagonal().add_(_RIDGE * own.trace() / len(own) + 1e-12)
    told: Floats = torch.linalg.solve(own, few.T @ x).T.numpy()
    told[kept] = np.eye(len(kept), dtype=np.float32)  # they stand for themselves
    return told


def _bias(node: Any, tensors: Mapping[str, Any]) -> Floats:
    weights = tensors[node.input[1]]
    has_bias = len(node.input) > 2
    return tensors[node.input[2]] if has_bias else np.zeros(len(weights), np.float32)


def _with(node: Any, tensors: dict[str, Any], weights: Floats, biases: Floats) -> Any:
    """A layer with other weights and biases, which are put among the tensors."""
    names = [f"{node.name}.kept.weight", f"{node.name}.kept.bias"]
    for name, values in zip(names, (weights, biases), strict=True):
        tensors[name] = np.ascontiguousarray(values, dtype=np.float32)
    return copy_node(node, [node.input[0], *names])


def _fully_connected(graph: Graph) -> list[Any]:
    return [n for n in graph.nodes if n.op_type == "Gemm" and is_learnt(n, graph.tensors)]


def _hidden_pairs(graph: Graph) -> Iterator[tuple[Any, Any]]:
    """Fully connected layers that follow each other, with nothing between but unit by unit."""
    producers = graph.producers()
    for after in _fully_connected(graph):
        before = producers.get(after.input[0])
        while before is not None and before.op_type in _BY_UNIT:
            before = producers.get(before.input[0])
        if before is not None and before.op_type == "Gemm":
            yield before, after


def _collect(graph: Graph, values: list[str], pixels: NDArray[np.uint8]) -> dict[str, Floats]:
    """Values of the graph on all images; float32 (N, ...) each."""
    batches = zip(*iter_values(graph, values, pixels), strict=True)
    return {value: np.concatenate(each) for value, each in zip(values, batches, strict=True)}


def _basis(weights: Floats, inputs: Floats) -> Basis:
    """Leading eigenvectors of the covariance of a layer's outputs.

    Found by subspace iteration from a fixed beginning (Halko et al. 2011, algorithm 4.4): the whole
    decomposition of fc6 takes a minute, this a second.
    """
    w, x = torch.tensor(weights), torch.from_numpy(inputs)
    outputs = x @ w.T
    mean = outputs.mean(0)
    outputs -= mean
    seen, own = outputs.T @ outputs / len(outputs), w @ w.T
    covariance = (1 - _RIDGE) * seen + own * (_RIDGE * seen.trace() / own.trace())
    number = min(_MOST, *w.shape)
    width = min(number + _MORE, len(w))
    start = torch.randn(len(w), width, generator=torch.Generator().manual_seed(0))
    around = torch.linalg.qr(start).Q
    for _ in range(_TURNS):
        around = torch.linalg.qr(covariance @ around).Q
    variances, turned = torch.linalg.eigh(around.T @ covariance @ around)
    variances = variances.flip(0)[:number].clamp(min=0)
    directions = (around @ turned).flip(1)[:, :number].contiguous()
    shares = variances.cumsum(0) / covariance.trace()
    return Basis(directions.numpy(), mean.numpy(), variances.sqrt().numpy(), shares.numpy())
