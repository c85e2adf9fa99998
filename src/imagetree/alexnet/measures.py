"""What each layer costs: weights, multiplications, values, bytes, what it sees, its time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetree.alexnet.layers import (
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    Layer,
    LocalResponseNorm,
    SameMapNorm,
)
from imagetree.alexnet.receptive import ReceptiveField, receptive_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagetree.alexnet.counts import LayerCount

COLUMNS = (
    "Layer",
    "Output",
    "Weights",
    "Biases",
    "MACs",
    "Activations",
    "Sees",
    "Bytes moved",
    "Constants",
)


@dataclass(frozen=True)
class LayerTime:
    """Seconds of a layer for one image, measured in a batch.

    Args:
        name: of the layer.
        forward: from its input to its output.
        backward: from the gradient of its output to those of its input and weights.
    """

    name: str
    forward: float
    backward: float


@dataclass(frozen=True)
class LayerMeasure:
    """A layer and what it costs for one image.

    Args:
        name: of the layer.
        output: its shape, (channels, height, width) or (units,).
        weights: learned weights, scales of batch normalisation among them.
        biases: learned biases or shifts.
        macs: multiplications with their additions.
        activations: values that it gives on.
        field: what one value sees of the image.
        bytes_moved: least bytes of its forward pass, in float32; see `LayerCount.bytes_moved`.
        constants: how its weights begin, or the constants of a norm.
        time: measured; None if it was not.
        time_share: its part of the time of all layers, forward and backward, from 0 to 1.
    """

    name: str
    output: tuple[int, ...]
    weights: int
    biases: int
    macs: int
    activations: int
    field: ReceptiveField
    bytes_moved: int
    constants: str
    time: LayerTime | None = None
    time_share: float | None = None


def layer_measures(
    counts: tuple[LayerCount, ...], times: Sequence[LayerTime] | None = None
) -> tuple[LayerMeasure, ...]:
    """What each layer costs, in forward order.

    Args:
        counts: of `count_layers`.
        times: of `timing.layer_times` for the same network; None leaves them out.
    """
    known = {time.name: time for time in times or ()}
    whole = sum(time.forward + time.backward for time in known.values())
    found = []
    for count, field in zip(counts, receptive_fields(counts), strict=True):
        time = known.get(count.layer.name)
        found.append(
            LayerMeasure(
                count.layer.name,
                count.output_shape,
                count.weights,
                count.biases,
                count.macs,
                count.activations,
                field,
                count.bytes_moved(),
                constants_of(count.layer),
                time,
                (time.forward + time.backward) / whole if time else None,
            )
        )
    return tuple(found)


def constants_of(layer: Layer) -> str:
    """How a layer's weights begin, or the constants that it computes with.

    >>> constants_of(LocalResponseNorm("norm1"))
    'k 2, 5 maps, alpha 0.0001, beta 0.75'
    """
    match layer:
        case Conv() | FullyConnected():
            return str(layer.init)
        case LocalResponseNorm():
            towers = ", inside a tower" if layer.groups > 1 else ""
            maps = f"{layer.size} maps{towers}"
            return f"k {layer.k:g}, {maps}, alpha {layer.alpha:g}, beta {layer.beta:g}"
        case SameMapNorm():
            window = f"{layer.size} * {layer.size} of its map"
            return f"k {layer.k:g}, {window}, alpha {layer.alpha:g}, beta {layer.beta:g}"
        case Dropout():
            when = "at the test" if layer.scaled == "test" else "while training"
            return f"rate {layer.rate:g}, scaled {when}"
        case BatchNorm():
            return "scale 1, shift 0"
        case _:
            return ""


def measure_columns(measures: tuple[LayerMeasure, ...]) -> tuple[str, ...]:
    """The heads of the columns; those of time only where it was measured."""
    timed = any(measure.time for measure in measures)
    return (*COLUMNS, "Forward", "Backward", "Share") if timed else COLUMNS


def measure_cells(measure: LayerMeasure) -> tuple[str, ...]:
    """The texts of a layer's row, one for each of `measure_columns`."""
    field = measure.field
    apart = f", {field.stride} apart" if field.stride else ""
    cells = (
        measure.name,
        " * ".join(str(size) for size in measure.output),
        *(f"{n:,}" if n else "" for n in (measure.weights, measure.biases, measure.macs)),
        f"{measure.activations:,}",
        f"{field.size}{apart}",
        f"{measure.bytes_moved:,}" if measure.bytes_moved else "",
        measure.constants,
    )
    if measure.time is None or measure.time_share is None:
        return cells
    times = (f"{1e3 * t:.2f} ms" for t in (measure.time.forward, measure.time.backward))
    return (*cells, *times, f"{100 * measure.time_share:.1f} %")
