"""The mean image of the training set, subtracted as in the paper."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from imagetree.errors import TrainingError
from imagetree.recognition.recognizer import Recognizer
from imagetree.training.checkpoints import load_checkpoint
from imagetree.training.config import TrainConfig
from imagetree.training.device import normalise
from imagetree.training.interchange import load_run_weights
from imagetree.training.mean_image import measure_mean_image
from imagetree.training.recipes import config_of
from imagetree.training.train import train

from .conftest import SETTINGS, WNIDS, MemoryImages
from .test_train import open_at, stop_after, weights_hash

MEAN = {**SETTINGS, "mean_image": True, "input_size": 80, "start_size": 80}
STD = (50.0, 60.0, 70.0)


def test_it_is_the_mean_of_the_squares(images: MemoryImages) -> None:
    """At the pictures' own size nothing is resized; a damaged one is left out."""
    damaged = MemoryImages(40, damaged=(7,))
    found = measure_mean_image(damaged, TrainConfig(**MEAN))
    kept = [row for place, row in enumerate(images.rows) if place != 7]
    pixels = [np.asarray(Image.open(io.BytesIO(row)), np.float64) for row in kept]
    np.testing.assert_allclose(found, np.mean(pixels, axis=0), atol=1.0)  # decoders differ
    assert (found.shape, found.dtype) == ((80, 80, 3), np.float32)
    assert found.std() > 2  # the stripes do not cancel: it is no mean of channels


def test_windows_have_the_mean_of_the_centre(images: MemoryImages) -> None:
    """As the code of 2012: the part of the image that a window in the centre would show."""
    config = TrainConfig(**{**MEAN, "crop": "window", "window_share": 0.5, "input_size": 40})
    whole = measure_mean_image(images, TrainConfig(**MEAN))
    np.testing.assert_allclose(measure_mean_image(images, config), whole[20:60, 20:60], atol=1.0)


def test_nothing_to_decode() -> None:
    with pytest.raises(TrainingError, match="none of the training images can be decoded"):
        measure_mean_image(MemoryImages(3, damaged=(0, 1, 2)), TrainConfig(**MEAN))


def test_every_pixel_has_its_own_mean() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 6, 8, 3), dtype=np.uint8)
    mean = rng.uniform(0, 255, (6, 8, 3)).astype(np.float32)
    found = normalise(pixels, torch.device("cpu"), mean, STD)
    expected = ((pixels - mean) / np.array(STD)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_images_of_another_size_have_the_mean_resized() -> None:
    """A slope stays a slope."""
    slope = np.broadcast_to(np.linspace(0, 200, 40, dtype=np.float32)[:, None, None], (40, 40, 3))
    for side in (20, 60):
        pixels = np.zeros((1, side, side, 3), np.uint8)
        found = normalise(pixels, torch.device("cpu"), slope.copy(), (1.0, 1.0, 1.0))[0, 0, :, 0]
        middle = slice(side // 10, -(side // 10))
        ideal = -((torch.arange(side) + 0.5) / side * 40 - 0.5) * 200 / 39
        assert (found - ideal)[middle].abs().max() < 1.0


@pytest.mark.slow
def test_run_with_a_mean_image(tmp_path, images: MemoryImages, minival: MemoryImages) -> None:
    """Kept in the checkpoint, used in recognition, the same after an interruption."""
    config = TrainConfig(**MEAN)
    whole, broken = open_at(tmp_path / "whole", config), open_at(tmp_path / "broken", config)
    assert train(whole, WNIDS, images, minival).is_finished
    assert not train(broken, WNIDS, images, minival, stop_after(3)).is_finished
    assert train(broken, WNIDS, images, minival).is_finished
    assert weights_hash(broken) == weights_hash(whole)
    kept = load_checkpoint(whole.checkpoint_path)
    np.testing.assert_array_equal(kept.mean_image, measure_mean_image(images, config))
    assert Recognizer.load(whole.folder).view.mean is not None
    np.testing.assert_array_equal(Recognizer.load(whole.folder).view.mean, kept.mean_image)
    with pytest.raises(TrainingError, match="one mean for each channel"):
        load_run_weights(whole.folder)
    plain = open_at(tmp_path / "plain", replace(config, mean_image=False))
    train(plain, WNIDS, images, minival)
    assert weights_hash(plain) != weights_hash(whole)


@pytest.mark.parametrize("recipe", ["paper", "chm"])
def test_the_recipes_of_2012_subtract_it(recipe: str) -> None:
    assert config_of(recipe, {}).mean_image


def test_pixels_may_be_left_undivided(
    tmp_path, images: MemoryImages, minival: MemoryImages
) -> None:
    """In 0..255 less their mean, in training, in the checkpoint and in recognition."""
    run = open_at(tmp_path / "run", TrainConfig(**{**SETTINGS, "unit_variance": False}))
    train(run, WNIDS, images, minival, stop_after(1))
    assert load_checkpoint(run.checkpoint_path).std == (1.0, 1.0, 1.0)
    assert Recognizer.load(run.folder).view.std == (1.0, 1.0, 1.0)
    divided = open_at(tmp_path / "divided", TrainConfig(**SETTINGS))
    train(divided, WNIDS, images, minival, stop_after(1))
    assert min(load_checkpoint(divided.checkpoint_path).std) > 20
