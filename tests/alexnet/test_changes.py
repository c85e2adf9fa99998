"""What an ablation changes in a network: that alone, in the counts, the module and the drawings."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named, with_dropout
from imagetree.alexnet.changes import (
    Changes,
    changed,
    with_activation,
    with_groups,
    with_norm,
    with_pooling,
)
from imagetree.alexnet.counts import count_layers, total
from imagetree.alexnet.drawing import render_drawing
from imagetree.alexnet.layers import (
    Architecture,
    BatchNorm,
    Conv,
    FullyConnected,
    Layer,
    LocalResponseNorm,
    MaxPool,
    Relu,
    SameMapNorm,
    Tanh,
)
from imagetree.alexnet.network import AlexNet
from imagetree.alexnet.table import layer_table
from imagetree.alexnet.weights_in import load_weights
from imagetree.alexnet.weights_out import build_network, save_weights
from imagetree.errors import TrainingError

from .samples import assert_equal, narrow, random_weights

NORMS = (BatchNorm, LocalResponseNorm, SameMapNorm)
EACH = pytest.mark.parametrize("name", ARCHITECTURES)


def thin(architecture: Architecture) -> Architecture:
    """Its windows and order with eight units in each layer."""
    layers = tuple(
        dataclasses.replace(layer, depth=8)
        if isinstance(layer, Conv)
        else dataclasses.replace(layer, units=8)
        if isinstance(layer, FullyConnected) and layer.units
        else layer
        for layer in architecture.layers
    )
    return dataclasses.replace(architecture, layers=layers)


def kinds(layers: tuple[Layer, ...], *which: type[Layer]) -> int:
    return sum(isinstance(layer, which) for layer in layers)


@EACH
def test_tanh_stands_where_relu_stood(name: str) -> None:
    """As many, at the same places, under names of their own; and nothing else is other."""
    own = architecture_named(name)
    changed = with_activation(own, "tanh")
    for before, after in zip(own.layers, changed.layers, strict=True):
        if isinstance(before, Relu):
            assert after == Tanh(f"tanh{before.name[-1]}")
        else:
            assert after is before
    assert total(count_layers(changed)) == total(count_layers(own))
    assert with_activation(own, "relu") is own


def test_tanh_is_computed() -> None:
    """The module gives the hyperbolic tangent of what comes in, with a gradient below 1."""
    network = AlexNet(thin(with_activation(architecture_named("single_gpu"), "tanh")), 3, 67)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    network.get_submodule("tanh1").register_forward_hook(
        lambda _module, given, found: seen.append((given[0], found))
    )
    network(torch.randn(2, 3, 67, 67, generator=torch.Generator().manual_seed(0)) * 9)
    [(given, found)] = seen
    assert given.min() < 0
    assert torch.equal(found, torch.tanh(given))
    assert not [m for m in network.modules() if isinstance(m, torch.nn.ReLU)]


def test_tanh_is_shown() -> None:
    """The table's rows and the drawing's captions say tanh where they said ReLU."""
    own = architecture_named("single_gpu")
    changed = with_activation(own, "tanh")
    rows = [row.operation for row in layer_table(own).rows]
    assert "Conv1 + ReLU" in rows
    assert [row.operation for row in layer_table(changed).rows] == [
        row.replace("ReLU", "tanh") for row in rows
    ]
    drawn = render_drawing(changed, 1000, None)
    assert "tanh" in drawn
    assert "ReLU" not in drawn
    assert drawn.count("tanh") == render_drawing(own, 1000, None).count("ReLU")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("one_weird_trick", Changes(activation="tanh")),
        ("single_gpu", Changes(groups=2, overlapping_pool=False)),
        ("two_gpu", Changes(norm="batch")),
        ("batch_norm", Changes(activation="tanh", norm="lrn")),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_changed_networks_are_exported(tmp_path, monkeypatch, name: str, changes: Changes) -> None:
    """ONNX Runtime computes the same logits; files keep every bit, and say what is changed."""
    onnxruntime = pytest.importorskip("onnxruntime")
    narrow(monkeypatch)
    weights = random_weights(name, changes=changes)
    network = build_network(weights)
    assert network.network.architecture == with_dropout(changed(ARCHITECTURES[name], changes), 0.5)
    path = tmp_path / "a.onnx"
    save_weights(path, weights)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 99, 99, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    [found] = session.run(None, {session.get_inputs()[0].name: pixels})
    with torch.no_grad():
        expected = network(torch.from_numpy(pixels)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    assert ("Tanh" in {node.op_type for node in _nodes(path)}) == (changes.activation == "tanh")
    save_weights(tmp_path / "a.safetensors", weights)
    for file in (path, tmp_path / "a.safetensors"):
        back = load_weights(file)
        assert back.description == weights.description
        learnt = {n: t for n, t in weights.tensors.items() if not n.endswith("tracked")}
        assert_equal({n: back.tensors[n] for n in learnt}, learnt)


def test_a_state_dict_cannot_say_what_is_changed(tmp_path, monkeypatch) -> None:
    """The tensors of tanh are those of ReLU: who took them for these would be misled."""
    narrow(monkeypatch)
    weights = random_weights("single_gpu", changes=Changes(activation="tanh"))
    with pytest.raises(TrainingError, match=r"which a \.pth cannot say") as caught:
        save_weights(tmp_path / "a.pth", weights)
    assert ".safetensors" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []


def _nodes(path):
    import onnx

    return onnx.load(path).graph.node


@EACH
def test_without_norm_there_is_none(name: str) -> None:
    """Nothing normalises, each layer has its bias, and the windows are the same."""
    own = architecture_named(name)
    changed = with_norm(own, "none")
    assert kinds(changed.layers, *NORMS) == 0
    assert all(layer.bias for layer in changed.layers if isinstance(layer, Conv | FullyConnected))
    shapes = [
        [count.output_shape for count in count_layers(each) if isinstance(count.layer, MaxPool)]
        for each in (own, changed)
    ]
    assert shapes[0] == shapes[1]


@EACH
def test_batch_norm_stands_before_each_activation(name: str) -> None:
    """And is the only norm; what it follows has no bias."""
    layers = with_norm(architecture_named(name), "batch").layers
    assert kinds(layers, LocalResponseNorm, SameMapNorm) == 0
    assert kinds(layers, BatchNorm) == kinds(layers, Relu) == 7
    for before, after in pairwise(layers):
        assert isinstance(before, BatchNorm) == isinstance(after, Relu)
    assert not any(layer.bias for layer in layers if isinstance(layer, Conv))


@EACH
def test_local_response_norm_is_kept_or_put_where_the_lecture_has_it(name: str) -> None:
    own = architecture_named(name)
    changed = with_norm(own, "lrn")
    if kinds(own.layers, LocalResponseNorm):
        assert changed is own
    else:
        names = [layer.name for layer in changed.layers]
        assert names.index("norm1") == names.index("pool1") + 1
        assert names.index("norm2") == names.index("pool2") + 1
        assert kinds(changed.layers, *NORMS) == 2


def test_one_norm_gives_the_other_network() -> None:
    """single_gpu with batch norm is batch_norm, and batch_norm with the paper's is single_gpu."""
    lecture, modern = architecture_named("single_gpu"), architecture_named("batch_norm")
    assert with_norm(lecture, "batch").layers == with_dropout(modern, 0.5).layers
    assert with_norm(modern, "lrn").layers == with_dropout(lecture, 0.2).layers


