"""Ten views of an image: where they lie, and that the answer is the mean of theirs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from imagetree.alexnet.architectures import architecture_named
from imagetree.alexnet.network import AlexNet
from imagetree.training.batches import eval_batch_bytes, iter_centre_batches
from imagetree.training.device import logits_of
from imagetree.training.evaluate import View, predict
from imagetree.training.feeder import Feeder
from imagetree.training.ten_crop import iter_ten_crops, side_for_ten

from .conftest import MemoryImages

VIEW = View(67, (120.0, 115.0, 105.0), (70.0, 68.0, 70.0), "fp32", 0)


@pytest.fixture(scope="module")
def network() -> AlexNet:
    return AlexNet(architecture_named("batch_norm"), 2, 67, seed=1).eval()


def test_windows_of_the_paper() -> None:
    """Of 256 x 256 the corners and the centre of 227 x 227, and then their mirror images."""
    places = np.broadcast_to(np.arange(256 * 256).reshape(1, 256, 256, 1), (2, 256, 256, 3))
    crops = list(iter_ten_crops(places, 227))
    assert [crop.shape for crop in crops] == [(2, 227, 227, 3)] * 10
    assert [divmod(int(crop[1, 0, 0, 2]), 256) for crop in crops[:5]] == [
        (0, 0),
        (0, 29),
        (29, 0),
        (29, 29),
        (14, 14),
    ]
    for crop, mirrored in zip(crops[:5], crops[5:], strict=True):
        np.testing.assert_array_equal(mirrored, crop[:, :, ::-1])
        assert int(mirrored[0, 0, 0, 0]) == int(crop[0, 0, -1, 0])


@pytest.mark.parametrize(("size", "side"), [(227, 256), (195, 220), (67, 76), (1, 1)])
def test_side_of_the_square(size: int, side: int) -> None:
    assert side_for_ten(size) == side
    assert replace(VIEW, size=size, crops=10).side == side
    assert replace(VIEW, size=size).side == size


def test_answer_is_the_mean_of_ten(network: AlexNet, images: MemoryImages) -> None:
    """Computed once more by hand, window by window."""
    view = replace(VIEW, crops=10)
    found = predict(logits_of(network, view), images, view)
    with Feeder(images.reader, 0, eval_batch_bytes(view.side)) as feeder:
        [batch] = iter_centre_batches(feeder, images, view.side)
        squares = torch.from_numpy(batch.pixels.copy())
    mean, std = torch.tensor(view.mean), torch.tensor(view.std)
    windows = [squares[:, y : y + 67, x : x + 67] for y in (0, 9) for x in (0, 9)]
    windows.append(squares[:, 4:71, 4:71])
    answers = []
    with torch.no_grad():
        for window in windows:
            for seen in (window, window.flip(2)):
                x = ((seen.float() - mean) / std).permute(0, 3, 1, 2)
                answers.append(network(x).softmax(1))
    expected = torch.stack(answers).mean(0).numpy()
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)
    np.testing.assert_allclose(found.probabilities.sum(1), 1, rtol=1e-5)
    assert not np.allclose(
        found.probabilities, predict(logits_of(network, VIEW), images, VIEW).probabilities
    )


def test_a_mirrored_image_has_the_same_answer(network: AlexNet) -> None:
    """The ten views of an image and of its mirror image are the same ten."""
    squares = np.random.default_rng(0).integers(0, 256, (1, 76, 76, 3), np.uint8)
    seen = [
        {crop.tobytes() for crop in iter_ten_crops(each, 66)}
        for each in (squares, squares[:, :, ::-1])
    ]
    assert seen[0] == seen[1]
    assert len(seen[0]) == 10


def test_damaged_image_has_no_answer(network: AlexNet) -> None:
    """Its probabilities are zero, it is listed with its reason, and the others are answered."""
    view = replace(VIEW, crops=10)
    found = predict(logits_of(network, view), MemoryImages(5, damaged=(2,)), view)
    assert found.is_readable.tolist() == [True, True, False, True, True]
    assert not found.probabilities[2].any()
    assert [bad.index for bad in found.bad] == [2]
