"""Training: the whole step, what feeding adds to it, and its memory.

    python bench/training.py step [--architecture single_gpu] [--batch 64] [--rounds 5]
    python bench/training.py fed [--architecture single_gpu] [--batch 64] [--steps 30]
    python bench/training.py parts [--architecture single_gpu] [--batch 64]
    python bench/training.py scaling [--architecture single_gpu] [--batch 64] [--rounds 3]

`step`: the step of `imagetree train` (bf16, channels-last, optimiser and all) and the peer, a plain
loop of torch in fp32 over the same network with torch's own normalisation, in turn in one process
with the same settings of the C library's memory; beside them the physical limit, the network's
operations at the rate of one large bf16 product measured between the rounds. `fed`: real images
through the workers, and the same step over one batch again and again, in turn. `parts`: where the
step's time goes. `scaling`: one process with two threads, and two processes of torchrun with one
each, which exchange their gradients by gloo, at the same batch. Images are of the size that the
network is made for.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from imagetree.alexnet.architectures import architecture_named
from imagetree.alexnet.network import AlexNet
from imagetree.database import import_source, open_database
from imagetree.database.queries import locate
from imagetree.database.reading import ImageReader
from imagetree.training.batches import Batch, EpochPart, iter_train_batches, train_batch_bytes
from imagetree.training.config import TrainConfig
from imagetree.training.device import choose_device, normalise
from imagetree.training.feeder import Feeder
from imagetree.training.log import read_log
from imagetree.training.memory import keep_freed_memory
from imagetree.training.roofline import operations_per_image, product_rate
from imagetree.training.runs import Run
from imagetree.training.state import TrainingState
from imagetree.training.step import train_step
from run import IMAGENETTE, show

WNIDS = tuple(f"n{number:08d}" for number in range(1000))
DEVICE = choose_device("auto")


class SomeImages:
    """Imagenette's training images, or one picture where only its size matters."""

    def __init__(self, rows: list[object], reader: object) -> None:
        self.rows, self.reader = rows, reader
        self.names = tuple(str(number) for number in range(len(rows)))
        self.labels = np.arange(len(rows), dtype=np.int64) % len(WNIDS)


class OnePicture:
    """A reader that has pixels of noise."""

    def read(self, _row: object) -> np.ndarray:
        """The same for every row."""
        return np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)


def config_for(args: argparse.Namespace) -> TrainConfig:
    """Settings at the network's own size."""
    side = architecture_named(args.architecture).input_size
    return TrainConfig(
        architecture=args.architecture,
        input_size=side,
        start_size=side,
        test_size=side,
        batch_size=args.batch,
        lr=1e-4,
        epochs=1000,
        crop="area",
        min_crop_area=0.08,
    )


def state_for(config: TrainConfig, images: SomeImages) -> TrainingState:
    """A run in memory; nothing is written."""
    folder = Path(tempfile.gettempdir()) / "no-run-is-here"
    return TrainingState(Run(folder, config, folder, ""), WNIDS, images, images)


def random_batch(config: TrainConfig) -> Batch:
    """Noise with labels."""
    shape = (config.batch_size, config.input_size, config.input_size, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    labels = np.arange(config.batch_size, dtype=np.int64)
    return Batch(pixels, labels, np.arange(len(labels)), np.ones(len(labels), np.bool_), ())


def plain_step(config: TrainConfig, batch: Batch):
    """The peer: fp32, torch's own layers, as one would write it down."""
    network = AlexNet(config.network, len(WNIDS))
    for name, module in list(network.named_children()):
        if type(module).__name__ == "Normalise":
            setattr(network, name, nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0))
    network.to(DEVICE)
    optimiser = torch.optim.SGD(network.parameters(), 1e-4, momentum=0.9, weight_decay=5e-4)
    labels = torch.from_numpy(batch.labels).to(DEVICE)

    def step() -> None:
        x = normalise(batch.pixels, DEVICE, (124.0, 116.0, 104.0), (58.0, 57.0, 57.0))
        optimiser.zero_grad()
        functional.cross_entropy(network(x.contiguous()), labels).backward()
        optimiser.step()

    return step


