"""Colours of the training images and the noise along their axes, as in the paper's section 4.1."""

from __future__ import annotations

import tarfile
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from imagetree.errors import TrainingError
from imagetree.training.checkpoints import load_checkpoint, save_checkpoint
from imagetree.training.colour import ColourAxes, colour_shifts, measure_colours
from imagetree.training.config import TrainConfig
from imagetree.training.device import normalise
from imagetree.training.runs import open_run
from imagetree.training.train import train

from .conftest import SETTINGS, WNIDS, FileImages, MemoryImages
from .test_train import open_at, stop_after, weights_hash

AXES = ColourAxes((9000.0, 400.0, 100.0), ((0.6, 0.6, 0.529150), (0.8, -0.6, 0.0), (0.0, 0.0, 1.0)))
NOISY = {**SETTINGS, "colour_noise": 0.1, "colour_scale": "deviation"}


class Photographs(MemoryImages):
    """The first photographs of Imagenette's val, one of them damaged."""

    def __init__(self, archive: tarfile.TarFile, count: int) -> None:
        members = [
            archive.extractfile(member) for member, _ in zip(archive, range(count), strict=False)
        ]
        self.rows = [member.read() for member in members]
        self.rows[3] = self.rows[3][:300]
        self.labels = np.zeros(count, np.int64)
        self.names = tuple(map(str, range(count)))


def test_colours_of_photographs(imagenette) -> None:
    """Mean, deviation and axes are those of numpy over all pixels; a damaged image is left out."""
    with tarfile.open(imagenette / "val.tar") as archive:
        photographs = Photographs(archive, 20)
    found = measure_colours(photographs, seed=0)
    pixels = np.concatenate(
        [
            cv2.imdecode(np.frombuffer(row, np.uint8), cv2.IMREAD_COLOR_RGB).reshape(-1, 3)
            for place, row in enumerate(photographs.rows)
            if place != 3
        ]
    ).astype(np.float64)
    np.testing.assert_allclose(found.mean, pixels.mean(0), atol=0.2)  # decoders differ a little
    np.testing.assert_allclose(found.std, pixels.std(0), atol=0.2)
    directions, variances = np.array(found.axes.directions), np.array(found.axes.variances)
    rebuilt = directions.T @ np.diag(variances) @ directions
    np.testing.assert_allclose(rebuilt, np.cov(pixels.T, ddof=0), atol=30)
    np.testing.assert_allclose(directions @ directions.T, np.eye(3), atol=1e-5)
    assert variances[0] > 10 * variances[1] > 10 * variances[2] > 0
    assert min(found.axes.directions[0]) > 0.5  # the longest axis is brightness


def test_nothing_to_decode() -> None:
    with pytest.raises(TrainingError, match="none of the first training images can be decoded"):
        measure_colours(MemoryImages(3, damaged=(0, 1, 2)), seed=0)


