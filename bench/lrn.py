"""Local response normalisation: speed, error, and its share of a training step.

    python bench/lrn.py [--batch 64] [--rounds 9]

Both norms of single_gpu at 227 pixels, forward and backward, on the CPU, or on the GPU where there
is one; the peer is torch's own function in both memory layouts. The physical limit: what has to be
read and written at least (the input twice, the gradient that comes in; output and the gradient that
goes out), at the rate of a copy in the same run.
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from imagetree.alexnet.architectures import architecture_named
from imagetree.alexnet.lrn import local_response_norm
from imagetree.alexnet.network import AlexNet
from imagetree.training.device import autocast, choose_device
from imagetree.training.memory import keep_freed_memory
from run import interleaved, show

if TYPE_CHECKING:
    from collections.abc import Callable

    Norm = Callable[[torch.Tensor], torch.Tensor]

SIDES = ((96, 27), (256, 13))  # maps and their side where single_gpu normalises
DEVICE = choose_device("auto")


def torchs_own(x: torch.Tensor) -> torch.Tensor:
    """The paper's constants in torch's convention."""
    return functional.local_response_norm(x, 5, 5e-4, 0.75, 2.0)


def drawn(batch: int, dtype: torch.dtype, *, channels_last: bool = True) -> list[torch.Tensor]:
    """Rectified values of the size that a network has in front of its norms."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    generator = torch.Generator().manual_seed(0)
    values = [20 * torch.randn((batch, c, s, s), generator=generator).relu() for c, s in SIDES]
    return [x.to(DEVICE, dtype).to(memory_format=layout).requires_grad_() for x in values]


def forward_and_backward(xs: list[torch.Tensor], grads: list[torch.Tensor], norm: Norm) -> None:
    """Both norms once."""
    for x, grad in zip(xs, grads, strict=True):
        norm(x).backward(grad)
        x.grad = None
    wait()


def wait() -> None:
    """Until the GPU has done what it was given."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def variant(batch: int, dtype: torch.dtype, norm: Norm, *, channels_last: bool = True) -> object:
    """Both norms of random values as something to time."""
    xs = drawn(batch, dtype, channels_last=channels_last)
    grads = [torch.randn_like(x) for x in xs]
    return partial(forward_and_backward, xs, grads, norm)


def bench_speed(batch: int, rounds: int) -> float:
    """Seconds that ours takes in bf16; shows all."""
    full, half = torch.float32, torch.bfloat16
    variants = {
        "ours, bf16": variant(batch, half, local_response_norm),
        "ours, fp32": variant(batch, full, local_response_norm),
        "ours, fp32, NCHW": variant(batch, full, local_response_norm, channels_last=False),
        "torch, fp32": variant(batch, full, torchs_own),
        "torch, fp32, NCHW": variant(batch, full, torchs_own, channels_last=False),
    }
    seconds = interleaved(rounds, **variants)
    show(f"both norms at batch {batch}, forward + backward (bar: 5 x)", seconds, "ours, fp32")
    show("the same against bf16", seconds, "ours, bf16")
    count = sum(x.numel() for x in drawn(batch, full))
    source = torch.zeros(count, device=DEVICE)
    target = torch.empty_like(source)

    def copy() -> None:
        target.copy_(source)
        wait()

    rate = 2 * 4 * count / statistics.median(interleaved(rounds, copy=copy)["copy"])
    for name, size in (("fp32", 4), ("bf16", 2)):
        print(
            f"  limit, {name}: 5 x {count * size / 1e6:.0f} MB at {rate / 1e9:.0f} GB/s of a copy: "
            f"{1e3 * 5 * count * size / rate:.1f} ms"
        )
    return statistics.median(seconds["ours, bf16"])


def bench_error() -> None:
    """Greatest relative difference from torch's function in float64, of outputs and gradients."""
    for dtype in (torch.float32, torch.bfloat16):
        worst = [0.0, 0.0]
        for x in drawn(4, dtype):
            exact = x.detach().double().requires_grad_()
            grad = torch.randn_like(x)
            y, z = local_response_norm(x), torchs_own(exact)
            y.backward(grad)
            z.backward(grad.double())
            tiny = torch.finfo(torch.float64).tiny
            off = (y.double() - z).detach().abs() / z.detach().abs().clamp_min(tiny)
            worst[0] = max(worst[0], float(off.max()))
            difference = (x.grad.double() - exact.grad).abs().max()
            worst[1] = max(worst[1], float(difference / exact.grad.abs().max()))
        print(
            f"  {dtype}: outputs within {worst[0]:.1e} of each value, "
            f"gradients within {worst[1]:.1e} of the greatest"
        )


def bench_share(batch: int, rounds: int, norms: float) -> None:
    """Share of a bf16 training step: the norms alone, and a step with them against one without."""
    keep_freed_memory()
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn((batch, 3, 227, 227), generator=generator).to(DEVICE)
    pixels = pixels.to(memory_format=torch.channels_last)
    labels = torch.arange(batch, device=DEVICE)

    def made(*, with_norms: bool) -> Callable[[], None]:
        network = AlexNet(architecture_named("single_gpu"))
        if not with_norms:
            network.norm1 = network.norm2 = torch.nn.Identity()
        network = network.to(DEVICE).to(memory_format=torch.channels_last)
        optimiser = torch.optim.SGD(network.parameters(), 1e-4, 0.9, weight_decay=5e-4, fused=True)

        def step() -> None:
            with autocast(DEVICE, "bf16"):
                logits = network(pixels)
            optimiser.zero_grad()
            functional.cross_entropy(logits.float(), labels).backward()
            optimiser.step()
            wait()

        return step

    names = ("with both norms", "without them")
    seconds = interleaved(
        rounds, **{names[0]: made(with_norms=True), names[1]: made(with_norms=False)}
    )
    show(f"bf16 training step at batch {batch}", seconds, names[1])
    step = statistics.median(seconds[names[0]])
    print(f"  the norms by themselves: {norms / step:.1%} of the step (bar: under 4 %)")


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64, help="images")
    parser.add_argument("--rounds", type=int, default=9, help="rounds that are kept")
    given = parser.parse_args()
    where = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "CPU"
    print(f"torch {torch.__version__} on {where}, {torch.get_num_threads()} threads")
    keep_freed_memory()
    norms = bench_speed(given.batch, given.rounds)
    bench_error()
    bench_share(given.batch, given.rounds, norms)


if __name__ == "__main__":
    main()
