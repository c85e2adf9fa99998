"""Brightness, contrast and saturation at random: what Pillow makes of an image, on the device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from imagetree.errors import TrainingError
from imagetree.training.config import TrainConfig
from imagetree.training.jitter import jitter, jitter_factors
from imagetree.training.train import train

from .conftest import SETTINGS, WNIDS, MemoryImages
from .test_train import open_at, stop_after, weights_hash


def pictures() -> np.ndarray:
    """Colours so far from black and white that nothing is cut off."""
    rng = np.random.default_rng(0)
    return rng.integers(90, 150, (4, 20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "factors", [(1.2, 1, 1), (0.8, 1, 1), (1, 1.3, 1), (1, 1, 0.5), (1, 1, 1.4), (1.1, 0.8, 1.2)]
)
def test_it_is_what_pillow_makes(factors) -> None:
    """Within the rounding to whole numbers after each of Pillow's three steps."""
    given = pictures()
    found = jitter(torch.from_numpy(given).float(), np.float32([factors] * len(given)))
    for image, changed in zip(given, found.numpy(), strict=True):
        expected = Image.fromarray(image)
        for kind, factor in zip(("Brightness", "Contrast", "Color"), factors, strict=True):
            expected = getattr(ImageEnhance, kind)(expected).enhance(factor)
        np.testing.assert_allclose(changed, np.array(expected), atol=3)


def test_each_image_has_factors_of_its_own_whatever_its_batch() -> None:
    config = TrainConfig(jitter=0.4)
    factors = jitter_factors(config, 2, np.arange(4))
    whole = jitter(torch.from_numpy(pictures()).float(), factors)
    for part in (slice(0, 1), slice(2, None), slice(None, None, -1)):
        own = jitter_factors(config, 2, np.arange(4)[part])
        assert torch.equal(
            jitter(torch.from_numpy(pictures()[part].copy()).float(), own),
            whole[list(range(4))[part]],
        )
    for other in (
        jitter_factors(config, 3, np.arange(4)),
        jitter_factors(replace(config, seed=1), 2, np.arange(4)),
    ):
        assert not (other == factors).any()


def test_factors_fill_their_range_evenly() -> None:
    factors = jitter_factors(TrainConfig(jitter=0.4), 0, np.arange(5000))
    np.testing.assert_allclose(factors.min(0), 0.6, atol=0.002)
    np.testing.assert_allclose(factors.max(0), 1.4, atol=0.002)
    np.testing.assert_allclose(factors.mean(0), 1.0, atol=0.01)
    np.testing.assert_allclose(np.corrcoef(factors.T), np.eye(3), atol=0.05)


@pytest.mark.slow
def test_a_run_with_jitter_is_another_and_goes_on_where_it_was(
    tmp_path, images: MemoryImages, minival: MemoryImages
) -> None:
    config = TrainConfig(**{**SETTINGS, "jitter": 0.3})
    whole, broken = open_at(tmp_path / "whole", config), open_at(tmp_path / "broken", config)
    assert train(whole, WNIDS, images, minival).is_finished
    assert not train(broken, WNIDS, images, minival, stop_after(3)).is_finished
    assert train(broken, WNIDS, images, minival).is_finished
    assert weights_hash(broken) == weights_hash(whole)
    plain = open_at(tmp_path / "plain", TrainConfig(**SETTINGS))
    train(plain, WNIDS, images, minival)
    assert weights_hash(plain) != weights_hash(whole)


def test_no_jitter_is_no_work_and_more_than_one_has_no_meaning() -> None:
    assert jitter_factors(TrainConfig(), 0, np.arange(3)) is None
    with pytest.raises(TrainingError, match=r"jitter is 1.5 \(expected in \[0, 1\]\)"):
        TrainConfig(jitter=1.5)
