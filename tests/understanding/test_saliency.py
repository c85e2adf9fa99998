"""Saliency: a network that was taught where the evidence lies, and every method finds it there."""

from __future__ import annotations

import tarfile
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch.nn import functional

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named
from imagetree.alexnet.layers import Architecture, Conv, FullyConnected, MaxPool, Relu
from imagetree.alexnet.network import AlexNet
from imagetree.errors import DatabaseError, TrainingError
from imagetree.recognition.inputs import ImageFiles
from imagetree.recognition.recognizer import Recognizer
from imagetree.training.evaluate import View
from imagetree.understanding.activations import layer_outputs
from imagetree.understanding.deconvnet import Rule, class_gradient, project
from imagetree.understanding.saliency import (
    Occlusion,
    class_probabilities,
    grad_cam,
    guided_grad_cam,
    occlude,
    square_centres,
    study_image,
)

SIDE, PATCH = 40, 10
RED, GREEN, NEITHER = range(3)
COLOURS = {RED: (1.0, -0.5, -0.5), GREEN: (-0.5, 1.0, -0.5)}
BLUE = (-0.5, -0.5, 1.0)
NETWORK = Architecture(
    "patches",
    "for a test",
    SIDE,
    (
        Conv("conv1", 12, 5, stride=2, padding=2),
        Relu("relu1"),
        Conv("conv2", 16, 3, padding=1),
        Relu("relu2"),
        MaxPool("pool2", 3, 2),
        Conv("conv3", 16, 3, padding=1),
        Relu("relu3"),
        MaxPool("pool3", 3, 3),
        FullyConnected("fc4", None),
    ),
    "this test",
)
SIZE = 67
VIEW = View(SIZE, (120.0, 115.0, 105.0), (70.0, 68.0, 70.0), "bf16", 0)
WNIDS = ("n01440764", "n02102040", "n03028079")


class Patches(NamedTuple):
    """Noise with a patch of each image's class, and of blue, which tells nothing.

    x is (N, 3, 40, 40); labels (N,); corners (N, 2) those of the class's patch.
    """

    x: torch.Tensor
    labels: torch.Tensor
    corners: torch.Tensor


def patches(count: int, seed: int) -> Patches:
    """The same seed gives the same images."""
    random = torch.Generator().manual_seed(seed)
    x = 0.3 * torch.randn(count, 3, SIDE, SIDE, generator=random)
    labels = torch.randint(3, (count,), generator=random)
    corners = torch.randint(SIDE - PATCH + 1, (count, 2, 2), generator=random)
    for image, label, (other, own) in zip(x, labels.tolist(), corners.tolist(), strict=True):
        put(image, other, BLUE)
        if label != NEITHER:
            put(image, own, COLOURS[label])
    return Patches(x, labels, corners[:, 1])


def put(image: torch.Tensor, corner, colour) -> None:
    top, left = corner
    image[:, top : top + PATCH, left : left + PATCH] += 2 * torch.tensor(colour)[:, None, None]


