"""Feeding: from the archive to uint8 batches of random-resized crops, 224 x 224, mirrored.

    python bench/feeding.py [--workers 2] [--rounds 5]

The peer is torch's DataLoader over torchvision's ImageFolder and v2 transforms that stay in uint8,
with as many workers and the same images, extracted into a folder; the physical limit is
libjpeg-turbo alone decoding every image in full on as many cores. Two sets: Imagenette's val at
224 x 224 (11 KB), and ImageNet's files in full size (104 KB), each of them twenty times.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import statistics
import tarfile
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from torch.utils.data import ConcatDataset, DataLoader

from imagetree.database import import_source, open_database
from imagetree.database.queries import locate
from imagetree.database.reading import ImageReader
from imagetree.sources.source import SourceOptions
from imagetree.training.crops import RandomCrop
from imagetree.training.feeder import Feeder, num_bytes
from run import IMAGENETTE, interleaved

SHARED = IMAGENETTE.parent
SIDE, BATCH, MIN_AREA = 224, 128, 0.08


def decode_all(files: list[bytes]) -> None:
    """What no feeder that decodes whole images can beat."""
    for data in files:
        simplejpeg.decode_jpeg(data, colorspace="RGB")


def peer(folder: Path, repeats: int, workers: int) -> DataLoader:
    """As torchvision's own examples load ImageNet, but in uint8."""
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
    return DataLoader(
        images, BATCH, shuffle=True, num_workers=workers, persistent_workers=True, drop_last=True
    )


def measure(archive: Path, labels: Path | None, repeats: int, args: argparse.Namespace) -> None:
    """One set of images: ours, the peer and the limit in turn."""
    with tempfile.TemporaryDirectory() as name, tarfile.open(archive) as tar:
        place = Path(name)
        tar.extractall(place / "files" / "class", filter="data")
        files = [path.read_bytes() for path in sorted((place / "files").rglob("*.JPEG"))]
        loader = peer(place / "files", repeats, args.workers)
        with open_database(str(place / "images.db"), create=True) as store:
            import_source(store, archive, SourceOptions(labels=labels))
            rows = list(locate(store)) * repeats
            reader = ImageReader(store)
        count = len(rows) // BATCH * BATCH
        parts = [files[start :: args.workers] * repeats for start in range(args.workers)]
        context = multiprocessing.get_context("fork")
        with (
            ProcessPoolExecutor(args.workers, mp_context=context) as pool,
            Feeder(reader, args.workers, num_bytes(BATCH, SIDE)) as feeder,
        ):

            def ours() -> None:
                order = np.random.default_rng(0).permutation(len(rows))[:count].reshape(-1, BATCH)
                crop = RandomCrop(MIN_AREA, seed=0, epoch=0)
                for filled in feeder.iter_filled(rows, order, crop, SIDE):
                    assert not any(filled.faults)

            def theirs() -> None:
                for pixels, _ in loader:
                    assert pixels.dtype == torch.uint8

            def limit() -> None:
                list(pool.map(decode_all, parts))

            seconds = interleaved(args.rounds, ours=ours, theirs=theirs, limit=limit)
    rates = {name: count / statistics.median(each) for name, each in seconds.items()}
    of_peer, of_limit = (
        statistics.median(b / a for a, b in zip(seconds["ours"], seconds[name], strict=True))
        for name in ("theirs", "limit")
    )
    size = sum(map(len, files)) / len(files) / 1e3
    print(f"{archive.name}, {count:,} images of {size:.0f} KB, {args.workers} workers: ", end="")
    print(", ".join(f"{name} {rate:,.0f}/s" for name, rate in rates.items()))
    print(f"  {of_peer:.2f} times the DataLoader, {of_limit:.2f} of bare decoding")


def main() -> None:
    """Both sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    measure(IMAGENETTE / "val.tar", IMAGENETTE / "val_wnids.tsv", 1, args)
    originals = SHARED / "ilsvrc1000" / "original100.tar"
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as labels, tarfile.open(originals) as tar:
        labels.writelines(f"{name}\t{name[:9]}\n" for name in tar.getnames())
        labels.flush()
        measure(originals, Path(labels.name), 20, args)


if __name__ == "__main__":
    main()
