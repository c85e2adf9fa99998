"""Batches: the same pixels whatever the threads, and a bad image never ends a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from imagetree.errors import TrainingError
from imagetree.training.batches import iter_centre_batches, iter_train_batches

from .conftest import MemoryImages

if TYPE_CHECKING:
    from imagetree.training.config import TrainConfig


def test_threads_change_nothing(images: MemoryImages, config: TrainConfig) -> None:
    """One thread and three make bit for bit the same batches."""
    one, three = (
        list(iter_train_batches(images, replace(config, threads=threads), epoch=1))
        for threads in (1, 3)
    )
    assert len(one) == len(three) == 5
    for left, right in zip(one, three, strict=True):
        assert np.array_equal(left.pixels, right.pixels)
        assert np.array_equal(left.labels, right.labels)


def test_going_on_in_the_middle(images: MemoryImages, config: TrainConfig) -> None:
    """The batches from step 3 on are those of the whole epoch."""
    whole = list(iter_train_batches(images, config, epoch=0))
    rest = list(iter_train_batches(images, config, epoch=0, first_step=3))
    assert [b.pixels.tobytes() for b in rest] == [b.pixels.tobytes() for b in whole[3:]]


def test_an_epoch_sees_every_image_once(images: MemoryImages, config: TrainConfig) -> None:
    """With whole batches both classes come out as often as they are there; epochs differ."""
    first, second = (list(iter_train_batches(images, config, epoch)) for epoch in (0, 1))
    labels = np.concatenate([batch.labels for batch in first])
    assert np.bincount(labels).tolist() == [20, 20]
    assert first[0].pixels.tobytes() != second[0].pixels.tobytes()


def test_damaged_image_is_replaced_and_listed(config: TrainConfig) -> None:
    """The next draw takes its place, the same one for any number of threads."""
    images = MemoryImages(16, damaged=(3, 7))
    runs = []
    for threads in (1, 2):
        batches = list(iter_train_batches(images, replace(config, threads=threads), epoch=0))
        assert sorted({bad.index for batch in batches for bad in batch.bad}) == [3, 7]
        assert all(bad.reason.startswith("damaged: ") for b in batches for bad in b.bad)
        assert all(batch.is_readable.all() for batch in batches)
        runs.append([batch.pixels.tobytes() for batch in batches])
    assert runs[0] == runs[1]


def test_nothing_but_damaged_images_ends_the_run(config: TrainConfig) -> None:
    images = MemoryImages(8, damaged=tuple(range(8)))
    with pytest.raises(TrainingError, match="20 draws in a row cannot be decoded"):
        list(iter_train_batches(images, config, epoch=0))


def test_evaluation_counts_each_image_once() -> None:
    """In order, the last batch short, a damaged image blank and marked."""
    images = MemoryImages(21, damaged=(20,))
    batches = list(iter_centre_batches(images, 32, batch_size=8, threads=2))
    assert [len(batch.labels) for batch in batches] == [8, 8, 5]
    assert np.concatenate([b.labels for b in batches]).tolist() == images.labels.tolist()
    readable = np.concatenate([b.is_readable for b in batches])
    assert readable.tolist() == [True] * 20 + [False]
    assert not batches[-1].pixels[-1].any()
    assert [bad.index for bad in batches[-1].bad] == [20]
