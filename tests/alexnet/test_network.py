"""The module built from the data: shapes, counts, determinism, other input sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named
from imagetree.alexnet.counts import count_layers, total
from imagetree.alexnet.layers import Conv, FullyConnected
from imagetree.alexnet.modules import maxima_of_bins
from imagetree.alexnet.network import AlexNet


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parameters_are_those_of_the_table(name: str) -> None:
    """The module learns exactly what the layer table counts, layer by layer."""
    network = AlexNet(architecture_named(name), 10, 70)
    counts = count_layers(architecture_named(name), 10, 70)
    for count in counts:
        module = network.get_submodule(count.layer.name)
        assert sum(p.numel() for p in module.parameters()) == count.weights + count.biases
    assert sum(p.numel() for p in network.parameters()) == total(counts).parameters


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("single_gpu", 62_378_344), ("chm", 60_965_224), ("one_weird_trick", 61_100_840)],
)
def test_full_size_network(name: str, parameters: int) -> None:
    """At its own size and 1,000 classes a network has the published count, the table's maps."""
    architecture = architecture_named(name)
    network = AlexNet(architecture).eval()
    assert sum(p.numel() for p in network.parameters()) == parameters
    shapes = {}
    for name, module in network.named_children():
        module.register_forward_hook(
            lambda _m, _i, output, name=name: shapes.__setitem__(name, tuple(output.shape[1:]))
        )
    with torch.no_grad():
        network(torch.zeros(1, 3, architecture.input_size, architecture.input_size))
    expected = {c.layer.name: c.output_shape for c in count_layers(architecture)}
    assert shapes == expected


