"""A pack on the device: the crops that workers would cut, up to rounding."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from imagetree.errors import TrainingError
from imagetree.training.batches import EpochPart, iter_train_batches, train_batch_bytes
from imagetree.training.feeder import Feeder
from imagetree.training.pack import PackInfo
from imagetree.training.resident import (
    ResidentImages,
    iter_resident_batches,
    resident_where_it_fits,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imagetree.training.config import TrainConfig


class Pixels:
    """Gives smooth pictures of 96 x 96 by their number, as a pack's reader does."""

    def __init__(self, count: int, bad: tuple[int, ...]) -> None:
        rng = np.random.default_rng(0)
        coarse = torch.from_numpy(rng.uniform(0, 255, (count, 3, 7, 7)))
        smooth = torch.nn.functional.interpolate(coarse, 96, mode="bicubic").clamp(0, 255)
        self.pictures = smooth.permute(0, 2, 3, 1).to(torch.uint8).numpy()
        self.info = PackInfo("pixels", 96, count, 512, "", dict.fromkeys(bad, "damaged"))

    def read(self, row: int) -> NDArray[np.uint8]:
        return self.pictures[row]


class Packed:
    """A pack in memory."""

    def __init__(self, count: int = 40, bad: tuple[int, ...] = ()) -> None:
        self.reader = Pixels(count, bad)
        self.labels = np.arange(count, dtype=np.int64) % 2
        self.rows = range(count)
        self.names = tuple(map(str, self.rows))


@pytest.mark.parametrize("crop", ["area", "window"])
def test_crops_are_those_of_the_workers(config: TrainConfig, crop: str) -> None:
    """Within a level and a half of 256 away from the border, mirrored alike; labels the same."""
    config = replace(config, crop=crop)
    packed = Packed()
    resident = ResidentImages(packed, torch.device("cpu"))
    part = EpochPart(1)
    with Feeder(packed.reader, 0, train_batch_bytes(config)) as feeder:
        pairs = zip(
            iter_train_batches(feeder, packed, config, part),
            iter_resident_batches(resident, config, part),
            strict=True,
        )
        for fed, cut in pairs:
            assert fed.labels.tolist() == cut.labels.tolist()
            assert cut.pixels.shape == fed.pixels.shape
            inner = (slice(None), slice(2, -2), slice(2, -2))
            assert np.abs(fed.pixels[inner] - cut.pixels.numpy()[inner]).max() <= 1.5


def test_bad_images_are_replaced_by_the_next_draw(config: TrainConfig) -> None:
    resident = ResidentImages(Packed(bad=(3, 8)), torch.device("cpu"))
    batches = list(iter_resident_batches(resident, config, EpochPart(0)))
    assert all(batch.pixels.flatten(1).amax(1).min() > 0 for batch in batches)
    empty = ResidentImages(Packed(bad=tuple(range(40))), torch.device("cpu"))
    with pytest.raises(TrainingError, match="none of the packed images"):
        next(iter_resident_batches(empty, config, EpochPart(0)))


def test_processes_share_each_batch(config: TrainConfig) -> None:
    resident = ResidentImages(Packed(), torch.device("cpu"))
    whole = list(iter_resident_batches(resident, config, EpochPart(0, 2)))
    for rank in (0, 1):
        shares = iter_resident_batches(resident, config, EpochPart(0, 2, rank, 2))
        for batch, share in zip(whole, shares, strict=True):
            assert torch.equal(batch.pixels[rank::2], share.pixels)


def test_the_cpu_needs_no_copy() -> None:
    """Its workers read the pack where it lies."""
    assert resident_where_it_fits(Packed(), torch.device("cpu")) is None
