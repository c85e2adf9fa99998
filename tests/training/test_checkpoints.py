"""Checkpoints: nothing is lost in them, and nothing foreign is let in."""

from __future__ import annotations

import pickle
import resource
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from imagetree.alexnet.architectures import architecture_named
from imagetree.alexnet.network import AlexNet
from imagetree.errors import TrainingError
from imagetree.training.checkpoints import (
    Checkpoint,
    load_checkpoint,
    load_network,
    save_checkpoint,
)

from .conftest import WNIDS

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.training.config import TrainConfig


@pytest.fixture
def checkpoint(config: TrainConfig) -> Checkpoint:
    network = AlexNet(architecture_named("batch_norm"), 2, 67, seed=5)
    momentum = {name: torch.rand_like(p) for name, p in network.named_parameters()}
    return Checkpoint(
        config, WNIDS, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), 3, 10, network.state_dict(), momentum
    )


def test_round_trip_loses_no_bit(tmp_path: Path, checkpoint: Checkpoint) -> None:
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, checkpoint)
    loaded = load_checkpoint(path)
    for group in ("network", "momentum"):
        saved, found = getattr(checkpoint, group), getattr(loaded, group)
        assert saved.keys() == found.keys()
        assert all(torch.equal(saved[name], found[name]) for name in saved)
    assert replace(loaded, network={}, momentum={}) == replace(checkpoint, network={}, momentum={})
    x = torch.randn(1, 3, 67, 67)
    original = AlexNet(architecture_named("batch_norm"), 2, 67, seed=5).eval()
    with torch.no_grad():
        assert torch.equal(load_network(loaded)(x), original(x))


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no checkpoint is here\nhint: train a network"):
        load_checkpoint(tmp_path / "none.safetensors")


@pytest.mark.parametrize("kept", [0, 5, 1000, -1])
def test_truncated(tmp_path: Path, checkpoint: Checkpoint, kept: int) -> None:
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, checkpoint)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(TrainingError, match="not a whole checkpoint"):
        load_checkpoint(path)


def test_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    """A file that would create another one when unpickled creates none."""
    victim = tmp_path / "victim"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return open, (str(victim), "w")

    path = tmp_path / "c.safetensors"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(TrainingError, match="not a whole checkpoint"):
        load_checkpoint(path)
    assert not victim.exists()


def test_safetensors_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save_file({"network.fc8.weight": torch.zeros(2)}, path)
    with pytest.raises(TrainingError, match="no checkpoint of imagetree"):
        load_checkpoint(path)


def test_another_architecture(checkpoint: Checkpoint) -> None:
    """Tensors of batch_norm under the name of single_gpu are refused by name."""
    wrong = replace(checkpoint, config=replace(checkpoint.config, architecture="single_gpu"))
    with pytest.raises(TrainingError, match=r"x: the tensors are not those of 'single_gpu'.*conv1"):
        load_network(wrong, name="x")


def test_another_number_of_classes(checkpoint: Checkpoint) -> None:
    wrong = replace(checkpoint, wnids=(*WNIDS, "n02124075"))
    with pytest.raises(TrainingError, match=r"x: fc8.weight has shape \(2, 4096\).*\(3, 4096\)"):
        load_network(wrong, name="x")


@pytest.mark.slow
def test_full_disk_keeps_the_old_checkpoint(tmp_path: Path, checkpoint: Checkpoint) -> None:
    """The operating system refuses the write half-way: an error, the old file, no remains."""
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, checkpoint)
    before = path.read_bytes()
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from imagetree.errors import ImagetreeError\n"
        "from imagetree.training.checkpoints import load_checkpoint, save_checkpoint\n"
        "import resource\n"
        "path = Path(sys.argv[1])\n"
        "checkpoint = load_checkpoint(path)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try:\n"
        "    save_checkpoint(path, checkpoint)\n"
        "except ImagetreeError as error:\n"
        "    print(error)\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert "cannot be written (File too large)" in done.stdout
    assert "hint: free some space" in done.stdout
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]
