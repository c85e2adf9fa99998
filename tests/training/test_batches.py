"""Batches: the same pixels whatever the workers, and a bad image never ends a run."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from imagetree.errors import TrainingError
from imagetree.training.batches import (
    Batch,
    EpochPart,
    Images,
    eval_batch_bytes,
    iter_centre_batches,
    iter_train_batches,
    train_batch_bytes,
)
from imagetree.training.feeder import Feeder

from .conftest import FileImages, MemoryImages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from imagetree.training.config import TrainConfig


@contextmanager
def feeding(images: Images, config: TrainConfig, workers: int = 0) -> Iterator[Feeder]:
    with Feeder(images.reader, workers, train_batch_bytes(config)) as feeder:
        yield feeder


def kept(batches: Iterator[Batch]) -> list[tuple[bytes, list[int]]]:
    """Pixels and labels of each batch, which is written anew when the next one is asked for."""
    return [(batch.pixels.tobytes(), batch.labels.tolist()) for batch in batches]


@pytest.mark.slow
def test_workers_change_nothing(tmp_path: Path, images: MemoryImages, config: TrainConfig) -> None:
    """No worker, one and three make bit for bit the same batches, epoch after epoch."""
    runs = []
    for workers in (0, 1, 3):
        files = FileImages(tmp_path, images)
        with feeding(files, config, workers) as feeder:
            runs.append(
                [kept(iter_train_batches(feeder, files, config, EpochPart(e))) for e in (0, 1)]
            )
    assert runs[0] == runs[1] == runs[2]
    assert len(runs[0][0]) == 5


def test_batch_in_hand_is_not_written(
    tmp_path: Path, images: MemoryImages, config: TrainConfig
) -> None:
    """While it is looked at, the workers fill others; what was left off fills none later."""
    files = FileImages(tmp_path, images)
    with feeding(files, config, 2) as feeder:
        wanted = kept(iter_train_batches(feeder, files, config, EpochPart(0)))
        for batch in iter_train_batches(feeder, files, config, EpochPart(1)):  # left off at once
            assert batch.pixels.any()
            break
        for batch, (pixels, _) in zip(
            iter_train_batches(feeder, files, config, EpochPart(0)), wanted, strict=True
        ):
            first = batch.pixels.tobytes()
            np.linalg.svd(np.ones((200, 200)))  # time for the workers
            assert first == batch.pixels.tobytes() == pixels


def test_going_on_in_the_middle(images: MemoryImages, config: TrainConfig) -> None:
    """The batches from step 3 on are those of the whole epoch."""
    with feeding(images, config) as feeder:
        whole = kept(iter_train_batches(feeder, images, config, EpochPart(0)))
        rest = kept(iter_train_batches(feeder, images, config, EpochPart(0, 3)))
    assert rest == whole[3:]


def test_processes_share_each_batch(images: MemoryImages, config: TrainConfig) -> None:
    """Two get every other image of the batches that one alone would get."""
    with feeding(images, config) as feeder:
        batches = iter_train_batches(feeder, images, config, EpochPart(1))
        whole = [batch.pixels.copy() for batch in batches]
        for rank in (0, 1):
            part = EpochPart(1, rank=rank, size=2)
            shares = iter_train_batches(feeder, images, config, part)
            for batch, share in zip(whole, shares, strict=True):
                assert np.array_equal(batch[rank::2], share.pixels)


def test_an_epoch_sees_every_image_once(images: MemoryImages, config: TrainConfig) -> None:
    """With whole batches both classes come out as often as they are there; epochs differ."""
    with feeding(images, config) as feeder:
        first, second = (
            kept(iter_train_batches(feeder, images, config, EpochPart(epoch))) for epoch in (0, 1)
        )
    assert sorted(label for _, labels in first for label in labels) == [0] * 20 + [1] * 20
    assert first[0][0] != second[0][0]


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_image_is_replaced_and_listed(
    tmp_path: Path, config: TrainConfig, workers: int
) -> None:
    """The next draw takes its place, the same one for any number of workers."""
    images = MemoryImages(16, damaged=(3, 7))
    files = FileImages(tmp_path, images)
    batches, bad = [], []
    with feeding(files, config, workers) as feeder:
        for batch in iter_train_batches(feeder, files, config, EpochPart(0)):
            assert batch.is_readable.all()
            assert batch.pixels.reshape(len(batch.pixels), -1).any(axis=1).all()
            batches.append((batch.pixels.tobytes(), batch.labels.tolist()))
            bad += batch.bad
    assert sorted({each.index for each in bad}) == [3, 7]
    assert all(each.reason.startswith("damaged: ") for each in bad)
    with feeding(images, config) as feeder:
        assert batches == kept(iter_train_batches(feeder, images, config, EpochPart(0)))


def test_nothing_but_damaged_images_ends_the_run(config: TrainConfig) -> None:
    images = MemoryImages(8, damaged=tuple(range(8)))
    with (
        feeding(images, config) as feeder,
        pytest.raises(TrainingError, match="20 draws in a row cannot be decoded"),
    ):
        list(iter_train_batches(feeder, images, config, EpochPart(0)))


def test_evaluation_counts_each_image_once() -> None:
    """In order, the last batch short, a damaged image blank and marked."""
    images = MemoryImages(150, damaged=(149,))
    with Feeder(images.reader, 0, eval_batch_bytes(32)) as feeder:
        batches = [
            (batch.labels.tolist(), batch.is_readable.tolist(), batch.pixels[-1].any(), batch.bad)
            for batch in iter_centre_batches(feeder, images, 32)
        ]
    assert [len(labels) for labels, *_ in batches] == [128, 22]
    assert [label for labels, *_ in batches for label in labels] == images.labels.tolist()
    assert batches[0][1] + batches[1][1] == [True] * 149 + [False]
    assert not batches[1][2]
    assert [bad.index for bad in batches[1][3]] == [149]