@EACH
def test_windows_that_do_not_overlap_give_maps_of_the_same_size(name: str) -> None:
    """Paper, section 3.4: 2 x 2 windows, 2 apart; fc6 has the same weights."""
    own = architecture_named(name)
    changed = with_pooling(own, overlapping=False)
    pools = [layer for layer in changed.layers if isinstance(layer, MaxPool)]
    assert {(pool.kernel, pool.stride) for pool in pools} == {(2, 2)}
    before, after = (count_layers(each) for each in (own, changed))
    assert [count.output_shape for count in after] == [count.output_shape for count in before]
    assert total(after).parameters == total(before).parameters
    assert with_pooling(own, overlapping=True) is own


def test_pooling_apart_takes_each_value_once() -> None:
    network = AlexNet(
        thin(with_pooling(architecture_named("single_gpu"), overlapping=False)), 3, 99
    )
    x = torch.arange(8 * 23 * 23, dtype=torch.float32).reshape(1, 8, 23, 23)
    found = network.get_submodule("pool1")(x)
    assert torch.equal(found, x[:, :, 1:22:2, 1:22:2])


def test_towers_change_the_weights_of_three_layers() -> None:
    """The lecture's network in two towers has the paper's counts, and the other way round."""
    two = with_groups(architecture_named("single_gpu"), 2)
    weights = {count.layer.name: count.weights for count in count_layers(two)}
    assert (weights["conv2"], weights["conv4"], weights["conv5"]) == (307_200, 663_552, 442_368)
    assert (weights["conv1"], weights["conv3"]) == (34_848, 884_736)
    assert total(count_layers(two)).parameters == 60_965_224
    assert {layer.groups for layer in two.layers if isinstance(layer, LocalResponseNorm)} == {2}
    one = with_groups(architecture_named("two_gpu"), 1)
    assert total(count_layers(one)).parameters == 62_378_344
    assert {layer.groups for layer in one.layers if isinstance(layer, LocalResponseNorm)} == {1}
    assert (two.towers, one.towers) == (2, 1)


@pytest.mark.parametrize("groups", [0, -1, 5])
def test_towers_that_do_not_share_evenly_are_refused(groups: int) -> None:
    message = rf"groups is {groups}, and conv2 makes 256 maps of 96 .expected a number that divides"
    with pytest.raises(TrainingError, match=message):
        with_groups(architecture_named("single_gpu"), groups)


@EACH
def test_all_changes_together_give_a_network_that_runs(name: str) -> None:
    network = with_norm(architecture_named(name), "lrn")
    network = with_groups(with_pooling(with_activation(network, "tanh"), overlapping=False), 2)
    logits = AlexNet(thin(network), 3, 99)(torch.zeros(2, 3, 131, 131))
    assert logits.shape == (2, 3)
    assert torch.isfinite(logits).all()
