"""The filters are kept at the right steps and bit for bit; the training error is counted."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from imagetree.alexnet.network import AlexNet
from imagetree.errors import TrainingError
from imagetree.training.checkpoints import load_checkpoint, save_checkpoint
from imagetree.training.config import TrainConfig
from imagetree.training.log import read_log
from imagetree.training.runs import Run, open_run
from imagetree.training.snapshots import (
    TENSOR,
    Snapshot,
    drop_snapshots_after,
    is_due,
    load_snapshots,
    save_snapshot,
)
from imagetree.training.train import Progress, train

from .conftest import SETTINGS, WNIDS, MemoryImages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

FILTERS = np.random.default_rng(0).normal(size=(4, 3, 5, 5)).astype(np.float32)


def test_due_steps_are_1_2_5_and_the_ends_of_epochs() -> None:
    due = [step for step in range(1200) if is_due(step, steps_per_epoch=300)]
    assert due == [0, 1, 2, 5, 10, 20, 50, 100, 200, 300, 500, 600, 900, 1000]


def test_what_is_saved_is_read_back_exactly_in_the_order_of_steps(tmp_path: Path) -> None:
    """Every bit, also of an array that is no row after row in memory, as torch's may be."""
    channels_last = np.ascontiguousarray(FILTERS.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for step, filters in ((200, -FILTERS), (0, channels_last), (1000, 2 * FILTERS)):
        save_snapshot(tmp_path, Snapshot(step, filters))
    read = load_snapshots(tmp_path)
    assert [snapshot.step for snapshot in read] == [0, 200, 1000]
    assert read[0].filters.tobytes() == FILTERS.tobytes()
    assert np.array_equal(read[2].filters, 2 * FILTERS)


def test_run_without_snapshots_has_none(tmp_path: Path) -> None:
    assert load_snapshots(tmp_path) == ()


def test_later_snapshots_are_dropped(tmp_path: Path) -> None:
    for step in (0, 5, 10, 20):
        save_snapshot(tmp_path, Snapshot(step, FILTERS))
    drop_snapshots_after(tmp_path, 10)
    assert [snapshot.step for snapshot in load_snapshots(tmp_path)] == [0, 5, 10]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a whole snapshot"),
        (save({TENSOR: FILTERS})[:-1], "not a whole snapshot"),
        (save({"conv2.weight": FILTERS}), r"holds the tensors \['conv2.weight'\]"),
        (save({TENSOR: FILTERS.astype(np.float64)}), "filters are float64"),
        (save({TENSOR: FILTERS[:, :2]}), r"shape \(4, 2, 5, 5\)"),
        (save({TENSOR: FILTERS[:0]}), "no filters"),
        (save({TENSOR: FILTERS * np.float32(np.inf)}), "no finite number"),
        (save({TENSOR: FILTERS[:3]}), r"expected \(4, 3, 5, 5\), as at step 0"),
    ],
)
def test_damaged_snapshot_is_refused_by_name(tmp_path: Path, data: bytes, words: str) -> None:
    save_snapshot(tmp_path, Snapshot(0, FILTERS))
    (tmp_path / "filters" / "step_00000005.safetensors").write_bytes(data)
    with pytest.raises(TrainingError, match=rf"step_00000005.*{words}.*\nhint: delete the file"):
        load_snapshots(tmp_path)


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    """What a killed writer or somebody else left there is no snapshot, and is not removed."""
    save_snapshot(tmp_path, Snapshot(0, FILTERS))
    others = [".step_00000001.safetensors.host-1-ab.part", "step_1.safetensors", "notes.txt"]
    for name in others:
        (tmp_path / "filters" / name).write_bytes(b"x")
    assert len(load_snapshots(tmp_path)) == 1
    drop_snapshots_after(tmp_path, -1)
    assert sorted(path.name for path in (tmp_path / "filters").iterdir()) == sorted(others)


def open_at(folder: Path) -> Run:
    config = TrainConfig(**{**SETTINGS, "epochs": 3})
    return open_run(folder, config, folder / "challenge", "sqlite:////images.db")


def stop_after(step: int) -> Callable[[Progress], None]:
    """Send this process the signal of Ctrl-C after a step."""

    def note(now: Progress) -> None:
        if now.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return note


