"""Feeding: from the archive to uint8 batches of random-resized crops, 224 x 224, mirrored.

    python bench/feeding.py [small] [full] [--workers 2] [--rounds 3]

The peer is torch's DataLoader over torchvision's ImageFolder and v2 transforms that stay in uint8,
with as many workers and the same images, extracted into a folder; the physical limit is
libjpeg-turbo alone decoding every image in full on as many cores. Each is measured twice, all in
turn: an epoch from nothing, in a process that has imported what it needs and no more, where the
peer is made as torch makes it if nothing is said (its workers begin and end with the epoch) and
ours starts its workers and the small process that they are forked from; and an epoch of workers
that are there already (the peer's persistent). Two sets:
Imagenette's training images at 224 x 224 (11 KB), and ImageNet's files in full size (104 KB), each
of them twenty times. Our workers import this module, as Python's processes do, so that it imports
no more at its beginning than `imagetree` does.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import statistics
import tarfile
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import simplejpeg

from imagetree.database.reading import ImageReader
from imagetree.training.crops import RandomCrop
from imagetree.training.feeder import Feeder, num_bytes
from run import IMAGENETTE, interleaved

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from imagetree.sources.source import SourceOptions

ORIGINALS = IMAGENETTE.parent / "ilsvrc1000" / "original100.tar"
SIDE, BATCH, MIN_AREA = 224, 128, 0.08


def decode_all(files: list[bytes]) -> None:
    """What no feeder that decodes whole images can beat."""
    for data in files:
        simplejpeg.decode_jpeg(data, colorspace="RGB")


def peer(folder: Path, repeats: int, workers: int, **how: Any) -> DataLoader:
    """As torchvision's own examples load ImageNet, but in uint8."""
    import torch
    from torch.utils.data import ConcatDataset, DataLoader

    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):  # without a CPU build of its extension it asks for them
        with contextlib.suppress(RuntimeError):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.ToImage(),
            v2.RandomResizedCrop(SIDE, scale=(MIN_AREA, 1), antialias=True),
            v2.RandomHorizontalFlip(),
        ]
    )
    images = ConcatDataset([ImageFolder(str(folder), transform)] * repeats)
    return DataLoader(images, BATCH, shuffle=True, num_workers=workers, drop_last=True, **how)


def extract(archive: Path, folder: Path) -> list[bytes]:
    """Write the images into a folder for each class, as the peer wants them; all of them."""
    with tarfile.open(archive) as tar:
        for member in tar:
            data = tar.extractfile(member).read()
            if member.name.endswith(".tar"):
                with tarfile.open(fileobj=io.BytesIO(data)) as inner:
                    inner.extractall(folder / member.name, filter="data")
            else:
                path = folder / "class" / Path(member.name).name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    return [path.read_bytes() for path in sorted(folder.rglob("*.JPEG"))]


def take_all(loader: DataLoader) -> None:
    """An epoch of the peer's."""
    import torch

    for pixels, _ in loader:
        assert pixels.dtype == torch.uint8


class Ours:
    """What is read of an archive that was imported."""

    def __init__(self, place: Path, repeats: int) -> None:
        from imagetree.database import open_database
        from imagetree.database.queries import locate

        with open_database(str(place)) as store:
            self.rows = list(locate(store)) * repeats
            self.reader = ImageReader(store)
        self.count = len(self.rows) // BATCH * BATCH

    def feeder(self, workers: int) -> Feeder:
        """A new one."""
        return Feeder(self.reader, workers, num_bytes(BATCH, SIDE))

    def take_all(self, feeder: Feeder) -> None:
        """An epoch."""
        order = np.random.default_rng(0).permutation(len(self.rows))[: self.count]
        crop = RandomCrop(MIN_AREA, seed=0, epoch=0)
        for filled in feeder.iter_filled(self.rows, order.reshape(-1, BATCH), crop, SIDE):
            assert not any(filled.faults)


def seconds_from_nothing(which: str, place: Path, repeats: int, workers: int) -> float:
    """In a fresh process: an epoch with the start of all that feeds it."""
    if which == "theirs":
        # what Linux begins processes by; this one was spawned, and would spawn in its turn
        loader = peer(place / "files", repeats, workers, multiprocessing_context="fork")
        began = time.perf_counter()
        take_all(loader)
        return time.perf_counter() - began
    ours = Ours(place / "images.db", repeats)
    began = time.perf_counter()
    with ours.feeder(workers) as feeder:
        ours.take_all(feeder)
    return time.perf_counter() - began


def from_nothing(*what: Any) -> float:
    """`seconds_from_nothing` in such a process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(seconds_from_nothing, *what).result()


def measure(archive: Path, options: SourceOptions, repeats: int, args: argparse.Namespace) -> None:
    """One set of images: ours, the peer and the limit in turn."""
    from imagetree.database import import_source, open_database

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        files = extract(archive, place / "files")
        with open_database(str(place / "images.db"), create=True) as store:
            import_source(store, archive, options)
        ours = Ours(place / "images.db", repeats)
        loader = peer(place / "files", repeats, args.workers, persistent_workers=True)
        parts = [files[start :: args.workers] * repeats for start in range(args.workers)]
        context = multiprocessing.get_context("fork")
        began: dict[str, list[float]] = {"ours": [], "theirs": []}
        with (
            ProcessPoolExecutor(args.workers, mp_context=context) as pool,
            ours.feeder(args.workers) as warm,
        ):
            seconds: dict[str, list[float]] = {"ours": [], "theirs": [], "limit": []}
            for _ in range(args.rounds):
                for which, each in began.items():
                    each.append(from_nothing(which, place, repeats, args.workers))
                once = interleaved(
                    1,
                    ours=lambda: ours.take_all(warm),
                    theirs=lambda: take_all(loader),
                    limit=lambda: list(pool.map(decode_all, parts)),
                )
                for which, each in once.items():
                    seconds[which] += each
    size = sum(map(len, files)) / len(files) / 1e3
    print(f"{archive.name}, {ours.count:,} images of {size:.0f} KB, {args.workers} workers")
    show("an epoch from nothing", {**began, "limit": seconds["limit"]}, ours.count)
    show("workers that are there already", seconds, ours.count)


def show(title: str, seconds: dict[str, list[float]], count: int) -> None:
    """Images a second, and how often ours is the peer's and the limit's."""
    rates = {name: count / statistics.median(each) for name, each in seconds.items()}
    of_peer, of_limit = (
        statistics.median(y / x for x, y in zip(seconds["ours"], seconds[name], strict=True))
        for name in ("theirs", "limit")
    )
    print(f"  {title}: {rates['ours']:,.0f}/s, DataLoader {rates['theirs']:,.0f}/s", end="")
    print(f", bare decoding {rates['limit']:,.0f}/s", end="")
    print(f": {of_peer:.2f} times the DataLoader, {of_limit:.2f} of bare decoding")


def main() -> None:
    """Both sets, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="small, full; both if none")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    import torch

    from imagetree.sources.source import SourceOptions

    torch.set_num_threads(1)
    names = args.names or ["small", "full"]
    if "small" in names:
        measure(IMAGENETTE / "train.tar", SourceOptions(), 1, args)
    if "full" in names:
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as labels:
            with tarfile.open(ORIGINALS) as tar:
                labels.writelines(f"{name}\t{name[:9]}\n" for name in tar.getnames())
            labels.flush()
            measure(ORIGINALS, SourceOptions(labels=Path(labels.name)), 20, args)


if __name__ == "__main__":
    main()
