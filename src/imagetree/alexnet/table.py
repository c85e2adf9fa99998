"""The layer table of an architecture, row by row as the lecture prints it, with its formulas."""

from __future__ import annotations

from dataclasses import dataclass

from imagetree.alexnet.architectures import (
    Architecture,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    LocalResponseNorm,
    MaxPool,
    Relu,
)
from imagetree.alexnet.counts import LayerCount, Totals, count_layers, total

COLUMNS = ("Size / Operation", "Filter", "Depth", "Stride", "Padding", "Number of Parameters")


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
    """

    operation: str
    filter: str = ""
    depth: str = ""
    stride: str = ""
    padding: str = ""
    formula: str = ""
    parameters: int | None = None


@dataclass(frozen=True)
class LayerTable:
    """The table of one architecture, with the sums under it."""

    architecture: Architecture
    rows: tuple[TableRow, ...]
    totals: Totals


def layer_table(
    architecture: Architecture, num_classes: int = 1000, input_size: int | None = None
) -> LayerTable:
    """The table of an architecture; see `count_layers` for the arguments and errors.

    >>> from imagetree.alexnet.architectures import architecture_named
    >>> table = layer_table(architecture_named("single_gpu"))
    >>> table.rows[1].formula
    '(11*11*3 + 1) * 96 = 34,944'
    """
    counts = count_layers(architecture, num_classes, input_size)
    rows = [TableRow(_size(counts[0].input_shape))]
    for position, count in enumerate(counts):
        if isinstance(count.layer, Relu):
            continue
        following = counts[position + 1].layer if position + 1 < len(counts) else None
        rows.append(_operation_row(count, with_relu=isinstance(following, Relu)))
        if isinstance(count.layer, Conv | MaxPool | FullyConnected):
            rows.append(_size_row(count, is_last=following is None))
    return LayerTable(architecture, tuple(rows), total(counts))


def _operation_row(count: LayerCount, *, with_relu: bool) -> TableRow:
    layer, parameters = count.layer, count.weights + count.biases
    relu = " + ReLU" if with_relu else ""
    match layer:
        case Conv():
            return TableRow(
                layer.name.capitalize() + relu,
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
            return TableRow(layer.name.upper() + relu, formula=formula, parameters=count.weights)
        case MaxPool():
            window = f"{layer.kernel} * {layer.kernel}"
            return TableRow("Max Pooling", window, stride=str(layer.stride), parameters=0)
        case LocalResponseNorm():
            return TableRow("Norm", parameters=0)
        case BatchNorm():
            formula = f"2 * {count.weights} = {parameters:,}"
            return TableRow("Batch Norm" + relu, formula=formula, parameters=parameters)
        case Dropout():
            return TableRow(f"Dropout (rate {layer.rate})", parameters=0)
        case Relu():
            return TableRow("ReLU", parameters=0)


def _conv_formula(layer: Conv, count: LayerCount) -> str:
    window = f"{layer.kernel}*{layer.kernel}*{count.input_shape[0] // layer.groups}"
    each = f"({window} + 1)" if layer.bias else window
    return f"{each} * {layer.depth} = {count.weights + count.biases:,}"


def _size_row(count: LayerCount, *, is_last: bool) -> TableRow:
    layer, size = count.layer, _size(count.output_shape)
    if is_last:
        size += " classes"
    if isinstance(layer, Conv | MaxPool):
        padding = layer.padding if isinstance(layer, Conv) else 0
        padded = f"{count.input_shape[1]} - {layer.kernel}" + (f" + 2*{padding}" if padding else "")
        exact = (count.input_shape[1] + 2 * padding - layer.kernel) % layer.stride == 0
        division = (
            f"({padded}) / {layer.stride}" if exact else f"floor(({padded}) / {layer.stride})"
        )
        return TableRow(size, formula=f"{count.output_shape[1]} = {division} + 1")
    return TableRow(size)


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
        ("Everything that is learned", f"{totals.parameters:,}"),
        ("Multiplications for one image", _millions(totals.macs)),
    )


def render_text(table: LayerTable) -> str:
    """The table as plain text in columns."""
    cells = [COLUMNS, *(_cells(row) for row in table.rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    lines.insert(1, "-" * max(len(line) for line in lines))
    label_width = max(len(label) for label, _ in total_lines(table))
    sums = [f"{label.ljust(label_width)}  {value}" for label, value in total_lines(table)]
    title = f"{table.architecture.name}: {table.architecture.description}"
    return "\n".join([title, "", *lines, "", *sums]) + "\n"


def render_markdown(table: LayerTable) -> str:
    """The table in Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    lines += ["| " + " | ".join(_cells(row)).replace("*", r"\*") + " |" for row in table.rows]
    sums = [f"- {label}: {value}" for label, value in total_lines(table)]
    return "\n".join([*lines, "", *sums]) + "\n"


def _cells(row: TableRow) -> tuple[str, ...]:
    return (row.operation, row.filter, row.depth, row.stride, row.padding, row.formula)


def _millions(number: int) -> str:
    return f"{number / 1e6:,.1f} million"