def bench_step(args: argparse.Namespace) -> None:
    """Ours, the peer and the limit in turn."""
    config = config_for(args)
    batch = random_batch(config)
    state = state_for(config, SomeImages([0] * 512, OnePicture()))
    plain = plain_step(config, batch)
    seconds: dict[str, list[float]] = {"imagetree train": [], "plain torch, fp32": []}
    rates = []
    for number in range(args.rounds + 1):
        for name, run in zip(seconds, (lambda: train_step(state, batch), plain), strict=True):
            began = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - began)
        rates.append(product_rate(DEVICE, "bf16"))
    operations = operations_per_image(
        config.network, len(WNIDS), input_size=config.input_size, size=config.input_size
    )
    show(f"training step, {args.architecture}, batch {args.batch}", seconds, "imagetree train")
    rate, ours = statistics.median(rates), statistics.median(seconds["imagetree train"])
    limit = config.batch_size * operations / rate
    print(f"  limit: {operations / 1e9:.2f} GFLOP an image at {rate / 1e9:.0f} GFLOP/s: ", end="")
    print(
        f"{1e3 * limit:.0f} ms; {limit / ours:.1%} of it, {config.batch_size / ours:.1f} images/s"
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"  most memory of the process, both networks: {peak:.2f} GB")


def bench_fed(args: argparse.Namespace) -> None:
    """What feeding adds to a step."""
    config = config_for(args)
    with tempfile.TemporaryDirectory() as name:
        with open_database(f"{name}/images.db", create=True) as store:
            import_source(store, IMAGENETTE / "train.tar")
            rows = list(locate(store))
            images = SomeImages(rows, ImageReader(store))
        state = state_for(config, images)
        same = random_batch(config)
        seconds: dict[str, list[float]] = {"one batch again and again": [], "fed": []}
        with Feeder(images.reader, config.workers, train_batch_bytes(config)) as feeder:
            batches = iter_train_batches(feeder, images, config, EpochPart(0))
            for number in range(args.steps + 2):
                for which in seconds:
                    began = time.perf_counter()
                    train_step(state, next(batches) if which == "fed" else same)
                    if number >= 2:
                        seconds[which].append(time.perf_counter() - began)
    show(f"step with and without feeding, batch {args.batch}", seconds, "one batch again and again")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"  most memory of the training process: {peak:.2f} GB")


def bench_parts(args: argparse.Namespace) -> None:
    """Where the time goes, operator by operator."""
    config = config_for(args)
    batch = random_batch(config)
    state = state_for(config, SomeImages([0] * 512, OnePicture()))
    train_step(state, batch)
    activities = [torch.profiler.ProfilerActivity.CPU]
    if DEVICE.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(3):
            train_step(state, batch)
    print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=30))


def bench_scaling(args: argparse.Namespace) -> None:
    """Images a second of one process and of two on the same cores."""
    program = str(Path(sys.executable).with_name("imagetree"))
    one = [program]
    two = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    two += ["--no-python", program]
    rates: dict[str, list[float]] = {"one process": [], "two processes": []}
    with tempfile.TemporaryDirectory() as name:
        database = ["--database", f"{name}/images.db"]
        challenge = f"{name}/challenge"
        subprocess.run(
            [program, "database", "import", str(IMAGENETTE / "train.tar"), *database], check=True
        )
        subprocess.run([program, "challenge", "cut", challenge, *database], check=True)
        side = str(architecture_named(args.architecture).input_size)
        settings = ["--architecture", args.architecture, "--batch-size", str(args.batch)]
        for option in ("--input-size", "--start-size", "--test-size"):
            settings += [option, side]
        for number in range(args.rounds):
            for which, start, threads in zip(rates, (one, two), ("2", "1"), strict=True):
                run = Path(name) / f"{number}-{threads}"
                command = [*start, "train", challenge, str(run), *database, *settings]
                rates[which].append(_rate_of(command, run, threads))
    for which, each in rates.items():
        print(
            f"{which}: {statistics.median(each):.1f} images/s ({min(each):.1f} .. {max(each):.1f})"
        )
    ratio = statistics.median(b / a for a, b in zip(*rates.values(), strict=True))
    print(f"two processes reach {ratio:.0%} of one on the same cores, at batch {args.batch}")


def _rate_of(command: list[str], run: Path, threads: str) -> float:
    """Median images a second of steps 10 to 40; then the run is told to end."""
    environment = {**os.environ, "OMP_NUM_THREADS": threads}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            time.sleep(0.5)
            steps = [r for r in read_log(run) if r["kind"] == "step"] if run.exists() else []
            if steps and steps[-1]["step"] >= 40:
                process.terminate()
                break
    return statistics.median(r["images_per_second"] for r in steps if r["step"] > 10)


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    benches = {"step": bench_step, "fed": bench_fed, "parts": bench_parts, "scaling": bench_scaling}
    parser.add_argument("name", choices=benches)
    parser.add_argument("--architecture", default="single_gpu")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    args = parser.parse_args()
    keep_freed_memory()
    benches[args.name](args)


if __name__ == "__main__":
    main()
