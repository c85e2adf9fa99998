"""Weights to save and load: of the real networks, with narrow fully connected layers.

4,096 units make files of 70 MB and prove nothing that 48 do not; what needs the true width says so.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from imagetree.alexnet.architectures import ARCHITECTURES
from imagetree.alexnet.layers import FullyConnected
from imagetree.alexnet.network import AlexNet
from imagetree.alexnet.weights import Description, Weights
from imagetree.sources.numbering import ilsvrc2012_wnids

UNITS = 48
WNIDS = ilsvrc2012_wnids()[:3]
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def narrow(monkeypatch):
    """Give every architecture fully connected layers of UNITS units."""
    for name, architecture in ARCHITECTURES.items():
        layers = tuple(
            replace(layer, units=UNITS)
            if isinstance(layer, FullyConnected) and layer.units
            else layer
            for layer in architecture.layers
        )
        monkeypatch.setitem(ARCHITECTURES, name, replace(architecture, layers=layers))


def describe(architecture="one_weird_trick", **changed) -> Description:
    values = {
        "architecture": architecture,
        "dropout": 0.5,
        "input_size": 99,
        "image_size": 99,
        "wnids": WNIDS,
        "mean": MEAN,
        "std": STD,
    }
    return Description(**{**values, **changed})


def random_weights(architecture="one_weird_trick", **changed) -> Weights:
    """Weights with which images reach the logits, and statistics as if the network had learnt."""
    description = describe(architecture, **changed)
    classes = len(description.wnids)
    network = AlexNet(description.network, classes, description.input_size)
    tensors = network.state_dict()
    generator = torch.Generator().manual_seed(2)
    for name, tensor in tensors.items():
        if name.endswith("tracked"):
            tensor.fill_(7)
        elif tensor.ndim == 1:
            tensor.uniform_(0.1, 1.5, generator=generator)
        else:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
    return Weights(description, tensors)


def assert_equal(a, b):
    """The same names, types and bits."""
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert tensor.dtype == b[name].dtype
        assert torch.equal(tensor, b[name]), name
