"""What every engine is: pixels in, logits out.

The libraries are an extra of the package and are imported when an engine of theirs is made.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, Literal, Protocol

from imagetree.errors import TrainingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Precision = Literal["fp32", "bf16", "int8"]
REFERENCE = "pytorch-fp32"
NAMES = (
    REFERENCE,
    "pytorch-bf16",
    "onnxruntime-fp32",
    "onnxruntime-int8",
    "openvino-fp32",
    "openvino-bf16",
    "openvino-int8",
)
FIXED_SIZES = frozenset({1, 32, 64, 128})
"""Batches that recognition, measures and evaluation ask for. OpenVINO is a tenth faster where it
knows the size, and a CUDA graph has one; any other size goes the general way."""
INSTALL = "pip install 'imagetree[engines]'"


class Engine(Protocol):
    """A network that is ready to answer, from any number of threads."""

    @property
    def name(self) -> str:
        """Library and precision, as `openvino-int8`."""

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits of images.

        Args:
            pixels: uint8 (N, S, S, 3), R, G, B, C-contiguous; N at least 1.

        Returns:
            float32 (N, K).
        """


def precision_of(name: str) -> str:
    """The precision in an engine's name.

    >>> precision_of("openvino-int8")
    'int8'
    """
    return name.rpartition("-")[2]


def no_bf16(name: str) -> TrainingError:
    """The error of an engine in bf16 where that is not computed, or many times slower."""
    return TrainingError(f"{name}: no bf16 is computed here", hint="take an engine in fp32 or int8")


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def require(module: str) -> Any:
    """A library of the extra `engines`.

    Raises:
        TrainingError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise TrainingError(f"{module} is not installed ({error})", hint=INSTALL) from error
