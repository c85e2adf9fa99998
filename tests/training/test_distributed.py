"""Several processes train as one: the same curve, each image once, and no rank's end is the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
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
        if a["kind"] == "step":
            assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
    epochs = [[r for r in log if r["kind"] == "epoch"] for log in (one, two)]
    assert [r["minival_top1_error"] for r in epochs[0]] == [
        r["minival_top1_error"] for r in epochs[1]
    ]
    assert [r["train_top1_error"] for r in epochs[0]] == [r["train_top1_error"] for r in epochs[1]]
    weights = [load_file(tmp_path / str(n) / "run" / "checkpoint.safetensors") for n in (1, 2)]
    for name, tensor in weights[0].items():
        scale = np.abs(tensor).max()
        assert np.abs(tensor - weights[1][name]).max() <= 1e-4 * scale, name


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_killed_rank_is_started_again(tmp_path: Path, rank: int) -> None:
    """Both go on from the checkpoint and end with the bits of a run that nobody disturbed."""
    changes = {"checkpoint_minutes": 0.01, "epochs": 4, "batch_size": 4}
    finish(start(tmp_path / "calm", 2, **changes))
    process = start(tmp_path / "killed", 2, **changes)
    checkpoint = tmp_path / "killed" / "run" / "checkpoint.safetensors"
    while not checkpoint.exists():
        time.sleep(0.05)
        assert process.poll() is None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ranks = [pid for pid in children if "script.py" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(int(ranks[rank]), signal.SIGKILL)
    finish(process)
    calm, killed = (
        load_file(tmp_path / name / "run" / "checkpoint.safetensors") for name in ("calm", "killed")
    )
    assert calm.keys() == killed.keys()
    assert all(np.array_equal(calm[name], killed[name]) for name in calm)
