"""The way down: a naive version by loops, torch's own gradient, and all the networks."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named
from imagetree.alexnet.counts import hanging_over
from imagetree.alexnet.layers import (
    AdaptiveAveragePool,
    Architecture,
    BatchNorm,
    Conv,
    FullyConnected,
    LocalResponseNorm,
    MaxPool,
    Relu,
    SameMapNorm,
    Tanh,
)
from imagetree.alexnet.network import AlexNet
from imagetree.errors import TrainingError
from imagetree.understanding.activations import layer_outputs
from imagetree.understanding.deconvnet import (
    Rule,
    outputs_with_gradient,
    project,
    rectified_layers,
)
from imagetree.understanding.units import receptive_box

SIZE = 67
NORMS = (
    LocalResponseNorm("norm1", size=3, alpha=0.5, groups=2),
    SameMapNorm("mapnorm1", size=3, alpha=0.2, beta=0.6, k=1.0),
)


def small(*norms, name: str = "small") -> Architecture:
    """Overlapping and overhanging windows, groups, padding, batch normalisation."""
    layers = (
        Conv("conv1", 6, 4, stride=3, overhang=True),
        Relu("relu1"),
        MaxPool("pool1", 3, 2, overhang=True),
        *norms,
        Conv("conv2", 8, 3, padding=1, groups=2),
        BatchNorm("norm2"),
        Relu("relu2"),
        Conv("conv3", 4, 3, padding=1),
        Relu("relu3"),
        MaxPool("pool3", 2, 2),
        FullyConnected("fc4", None),
    )
    return Architecture(name, "for a test", 23, layers, "this test")


def exact(architecture: Architecture) -> tuple[AlexNet, torch.Tensor]:
    """A network in float64 whose batch normalisation has seen something, and an image."""
    random = torch.Generator().manual_seed(3)
    network = AlexNet(architecture, 3, seed=2).double().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for each in (module.running_mean, module.bias.data):
                each.normal_(generator=random)
            module.weight.data.normal_(generator=random)
            module.running_var.uniform_(0.5, 2, generator=random)
    side = architecture.input_size
    return network, torch.randn(1, 3, side, side, generator=random, dtype=torch.float64)


@cache
def network_of(name: str) -> AlexNet:
    return AlexNet(architecture_named(name), 3, SIZE, seed=1).eval()


def image(size: int = SIZE) -> torch.Tensor:
    return torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))


class Naive:
    """The way up and down by loops over places in numpy; knows nothing of autograd."""

    def __init__(self, network: AlexNet, x: np.ndarray, rule: Rule) -> None:
        self.network, self.rule = network, rule
        self.states = [x]
        for layer in network.architecture.layers:
            self.states.append(self.up(layer, self.states[-1]))

    def up(self, layer, x):
        weights = {
            name: tensor.numpy()
            for name, tensor in self.network.get_submodule(layer.name).state_dict().items()
        }
        match layer:
            case Conv():
                return self.windows(layer, x, weights["weight"], weights["bias"])
            case MaxPool():
                return np.vectorize(lambda c, i, j: self.window(layer, x[c], i, j).max())(
                    *np.indices((len(x), *self.grid(layer, x)))
                )
            case Relu():
                return np.maximum(x, 0)
            case LocalResponseNorm() | SameMapNorm():
                return x * self.scale(layer, x)
            case BatchNorm():
                scale = weights["weight"] / np.sqrt(weights["running_var"] + 1e-5)
                centred = x - weights["running_mean"][:, None, None]
                return centred * scale[:, None, None] + weights["bias"][:, None, None]
            case FullyConnected():
                return weights["weight"] @ x.ravel() + weights["bias"]

    def down(self, layer, x, signal):
        module = self.network.get_submodule(layer.name)
        match layer:
            case Conv():
                return self.transposed(layer, x, module.weight.detach().numpy(), signal)
            case MaxPool():
                result = np.zeros_like(x)
                for c, i, j in np.ndindex(*signal.shape):
                    window = self.window(layer, x[c], i, j)
                    row, column = np.unravel_index(window.argmax(), window.shape)
                    result[c, i * layer.stride + row, j * layer.stride + column] += signal[c, i, j]
                return result
            case Relu():
                lets = {
                    Rule.GRADIENT: x > 0,
                    Rule.DECONVNET: signal > 0,
                    Rule.GUIDED: (x > 0) & (signal > 0),
                }
                return signal * lets[self.rule]
            case LocalResponseNorm() | SameMapNorm():
                return signal * self.scale(layer, x)
            case BatchNorm():
                scale = (module.weight / (module.running_var + 1e-5).sqrt()).detach().numpy()
                return signal * scale[:, None, None]
            case FullyConnected():
                return (module.weight.detach().numpy().T @ signal).reshape(x.shape)

    def project(self, name: str, unit: int) -> np.ndarray:
        layers = self.network.architecture.layers
        number = [layer.name for layer in layers].index(name) + 1
        values = self.states[number]
        signal = np.zeros_like(values)
        at = (unit, *np.unravel_index(values[unit].argmax(), values[unit].shape))
        signal[at] = values[at] if self.rule is Rule.DECONVNET else 1.0
        for layer, x in zip(layers[:number][::-1], self.states[:number][::-1], strict=True):
            signal = self.down(layer, x, signal)
        return signal

    def grid(self, layer, x):
        room = [side - layer.kernel for side in x.shape[1:]]
        return [(-(-each // layer.stride) if layer.overhang else each // layer.stride) + 1
                for each in room]  # fmt: skip

    def window(self, layer, x, i, j):
        top, left = i * layer.stride, j * layer.stride
        return x[top : top + layer.kernel, left : left + layer.kernel]

    def padded(self, layer, x):
        over = hanging_over(layer, x.shape[1])
        end = layer.padding + over
        return np.pad(x, ((0, 0), (layer.padding, end), (layer.padding, end)))

    def windows(self, layer, x, weight, bias):
        x = self.padded(layer, x)
        side = (x.shape[1] - layer.kernel) // layer.stride + 1
        share, members = weight.shape[1], layer.depth // layer.groups
        result = np.empty((layer.depth, side, side))
        for f, i, j in np.ndindex(*result.shape):
            own = x[f // members * share :][:share]
            top, left = i * layer.stride, j * layer.stride
            part = own[:, top : top + layer.kernel, left : left + layer.kernel]
            result[f, i, j] = (part * weight[f]).sum() + bias[f]
        return result

    def transposed(self, layer, x, weight, signal):
        result = self.padded(layer, np.zeros_like(x))
        share, members = weight.shape[1], layer.depth // layer.groups
        for f, i, j in np.ndindex(*signal.shape):
            own = result[f // members * share :][:share]
            top, left = i * layer.stride, j * layer.stride
            own[:, top : top + layer.kernel, left : left + layer.kernel] += (
                signal[f, i, j] * weight[f]
            )
        first = layer.padding
        return result[:, first : first + x.shape[1], first : first + x.shape[2]]

    def scale(self, layer, x):
        sums, reach = np.zeros_like(x), layer.size // 2
        for c, i, j in np.ndindex(*x.shape):
            if isinstance(layer, SameMapNorm):
                near = x[c, max(i - reach, 0) : i + reach + 1, max(j - reach, 0) : j + reach + 1]
            else:
                tower = len(x) // layer.groups
                first = c // tower * tower
                near = x[max(c - reach, first) : min(c + reach + 1, first + tower), i, j]
            sums[c, i, j] = np.square(near).sum()
        return (layer.k + layer.alpha * sums) ** -layer.beta


@pytest.mark.parametrize("layer", ["conv1", "relu1", "pool1", "conv2", "relu2", "pool3", "fc4"])
@pytest.mark.parametrize(
    ("rule", "norms"),
    [
        (Rule.DECONVNET, ()),
        (Rule.DECONVNET, NORMS[:1]),
        (Rule.DECONVNET, NORMS[1:]),
        (Rule.GUIDED, ()),
        (Rule.GRADIENT, ()),
    ],
    ids=["deconvnet", "with LRN", "with a norm in the map", "guided", "gradient"],
)
def test_projection_is_that_of_the_naive_version(rule: Rule, norms, layer: str) -> None:
    """Switches of overlapping windows, transposed filters of groups, kept denominators: exactly."""
    network, x = exact(small(*norms))
    naive = Naive(network, x[0].numpy(), rule)
    expected = [naive.project(layer, unit) for unit in range(3)]
    assert sum(each.any() for each in expected) >= 2  # the others respond nowhere
    for unit, each in enumerate(expected):
        found = project(network, x, layer, unit, rule=rule)
        np.testing.assert_allclose(found.signal, each, rtol=1e-9, atol=1e-12)


def test_rules_differ_where_there_is_a_relu() -> None:
    """Three different pictures; and guided lets nothing through that the gradient does not."""
    network, x = exact(small())
    found = {rule: project(network, x, "relu1", 0, rule=rule).signal for rule in Rule}
    assert np.array_equal(found[Rule.GUIDED], found[Rule.GRADIENT])  # one ReLU, a signal of 1
    deep = {rule: project(network, x, "fc4", 1, rule=rule).signal for rule in Rule}
    for first, second in [(Rule.GUIDED, Rule.GRADIENT), (Rule.GUIDED, Rule.DECONVNET)]:
        cosine = (deep[first] * deep[second]).sum() / np.linalg.norm(deep[first])
        assert cosine / np.linalg.norm(deep[second]) < 0.99


def test_deconvnet_without_rectification_is_the_gradient() -> None:
    """Filters and pooling are linear at an image: the deconvnet is the unit's value x gradient."""
    layers = (
        Conv("conv1", 8, 5, stride=2, overhang=True),
        MaxPool("pool1", overhang=True),
        Conv("conv2", 6, 3, padding=1, groups=2),
        BatchNorm("norm2"),
        Tanh("tanh2"),
        AdaptiveAveragePool("avgpool", 2),
        FullyConnected("fc3", None),
    )
    network, x = exact(Architecture("linear", "for a test", 24, layers, "this test"))
    for layer in ("pool1", "conv2", "tanh2", "fc3"):
        deconvnet = project(network, x, layer, 1)
        gradient = project(network, x, layer, 1, rule=Rule.GRADIENT)
        assert deconvnet.value == gradient.value
        np.testing.assert_allclose(deconvnet.signal, gradient.signal * gradient.value, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_gradient_is_torchs_own(name: str) -> None:
    """Of each network as it runs itself, norms and in-place ReLUs included."""
    network, x = network_of(name), image().requires_grad_()
    [expected] = torch.autograd.grad(network(x)[0, 2], x)
    found = project(network, x.detach(), "fc8", 2, rule=Rule.GRADIENT)
    np.testing.assert_allclose(found.signal, expected[0].numpy(), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_deconvnet_of_each_network(name: str) -> None:
    """From the strongest place of the strongest unit, to the pixels that it sees and no others."""
    network, x = network_of(name), image()
    for layer in rectified_layers(network.architecture):
        values = layer_outputs(network, x, [layer])[layer][0].numpy()
        found = project(network, x, layer)
        strongest = np.unravel_index(values.argmax(), values.shape)
        assert (found.unit, *found.place) == strongest
        assert found.value == pytest.approx(values.max(), rel=1e-5)
        box = receptive_box(network, layer, found.place, SIZE).seen
        inside = np.zeros((SIZE, SIZE), bool)
        inside[box.top : box.top + box.height, box.left : box.left + box.width] = True
        assert np.isfinite(found.signal).all()
        assert np.abs(found.signal[:, inside]).max() > 0
        assert np.abs(found.signal[:, ~inside]).max(initial=0) == 0


def test_unit_of_the_first_layer_gives_its_filter() -> None:
    """Down from conv1 there are the filter's weights times the response, at its place."""
    network = network_of("single_gpu")
    found = project(network, image(), "conv1", 7)
    top, left = (4 * each for each in found.place)
    weights = network.get_submodule("conv1").weight[7].detach().numpy()
    part = found.signal[:, top : top + 11, left : left + 11]
    np.testing.assert_allclose(part, found.value * weights, rtol=1e-5)


def test_place_in_maps_of_an_image_that_is_no_square() -> None:
    """Row and column, where there are more columns than rows; the signal has the image's shape."""
    network = network_of("single_gpu")
    x = torch.randn(1, 3, 19, 51, generator=torch.Generator().manual_seed(4))
    values = layer_outputs(network, x, ["conv1"])["conv1"][0].numpy()
    assert values.shape[1:] == (3, 11)
    for unit in range(8):
        found = project(network, x, "conv1", unit)
        assert found.place == np.unravel_index(values[unit].argmax(), (3, 11))
        assert found.signal.shape == (3, 19, 51)


def test_nothing_goes_through_a_relu_that_got_exactly_zero() -> None:
    """A black image and no bias: every value is zero, and so is torch's own gradient."""
    found = project(
        network_of("single_gpu"), torch.zeros(1, 3, SIZE, SIZE), "fc8", 0, rule=Rule.GRADIENT
    )
    assert found.value == 0
    assert not found.signal.any()


@pytest.mark.parametrize("is_training", [True, False])
def test_network_is_left_as_it_was(*, is_training: bool) -> None:
    """Also where no gradient is asked for around it: nothing learnt, no gradient, no hook."""
    network = AlexNet(architecture_named("batch_norm"), 3, SIZE, seed=1).train(is_training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    x = image()
    kept = x.clone()
    with torch.no_grad():
        signals = [project(network, x, "fc8", 1, rule=Rule.GUIDED).signal for _ in range(2)]
    assert np.array_equal(*signals)
    assert torch.equal(x, kept)
    assert not x.requires_grad
    assert all(torch.equal(before[name], each) for name, each in network.state_dict().items())
    assert all(each.grad is None for each in network.parameters())
    for module in network.modules():
        assert module.training == is_training
        assert not module._forward_hooks
        assert not module._backward_hooks


@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize("name", ["chm", "one_weird_trick"])
def test_way_up_is_the_networks_own(name: str, rule: Rule) -> None:
    """Whatever lets signals down, every layer gives on what it does without."""
    network, x = network_of(name), image()
    names = [layer.name for layer in network.architecture.layers]
    expected = layer_outputs(network, x, names)
    found = outputs_with_gradient(network, x, names, rule)
    assert list(found) == names
    for each in names:
        torch.testing.assert_close(found[each].detach(), expected[each], rtol=1e-5, atol=1e-6)


def test_activation_behind_each_convolution() -> None:
    """Five of them in every network, tanh too; chm pools in between."""
    for architecture in ARCHITECTURES.values():
        assert rectified_layers(architecture) == tuple(f"relu{n}" for n in range(1, 6))
    layers = (Conv("a", 1, 3), MaxPool("b"), Tanh("c"), Conv("d", 1, 3), FullyConnected("e", 2))
    assert rectified_layers(Architecture("x", "", 9, layers, "")) == ("c",)


def test_unit_and_layer_that_are_not_there() -> None:
    network = network_of("two_gpu")
    with pytest.raises(TrainingError, match=r"conv2 has no unit 256 \(expected 0 to 255\)"):
        project(network, image(), "conv2", 256)
    with pytest.raises(TrainingError, match=r"has no layer 'conv9'"):
        project(network, image(), "conv9")


def test_network_that_has_diverged() -> None:
    network, x = exact(small())
    with torch.no_grad():
        network.get_submodule("conv2").bias[1] = torch.nan
    with pytest.raises(TrainingError, match=r"relu3: a value is no finite number"):
        project(network, x, "relu3")
