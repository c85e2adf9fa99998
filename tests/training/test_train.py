"""Training: it learns, two runs agree bit for bit, and nothing breaks a run for good."""

from __future__ import annotations

import hashlib
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imagetree.errors import TrainingError
from imagetree.training.checkpoints import load_checkpoint
from imagetree.training.log import read_log
from imagetree.training.runs import Run, load_run, open_run
from imagetree.training.train import Progress, Result, train

from .conftest import WNIDS, FileImages, MemoryImages

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagetree.training.config import TrainConfig


def weights_hash(run: Run) -> str:
    """SHA-256 over every weight of the run's checkpoint."""
    digest = hashlib.sha256()
    for name, tensor in sorted(load_checkpoint(run.checkpoint_path).network.items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def open_at(folder: Path, config: TrainConfig) -> Run:
    return open_run(folder, config, folder / "challenge", "sqlite:////images.db")


def stop_after(step: int, number: int = signal.SIGINT) -> Callable[[Progress], None]:
    """Send this process a signal after a step."""

    def note(now: Progress) -> None:
        if now.step == step:
            os.kill(os.getpid(), number)

    return note


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, images: MemoryImages, minival: MemoryImages
) -> tuple[Run, Result]:
    """A run of three epochs that nothing disturbed."""
    from imagetree.training.config import TrainConfig

    from .conftest import SETTINGS

    run = open_at(tmp_path_factory.mktemp("whole"), TrainConfig(**{**SETTINGS, "epochs": 3}))
    return run, train(run, WNIDS, images, minival)


def test_it_learns(whole: tuple[Run, Result]) -> None:
    """The loss of the last steps is below half of the first, and minival is answered."""
    run, result = whole
    assert result.is_finished
    assert result.step == result.num_steps == 15
    assert result.minival_error is not None
    assert result.minival_error <= 0.2
    records = read_log(run.folder)
    epochs = [record for record in records if record["kind"] == "epoch"]
    assert [record["epoch"] for record in epochs] == [1, 2, 3]
    assert any((run.folder / "tensorboard").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "number"), [(1, signal.SIGINT), (5, signal.SIGTERM), (8, signal.SIGINT)]
)
def test_interrupted_run_ends_with_the_same_weights(
    tmp_path: Path,
    whole: tuple[Run, Result],
    images: MemoryImages,
    minival: MemoryImages,
    step: int,
    number: int,
) -> None:
    """Ctrl-C or SIGTERM at the start, the end or amid an epoch, then the same command again."""
    run = open_at(tmp_path, whole[0].config)
    broken = train(run, WNIDS, images, minival, stop_after(step, number))
    assert not broken.is_finished
    assert broken.step == step
    assert load_checkpoint(run.checkpoint_path).step == step
    assert train(run, WNIDS, images, minival).is_finished
    assert weights_hash(run) == weights_hash(whole[0])
    steps = [record["step"] for record in read_log(run.folder) if record["kind"] == "step"]
    assert steps == sorted(set(steps))


@pytest.mark.slow
def test_workers_change_no_weight(
    tmp_path: Path, whole: tuple[Run, Result], images: MemoryImages, minival: MemoryImages
) -> None:
    """Nor does it matter that the images lie in files."""
    run = open_at(tmp_path, replace(whole[0].config, workers=2))
    folders = [tmp_path / "images", tmp_path / "minival"]
    for folder in folders:
        folder.mkdir()
    train(run, WNIDS, FileImages(folders[0], images), FileImages(folders[1], minival))
    assert weights_hash(run) == weights_hash(whole[0])


def test_finished_run_is_left_alone(
    whole: tuple[Run, Result], images: MemoryImages, minival: MemoryImages
) -> None:
    """The same command again changes no byte of the checkpoint and tells the same error."""
    run, result = whole
    before = run.checkpoint_path.stat().st_mtime_ns
    assert train(run, WNIDS, images, minival) == result
    assert run.checkpoint_path.stat().st_mtime_ns == before