def kept_files(run: Run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((run.folder / "filters").iterdir())}


def epochs_of(run: Run) -> list[dict[str, object]]:
    return [record for record in read_log(run.folder) if record["kind"] == "epoch"]


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, images: MemoryImages, minival: MemoryImages
) -> Run:
    """A run of three epochs of five steps that nothing disturbed."""
    run = open_at(tmp_path_factory.mktemp("whole"))
    train(run, WNIDS, images, minival)
    return run


def test_run_keeps_its_filters(whole: Run) -> None:
    """From the initial weights to those of the checkpoint, both bit for bit."""
    snapshots = load_snapshots(whole.folder)
    assert [snapshot.step for snapshot in snapshots] == [0, 1, 2, 5, 10, 15]
    initial = AlexNet(whole.config.network, 2, whole.config.input_size, seed=whole.config.seed)
    last = load_checkpoint(whole.checkpoint_path).network[TENSOR]
    assert torch.equal(torch.from_numpy(snapshots[0].filters), initial.get_parameter(TENSOR))
    assert torch.equal(torch.from_numpy(snapshots[-1].filters), last)
    assert len({snapshot.filters.tobytes() for snapshot in snapshots}) == 6


def test_training_error_is_that_of_the_batches(
    tmp_path: Path, whole: Run, images: MemoryImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted again from the logits of every training step, it is the one that the log has."""
    misses: list[int] = []
    forward = AlexNet.forward

    def counting(network: AlexNet, x: torch.Tensor) -> torch.Tensor:
        logits = forward(network, x)
        if network.training:
            misses.extend(logits.argmax(1).tolist())
        return logits

    seen: list[int] = []
    from imagetree.training import train as loop

    batches = loop.iter_train_batches

    def labelled(*arguments: object) -> object:
        for batch in batches(*arguments):
            seen.extend(batch.labels.tolist())
            yield batch

    monkeypatch.setattr(AlexNet, "forward", counting)
    monkeypatch.setattr(loop, "iter_train_batches", labelled)
    run = open_at(tmp_path)
    train(run, WNIDS, images, images)
    wrong = np.reshape(np.array(misses) != np.array(seen), (3, 40)).mean(1)
    assert [record["train_top1_error"] for record in epochs_of(run)] == wrong.tolist()
    assert wrong[0] > wrong[2]


@pytest.mark.parametrize("step", [1, 5, 8, 15])
def test_interrupted_run_ends_with_the_same_files_and_errors(
    tmp_path: Path, whole: Run, images: MemoryImages, minival: MemoryImages, step: int
) -> None:
    """Broken off in the first epoch, at the end of one, amid one and after the last step."""
    run = open_at(tmp_path)
    train(run, WNIDS, images, minival, stop_after(step))
    train(run, WNIDS, images, minival)
    assert kept_files(run) == kept_files(whole)
    assert epochs_of(run) == epochs_of(whole)


def test_killed_run_drops_what_was_kept_after_its_checkpoint(
    tmp_path: Path, whole: Run, images: MemoryImages, minival: MemoryImages
) -> None:
    """A process that died long after its last checkpoint left files of steps yet to be made."""
    run = open_at(tmp_path)
    train(run, WNIDS, images, minival, stop_after(4))
    save_snapshot(tmp_path, Snapshot(700, FILTERS))
    train(run, WNIDS, images, minival)
    assert kept_files(run) == kept_files(whole)


def test_checkpoint_that_does_not_count_is_gone_on_with(
    tmp_path: Path, images: MemoryImages, minival: MemoryImages
) -> None:
    """Of an earlier version, at the end of an epoch: that epoch's training error stays unknown."""
    run = open_at(tmp_path)
    train(run, WNIDS, images, minival, stop_after(5))
    checkpoint = load_checkpoint(run.checkpoint_path)
    assert checkpoint.num_seen == 40
    save_checkpoint(run.checkpoint_path, replace(checkpoint, num_seen=0, num_misses=0))
    assert train(run, WNIDS, images, minival).is_finished
    assert ["train_top1_error" in record for record in epochs_of(run)] == [False, True, True]
