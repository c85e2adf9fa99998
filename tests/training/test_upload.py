"""Batches reach the device as they were filled, one ahead on a GPU; and every bit is repeatable."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from imagetree.training.batches import Batch
from imagetree.training.config import TrainConfig
from imagetree.training.device import on_device, repeatable
from imagetree.training.train import train
from imagetree.training.upload import iter_uploaded

from .conftest import SETTINGS, WNIDS, MemoryImages
from .test_train import open_at, weights_hash

SHARED = np.zeros((4, 8, 8, 3), np.uint8)


def filled():
    """Batches in one memory that is written anew each time, as the workers' is."""
    for number in range(5):
        SHARED[:] = number
        indices = np.arange(4) + 4 * number
        yield Batch(SHARED, indices % 2, indices, np.ones(4, np.bool_), ())


@pytest.mark.parametrize("kind", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_each_batch_arrives_whole_and_in_order(kind: str) -> None:
    device = torch.device(kind)
    seen = []
    for batch in iter_uploaded(filled(), device):
        pixels = on_device(batch.pixels, device)
        assert pixels.dtype == torch.float32
        assert pixels.device.type == kind
        seen.append((float(pixels.min()), float(pixels.max()), batch.indices.tolist()))
    assert seen == [(n, n, list(range(4 * n, 4 * n + 4))) for n in range(5)]


def test_a_cpu_copies_nothing() -> None:
    assert next(iter_uploaded(filled(), torch.device("cpu"))).pixels is SHARED


@pytest.mark.slow
def test_deterministic_mode_is_on_in_training_alone(
    tmp_path, images: MemoryImages, minival: MemoryImages
) -> None:
    """It runs the whole network, training and evaluation, to the same bits; and ends with it."""
    seen = []

    def note(_progress) -> None:
        seen.append(torch.are_deterministic_algorithms_enabled())

    hashes = []
    for name in ("first", "second"):
        settings = SETTINGS | {"architecture": "single_gpu", "epochs": 1, "deterministic": True}
        run = open_at(tmp_path / name, TrainConfig(**settings))
        train(run, WNIDS, images, minival, note)
        hashes.append(weights_hash(run))
    assert hashes[0] == hashes[1]
    assert set(seen) == {True}
    assert not torch.are_deterministic_algorithms_enabled()


def test_what_is_not_repeatable_is_refused(monkeypatch) -> None:
    """An operation of torch without a repeatable form raises, and the workspace is of one size."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with repeatable(True):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        with pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
            torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2), accumulate=False)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
