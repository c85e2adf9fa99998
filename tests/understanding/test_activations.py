"""Activations: each layer's own values, those of running the layers one by one, and no trace."""

from __future__ import annotations

import dataclasses
import tarfile
from itertools import pairwise

import numpy as np
import pytest
import torch

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named
from imagetree.alexnet.network import AlexNet
from imagetree.errors import DatabaseError, TrainingError
from imagetree.recognition.inputs import ImageFiles
from imagetree.recognition.recognizer import Recognizer
from imagetree.training.evaluate import View
from imagetree.understanding.activations import (
    index_of,
    input_sides,
    layer_outputs,
    maps_of,
    seen_pixels,
)

SIZE = 67
VIEW = View(SIZE, (120.0, 115.0, 105.0), (70.0, 68.0, 70.0), "bf16", 0)
WNIDS = ("n01440764", "n02102040", "n03028079")


def network_of(name: str, size: int = SIZE) -> AlexNet:
    return AlexNet(architecture_named(name), len(WNIDS), size, seed=1)


def recognizer_of(name: str, view: View = VIEW) -> Recognizer:
    return Recognizer(network_of(name).eval(), WNIDS, view)


def one_by_one(network: AlexNet, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Each child by itself, kept before the next one can change it."""
    kept = {}
    with torch.no_grad():
        for name, child in network.eval().named_children():
            x = child(x.flatten(1) if name == "fc6" else x)
            kept[name] = x.clone()
    return kept


@pytest.fixture(scope="module")
def photographs(imagenette, tmp_path_factory) -> ImageFiles:
    """Two photographs in files; the second is cut off."""
    folder = tmp_path_factory.mktemp("photographs")
    paths = [folder / "whole.JPEG", folder / "cut.JPEG"]
    with tarfile.open(imagenette / "val.tar") as archive:
        data = archive.extractfile(archive.next()).read()
    paths[0].write_bytes(data)
    paths[1].write_bytes(data[: len(data) // 3])
    return ImageFiles(paths)


@pytest.mark.slow
@pytest.mark.parametrize("size", [SIZE, 99])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_layer_is_exactly_what_it_gives_by_itself(name: str, size: int) -> None:
    """All layers at once, of all networks, also for images of another size than fc6 is made for."""
    network = network_of(name)
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    found = layer_outputs(network, x, [layer.name for layer in network.architecture.layers])
    expected = one_by_one(network, x)
    assert list(found) == list(expected)
    assert all(torch.equal(found[each], expected[each]) for each in expected)
    assert torch.equal(x, before)
    with torch.no_grad():
        assert torch.equal(found["fc8"], network(x))


def test_convolution_is_not_rectified_by_the_relu_behind_it() -> None:
    """The ReLU writes over its input; what was handed out keeps its values below zero."""
    x = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    found = layer_outputs(network_of("two_gpu"), x, ["relu1", "conv1", "pool5"])
    assert list(found) == ["conv1", "relu1", "pool5"]
    assert found["conv1"].min() < 0
    assert torch.equal(found["conv1"].relu(), found["relu1"])


def test_outputs_share_no_memory() -> None:
    """Writing over one changes no other, also where dropout gives on what it gets."""
    network = network_of("single_gpu")
    names = [layer.name for layer in network.architecture.layers]
    found = layer_outputs(network, torch.randn(1, 3, SIZE, SIZE), names)
    assert len({each.untyped_storage().data_ptr() for each in found.values()}) == len(names)


@pytest.mark.parametrize("is_training", [True, False])
def test_network_is_left_as_it_was(*, is_training: bool) -> None:
    """Batch normalisation learns nothing, nothing is dropped, no hook stays, the mode is kept."""
    network = network_of("batch_norm").train(is_training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    x = torch.randn(4, 3, SIZE, SIZE)
    first, again = (layer_outputs(network, x, ["fc8"])["fc8"] for _ in range(2))
    assert torch.equal(first, again)
    assert not first.requires_grad
    assert all(torch.equal(before[name], each) for name, each in network.state_dict().items())
    assert all(module.training == is_training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())


def test_mode_is_kept_when_a_window_does_not_fit() -> None:
    network = network_of("two_gpu").train()
    with pytest.raises(RuntimeError):
        layer_outputs(network, torch.randn(1, 3, 8, 8), ["conv1"])
    assert network.training


def test_nothing_is_run_behind_the_last_layer() -> None:
    """An image too small for the whole network still has its first maps."""
    found = layer_outputs(network_of("two_gpu"), torch.randn(1, 3, 15, 19), ["conv1"])
    assert found["conv1"].shape == (1, 96, 2, 3)


def test_unknown_layer() -> None:
    with pytest.raises(TrainingError, match=r"two_gpu has no layer 'conv9' \(expected one of conv"):
        layer_outputs(network_of("two_gpu"), torch.zeros(1, 3, SIZE, SIZE), ["conv1", "conv9"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "layer", "formula", "side"),
    [
        ("single_gpu", 227, "conv1", "(227 - 11)/4 + 1 = 55", 55),
        ("single_gpu", 227, "conv2", "(27 - 5 + 2*2)/1 + 1 = 27", 27),
        ("chm", 224, "conv1", "ceil((224 - 11)/4) + 1 = 55", 55),
        ("one_weird_trick", 224, "conv1", "floor((224 - 11 + 2*2)/4) + 1 = 55", 55),
        ("single_gpu", 227, "pool1", "(55 - 3)/2 + 1 = 27", 27),
        ("single_gpu", 195, "conv1", "(195 - 11)/4 + 1 = 47", 47),
        ("single_gpu", 227, "norm1", "", 27),
        ("single_gpu", 99, "pool5", "", 6),
        ("one_weird_trick", 99, "avgpool", "", 6),
    ],
)
def test_formula_gives_the_side_of_the_maps(name, size, layer, formula, side, photographs) -> None:
    """As the lecture has it; rounding is said where there is a rest, and a fixed grid has none."""
    network = AlexNet(architecture_named(name), len(WNIDS)).eval()
    recognizer = Recognizer(network, WNIDS, dataclasses.replace(VIEW, size=size))
    maps = maps_of(recognizer, photographs, 0, layer)
    assert maps.formula == formula
    assert maps.values.shape[1:] == (side, side)


def test_maps_are_in_float32_of_what_the_network_saw(photographs) -> None:
    """By hand, from the pixels shown: not in the run's bfloat16."""
    recognizer = recognizer_of("two_gpu")
    maps = maps_of(recognizer, photographs, 0, "conv3")
    assert maps.pixels.shape == (SIZE, SIZE, 3)
    x = torch.from_numpy((maps.pixels.astype(np.float32) - VIEW.mean) / VIEW.std)
    expected = one_by_one(recognizer.network, x.float().permute(2, 0, 1)[None])["conv3"][0]
    assert maps.values.dtype == np.float32
    assert np.allclose(maps.values, expected.numpy(), atol=1e-5)


def test_layer_without_maps(photographs) -> None:
    with pytest.raises(TrainingError, match=r"'fc7' gives 4,096 single values and no maps"):
        maps_of(recognizer_of("two_gpu"), photographs, 0, "fc7")


def test_network_that_has_diverged(photographs) -> None:
    recognizer = recognizer_of("two_gpu")
    with torch.no_grad():
        recognizer.network.get_submodule("conv2").bias[3] = torch.nan
    with pytest.raises(TrainingError, match=r"conv2: a value is no finite number"):
        maps_of(recognizer, photographs, 0, "conv2")


def test_image_that_is_cut_off(photographs) -> None:
    with pytest.raises(DatabaseError, match=r"cut\.JPEG: "):
        seen_pixels(recognizer_of("two_gpu"), photographs, 1)


def test_image_by_its_name(photographs) -> None:
    assert index_of(photographs, photographs.names[1]) == 1
    with pytest.raises(TrainingError, match=r"'12' is no image of the split, and no file"):
        index_of(photographs, "12")


@pytest.mark.slow
@pytest.mark.parametrize("size", [SIZE, 99, 130])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_input_sides_are_those_of_the_tensors(name: str, size: int) -> None:
    """Of every layer up to fc6, whatever the image's side."""
    network = network_of(name)
    outputs = one_by_one(network, torch.zeros(1, 3, size, size))
    sides = input_sides(network, size)
    names = list(outputs)[: list(outputs).index("fc6") + 1]
    assert list(sides) == names
    assert sides["conv1"] == size
    for before, each in pairwise(names):
        assert sides[each] == outputs[before].shape[-1]
