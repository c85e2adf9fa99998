"""On a GPU: the pack lies there, crops are cut there, and a run is repeatable to the bit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from imagetree.training.batches import EpochPart
from imagetree.training.config import TrainConfig
from imagetree.training.pack import PackedImages
from imagetree.training.resident import (
    ResidentImages,
    iter_resident_batches,
    resident_where_it_fits,
)
from imagetree.training.state import TrainingState
from imagetree.training.step import train_step
from imagetree.training.train import train

from .conftest import SETTINGS, WNIDS, MemoryImages
from .test_resident import Packed
from .test_train import open_at, weights_hash

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here"),
]
ON_GPU = SETTINGS | {"device": "cuda"}


def test_crops_are_those_of_the_processor() -> None:
    """Up to the rounding of the interpolation."""
    config = TrainConfig(**ON_GPU)
    pairs = zip(
        *(
            iter_resident_batches(
                ResidentImages(Packed(), torch.device(kind)), config, EpochPart(1)
            )
            for kind in ("cpu", "cuda")
        ),
        strict=True,
    )
    for here, there in pairs:
        assert there.pixels.device.type == "cuda"
        assert np.array_equal(here.labels, there.labels)
        assert (here.pixels - there.pixels.cpu()).abs().max() < 0.1


def test_pack_that_does_not_fit_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = Packed()
    device = torch.device("cuda")
    monkeypatch.setattr("imagetree.training.resident.PackedImages", Packed)
    assert isinstance(resident_where_it_fits(packed, device), ResidentImages)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000, 10**9))
    assert resident_where_it_fits(packed, device) is None
    assert not isinstance(packed, PackedImages)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_run_is_repeatable(
    tmp_path: Path, precision: str, images: MemoryImages, minival: MemoryImages
) -> None:
    """Small images first, which the last pooling adapts to; dropout; evaluation; a checkpoint."""
    settings = ON_GPU | {"precision": precision, "deterministic": True, "dropout": 0.5}
    config = TrainConfig(**settings | {"start_size": 67, "input_size": 99, "test_size": 99})
    hashes = []
    for name in ("first", "second"):
        run = open_at(tmp_path / name, config)
        assert train(run, WNIDS, images, minival).is_finished
        hashes.append(weights_hash(run))
    assert hashes[0] == hashes[1]


def test_first_loss_is_that_of_the_processor(tmp_path: Path, images: MemoryImages) -> None:
    """The same weights, the same images, in float32."""
    losses = []
    for kind in ("cpu", "cuda"):
        config = replace(TrainConfig(**SETTINGS), device=kind, precision="fp32", dropout=0.0)
        state = TrainingState(open_at(tmp_path / kind, config), WNIDS, images, images)
        resident = ResidentImages(Packed(), torch.device(kind))
        batch = next(iter_resident_batches(resident, config, EpochPart(0)))
        losses.append(train_step(state, batch))
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
