"""The module built from the data: shapes, counts, determinism, other input sizes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named
from imagetree.alexnet.counts import count_layers, total
from imagetree.alexnet.network import AlexNet


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parameters_are_those_of_the_table(name: str) -> None:
    """The module learns exactly what the layer table counts, layer by layer."""
    network = AlexNet(architecture_named(name), 10, 67)
    counts = count_layers(architecture_named(name), 10, 67)
    for count in counts:
        module = network.get_submodule(count.layer.name)
        assert sum(p.numel() for p in module.parameters()) == count.weights + count.biases
    assert sum(p.numel() for p in network.parameters()) == total(counts).parameters


def test_full_size_network() -> None:
    """single_gpu at 227 and 1,000 classes has 62,378,344 parameters and the table's maps."""
    network = AlexNet(architecture_named("single_gpu")).eval()
    assert sum(p.numel() for p in network.parameters()) == 62_378_344
    shapes = {}
    for name, module in network.named_children():
        module.register_forward_hook(
            lambda _m, _i, output, name=name: shapes.__setitem__(name, tuple(output.shape[1:]))
        )
    with torch.no_grad():
        network(torch.zeros(1, 3, 227, 227))
    expected = {
        c.layer.name: c.output_shape for c in count_layers(architecture_named("single_gpu"))
    }
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


def test_other_sizes_reach_the_same_head() -> None:
    """A network made for 99 takes smaller and larger images too."""
    network = AlexNet(architecture_named("batch_norm"), 7, 99).eval()
    with torch.no_grad():
        for size in (67, 99, 131):
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


def test_gradients_are_the_same_every_time() -> None:
    """Torch's deterministic mode runs forward and backward of both networks."""
    x = torch.randn(2, 3, 67, 67, generator=torch.Generator().manual_seed(0))
    torch.use_deterministic_algorithms(True)
    try:
        for name in ARCHITECTURES:
            network = AlexNet(architecture_named(name), 5, 67)
            torch.manual_seed(0)
            network(x).sum().backward()
            assert all(p.grad is not None for p in network.parameters())
    finally:
        torch.use_deterministic_algorithms(False)
