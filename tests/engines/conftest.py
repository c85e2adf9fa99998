"""A small run whose last layer was set by real photographs, and its network in every form."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from imagetree.alexnet.network import AlexNet
from imagetree.alexnet.onnx_graph import make_onnx
from imagetree.engines.building import make_int8
from imagetree.engines.images import load_squares
from imagetree.training.checkpoints import load_checkpoint, save_checkpoint
from imagetree.training.interchange import load_run_weights
from imagetree.training.runs import load_run

from ..cli.untrained import make_run


@pytest.fixture(scope="session")
def run(imagenette, tmp_path_factory):
    """A run whose network tells three classes apart by the mean of what fc7 gives for each."""
    folder = make_run(imagenette, tmp_path_factory.mktemp("engines"))
    loaded = load_run(folder)
    described = load_run_weights(folder).description
    squares = load_squares(loaded, described, "train")
    checkpoint = load_checkpoint(loaded.checkpoint_path)
    network = AlexNet(checkpoint.config.network, 3, checkpoint.config.input_size)
    network.load_state_dict(dict(checkpoint.network))
    seen = []
    network.fc8.register_forward_hook(lambda module, given, output: seen.append(given[0]))
    pixels = torch.from_numpy(squares.pixels).float()
    with torch.no_grad():
        x = (pixels - torch.tensor(described.mean)) / torch.tensor(described.std)
        network.eval()(x.permute(0, 3, 1, 2))
    [features] = seen
    centre = features.mean(0)
    weight = torch.stack([features[squares.labels == c].mean(0) - centre for c in range(3)])
    weight *= 30 / (weight @ weight.T).trace()
    changed = {**checkpoint.network, "fc8.weight": weight, "fc8.bias": -weight @ centre}
    save_checkpoint(loaded.checkpoint_path, dataclasses.replace(checkpoint, network=changed))
    return loaded


@pytest.fixture(scope="session")
def weights(run):
    return load_run_weights(run.folder)


@pytest.fixture(scope="session")
def squares(run, weights):
    """The photographs of train."""
    return load_squares(run, weights.description, "train")


@pytest.fixture(scope="session")
def model(weights):
    """The network as ONNX, in float32."""
    return make_onnx(weights)


@pytest.fixture(scope="session")
def int8(model, squares):
    """The network as ONNX, in int8."""
    return make_int8(model, squares.pixels)


@pytest.fixture(scope="session")
def noise() -> np.ndarray:
    """Pixels of no meaning; uint8 (5, 67, 67, 3)."""
    return np.random.default_rng(0).integers(0, 256, (5, 67, 67, 3), dtype=np.uint8)
