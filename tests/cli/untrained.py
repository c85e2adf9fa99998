"""A run on real photographs that was stopped before its first step: all but good answers."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

from imagetree.alexnet.network import AlexNet
from imagetree.cli.main import main
from imagetree.training.checkpoints import Checkpoint, save_checkpoint
from imagetree.training.config import TrainConfig
from imagetree.training.runs import open_run

if TYPE_CHECKING:
    from pathlib import Path

WNIDS = ("n01440764", "n02102040", "n03028079")  # tench, English springer, church
PER_CLASS = 14
SIZE = 67


def make_run(imagenette: Path, folder: Path) -> Path:
    """A folder with `images/`, `imagetree.db`, `challenge/` and `run/`; the last is returned."""
    labels = (imagenette / "val_wnids.tsv").read_text().split()
    wnid_of = dict(zip(labels[::2], labels[1::2], strict=True))
    counts = dict.fromkeys(WNIDS, 0)
    with tarfile.open(imagenette / "val.tar") as archive:
        for member in archive:
            wnid = wnid_of[member.name]
            if counts.get(wnid, PER_CLASS) == PER_CLASS:
                continue
            counts[wnid] += 1
            path = folder / "images" / wnid / f"{wnid}_{counts[wnid]}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.extractfile(member).read())
    database = folder / "imagetree.db"
    for words in (
        ["database", "import", folder / "images", "--database", database],
        ["challenge", "cut", folder / "challenge", "--database", database],
    ):
        assert main([str(word) for word in words]) == 0
    config = TrainConfig(
        architecture="single_gpu",
        input_size=SIZE,
        start_size=SIZE,
        test_size=SIZE,
        precision="fp32",
        workers=0,
    )
    run = open_run(folder / "run", config, folder / "challenge", str(database))
    network = AlexNet(config.network, len(WNIDS), SIZE, seed=1)
    checkpoint = Checkpoint(
        config=config,
        wnids=WNIDS,
        mean=(120.0, 115.0, 105.0),
        std=(70.0, 68.0, 70.0),
        step=1,
        num_steps=1,
        network=network.state_dict(),
    )
    save_checkpoint(run.checkpoint_path, checkpoint)
    return run.folder
