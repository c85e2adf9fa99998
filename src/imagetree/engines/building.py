"""Engines by name, made of a network's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagetree.alexnet.onnx_graph import make_onnx
from imagetree.engines.engine import NAMES, precision_of
from imagetree.engines.graph import fold_batch_norm, take_apart
from imagetree.engines.quantise import quantise
from imagetree.engines.runtimes import build_on
from imagetree.engines.torch_engine import TorchEngine
from imagetree.errors import TrainingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imagetree.alexnet.weights import Weights
    from imagetree.engines.engine import Engine


def make_int8(model: Any, pixels: NDArray[np.uint8]) -> Any:
    """The network in int8 as an `onnx.ModelProto`.

    Args:
        model: in float32, as `make_onnx` makes it.
        pixels: images to find the scales on; uint8 (N, S, S, 3).

    Raises:
        TrainingError: a library is not installed, or the network gives what is not finite.
    """
    return quantise(fold_batch_norm(take_apart(model)), pixels).to_model()


def build_engine(name: str, weights: Weights, int8: Any = None) -> Engine:
    """An engine of a network.

    Args:
        name: one of `NAMES`.
        weights: in float32.
        int8: what `make_int8` gave; nothing to the other precisions.

    Raises:
        TrainingError: there is no such engine, int8 is not given, or its library is not installed.
    """
    if name not in NAMES:
        raise TrainingError(f"no engine is called {name!r} (expected one of {', '.join(NAMES)})")
    library, precision = name.split("-")
    if library == "pytorch":
        return TorchEngine(name, weights)
    if precision_of(name) == "int8" and int8 is None:
        raise TrainingError(
            f"{name}: the network has not been calibrated",
            hint="calibrate it on minival: imagetree engines RUN",
        )
    model = int8 if precision == "int8" else make_onnx(weights)
    return build_on(name, model)