@pytest.fixture(scope="module")
def trained() -> AlexNet:
    """Taught for a few seconds to tell red, green and neither."""
    network = AlexNet(NETWORK, 3, seed=1)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    known = patches(1280, 0)
    for step in range(180):
        batch = slice(step % 20 * 64, (step % 20 + 1) * 64)
        loss = functional.cross_entropy(network(known.x[batch]), known.labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    unseen = patches(300, 1)
    right = network.eval()(unseen.x).argmax(1) == unseen.labels
    assert right.float().mean() > 0.97
    return network


@pytest.fixture(scope="module")
def shown(trained: AlexNet) -> Patches:
    """Images with a patch of red or green that the network is sure of."""
    found = patches(60, 2)
    sure = torch.from_numpy(class_probabilities(trained, found.x)).gather(1, found.labels[:, None])
    keep = (found.labels != NEITHER) & (sure[:, 0] > 0.9)
    assert keep.sum() > 20
    return Patches(*(each[keep][:20] for each in found))


def mask_of(corner: torch.Tensor, margin: int = 0) -> np.ndarray:
    """The patch's pixels, and those around it."""
    top, left = corner.tolist()
    mask = np.zeros((SIDE, SIDE), bool)
    mask[max(top - margin, 0) : top + PATCH + margin, max(left - margin, 0) :][
        :, : PATCH + margin + min(left, margin)
    ] = True
    return mask


def energy_in(signal: np.ndarray, mask: np.ndarray) -> float:
    """The share of a signal's energy in a part of the image, over the part's share of it."""
    energy = np.square(signal.astype(np.float64)).sum(0)
    return float(energy[mask].sum() / energy.sum() / mask.mean())


def test_occlusion_finds_the_evidence(trained: AlexNet, shown: Patches) -> None:
    """A square on the class's patch takes the probability, one elsewhere nothing, blue's nor."""
    for x, label, corner in zip(*shown, strict=True):
        found = occlude(trained, x[None], int(label), side=14, stride=2)
        assert found.probability > 0.9
        row, column = np.unravel_index(found.drop.argmax(), found.drop.shape)
        middle = (found.centres[0][row], found.centres[1][column])
        assert np.abs(np.array(middle) - (corner.numpy() + PATCH / 2)).max() <= 5
        assert found.drop.max() > 0.5
        far = ~mask_of(corner, margin=10)[np.ix_(*found.centres)]
        assert np.abs(found.drop[far]).mean() < 0.1


def test_grad_cam_finds_the_evidence(trained: AlexNet, shown: Patches) -> None:
    """For the last maps and for those in front of the pooling, in the patch's neighbourhood."""
    for layer in (None, "relu2", "relu3"):
        ratios = [
            energy_in(
                grad_cam(trained, x[None], int(label), layer).at_pixels()[None], mask_of(corner, 4)
            )
            for x, label, corner in zip(*shown, strict=True)
        ]
        assert np.median(ratios) > 3


@pytest.mark.parametrize("rule", Rule)
def test_gradients_and_deconvnet_find_the_evidence(
    trained: AlexNet, shown: Patches, rule: Rule
) -> None:
    """Of the class's logit: the pixels of the patch have several times their share."""
    ratios = [
        energy_in(project(trained, x[None], "fc4", int(label), rule=rule).signal, mask_of(corner))
        for x, label, corner in zip(*shown, strict=True)
    ]
    assert np.median(ratios) > 3


def test_guided_grad_cam_finds_the_evidence_best(trained: AlexNet, shown: Patches) -> None:
    """More of its energy is in the patch than of the guided gradient's."""
    for x, label, corner in list(zip(*shown, strict=True))[:5]:
        guided = class_gradient(trained, x[None], int(label), Rule.GUIDED)
        both = guided_grad_cam(guided, grad_cam(trained, x[None], int(label)))
        mask = mask_of(corner, 2)
        assert energy_in(both, mask) > max(3, energy_in(guided, mask))


def test_classes_have_maps_of_their_own(trained: AlexNet) -> None:
    """Red at the left and green at the right: each class's map is on its side."""
    x = 0.3 * torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(5))
    corners = {RED: torch.tensor([15, 3]), GREEN: torch.tensor([15, 27])}
    for label, corner in corners.items():
        put(x[0], corner.tolist(), COLOURS[label])
    for label, other in ((RED, GREEN), (GREEN, RED)):
        cam = grad_cam(trained, x, label).at_pixels()[None]
        own, others = (mask_of(corners[each], 3) for each in (label, other))
        assert energy_in(cam, own) > 3 * energy_in(cam, others)


def test_randomised_network_gives_other_maps(trained: AlexNet, shown: Patches) -> None:
    """The maps are of what was learnt, not of edges in the image (Adebayo et al. 2018).

    Guided gradients and the deconvnet are left out: the paper found that they hardly change.
    """
    random = AlexNet(NETWORK, 3, seed=7)

    def maps(network: AlexNet, x: torch.Tensor, label: int) -> list[np.ndarray]:
        return [
            occlude(network, x, label, side=14, stride=4).drop,
            grad_cam(network, x, label).values,
            np.abs(class_gradient(network, x, label)).max(0),
        ]

    alike = [
        [
            np.corrcoef(first.ravel(), second.ravel())[0, 1] if second.std() else 0.0
            for first, second in zip(
                maps(trained, x[None], int(label)), maps(random, x[None], int(label)), strict=True
            )
        ]
        for x, label in zip(shown.x[:10], shown.labels[:10], strict=True)
    ]
    assert (np.median(np.abs(alike), axis=0) < 0.6).all()


