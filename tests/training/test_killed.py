"""kill -9 at any moment: a run that goes on ends with the bits of one that nobody disturbed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imagetree.files import sha256_of
from imagetree.training.log import read_log

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import SETTINGS, WNIDS, MemoryImages
from imagetree.training.config import TrainConfig
from imagetree.training.runs import open_run
from imagetree.training.train import train

folder = Path(sys.argv[2])
changes = {"epochs": 16, "average": 0.9, "schedule": "plateau", "patience": 1, "dropout": 0.5}
config = TrainConfig(**SETTINGS | changes, checkpoint_minutes=1e-6)
run = open_run(folder, config, folder / "challenge", "sqlite:////images.db")
images, minival = MemoryImages(40), MemoryImages(10, seed=1000)
print("ready", flush=True)
train(run, WNIDS, images, minival)
"""
KILLS = 20


def start(script: Path, folder: Path) -> subprocess.Popen[str]:
    """Begin the run, or go on with it; returns when it is about to."""
    command = [sys.executable, str(script), str(Path(__file__).parent), str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    with process.stdout as output:
        assert output.readline() == "ready\n"
    return process


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not is_so():
        assert time.monotonic() < end


def stop_amid_write(process: subprocess.Popen[str], folder: Path) -> None:
    """Hold the run where a part of a checkpoint is written and the rest is not."""

    def is_being_written() -> bool:
        return any(folder.glob(".checkpoint.safetensors.*.part"))

    while True:
        wait_until(is_being_written)
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: state_of(process.pid) == "T")
        if is_being_written():
            return
        process.send_signal(signal.SIGCONT)  # it was whole before the run was held


def state_of(pid: int) -> str:
    """T for a process that is held; see proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def num_logged(folder: Path) -> int:
    """Lines of the log: two for each epoch of five steps."""
    path = folder / "log.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.slow
def test_twenty_kills_change_no_bit(tmp_path: Path) -> None:
    """Every other one while a checkpoint is written, which is after every step."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    assert start(script, tmp_path / "calm").wait() == 0
    rng = random.Random(0)
    killed = tmp_path / "killed"
    amid_write = 0
    for number in range(KILLS):
        process = start(script, killed)
        if number % 2:
            stop_amid_write(process, killed)
        else:  # by its steps and not by the clock, so that no machine is too fast for it
            enough = num_logged(killed) + rng.randrange(2)
            wait_until(lambda enough=enough: num_logged(killed) >= enough)
            time.sleep(rng.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the run ended before it was killed"
        amid_write += any(killed.glob(".checkpoint.safetensors.*.part"))
    assert start(script, killed).wait() == 0
    names = (
        "checkpoint.safetensors",
        *(f"filters/{p.name}" for p in (tmp_path / "calm" / "filters").iterdir()),
    )
    assert len(names) > 5
    assert [sha256_of(killed / name) for name in names] == [
        sha256_of(tmp_path / "calm" / name) for name in names
    ]
    epochs = [
        [record for record in read_log(folder) if record["kind"] == "epoch"]
        for folder in (tmp_path / "calm", killed)
    ]
    assert epochs[0] == epochs[1]
    assert amid_write >= KILLS // 2
    assert not any(killed.glob(".*.part"))
