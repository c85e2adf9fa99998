"""Where and in what precision a network computes, and how pixels become its input."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING, Literal

import torch

from imagetree.errors import TrainingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4


def choose_device(name: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """The device of that name; auto is a GPU where there is one.

    Raises:
        TrainingError: cuda is asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise TrainingError("no CUDA device is here", hint="use --device cpu")
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Context in which convolutions and matrix products are done in `precision`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def normalise(
    pixels: NDArray[np.uint8],
    device: torch.device,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> torch.Tensor:
    """Pixels as the network's input.

    Args:
        pixels: uint8 (N, H, W, 3).
        device: where the result shall be.
        mean: of each channel, 0..255.
        std: of each channel.

    Returns:
        float32 (N, 3, H, W), channels-last in memory: the axes are renamed, nothing is moved.
    """
    batch = torch.from_numpy(pixels).to(device).float()  # (N, H, W, 3)
    batch.sub_(torch.tensor(mean, device=device)).div_(torch.tensor(std, device=device))
    return batch.permute(0, 3, 1, 2)


def keep_freed_memory() -> None:
    """Ask glibc to keep large blocks for the next step instead of handing them back.

    A training step on the CPU frees and takes the same hundreds of megabytes again; handing them
    back costs a page fault for each 4 KiB. Measured: steps 1.4 to 1.5 times faster (2 cores, batch
    64, fp32; docs/log.md). No effect elsewhere than on Linux with glibc.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_MMAP_MAX, 0)