@pytest.mark.parametrize(("side", "stride"), [(1, 20), (7, 3), (8, 5), (50, 9), (2, 15), (5, 40)])
def test_occlusion_is_that_of_covering_by_hand(side: int, stride: int) -> None:
    """Each place by itself, squares cut by the edges, any stride and side."""
    network = AlexNet(NETWORK, 3, seed=1).train()
    x = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    kept = x.clone()
    found = occlude(network, x, 1, side=side, stride=stride)
    assert torch.equal(x, kept)
    assert network.training
    rows, columns = (each.tolist() for each in found.centres)
    assert found.probabilities.shape == (len(rows), len(columns)) == (-(-SIDE // stride),) * 2
    for (i, row), (j, column) in product(enumerate(rows), enumerate(columns)):
        pixels = np.arange(SIDE)
        covered = [
            (pixels >= middle - side // 2) & (pixels < middle - side // 2 + side)
            for middle in (row, column)
        ]
        by_hand = x.clone()
        by_hand[0, :, torch.from_numpy(np.outer(*covered))] = 0
        expected = class_probabilities(network, by_hand)[0, 1]
        assert found.probabilities[i, j] == pytest.approx(expected, abs=1e-5)
    assert found.probability == pytest.approx(class_probabilities(network, x)[0, 1])


def test_image_that_is_no_square(trained: AlexNet) -> None:
    """More columns than rows: the red patch at the far right is found there by both maps."""
    x = 0.3 * torch.randn(1, 3, SIDE, 70, generator=torch.Generator().manual_seed(5))
    put(x[0], (3, 55), COLOURS[RED])
    found = occlude(trained, x, RED, side=14, stride=3)
    row, column = np.unravel_index(found.drop.argmax(), found.drop.shape)
    assert abs(found.centres[0][row] - 8) <= 6
    assert abs(found.centres[1][column] - 60) <= 6
    assert found.drop_at_pixels().shape == (SIDE, 70)
    cam = grad_cam(trained, x, RED).at_pixels()
    assert cam.shape == (SIDE, 70)
    assert cam[:25, 45:].sum() > 0.7 * cam.sum()


@pytest.mark.parametrize("size", [1, 7, 40, 195])
@pytest.mark.parametrize("stride", [1, 2, 3, 12, 40, 300])
def test_centres_are_even_and_inside(size: int, stride: int) -> None:
    """Every pixel is within half a stride of a centre, and what is left over is so at both ends."""
    centres = square_centres(size, stride)
    assert centres[0] >= 0
    assert centres[-1] < size
    assert (np.diff(centres) == stride).all()
    distances = np.abs(np.arange(size)[:, None] - centres).min(1)
    assert distances.max() <= (stride + 1) // 2
    assert abs(centres[0] - (size - 1 - centres[-1])) <= 2


def test_drop_at_pixels_is_the_maps_own_at_its_centres() -> None:
    """Odd strides meet pixels in the middle of their cells; it never leaves the map's range."""
    random = np.random.default_rng(0)
    found = Occlusion((40, 22), 9, 5, 0.7, random.random((8, 5)))
    spread = found.drop_at_pixels()
    assert spread.shape == (40, 22)
    rows, columns = found.centres
    np.testing.assert_allclose(spread[np.ix_(rows, columns)], found.drop, atol=1e-6)
    assert spread.min() >= found.drop.min() - 1e-6
    assert spread.max() <= found.drop.max() + 1e-6


def test_grad_cam_is_that_of_its_definition() -> None:
    """Weights by finite differences of the logit, in float64; then the rectified weighed sum."""
    network = AlexNet(NETWORK, 3, seed=1).double()
    x = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).double()
    for label in range(3):
        found = grad_cam(network, x, label, "relu3")
        maps = layer_outputs(network, x, ["relu3"])["relu3"]

        def logit(maps: torch.Tensor, label: int = label) -> float:
            behind = network.get_submodule("pool3")(maps).flatten(1)
            return float(network.get_submodule("fc4")(behind).detach()[0, label])

        weights = []
        for channel in range(16):
            moved = maps.clone()
            moved[0, channel] += 1e-6  # all values of a map at once: the sum of the derivatives
            weights.append((logit(moved) - logit(maps)) / 1e-6 / maps[0, 0].numel())
        np.testing.assert_allclose(found.weights, weights, atol=1e-7)
        expected = np.maximum(np.tensordot(weights, maps[0].numpy(), 1), 0)
        np.testing.assert_allclose(found.values, expected, atol=1e-6)
        assert found.values.max() > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_maps_of_each_network(name: str) -> None:
    """Any layer with maps in front of fc6, at its maps' size and stretched to the image's."""
    network = AlexNet(architecture_named(name), 3, SIZE, seed=1)
    x = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    assert grad_cam(network, x, 0).layer == "relu5"
    for layer in ("conv1", "conv3", "relu2"):
        found = grad_cam(network, x, 0, layer)
        maps = layer_outputs(network, x, [layer])[layer]
        assert found.values.shape == maps.shape[2:]
        assert len(found.weights) == maps.shape[1]
        assert found.values.min() >= 0
        assert found.at_pixels().shape == (SIZE, SIZE)
    assert network.training
    assert all(each.grad is None for each in network.parameters())


def test_what_cannot_be_asked() -> None:
    network = AlexNet(NETWORK, 3, seed=1)
    x = torch.zeros(1, 3, SIDE, SIDE)
    with pytest.raises(TrainingError, match=r"there is no class 3 \(expected 0 to 2\)"):
        occlude(network, x, 3)
    with pytest.raises(TrainingError, match=r"there is no class -1"):
        grad_cam(network, x, -1)
    with pytest.raises(TrainingError, match=r"fc4 has no unit -1 \(expected 0 to 2\)"):
        class_gradient(network, x, -1)
    with pytest.raises(TrainingError, match=r"square of 0 pixels, stride of 2"):
        occlude(network, x, 0, side=0, stride=2)
    with pytest.raises(TrainingError, match=r"'fc4' gives 3 single values and no maps"):
        grad_cam(network, x, 0, "fc4")
    with pytest.raises(TrainingError, match=r"has no layer 'conv9'"):
        grad_cam(network, x, 0, "conv9")


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


@cache
def recognizer() -> Recognizer:
    network = AlexNet(architecture_named("batch_norm"), len(WNIDS), SIZE, seed=1)
    return Recognizer(network.eval(), WNIDS, VIEW)


def test_study_of_a_photograph(photographs) -> None:
    """All methods about one class: the one asked for, or else the likeliest."""
    likeliest = study_image(recognizer(), photographs, 0)
    assert likeliest.likeliest == (likeliest.wnid, pytest.approx(likeliest.occlusion.probability))
    other = next(wnid for wnid in WNIDS if wnid != likeliest.wnid)
    found = study_image(recognizer(), photographs, 0, other)
    assert found.wnid == other
    assert found.likeliest == likeliest.likeliest
    assert found.occlusion.probability < found.likeliest[1]
    x = torch.from_numpy((found.pixels.astype(np.float32) - VIEW.mean) / VIEW.std)
    x, number = x.float().permute(2, 0, 1)[None], WNIDS.index(other)
    network = recognizer().network
    expected = class_gradient(network, x, number)
    np.testing.assert_allclose(found.gradient, expected, atol=1e-5 * np.abs(expected).max())
    assert found.guided_cam.shape == found.guided.shape == (3, SIZE, SIZE)
    np.testing.assert_array_equal(found.guided_cam, found.guided * found.cam.at_pixels())
    layers = [each.projection.layer for each in found.units]
    assert layers == ["relu1", "relu2", "relu3", "relu4", "relu5"]
    assert (found.occlusion.side, found.occlusion.stride) == (13, 4)
    told = found.to_json()
    assert told["wnid"] == other
    assert np.array(told["occlusion"]["probabilities"]).shape == found.occlusion.drop.shape
    assert told["units"][0]["sees"].keys() == {"left", "top", "width", "height"}


def test_study_that_is_not_possible(photographs) -> None:
    with pytest.raises(TrainingError, match=r"has no class 'n00000001' \(expected one of n0144"):
        study_image(recognizer(), photographs, 0, "n00000001")
    with pytest.raises(DatabaseError, match=r"cut\.JPEG: "):
        study_image(recognizer(), photographs, 1)
