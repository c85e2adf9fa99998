"""Every network against one written down from its source, layer by layer, in numpy loops.

The networks below say what the sources say and read nothing of `architectures`. Compared are the
output of every layer, and the gradients of the images and of every weight and bias. The sizes are
such that windows hang over wherever a source lets them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d, adaptive_max_pool2d

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named
from imagetree.alexnet.modules import AverageToGrid, maxima_of_bins
from imagetree.alexnet.network import AlexNet

from . import naive

PAPER = partial(naive.response_norm, alpha=1e-4, beta=0.75, k=2.0)  # section 3.3
CHM = partial(naive.response_norm, alpha=1e-4 / 5, beta=0.75, k=2.0, towers=2)  # scale / size
CAFFE = partial(naive.response_norm, alpha=1e-4 / 5, beta=0.75, k=1.0)  # lrn_layer.cpp
CHM_IN_MAP = partial(naive.map_norm, alpha=1e-3 / 25, beta=0.75, k=1.0)  # cnorm2a: scale / size^2
POOL, CEIL_POOL = naive.max_pool, partial(naive.max_pool, ceil=True)


def conv(**how):
    return partial(naive.conv, **how)


def deep(groups=1):
    """conv3 to conv5, which all but chm have alike."""
    return [
        ("conv3", conv(padding=1)),
        ("relu3", naive.relu),
        ("conv4", conv(padding=1, groups=groups)),
        ("relu4", naive.relu),
        ("conv5", conv(padding=1, groups=groups)),
        ("relu5", naive.relu),
    ]


def head(halved=False):
    """fc6 to fc8 at the test; the paper and chm halve there what dropout halved in training."""
    half = [("drop", partial(naive.scaled, factor=0.5))] if halved else []
    return [
        ("fc6", naive.linear),
        ("relu6", naive.relu),
        *[("drop6", op) for _, op in half],
        ("fc7", naive.linear),
        ("relu7", naive.relu),
        *[("drop7", op) for _, op in half],
        ("fc8", naive.linear),
    ]


def caffe(number, pool_first):
    pool, norm = (f"pool{number}", CEIL_POOL), (f"norm{number}", CAFFE)
    return [pool, norm] if pool_first else [norm, pool]


def caffe_network(pool_first):
    return [
        ("conv1", conv(stride=4)),
        ("relu1", naive.relu),
        *caffe(1, pool_first),
        ("conv2", conv(padding=2, groups=2)),
        ("relu2", naive.relu),
        *caffe(2, pool_first),
        *deep(groups=2),
        ("pool5", CEIL_POOL),
        *head(),
    ]


def weird_trick():
    return [
        ("conv1", conv(stride=4, padding=2)),
        ("relu1", naive.relu),
        ("pool1", POOL),
        ("conv2", conv(padding=2)),
        ("relu2", naive.relu),
        ("pool2", POOL),
        *deep(),
        ("pool5", POOL),
        ("avgpool", partial(naive.average_to_grid, size=6)),
        *head(),
    ]


def batch_normed():
    network = []
    lecture = [step for step in NETWORKS["single_gpu"] if not step[0].startswith("norm")]
    for name, operation in lecture:
        if name.startswith("relu"):
            network.append((f"norm{name[-1]}", naive.batch_norm))
        network.append((name, operation))
    return network


NETWORKS = {
    "single_gpu": [
        ("conv1", conv(stride=4)),
        ("relu1", naive.relu),
        ("pool1", POOL),
        ("norm1", PAPER),
        ("conv2", conv(padding=2)),
        ("relu2", naive.relu),
        ("pool2", POOL),
        ("norm2", PAPER),
        *deep(),
        ("pool5", POOL),
        *head(),
    ],
    "two_gpu": [
        ("conv1", conv(stride=4)),
        ("relu1", naive.relu),
        ("norm1", partial(PAPER, towers=2)),
        ("pool1", POOL),
        ("conv2", conv(padding=2, groups=2)),
        ("relu2", naive.relu),
        ("norm2", partial(PAPER, towers=2)),
        ("pool2", POOL),
        *deep(groups=2),
        ("pool5", POOL),
        *head(halved=True),
    ],
    "chm": [
        ("conv1", conv(stride=4, ceil=True)),
        ("norm1", CHM),
        ("pool1", CEIL_POOL),
        ("relu1", naive.relu),
        ("conv2", conv(padding=2, groups=2)),
        ("relu2", naive.relu),
        ("norm2", CHM),
        ("mapnorm2", CHM_IN_MAP),
        ("pool2", CEIL_POOL),
        *deep(groups=2)[:-1],
        ("pool5", CEIL_POOL),
        ("relu5", naive.relu),
        *head(halved=True),
    ],
    "caffenet": caffe_network(pool_first=True),
    "bvlc_alexnet": caffe_network(pool_first=False),
    "one_weird_trick": weird_trick(),
    "one_weird_trick_text": weird_trick(),
}
NETWORKS["batch_norm"] = batch_normed()
SIZES = {"chm": 70, "one_weird_trick": 99, "one_weird_trick_text": 71}
"""70: conv1 of chm hangs over by one pixel. 71, the others' size: Caffe's pools hang over."""

DROPOUT_BEFORE = {
    "single_gpu": 1 / 0.5,
    "batch_norm": 1 / 0.8,
    "one_weird_trick": 1 / 0.5,
    "one_weird_trick_text": 1 / 0.5,
}
"""Dropout of what goes into fc6 and fc7, and the factor of what is kept."""
DROPOUT_AFTER = {"two_gpu": 1.0, "chm": 1.0, "caffenet": 1 / 0.5, "bvlc_alexnet": 1 / 0.5}
"""Dropout of what comes out of fc6 and fc7."""


def in_training(name: str, kept: dict[str, np.ndarray]) -> list:
    """A network with the masks of dropout that were drawn, and with statistics of the batch."""
    factor = (DROPOUT_BEFORE | DROPOUT_AFTER)[name]
    drops = {n: (n, partial(naive.dropped, kept=kept[n], factor=factor)) for n in kept}
    steps = []
    for layer, operation in NETWORKS[name]:
        if layer.startswith("drop"):  # the halving at the test
            continue
        if layer in ("fc6", "fc7") and name in DROPOUT_BEFORE:
            steps.append(drops[f"drop{layer[-1]}"])
        normed = operation is naive.batch_norm
        steps.append((layer, naive.batch_norm_of_batch if normed else operation))
        if layer in ("relu6", "relu7") and name in DROPOUT_AFTER:
            steps.append(drops[f"drop{layer[-1]}"])
    return steps


def network_with_large_values(name: str, count: int = 2) -> tuple[AlexNet, torch.Tensor]:
    """A network at a small size whose norms have something to do, and images."""
    size, rng = SIZES.get(name, 71), np.random.default_rng(7)
    network = AlexNet(architecture_named(name), 3, size).double().eval()
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.ndim > 1:
                drawn = rng.standard_normal(tensor.shape) * np.sqrt(2 / tensor[0].numel())
            else:
                drawn = rng.random(tensor.shape) + 0.2
            tensor.copy_(torch.from_numpy(np.asarray(drawn)))
    return network, torch.from_numpy(200 * rng.standard_normal((count, 3, size, size)))


def run_reference(network: list, images: np.ndarray, tensors: dict[str, np.ndarray]):
    """Outputs of all layers, and gradients of the sum of the logits times 1, 2, 3."""
    x, outputs, backwards = images, {}, []
    for name, operation in network:
        if operation is naive.batch_norm:
            keys = ("weight", "bias", "running_mean", "running_var")
            given = [tensors[f"{name}.{key}"] for key in keys]
        elif f"{name}.weight" in tensors:
            given = [tensors[f"{name}.weight"], tensors.get(f"{name}.bias")]
        else:
            given = []
        x, backward = operation(x, *given)
        outputs[name] = x
        backwards.append((name, backward))
    gradients, dy = {}, np.tile([1.0, 2.0, 3.0], (len(x), 1))
    for name, backward in reversed(backwards):
        dy, of_weights = backward(dy)
        gradients |= {f"{name}.{key}": value for key, value in of_weights.items()}
    return outputs, gradients | {"images": dy}


def far(ours: torch.Tensor, theirs: np.ndarray) -> float:
    """The greatest difference by the greatest value."""
    assert tuple(ours.shape) == theirs.shape
    ours = ours.detach().cpu().double()
    return float(np.abs(ours.numpy() - theirs).max() / np.abs(theirs).max())


@pytest.fixture
def full_precision():
    """No TF32: a GPU's convolutions round the factors of float32 to 10 bits otherwise."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.mark.slow
