"""The constants of each network against its source, which is named beside them."""

from __future__ import annotations

import pytest

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named, with_dropout
from imagetree.alexnet.layers import (
    Conv,
    Dropout,
    FullyConnected,
    Init,
    LocalResponseNorm,
    SameMapNorm,
)
from imagetree.errors import TrainingError

ALL = (
    "single_gpu",
    "batch_norm",
    "two_gpu",
    "chm",
    "caffenet",
    "bvlc_alexnet",
    "one_weird_trick",
    "one_weird_trick_text",
)
BEGINNINGS = {
    # paper, section 5: Gaussians of 0.01; ones in conv2, 4, 5 and the hidden dense layers
    "two_gpu": [(0.01, b) for b in (0, 1, 0, 1, 1, 1, 1, 0)],
    # layers-145.cfg: initW, initB
    "chm": [
        (0.01, 0),
        (0.01, 1),
        (0.03, 0),
        (0.03, 1),
        (0.03, 1),
        (0.01, 1),
        (0.01, 1),
        (0.01, 0),
    ],
    # train_val.prototxt of each: weight_filler, bias_filler
    "caffenet": [
        *((0.01, b) for b in (0, 1, 0, 1, 1)),
        (0.005, 1),
        (0.005, 1),
        (0.01, 0),
    ],
    "bvlc_alexnet": [
        *((0.01, b) for b in (0, 0.1, 0, 0.1, 0.1)),
        (0.005, 0.1),
        (0.005, 0.1),
        (0.01, 0),
    ],
}
"""Standard deviation and bias of conv1 to conv5 and fc6 to fc8."""


def layers_of(name: str, kind: type) -> list:
    return [layer for layer in architecture_named(name).layers if isinstance(layer, kind)]


def test_names() -> None:
    assert tuple(ARCHITECTURES) == ALL


@pytest.mark.parametrize("name", ALL)
def test_layers_have_names_of_their_own(name: str) -> None:
    """Their tensors are known by them; each source is said."""
    architecture = architecture_named(name)
    names = [layer.name for layer in architecture.layers]
    assert len(set(names)) == len(names)
    assert architecture.source


@pytest.mark.parametrize(("name", "expected"), BEGINNINGS.items())
def test_weights_begin_as_the_source_has_them(name: str, expected: list) -> None:
    inits = [layer.init for layer in layers_of(name, Conv | FullyConnected)]
    assert [init.kind for init in inits] == ["gaussian"] * 8
    assert [(init.std, init.bias) for init in inits] == expected


@pytest.mark.parametrize("name", ["one_weird_trick", "one_weird_trick_text"])
def test_torchvision_leaves_torch_its_default(name: str) -> None:
    assert {layer.init for layer in layers_of(name, Conv | FullyConnected)} == {Init("uniform")}


def test_norms_of_the_paper() -> None:
    """Section 3.3: k = 2, n = 5, alpha = 1e-4, beta = 0.75; the sum is not divided by n."""
    for name in ("single_gpu", "two_gpu"):
        constants = {(n.k, n.size, n.alpha, n.beta) for n in layers_of(name, LocalResponseNorm)}
        assert constants == {(2.0, 5, 1e-4, 0.75)}


def test_norms_of_the_released_code() -> None:
    """scale=0.0001 over 5 maps, minDiv=2; within a map scale=0.001 over 25 places, from 1.

    Its `layer.py` divides scale by size, and by size ** 2 within a map.
    """
    across, within = layers_of("chm", LocalResponseNorm), layers_of("chm", SameMapNorm)
    assert {(n.k, n.size, n.alpha, n.beta, n.groups) for n in across} == {(2, 5, 2e-5, 0.75, 2)}
    (norm,) = within
    assert (norm.k, norm.size, norm.beta) == (1.0, 5, 0.75)
    assert norm.alpha == pytest.approx(4e-5, rel=1e-12)


@pytest.mark.parametrize("name", ["caffenet", "bvlc_alexnet"])
def test_norms_of_caffe(name: str) -> None:
    """alpha: 0.0001 over the mean of 5, k: 1 by default, across all maps of the blob."""
    norms = layers_of(name, LocalResponseNorm)
    assert {(n.k, n.size, n.alpha, n.beta, n.groups) for n in norms} == {(1, 5, 2e-5, 0.75, 1)}


@pytest.mark.parametrize("name", ["two_gpu", "chm", "caffenet", "bvlc_alexnet"])
def test_towers_do_not_meet_in_conv2_conv4_conv5(name: str) -> None:
    assert [conv.groups for conv in layers_of(name, Conv)] == [1, 2, 1, 2, 2]


@pytest.mark.parametrize(
    ("name", "depths"),
    [
        ("one_weird_trick", (64, 192, 384, 256, 256)),
        ("one_weird_trick_text", (64, 192, 384, 384, 256)),
    ],
)
def test_depths_of_one_weird_trick(name: str, depths: tuple[int, ...]) -> None:
    """Torchvision's code, and the paper's text."""
    assert tuple(conv.depth for conv in layers_of(name, Conv)) == depths
    assert layers_of(name, LocalResponseNorm) == []


def test_place_and_scale_of_dropout() -> None:
    """Lecture and torchvision drop what goes into fc6 and fc7, the others what comes out.

    The paper (section 4.2) and the released code (`hs` layers) scale at the test.
    """
    found = {}
    for name in ALL:
        names = [layer.name for layer in architecture_named(name).layers]
        where = "before" if names.index("drop6") < names.index("fc6") else "after"
        (scaled,) = {layer.scaled for layer in layers_of(name, Dropout)}
        found[name] = (where, scaled)
        rate = 0.2 if name == "batch_norm" else 0.5
        assert [layer.rate for layer in layers_of(name, Dropout)] == [rate, rate]
    assert found == {
        "single_gpu": ("before", "training"),
        "batch_norm": ("before", "training"),
        "two_gpu": ("after", "test"),
        "chm": ("after", "test"),
        "caffenet": ("after", "training"),
        "bvlc_alexnet": ("after", "training"),
        "one_weird_trick": ("before", "training"),
        "one_weird_trick_text": ("before", "training"),
    }


def test_with_dropout_keeps_the_rest() -> None:
    changed = with_dropout(architecture_named("chm"), 0.1)
    rates = [(layer.rate, layer.scaled) for layer in changed.layers if isinstance(layer, Dropout)]
    assert rates == [(0.1, "test"), (0.1, "test")]
    assert with_dropout(changed, 0.5) == architecture_named("chm")


def test_unknown_architecture_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"no architecture is called .alexnet. .*single_gpu"):
        architecture_named("alexnet")
