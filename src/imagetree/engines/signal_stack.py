"""Ctrl-C after OpenVINO: the stack that signals are handled on, as it was before."""

from __future__ import annotations

import ctypes
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class SignalStack(ctypes.Structure):
    """Linux's `stack_t`."""

    _fields_ = (
        ("pointer", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("size", ctypes.c_size_t),
    )


def read_signal_stack() -> SignalStack:
    """This thread's alternate signal stack; Linux only.

    Raises:
        OSError: the kernel does not say.
    """
    stack = SignalStack()
    _sigaltstack(None, ctypes.byref(stack))
    return stack


@contextmanager
def keep_signal_stack() -> Iterator[None]:
    """Leaves this thread's alternate signal stack as it was when the block began.

    OpenVINO lays one of the least size that the kernel allows (`AT_MINSIGSTKSZ`, 11,568 bytes on a
    processor with AMX). The kernel's own frame fills it, and Python's handler, which asks for that
    stack, ran over its end: a Ctrl-C became a segmentation fault.
    """
    if sys.platform != "linux":
        yield
        return
    before = read_signal_stack()
    try:
        yield
    finally:
        _sigaltstack(ctypes.byref(before), None)


def _sigaltstack(new: object, old: object) -> None:
    if ctypes.CDLL(None, use_errno=True).sigaltstack(new, old) != 0:
        raise OSError(ctypes.get_errno(), "sigaltstack failed")