def test_finished_checkpoint_holds_no_momentum(whole: tuple[Run, Result]) -> None:
    checkpoint = load_checkpoint(whole[0].checkpoint_path)
    assert checkpoint.is_finished
    assert checkpoint.momentum == {}


def test_damaged_images_are_listed_once(
    tmp_path: Path, config: TrainConfig, minival: MemoryImages
) -> None:
    run = open_at(tmp_path, config)
    result = train(run, WNIDS, MemoryImages(16, damaged=(2, 9)), minival)
    listed = [record for record in read_log(tmp_path) if record["kind"] == "bad image"]
    assert result.num_bad == 2
    assert sorted(record["name"] for record in listed) == ["image_2", "image_9"]
    assert all(record["reason"].startswith("damaged") for record in listed)


def test_loss_that_is_no_number_ends_the_run_with_advice(
    tmp_path: Path, config: TrainConfig, images: MemoryImages, minival: MemoryImages
) -> None:
    """single_gpu with an absurd learning rate: the step, and what to try."""
    wild = replace(config, architecture="single_gpu", lr=1e20, warmup_share=0.0)
    told = r"step \d+: the loss is (nan|inf)\nhint: .*--lr.*; no checkpoint was written yet"
    with pytest.raises(TrainingError, match=told):
        train(open_at(tmp_path, wild), WNIDS, images, minival)
    often = open_at(tmp_path, replace(wild, checkpoint_minutes=1e-9))
    with pytest.raises(TrainingError, match="the last good checkpoint, of step ") as caught:
        train(often, WNIDS, images, minival)
    assert str(often.checkpoint_path) in str(caught.value)
    step = load_checkpoint(often.checkpoint_path).step
    assert f"of step {step}, is" in str(caught.value)


def test_other_settings_in_the_same_folder(whole: tuple[Run, Result]) -> None:
    run = whole[0]
    with pytest.raises(TrainingError, match=r"another run is here .lr 0\.01 there, 0\.5 here."):
        open_at(run.folder, replace(run.config, lr=0.5))
    assert open_at(run.folder, replace(run.config, workers=5)).config.workers == 5
    assert open_at(run.folder, run.config) == run


def test_checkpoint_of_another_architecture(
    tmp_path: Path, whole: tuple[Run, Result], images: MemoryImages, minival: MemoryImages
) -> None:
    """A checkpoint copied from another run is refused before a step is made."""
    run = open_at(tmp_path, replace(whole[0].config, architecture="single_gpu"))
    run.checkpoint_path.write_bytes(whole[0].checkpoint_path.read_bytes())
    with pytest.raises(TrainingError, match=r"holds 'batch_norm' .expected 'single_gpu'"):
        train(run, WNIDS, images, minival)


def test_checkpoint_of_other_classes(
    tmp_path: Path, whole: tuple[Run, Result], images: MemoryImages, minival: MemoryImages
) -> None:
    run = open_at(tmp_path, whole[0].config)
    run.checkpoint_path.write_bytes(whole[0].checkpoint_path.read_bytes())
    with pytest.raises(TrainingError, match="was trained on other classes"):
        train(run, ("n02084071", "n02124075"), images, minival)


def test_run_is_read_back(whole: tuple[Run, Result], tmp_path: Path) -> None:
    assert load_run(whole[0].folder) == whole[0]
    with pytest.raises(TrainingError, match=r"no run is here .run.json is missing"):
        load_run(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(TrainingError, match=r"damaged .KeyError"):
        load_run(tmp_path)


def test_places_are_kept_absolute(
    tmp_path: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run begun with relative paths is found from another folder."""
    monkeypatch.chdir(tmp_path)
    open_run(Path("run"), config, Path("challenge"), "images.db")
    monkeypatch.chdir("/")
    run = load_run(tmp_path / "run")
    assert (run.challenge, run.database) == (tmp_path / "challenge", str(tmp_path / "images.db"))


def test_too_few_images(tmp_path: Path, config: TrainConfig, minival: MemoryImages) -> None:
    with pytest.raises(TrainingError, match="fewer than two images"):
        train(open_at(tmp_path, config), WNIDS, MemoryImages(1), minival)
