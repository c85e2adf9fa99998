"""The layer table of an architecture, row by row as the lecture prints it, with its formulas."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imagetree.alexnet.counts import LayerCount, Totals, count_layers, hanging_over, total
from imagetree.alexnet.layers import (
    AdaptiveAveragePool,
    Architecture,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    LocalResponseNorm,
    MaxPool,
    Relu,
    SameMapNorm,
    Tanh,
)
from imagetree.alexnet.measures import (
    LayerMeasure,
    LayerTime,
    layer_measures,
)
from imagetree.alexnet.published import Figure, published_figures

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = ("Size / Operation", "Filter", "Depth", "Stride", "Padding", "Number of Parameters")
_ACTIVATIONS = {Relu: "ReLU", Tanh: "tanh"}


@dataclass(frozen=True)
class TableRow:
    """One row: an operation, or the size of what it gives on to the next.

    Args:
        operation: name of the operation, or a size as `96 * 55 * 55`.
        filter: side by side of the window.
        depth: number of filters.
        stride: of the window.
        padding: of the input.
        formula: how the number of parameters comes about, or how the size does.
        parameters: weights, and the biases of convolutions and batch normalisation; the biases of
            the fully connected layers are left out, as in the lecture. None for a size.
        layer: name of the layer that does it, or gives this size; empty for the image.
    """

    operation: str
    filter: str = ""
    depth: str = ""
    stride: str = ""
    padding: str = ""
    formula: str = ""
    parameters: int | None = None
    layer: str = ""


@dataclass(frozen=True)
class LayerTable:
    """The table of one architecture, with what stands under it.

    Args:
        architecture: the network as data.
        rows: the lecture's table.
        totals: the sums.
        measures: what each layer costs.
        published: printed figures beside ours; none at another input size or number of classes.
    """

    architecture: Architecture
    rows: tuple[TableRow, ...]
    totals: Totals
    measures: tuple[LayerMeasure, ...]
    published: tuple[Figure, ...]


def layer_table(
    architecture: Architecture,
    num_classes: int = 1000,
    input_size: int | None = None,
    *,
    times: Sequence[LayerTime] | None = None,
) -> LayerTable:
    """The table of an architecture; see `count_layers` for the arguments and errors.

    With `times`, of `timing.layer_times`, each layer's share of the time stands in it too.

    >>> from imagetree.alexnet.architectures import architecture_named
    >>> table = layer_table(architecture_named("single_gpu"))
    >>> table.rows[1].formula
    '(11*11*3 + 1) * 96 = 34,944'
    """
    counts = count_layers(architecture, num_classes, input_size)
    rows = [TableRow(_size(counts[0].input_shape))]
    for position, count in enumerate(counts):
        following = counts[position + 1].layer if position + 1 < len(counts) else None
        if not isinstance(count.layer, Relu | Tanh):
            activated = isinstance(following, Relu | Tanh)
            suffix = f" + {_ACTIVATIONS[type(following)]}" if activated else ""
            rows.append(replace(_operation_row(count, suffix), layer=count.layer.name))
        if isinstance(count.layer, Conv | MaxPool | AdaptiveAveragePool | FullyConnected):
            size = _size_row(count, is_last=following is None)
            rows.append(replace(size, layer=count.layer.name))
    totals = total(counts)
    is_as_published = num_classes == 1000 and input_size in (None, architecture.input_size)
    published = published_figures(architecture.name, counts, totals) if is_as_published else ()
    return LayerTable(architecture, tuple(rows), totals, layer_measures(counts, times), published)


def _operation_row(count: LayerCount, activation: str) -> TableRow:
    layer, parameters = count.layer, count.weights + count.biases
    match layer:
        case Conv():
            return TableRow(
                layer.name.capitalize() + activation,
                f"{layer.kernel} * {layer.kernel}",
                str(layer.depth),
                str(layer.stride),
                str(layer.padding) if layer.padding else "",
                _conv_formula(layer, count),
                parameters,
            )
        case FullyConnected():
            inputs = "*".join(str(side) for side in count.input_shape)
            formula = f"{inputs} * {count.output_shape[0]} = {count.weights:,}"
            return TableRow(
                layer.name.upper() + activation, formula=formula, parameters=count.weights
            )
        case MaxPool():
            window = f"{layer.kernel} * {layer.kernel}"
            return TableRow(
                "Max Pooling" + activation, window, stride=str(layer.stride), parameters=0
            )
        case AdaptiveAveragePool():
            return TableRow("Average Pooling", parameters=0)
        case LocalResponseNorm():
            return TableRow("Norm", parameters=0)
        case SameMapNorm():
            window = f"{layer.size} * {layer.size}"
            return TableRow("Norm in the map", window, parameters=0)
        case BatchNorm():
            formula = f"2 * {count.weights} = {parameters:,}"
            return TableRow("Batch Norm" + activation, formula=formula, parameters=parameters)
        case Dropout():
            return TableRow(f"Dropout (rate {layer.rate})", parameters=0)
        case Relu() | Tanh():
            return TableRow(_ACTIVATIONS[type(layer)], parameters=0)


def _conv_formula(layer: Conv, count: LayerCount) -> str:
    window = f"{layer.kernel}*{layer.kernel}*{count.input_shape[0] // layer.groups}"
    each = f"({window} + 1)" if layer.bias else window
    return f"{each} * {layer.depth} = {count.weights + count.biases:,}"


def _size_row(count: LayerCount, *, is_last: bool) -> TableRow:
    layer, size = count.layer, _size(count.output_shape)
    if is_last:
        size += " classes"
    if isinstance(layer, Conv | MaxPool):
        return TableRow(size, formula=_size_formula(layer, count))
    return TableRow(size)


def _size_formula(layer: Conv | MaxPool, count: LayerCount) -> str:
    """How a side comes about: 55 = (227 - 11) / 4 + 1; rounding only where there is a rest."""
    padding = layer.padding if isinstance(layer, Conv) else 0
    side, output = count.input_shape[1], count.output_shape[1]
    division = f"({side} - {layer.kernel}" + (f" + 2*{padding}" if padding else "")
    division += f") / {layer.stride}"
    hanging = hanging_over(layer, side)
    if hanging:
        what = "zeros" if isinstance(layer, Conv) else "nothing"
        return f"{output} = ceil({division}) + 1; the last hangs over by {hanging}, onto {what}"
    is_exact = (side + 2 * padding - layer.kernel) % layer.stride == 0
    return f"{output} = {division if is_exact else f'floor({division})'} + 1"


def _size(shape: tuple[int, ...]) -> str:
    return " * ".join(str(side) for side in shape)


def total_lines(table: LayerTable) -> tuple[tuple[str, str], ...]:
    """What stands under the table: (what is counted and by which rule, the number)."""
    totals = table.totals
    norm = totals.norm_parameters
    lines = [
        (
            "Overall, by the lecture's rule (biases of convolutions counted, of FC layers not)",
            f"{totals.lecture:,} = {totals.lecture // 100_000 / 10} million",  # cut off there
        ),
        ("Conv", _millions(totals.conv_parameters)),
        ("FC", _millions(totals.fc_weights)),
        ("Biases of the fully connected layers", f"{totals.fc_biases:,}"),
    ]
    if norm:
        lines.append(("Scales and shifts of batch normalisation", f"{norm:,}"))
    return (
        *lines,
        ("Weights without any bias", f"{totals.weights:,}"),
        ("Everything that is learned", f"{totals.parameters:,}"),
        ("Multiplications for one image", _millions(totals.macs)),
        ("Neurons, by the paper's rule (outputs of Conv and FC)", f"{totals.neurons:,}"),
        ("Bytes that a forward pass of one image moves at least", _millions(totals.bytes_moved)),
    )


def _millions(number: int) -> str:
    return f"{number / 1e6:,.1f} million"