def test_forward_is_the_lectures_order() -> None:
    """Convolution, ReLU, pool, norm: the network against the same steps written out in float64."""
    network = AlexNet(architecture_named("single_gpu"), 10, 67, seed=3).double().eval()
    x = torch.randn(2, 3, 67, 67, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights = dict(network.named_parameters())

    def conv(x: torch.Tensor, name: str, **how: int) -> torch.Tensor:
        return functional.conv2d(
            x, weights[f"{name}.weight"], weights[f"{name}.bias"], **how
        ).relu()

    def norm(x: torch.Tensor) -> torch.Tensor:
        return functional.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)

    h = norm(functional.max_pool2d(conv(x, "conv1", stride=4), 3, 2))
    h = norm(functional.max_pool2d(conv(h, "conv2", padding=2), 3, 2))
    h = conv(conv(conv(h, "conv3", padding=1), "conv4", padding=1), "conv5", padding=1)
    h = functional.max_pool2d(h, 3, 2).flatten(1)
    for name in ("fc6", "fc7"):
        h = functional.linear(h, weights[f"{name}.weight"], weights[f"{name}.bias"]).relu()
    expected = functional.linear(h, weights["fc8.weight"], weights["fc8.bias"])
    with torch.no_grad():
        torch.testing.assert_close(network(x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_other_sizes_reach_the_same_head(name: str) -> None:
    """A network made for 99 takes smaller and larger images too."""
    network = AlexNet(architecture_named(name), 7, 99).eval()
    with torch.no_grad():
        for size in (70, 99, 131):
            assert network(torch.zeros(2, 3, size, size)).shape == (2, 7)


def test_seed_decides_the_weights() -> None:
    first, again, other = (
        AlexNet(architecture_named("batch_norm"), 3, 67, seed=seed).state_dict()["fc7.weight"]
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_first_loss_is_log_of_the_classes() -> None:
    """At the start no class is preferred."""
    network = AlexNet(architecture_named("single_gpu"), 10, 67)
    x = torch.randn(16, 3, 67, 67, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        loss = functional.cross_entropy(network(x), torch.arange(16) % 10)
    assert abs(loss.item() - 2.3026) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_gradients_are_the_same_every_time(name: str) -> None:
    """Torch's deterministic mode runs forward and backward of every network, twice the same."""
    x = torch.randn(2, 3, 70, 70, generator=torch.Generator().manual_seed(0))
    network = AlexNet(architecture_named(name), 5, 70)
    found = []
    torch.use_deterministic_algorithms(True)
    try:
        for _ in range(2):
            network.zero_grad()
            torch.manual_seed(0)
            network(x).sum().backward()
            found.append([p.grad.clone() for p in network.parameters()])
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_weights_begin_as_the_data_say(name: str) -> None:
    """Mean, standard deviation and bias of every layer, from its own drawing of many weights."""
    architecture = architecture_named(name)
    network = AlexNet(architecture, 50, 131)
    for layer in architecture.layers:
        if not isinstance(layer, Conv | FullyConnected):
            continue
        module = network.get_submodule(layer.name)
        weight, fan_in = module.weight.detach(), module.weight[0].numel()
        std = {"gaussian": layer.init.std, "he": (2 / fan_in) ** 0.5}.get(
            layer.init.kind, (3 * fan_in) ** -0.5
        )
        assert weight.std().item() == pytest.approx(std, rel=0.03)
        assert abs(weight.mean().item()) < 5 * std / weight.numel() ** 0.5
        if layer.init.kind == "uniform":
            assert weight.abs().max().item() <= fan_in**-0.5 * (1 + 1e-6)  # float32
            assert 0 < module.bias.abs().max().item() <= fan_in**-0.5 * (1 + 1e-6)
        elif layer.bias:
            assert torch.all(module.bias == layer.init.bias)


@pytest.mark.parametrize("name", ["single_gpu", "batch_norm"])
def test_seed_gives_the_weights_of_earlier_versions(name: str) -> None:
    """He's Gaussians for all in turn, then fc8 anew, then conv1: runs can be repeated."""
    network = AlexNet(architecture_named(name), 7, 99, seed=3)
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    generator = torch.Generator().manual_seed(3)
    expected = [torch.empty_like(module.weight) for module in layers]
    for weight in expected:
        nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
    nn.init.normal_(expected[-1], std=0.001, generator=generator)
    if name == "batch_norm":
        nn.init.normal_(expected[0], std=0.01, generator=generator)
    for module, weight in zip(layers, expected, strict=True):
        assert torch.equal(module.weight, weight)


def test_dropout_of_2012_scales_at_the_test() -> None:
    """While training half of the values stay as they are; at the test all are halved."""
    network = AlexNet(architecture_named("two_gpu"), 2, 67)
    dropout, x = network.get_submodule("drop6"), torch.full((4, 1000), 3.0)
    assert torch.equal(dropout.eval()(x), x / 2)
    torch.manual_seed(0)
    dropped = dropout.train()(x)
    assert set(dropped.unique().tolist()) == {0.0, 3.0}
    assert (dropped == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    plain = AlexNet(architecture_named("caffenet"), 2, 67).get_submodule("drop6")
    assert torch.equal(plain.eval()(x), x)
    assert set(plain.train()(x).unique().tolist()) == {0.0, 6.0}


def test_pooling_and_relu_commute_and_norm_and_relu_do_not() -> None:
    """Of chm's orders only the place of norm1 changes what the network gives."""
    chm, size = architecture_named("chm"), 70
    x = 100 * torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))

    def logits(*order: str) -> torch.Tensor:
        of_name = {layer.name: layer for layer in chm.layers}
        first = tuple(of_name[name] for name in order)
        changed = replace(chm, layers=first + chm.layers[len(first) :])
        with torch.no_grad():
            return AlexNet(changed, 3, size).eval()(x)

    as_released = logits("conv1", "norm1", "pool1", "relu1")
    assert torch.equal(as_released, logits("conv1", "norm1", "relu1", "pool1"))
    papers = logits("conv1", "relu1", "norm1", "pool1")
    assert ((papers - as_released).abs().max() / as_released.abs().max()).item() > 1e-4


@pytest.mark.slow
def test_training_step_with_channels_last_and_bf16() -> None:
    """Every network trains in the layout and precision that `imagetree train` uses."""
    x = torch.randn(2, 3, 70, 70, generator=torch.Generator().manual_seed(0))
    x = x.to(memory_format=torch.channels_last)
    for architecture in ARCHITECTURES.values():
        network = AlexNet(architecture, 3, 70).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            loss = functional.cross_entropy(network(x).float(), torch.tensor([0, 1]))
        loss.backward()
        assert all(torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("side", [6, 7, 9, 13])
def test_maxima_of_bins_are_those_of_torch(side: int) -> None:
    """Values and, where no two are equal, gradients: what stands in for them on a GPU."""
    values = torch.randperm(2 * 3 * side * side).float().view(2, 3, side, side)
    found = [values.clone().requires_grad_() for _ in range(2)]
    ours, theirs = maxima_of_bins(found[0], 6), functional.adaptive_max_pool2d(found[1], 6)
    assert torch.equal(ours, theirs)
    weights = torch.rand_like(theirs)
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    assert torch.allclose(found[0].grad, found[1].grad)