@pytest.mark.parametrize("scale", ["eigenvalue", "deviation"])
def test_noise_has_the_spread_that_the_source_says(scale: str) -> None:
    """Along each axis: 0.1 variances of pixels in 0..1, or 0.1 deviations; none of them related."""
    axes = AXES._replace(directions=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
    config = TrainConfig(colour_noise=0.1, colour_scale=scale)
    shifts = colour_shifts(axes, config, 0, np.arange(20_000))
    if scale == "eigenvalue":
        expected = 255 * 0.1 * np.array(axes.variances) / 255**2
    else:
        expected = 0.1 * np.sqrt(axes.variances)
    np.testing.assert_allclose(shifts.std(0), expected, rtol=0.02)
    np.testing.assert_allclose(shifts.mean(0) / expected, 0, atol=0.03)
    np.testing.assert_allclose(np.corrcoef(shifts.T), np.eye(3), atol=0.03)
    assert np.mean(np.abs(shifts) > 3 * expected) == pytest.approx(0.0027, abs=0.001)  # Gaussian


def test_noise_lies_along_the_axes() -> None:
    """With one axis all shifts are multiples of its direction."""
    axes = AXES._replace(variances=(9000.0, 0.0, 0.0))
    shifts = colour_shifts(axes, TrainConfig(colour_noise=0.1), 0, np.arange(50))
    along = shifts @ np.array(axes.directions[0])
    np.testing.assert_allclose(shifts, along[:, None] * np.array(axes.directions[0]), atol=1e-4)
    assert np.abs(along).max() > 1


def test_noise_depends_on_seed_epoch_and_image_alone() -> None:
    """Not on the batch that an image is in; anew in each epoch."""
    config = TrainConfig(colour_noise=0.1)
    whole = colour_shifts(AXES, config, 3, np.arange(30))
    for part in (slice(0, 7), slice(11, 12), slice(29, None, -2)):
        assert np.array_equal(colour_shifts(AXES, config, 3, np.arange(30)[part]), whole[part])
    for other in (
        colour_shifts(AXES, config, 4, np.arange(30)),
        colour_shifts(AXES, replace(config, seed=1), 3, np.arange(30)),
        colour_shifts(AXES, config, 3, np.arange(30) + 30),
    ):
        assert not (other == whole).any()
    assert whole.dtype == np.float32


def test_no_noise_is_no_work() -> None:
    assert colour_shifts(None, TrainConfig(), 0, np.arange(3)) is None


def test_shifts_are_added_before_normalisation() -> None:
    """Every pixel of an image by the same, in 0..255, beyond its ends too."""
    pixels = np.array([0, 255], np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    shifts = np.array([[-10, 0, 5], [1, 2, 3]], np.float32)
    mean, std = (100.0, 110.0, 120.0), (50.0, 60.0, 70.0)
    found = normalise(pixels, torch.device("cpu"), mean, std, shifts=shifts)
    expected = (pixels + shifts[:, None, None] - np.array(mean)) / np.array(std)
    np.testing.assert_allclose(found.numpy(), expected.transpose(0, 3, 1, 2), rtol=1e-5)


@pytest.mark.slow
def test_interrupted_run_with_noise_ends_with_the_same_weights(
    tmp_path, images: MemoryImages, minival: MemoryImages
) -> None:
    """Ctrl-C in the second epoch, and images from files by workers, change no weight."""
    config = TrainConfig(**NOISY)
    whole = open_at(tmp_path / "whole", config)
    assert train(whole, WNIDS, images, minival).is_finished
    folders = [tmp_path / "images", tmp_path / "minival"]
    for folder in folders:
        folder.mkdir()
    broken = open_at(tmp_path / "broken", replace(config, workers=1))
    files = FileImages(folders[0], images), FileImages(folders[1], minival)
    assert not train(broken, WNIDS, *files, stop_after(7)).is_finished
    kept = load_checkpoint(broken.checkpoint_path)
    assert kept.axes == measure_colours(images, config.seed).axes
    assert train(broken, WNIDS, *files).is_finished
    assert weights_hash(broken) == weights_hash(whole)
    quiet = open_at(tmp_path / "quiet", TrainConfig(**SETTINGS))
    train(quiet, WNIDS, images, minival)
    assert weights_hash(quiet) != weights_hash(whole)


def test_checkpoint_that_does_not_know_the_axes_is_refused(
    tmp_path, images: MemoryImages, minival: MemoryImages
) -> None:
    """One of an earlier version, in a run with noise."""
    run = open_run(tmp_path, TrainConfig(**NOISY), tmp_path, "sqlite:////images.db")
    train(run, WNIDS, images, minival, stop_after(2))
    save_checkpoint(run.checkpoint_path, replace(load_checkpoint(run.checkpoint_path), axes=None))
    with pytest.raises(TrainingError, match="does not say along which axes the colours vary"):
        train(run, WNIDS, images, minival)
