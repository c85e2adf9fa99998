"""What else could make a training step faster: each way and the one in use, in turn.

    python bench/tried.py optimiser | prepacked | compiled | sizes | batches [--rounds 5]

`optimiser`: SGD over 62 million weights in torch's three forms. `prepacked`: convolutions and fc6
in bf16 with weights in the layout that oneDNN likes best, and what putting them into it costs,
which each step would pay anew. `compiled`: forward and backward by torch.compile (a C++ compiler).
`sizes`: the step at the sizes that a run begins and ends with. `batches`: the step by batch size,
for each image. Huge pages and other allocators are set from outside: the same command of
`bench/training.py step` with `GLIBC_TUNABLES=glibc.malloc.hugetlb=1`, or with LD_PRELOAD.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from imagetree.alexnet.architectures import architecture_named
from imagetree.alexnet.modules import DropValues
from imagetree.alexnet.network import AlexNet
from imagetree.training.memory import keep_freed_memory
from imagetree.training.step import train_step
from run import interleaved
from training import OnePicture, SomeImages, config_for, random_batch, state_for

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 64
CONV2, CONV3 = (96, 256, 5, 27), (256, 384, 3, 13)
"""Channels in and out, side of the window, side of the maps."""


def show(title: str, seconds: dict[str, list[float]], per: dict[str, int] | None = None) -> None:
    """Medians, and their ratio to the first's."""
    print(title)
    first = next(iter(seconds.values()))
    for name, each in seconds.items():
        ratio = statistics.median(b / a for a, b in zip(first, each, strict=True))
        of_image = (
            "" if per is None else f", {1e3 * statistics.median(each) / per[name]:.2f} an image"
        )
        print(f"  {name:24} {1e3 * statistics.median(each):9.1f} ms  {ratio:.2f}{of_image}")


def bench_optimiser(rounds: int) -> None:
    """One update of `single_gpu`'s weights."""
    shapes = [p.shape for p in AlexNet(architecture_named("single_gpu")).parameters()]
    ways = {}
    for name, how in {"fused": {"fused": True}, "foreach": {"foreach": True}, "loop": {}}.items():
        weights = [nn.Parameter(torch.zeros(shape)) for shape in shapes]
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        settings = {"momentum": 0.9, "weight_decay": 5e-4, "nesterov": True, **how}
        ways[name] = torch.optim.SGD(weights, 1e-4, **({"foreach": False} | settings)).step
    show("SGD", interleaved(rounds, **ways))


def bench_prepacked(rounds: int) -> None:
    """Forward, batch 64."""
    ops = torch.ops.mkldnn
    with torch.no_grad():
        for channels, depth, kernel, side in (CONV2, CONV3):
            x = torch.randn(BATCH, channels, side, side).bfloat16()
            x = x.contiguous(memory_format=torch.channels_last)
            weight = torch.randn(depth, channels, kernel, kernel).bfloat16()
            weight = weight.contiguous(memory_format=torch.channels_last)
            how = ([kernel // 2] * 2, [1, 1], [1, 1], 1)

            def pack(weight=weight, how=how, shape=tuple(x.shape)) -> torch.Tensor:
                reorder = torch._C._nn.mkldnn_reorder_conv2d_weight
                return reorder(weight.to_mkldnn(), *how, shape)

            def plain(x=x, weight=weight, padding=kernel // 2) -> torch.Tensor:
                return functional.conv2d(x, weight, None, 1, padding)

            ready = pack()

            def packed(x=x, weight=ready, how=how) -> torch.Tensor:
                return ops._convolution_pointwise(x, weight, None, *how, "none", [], "")

            title = f"convolution {channels} -> {depth}, {kernel} x {kernel}"
            show(title, interleaved(rounds, plain=plain, prepacked=packed, packing=pack))
        x, weight = torch.randn(BATCH, 9216).bfloat16(), torch.randn(4096, 9216).bfloat16()
        ready = ops._reorder_linear_weight(weight, BATCH)
        ways: dict[str, Callable[[], object]] = {
            "plain": lambda: functional.linear(x, weight),
            "prepacked": lambda: ops._linear_pointwise(x, ready, None, "none", [], ""),
            "packing": lambda: ops._reorder_linear_weight(weight, BATCH),
        }
        show("fc6", interleaved(rounds, **ways))


def bench_compiled(rounds: int) -> None:
    """Forward and backward of `batch_norm` in bf16, whose layers are all torch's own but one.

    Dropout, whose masks are NumPy's, is left out of both.
    """
    network = AlexNet(architecture_named("batch_norm")).to(memory_format=torch.channels_last)
    for module in network.modules():
        if isinstance(module, DropValues):
            module.eval()
    x = torch.randn(BATCH, 3, 227, 227).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(BATCH)

    def run(forward: Callable[[torch.Tensor], torch.Tensor]) -> None:
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            logits = forward(x)
        functional.cross_entropy(logits.float(), labels).backward()

    compiled = torch.compile(network)
    began = time.perf_counter()
    run(compiled)
    print(f"first compiled step: {time.perf_counter() - began:.1f} s")
    ways = {"as it is": lambda: run(network), "compiled": lambda: run(compiled)}
    show("forward and backward", interleaved(rounds, **ways))


def _step(architecture: str, batch: int, size: int | None = None) -> Callable[[], float]:
    config = config_for(argparse.Namespace(architecture=architecture, batch=batch))
    state = state_for(config, SomeImages([0] * 512, OnePicture()))
    pixels = random_batch(config if size is None else replace(config, input_size=size))
    return lambda: train_step(state, pixels)


def bench_sizes(rounds: int) -> None:
    """The whole step of `batch_norm` at 227 pixels and below."""
    ways = {f"{size} pixels": _step("batch_norm", BATCH, size) for size in (227, 163, 131)}
    show("images of other sizes", interleaved(rounds, **ways))


def bench_batches(rounds: int) -> None:
    """The whole step of `single_gpu`."""
    sizes = {f"batch {size}": size for size in (64, 32, 128, 256)}
    seconds = interleaved(rounds, **{name: _step("single_gpu", n) for name, n in sizes.items()})
    show("batches", seconds, sizes)


def main() -> None:
    """Run one of them."""
    benches = {
        "optimiser": bench_optimiser,
        "prepacked": bench_prepacked,
        "compiled": bench_compiled,
        "sizes": bench_sizes,
        "batches": bench_batches,
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=benches)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    keep_freed_memory()
    benches[args.name](args.rounds)


if __name__ == "__main__":
    main()
