"""Rewritten graphs compute the same: in ONNX Runtime, on the network's own kinds of layers."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnxruntime
import pytest
import torch

from imagetree.alexnet.architectures import architecture_named
from imagetree.alexnet.network import AlexNet
from imagetree.alexnet.onnx_graph import make_onnx
from imagetree.alexnet.weights import Description, Weights
from imagetree.engines.graph import (
    fold_batch_norm,
    norm_as_convolution,
    take_apart,
)

WNIDS = ("n01440764", "n02102040", "n03028079")


def network_of(name: str, side: int) -> Weights:
    """A network whose running means and variances are not those of its beginning."""
    network = AlexNet(architecture_named(name), len(WNIDS), side, seed=2)
    generator = torch.Generator().manual_seed(3)
    tensors = network.state_dict()
    for key, tensor in tensors.items():
        if "running" in key or (key.startswith("norm") and tensor.is_floating_point()):
            tensor.uniform_(0.5, 1.5, generator=generator)
    described = Description(name, 0.5, side, side, WNIDS, (120.0, 115.0, 105.0), (70.0, 68.0, 70.0))
    return Weights(described, tensors)


def outputs(model, pixels: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"pixels": pixels})[0]


def test_batch_norm_is_gone_and_nothing_else(noise) -> None:
    model = make_onnx(network_of("batch_norm", 67))
    folded = fold_batch_norm(take_apart(model)).to_model()
    assert "BatchNormalization" in {node.op_type for node in model.graph.node}
    assert "BatchNormalization" not in {node.op_type for node in folded.graph.node}
    assert len(folded.graph.node) == len(model.graph.node) - 7
    expected = outputs(model, noise)
    np.testing.assert_allclose(outputs(folded, noise), expected, atol=2e-4 * np.abs(expected).max())


@pytest.mark.parametrize(("name", "norms"), [("single_gpu", 2), ("two_gpu", 4)])
def test_norms_as_convolutions(name, norms, noise) -> None:
    """In each tower its own; LRN with images of so much contrast that it matters."""
    given = network_of(name, 67)
    louder = {k: t * 50 if k.startswith("conv1") else t for k, t in given.tensors.items()}
    model = make_onnx(dataclasses.replace(given, tensors=louder))
    assert [node.op_type for node in model.graph.node].count("LRN") == norms
    rewritten = norm_as_convolution(take_apart(model)).to_model()
    assert "LRN" not in {node.op_type for node in rewritten.graph.node}
    expected = outputs(model, noise)
    np.testing.assert_allclose(
        outputs(rewritten, noise), expected, atol=1e-4 * np.abs(expected).max()
    )


def test_another_beta_is_left(model) -> None:
    graph = take_apart(model)
    for node in graph.nodes:
        for attribute in node.attribute:
            if attribute.name == "beta":
                changed = attribute.f
                attribute.f = 0.5
    again = norm_as_convolution(graph)
    for node in graph.nodes:
        for attribute in node.attribute:
            if attribute.name == "beta":
                attribute.f = changed
    assert [n.op_type for n in again.nodes].count("LRN") == 2


def test_metadata_and_versions_stay(model) -> None:
    again = take_apart(model).to_model()
    assert again.metadata_props == model.metadata_props
    assert (again.ir_version, again.opset_import) == (model.ir_version, model.opset_import)
    assert again.graph.input == model.graph.input
