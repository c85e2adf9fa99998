"""`imagetree demo` on archives of one's own, and what becomes of a run that is killed."""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imagetree.training.checkpoints import load_checkpoint

from .conftest import write_train, write_val

pytestmark = pytest.mark.slow

IMAGETREE = Path(sys.executable).with_name("imagetree")


def test_demo_prints_each_command_and_writes_the_page(imagetree, tmp_path: Path) -> None:
    """The whole job on small archives, twice: the second time nothing is trained."""
    write_train(tmp_path / "train.tar", per_class=12)
    write_val(tmp_path / "val.tar", tmp_path / "val.tsv", per_class=4)
    own = ["--train", tmp_path / "train.tar", "--val", tmp_path / "val.tar"]
    own += ["--val-labels", tmp_path / "val.tsv", "--epochs", "1"]
    for _ in range(2):
        said = imagetree("demo", tmp_path / "demo", *own)
        assert said.status == 0
        printed = re.findall(r"^\$ imagetree (\w+ ?\w*)", said.out, re.MULTILINE)
        assert [words.split()[0] for words in printed] == [
            *("database", "database", "database", "challenge", "train"),
            *("challenge", "challenge", "recognize", "pictures", "pictures", "report"),
        ]
        assert (tmp_path / "demo" / "run" / "report.html").stat().st_size > 50_000
    before = (tmp_path / "demo" / "run" / "checkpoint.safetensors").stat().st_mtime_ns
    imagetree("demo", tmp_path / "demo", *own)
    after = (tmp_path / "demo" / "run" / "checkpoint.safetensors").stat().st_mtime_ns
    assert before == after


def test_val_without_train(imagetree, tmp_path: Path) -> None:
    said = imagetree("demo", tmp_path / "demo", "--val", tmp_path / "val.tar")
    assert said.status == 1
    assert "--val was given without --train" in said.err


def weights_hash(path: Path) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(load_checkpoint(path).network.items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.slow
def test_killed_run_goes_on_and_ends_with_the_same_weights(imagetree, tmp_path: Path) -> None:
    """Kill -9 at random moments, also while a checkpoint is written, then the same command."""
    write_train(tmp_path / "train.tar", per_class=20)
    database = ["--database", tmp_path / "x.db"]
    imagetree("database", "import", tmp_path / "train.tar", *database)
    imagetree("challenge", "cut", tmp_path / "challenge", *database)
    settings = ["--input-size", 67, "--start-size", 67, "--test-size", 67, "--epochs", 40]
    settings += ["--batch-size", 12, "--checkpoint-minutes", 0.005, *database]
    train = [IMAGETREE, "train", tmp_path / "challenge"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

    def command(run: str) -> list[str]:
        return [str(word) for word in (*train, tmp_path / run, *settings)]

    subprocess.run(command("whole"), check=True, **quiet)
    moments = random.Random(0)
    kills = 0
    while kills < 6:
        with subprocess.Popen(command("killed"), **quiet) as process:
            time.sleep(moments.uniform(1.5, 5))
            if process.poll() is not None:
                break
            process.kill()
            kills += 1
    assert kills >= 2
    done = subprocess.run(command("killed"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    whole, killed = (tmp_path / run / "checkpoint.safetensors" for run in ("whole", "killed"))
    assert weights_hash(whole) == weights_hash(killed)
    assert not list((tmp_path / "killed").glob(".*.part"))


@pytest.mark.slow
def test_interrupt_saves_and_says_so(imagetree, tmp_path: Path) -> None:
    """SIGINT to a training process: status 130, a checkpoint, and how to go on."""
    write_train(tmp_path / "train.tar", per_class=20)
    database = ["--database", tmp_path / "x.db"]
    imagetree("database", "import", tmp_path / "train.tar", *database)
    imagetree("challenge", "cut", tmp_path / "challenge", *database)
    words = [IMAGETREE, "train", tmp_path / "challenge", tmp_path / "run", *database]
    words += ["--input-size", 67, "--start-size", 67, "--test-size", 67, "--epochs", 500]
    with subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not (tmp_path / "run" / "log.jsonl").exists():
            time.sleep(0.1)
        time.sleep(2)
        process.send_signal(2)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on from here" in err
    assert load_checkpoint(tmp_path / "run" / "checkpoint.safetensors").step > 0
