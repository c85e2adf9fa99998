"""Training on a set that lies on a server of S3: read by ranges, with the same result."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file

from imagetree.training.log import read_log

from .conftest import WNIDS, MemoryImages

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = [
    *("--architecture", "single_gpu", "--precision", "fp32", "--device", "cpu", "--workers", "1"),
    *("--input-size", "67", "--start-size", "67", "--test-size", "67", "--batch-size", "8"),
    *("--epochs", "2", "--lr", "0.002"),
]
IMAGETREE = [sys.executable, "-c", "from imagetree.cli import run; run()"]
TWO_PROCESSES = [
    *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
    *("--no-python", *IMAGETREE),
]


def write_archive(path: Path) -> None:
    """A tar with a tar for each class, as ILSVRC's is."""
    images = MemoryImages(60)
    with tarfile.open(path, "w") as outer:
        for label, wnid in enumerate(WNIDS):
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w") as inner:
                for index in np.flatnonzero(images.labels == label):
                    member = tarfile.TarInfo(f"{wnid}_{index}.JPEG")
                    member.size = len(images.rows[index])
                    inner.addfile(member, io.BytesIO(images.rows[index]))
            member = tarfile.TarInfo(f"{wnid}.tar")
            member.size = buffer.tell()
            buffer.seek(0)
            outer.addfile(member, buffer)


def train_from(place: str, folder: Path, start: list[str]) -> dict[str, np.ndarray]:
    """Import an archive, cut a challenge of it and train; the tensors of the checkpoint."""
    folder.mkdir()
    database = ["--database", str(folder / "images.db")]
    challenge, run = str(folder / "challenge"), str(folder / "run")
    for command in (
        [*IMAGETREE, "database", "import", place, *database],
        [*IMAGETREE, "challenge", "cut", challenge, *database],
        [*start, "train", challenge, run, *database, *SETTINGS],
    ):
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
    return load_file(folder / "run" / "checkpoint.safetensors")


@pytest.mark.slow
def test_training_from_s3(tmp_path: Path, s3_client) -> None:
    """The bits of a run from the disk; and each of two processes reads its own share from there."""
    path = tmp_path / "train.tar"
    write_archive(path)
    s3_client.upload_file(str(path), "archives", "train.tar")
    here = train_from(str(path), tmp_path / "disk", IMAGETREE)
    path.unlink()
    there = train_from("s3://archives/train.tar", tmp_path / "s3", IMAGETREE)
    assert here.keys() == there.keys()
    assert all(np.array_equal(here[name], there[name]) for name in here)
    shared = train_from("s3://archives/train.tar", tmp_path / "shared", TWO_PROCESSES)
    for name, tensor in there.items():
        if tensor.ndim > 1:  # the biases are all but zero still
            assert np.abs(tensor - shared[name]).max() <= 1e-4 * np.abs(tensor).max(), name
    logs = [read_log(tmp_path / name / "run") for name in ("s3", "shared")]
    losses = [[each["loss"] for each in log if each["kind"] == "step"] for log in logs]
    assert len(losses[0]) == 2
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