@pytest.mark.usefixtures("full_precision")
@pytest.mark.parametrize("is_training", [False, True], ids=["test", "training"])
@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=["fp64", "fp32"]
)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_outputs_and_gradients_of_every_layer(
    name: str, dtype: torch.dtype, bound: float, is_training: bool, device: torch.device
) -> None:
    """At the test, and while training with the masks that dropout drew.

    Statistics of a few images magnify what float32 rounds, so that there are twelve.
    """
    has_statistics = is_training and name == "batch_norm"
    network, images = network_with_large_values(name, 12 if has_statistics else 2)
    network = network.to(device, dtype).train(is_training)
    images = images.to(device, dtype).requires_grad_()
    tensors = {key: value.cpu().double().numpy() for key, value in network.state_dict().items()}
    ours: dict[str, torch.Tensor] = {}
    for layer, module in network.named_children():
        module.register_forward_hook(
            lambda _m, _i, output, layer=layer: ours.__setitem__(layer, output.detach().clone())
        )
    logits = network(images)
    (logits * torch.tensor([1.0, 2.0, 3.0], device=device)).sum().backward()
    steps = NETWORKS[name]
    if is_training:
        drops = [layer for layer in ours if layer.startswith("drop")]
        steps = in_training(name, {n: (ours[n] != 0).cpu().double().numpy() for n in drops})
    outputs, gradients = run_reference(steps, images.detach().cpu().double().numpy(), tensors)
    skipped = {layer for layer in ours if layer.startswith("drop")} - outputs.keys()
    assert not (is_training and skipped)
    assert ours.keys() - skipped == outputs.keys()
    distances = {layer: far(ours[layer], outputs[layer]) for layer in outputs}
    found = {key: value.grad for key, value in network.named_parameters()}
    found["images"] = images.grad
    assert found.keys() == gradients.keys()
    distances |= {f"gradient of {key}": far(found[key], gradients[key]) for key in gradients}
    assert {key: value for key, value in distances.items() if not value < bound} == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer", "change"),
    [
        ("single_gpu", "norm1", {"alpha": 1.1e-4}),
        ("two_gpu", "norm2", {"k": 1.9}),
        ("two_gpu", "norm1", {"groups": 1}),
        ("chm", "norm1", {"alpha": 1e-4}),
        ("chm", "mapnorm2", {"alpha": 1e-3}),
        ("chm", "mapnorm2", {"k": 2.0}),
        ("caffenet", "norm1", {"k": 2.0}),
        ("bvlc_alexnet", "norm2", {"beta": 0.7}),
        ("bvlc_alexnet", "norm1", {"alpha": 1e-4}),
    ],
)
def test_another_constant_would_be_seen(name: str, layer: str, change: dict[str, float]) -> None:
    """The images above are strong enough for the norms to do something."""
    network, images = network_with_large_values(name)
    module = network.get_submodule(layer)
    with torch.no_grad():
        right = network(images)
        module.layer = replace(module.layer, **change)
        wrong = network(images)
    assert far(wrong, right.numpy()) > 1e-3


@pytest.mark.parametrize("side", [1, 2, 3, 5, 6, 7, 13])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (AverageToGrid(6), partial(adaptive_avg_pool2d, output_size=6)),
        (partial(maxima_of_bins, size=6), partial(adaptive_max_pool2d, output_size=6)),
    ],
    ids=["average", "max"],
)
def test_pooled_to_a_grid(side: int, ours, theirs, device: torch.device) -> None:
    """As torch's adaptive pooling, which has no deterministic gradient on a GPU."""
    x = torch.randn(2, 3, side, side + 1, dtype=torch.float64, device=device, requires_grad=True)
    ours, theirs = ours(x), theirs(x)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    weights = torch.randn_like(ours)
    (mine,) = torch.autograd.grad((ours * weights).sum(), x)
    (other,) = torch.autograd.grad((theirs * weights).sum(), x)
    torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)
