"""Where and in what precision a network computes, and how pixels become its input."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from imagetree.alexnet.network import AlexNet
    from imagetree.training.evaluate import Logits, View

    Mean = tuple[float, float, float] | NDArray[np.float32]
    """What is subtracted from pixels: a value for each channel, or an image (S, S, 3)."""


def choose_device(name: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """The device of that name; auto is a GPU where there is one.

    Of several processes on a machine, which torchrun numbers, each has a GPU of its own.

    Raises:
        TrainingError: cuda is asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise TrainingError("no CUDA device is here", hint="use --device cpu")
    if not has_gpu or name == "cpu":
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


@contextmanager
def repeatable(deterministic: bool) -> Iterator[None]:
    """Only operations that give the same bits each time; or, if not, the fastest that are found.

    Args:
        deterministic: whether torch shall refuse an operation that has no repeatable form. It must
            be so before the first product on a GPU, whose workspace is then of a fixed size.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = not deterministic
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


def computes_bf16(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16.

    A processor that does not takes 5 to 90 times as long as in float32 (docs/log.md).
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch 2.11 may not tell yet
    found: Mapping[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def precision_on(device: torch.device, precision: str) -> str:
    """bf16 or fp32: what is asked for, or for `auto` bf16 where the device computes it."""
    if precision == "auto":
        return "bf16" if computes_bf16(device) else "fp32"
    return precision


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Context in which convolutions and matrix products are done in `precision`, or `auto`."""
    enabled = precision_on(device, precision) == "bf16"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def normalise(
    pixels: NDArray[np.uint8] | torch.Tensor,
    device: torch.device,
    mean: Mean,
    std: tuple[float, float, float],
    *,
    shifts: NDArray[np.float32] | None = None,
) -> torch.Tensor:
    """Pixels as the network's input.

    Args:
        pixels: uint8 (N, H, W, 3); or float32, on the device, which is written over.
        device: where the result shall be.
        mean: of each channel, 0..255; or the mean image, float32 (S, S, 3), resized to H x W.
        std: of each channel.
        shifts: added to every pixel of an image first; float32 (N, 3), None for nothing.

    Returns:
        float32 (N, 3, H, W), channels-last in memory: the axes are renamed, nothing is moved.
    """
    raw = on_device(pixels, device)
    width = raw.shape[2]
    batch = raw.flatten(2)  # (N, H, 3 W): the loops inside are W times as long
    if shifts is not None:
        batch.add_(torch.from_numpy(shifts).to(device).repeat(1, width)[:, None])
    stds = torch.tensor(std, device=device).repeat(width)
    batch.sub_(_means(mean, raw.shape[1], width).to(device)).div_(stds)
    return batch.view(raw.shape).permute(0, 3, 1, 2)


def logits_of(network: AlexNet, view: View) -> Logits:
    """What a network says of images that are shown to it as `view` says.

    Args:
        network: on its device, in evaluation mode.
        view: its mean, std and precision are used.
    """
    device = next(network.parameters()).device

    @torch.no_grad()
    def logits(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        x = normalise(pixels, device, view.mean, view.std)
        with autocast(device, view.precision):
            found: NDArray[np.float32] = network(x).float().cpu().numpy()
        return found

    return logits


def on_device(pixels: NDArray[np.uint8] | torch.Tensor, device: torch.device) -> torch.Tensor:
    """Pixels as float32 on the device; those that are so already are given back themselves."""
    raw = pixels if isinstance(pixels, torch.Tensor) else torch.from_numpy(pixels)
    return raw.to(device).float()


def _means(mean: Mean, height: int, width: int) -> torch.Tensor:
    """What is subtracted from the rows of an image; float32, (3 W,) or (H, 3 W)."""
    if isinstance(mean, tuple):
        return torch.tensor(mean).repeat(width)
    image = torch.from_numpy(mean).permute(2, 0, 1)[None]
    if image.shape[2:] != (height, width):
        image = functional.interpolate(image, (height, width), mode="bilinear", antialias=True)
    return image[0].permute(1, 2, 0).flatten(1)
