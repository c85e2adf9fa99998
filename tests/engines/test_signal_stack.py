"""Ctrl-C after an engine was made: signals have the stack that they had before."""

from __future__ import annotations

import ctypes
import sys

import pytest

from imagetree.engines.runtimes import OpenVinoEngine
from imagetree.engines.signal_stack import SignalStack, keep_signal_stack, read_signal_stack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a stack of Linux's")


def parts(stack: SignalStack) -> tuple[int | None, int, int]:
    return stack.pointer, stack.flags, stack.size


def test_openvino_leaves_the_stack(model) -> None:
    before = parts(read_signal_stack())
    engine = OpenVinoEngine("openvino-fp32", model)
    assert parts(read_signal_stack()) == before
    del engine
    assert parts(read_signal_stack()) == before


def test_what_is_laid_inside_is_taken_away() -> None:
    before = parts(read_signal_stack())
    memory = ctypes.create_string_buffer(1 << 16)
    with keep_signal_stack():
        laid = SignalStack(ctypes.addressof(memory), 0, len(memory))
        assert ctypes.CDLL(None).sigaltstack(ctypes.byref(laid), None) == 0
        assert parts(read_signal_stack()) == (ctypes.addressof(memory), 0, len(memory))
    assert parts(read_signal_stack()) == before
