"""How the C library keeps memory; without torch, for workers too."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4


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
