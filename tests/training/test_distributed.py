"""Several processes train as one: the same curve, and each image once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from imagetree.errors import TrainingError
from imagetree.training.batches import Shard
from imagetree.training.config import TrainConfig
from imagetree.training.distributed import World
from imagetree.training.log import read_log
from imagetree.training.runs import open_run
from imagetree.training.state import TrainingState

from .conftest import SETTINGS, WNIDS, MemoryImages

SCRIPT = """
import json, sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import SETTINGS, WNIDS, MemoryImages
from imagetree.training.config import TrainConfig
from imagetree.training.runs import open_run
from imagetree.training.train import train

folder, changes = Path(sys.argv[2]), json.loads(sys.argv[3])
config = TrainConfig(**SETTINGS | changes)
run = open_run(folder, config, folder / "challenge", "sqlite:////images.db")
train(run, WNIDS, MemoryImages(41), MemoryImages(11, seed=1000))
"""

CHANGES = {
    "architecture": "single_gpu",
    "dropout": 0.5,
    "precision": "fp32",
    "epochs": 3,
    "lr": 0.002,
}


def start(folder: Path, processes: int, **changes: object) -> subprocess.Popen[str]:
    """Begin a run of so many processes, as torchrun does."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "script.py"
    script.write_text(SCRIPT)
    how = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *how, "--max-restarts=2", str(script), str(Path(__file__).parent)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    settings = json.dumps(CHANGES | changes)
    return subprocess.Popen(
        [*command, str(folder / "run"), settings],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    try:
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors


def test_shards_hold_each_image_once() -> None:
    """Nothing is padded and nothing is left out, whatever the number of processes."""
    images = MemoryImages(11)
    for size in (1, 2, 3, 16):
        shards = [Shard(images, rank, size) for rank in range(size)]
        names = [name for shard in shards for name in shard.names]
        assert sorted(names) == sorted(images.names)
        assert sum(len(shard.labels) for shard in shards) == 11


def test_batch_that_cannot_be_shared(tmp_path: Path, images: MemoryImages) -> None:
    config = TrainConfig(**SETTINGS)
    run = open_run(tmp_path, config, tmp_path / "challenge", "sqlite:////images.db")
    with pytest.raises(TrainingError, match="8 images cannot be shared by 3 processes"):
        TrainingState(run, WNIDS, images, images, World(0, 3))


@pytest.mark.slow
def test_two_processes_learn_as_one_does(tmp_path: Path) -> None:
    """The same loss at every step and the same errors within rounding, dropout and all."""
    for number in (1, 2):
        finish(start(tmp_path / str(number), number))
    one, two = (read_log(tmp_path / str(number) / "run") for number in (1, 2))
    for a, b in zip(one, two, strict=True):
        assert (a["kind"], a["step"]) == (b["kind"], b["step"])
    epochs = [[r for r in log if r["kind"] == "epoch"] for log in (one, two)]
    assert [r["minival_top1_error"] for r in epochs[0]] == [
        r["minival_top1_error"] for r in epochs[1]
    ]
    assert [r["train_top1_error"] for r in epochs[0]] == [r["train_top1_error"] for r in epochs[1]]
    weights = [load_file(tmp_path / str(n) / "run" / "checkpoint.safetensors") for n in (1, 2)]
    for name, tensor in weights[0].items():
        scale = np.abs(tensor).max()
        assert np.abs(tensor - weights[1][name]).max() <= 1e-4 * scale, name
