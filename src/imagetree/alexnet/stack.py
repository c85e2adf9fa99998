"""The lecture's second picture, the stack 35K 307K 884K 1.3M 442K 37M 16M 4M, explained.

It counts weights without biases. Some of its layers are counted as in the paper's two towers,
where a filter sees half of the maps, some as in a single tower, so that no network has them all.
"""

from __future__ import annotations

from dataclasses import dataclass

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named
from imagetree.alexnet.counts import LayerCount, count_layers
from imagetree.alexnet.layers import Conv
from imagetree.alexnet.published import is_rounding

_K, _M = 1_000, 1_000_000
_UNGROUPED, _GROUPED = "single_gpu", "two_gpu"


@dataclass(frozen=True)
class _Printed:
    """A line of the picture, as it is printed, and the layer that it is."""

    number: str
    text: str
    layer: str = ""
    value: int = 0
    unit: int = 1
    remark: str = ""


_PICTURE = (
    _Printed("4M", "FULL CONNECT", "fc8", 4 * _M, _M),
    _Printed("16M", "FULL 4096/ReLU", "fc7", 16 * _M, _M),
    _Printed("37M", "FULL 4096/ReLU", "fc6", 37 * _M, _M),
    _Printed("", "MAX POOLING", "pool5"),
    _Printed("442K", "CONV 3x3/ReLU 256fm", "conv5", 442 * _K, _K),
    _Printed("1.3M", "CONV 3x3ReLU 384fm", "conv4", 1_300 * _K, 100 * _K),
    _Printed("884K", "CONV 3x3/ReLU 384fm", "conv3", 884 * _K, _K),
    _Printed("", "MAX POOLING 2x2sub", "pool2", remark="the windows are 3x3, moved by 2"),
    _Printed("", "LOCAL CONTRAST NORM", "norm2", remark="it is local response normalisation"),
    _Printed(
        "307K",
        "CONV 11x11/ReLU 256fm",
        "conv2",
        307 * _K,
        _K,
        remark="'11x11' is 5x5: 11*11*48*256 would be 1,486,848",
    ),
    _Printed("", "MAX POOL 2x2sub", "pool1", remark="the windows are 3x3, moved by 2"),
    _Printed("", "LOCAL CONTRAST NORM", "norm1", remark="it is local response normalisation"),
    _Printed(
        "35K",
        "CONV 11x11/ReLU 96fm",
        "conv1",
        35 * _K,
        _K,
        remark="with its biases, 34,944, it is rounded to the same",
    ),
)
"""From the top of the picture down, which is from the classes to the image."""


@dataclass(frozen=True)
class StackRow:
    """A line of the picture and what its number is.

    Args:
        printed: the number as printed; empty where there is none.
        text: what the picture calls the layer.
        layer: its name here.
        formula: of the weights that the number is; empty where there is none.
        weights: exactly.
        counted: `grouped` (a filter sees half of the maps), `ungrouped`, or `either` where the
            layer is the same in both.
        shortened: `rounded`, `cut off`, or `either`.
        remark: what the picture gets wrong.
    """

    printed: str
    text: str
    layer: str
    formula: str = ""
    weights: int | None = None
    counted: str = ""
    shortened: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Likeness:
    """How many of the picture's eight numbers a network has, and which it has not."""

    architecture: str
    num_equal: int
    differing: tuple[str, ...]


def stack_rows() -> tuple[StackRow, ...]:
    """The picture, from its top down, each number explained.

    >>> [row.counted for row in stack_rows() if row.layer in ("conv5", "conv4", "conv2")]
    ['grouped', 'ungrouped', 'grouped']
    """
    return tuple(_explained(line) for line in _PICTURE)


def likenesses() -> tuple[Likeness, ...]:
    """Every architecture against the picture's eight numbers, the likest first.

    >>> likenesses()[0]
    Likeness(architecture='two_gpu', num_equal=7, differing=('conv4: 663,552 and not 1.3M',))
    """
    found = []
    for name in ARCHITECTURES:
        counts = _counts(name)
        differing = tuple(
            f"{line.layer}: {counts[line.layer].weights:,} and not {line.number}"
            for line in reversed(_PICTURE)
            if line.number and not _is_printed_as(counts[line.layer].weights, line)
        )
        num_printed = sum(bool(line.number) for line in _PICTURE)
        found.append(Likeness(name, num_printed - len(differing), differing))
    return tuple(sorted(found, key=lambda each: -each.num_equal))


def _explained(line: _Printed) -> StackRow:
    if not line.number:
        return StackRow("", line.text, line.layer, remark=line.remark)
    whole, halved = _counts(_UNGROUPED)[line.layer], _counts(_GROUPED)[line.layer]
    if whole.weights == halved.weights:
        count, counted = whole, "either"
    elif _is_printed_as(halved.weights, line):
        count, counted = halved, "grouped"
    else:
        count, counted = whole, "ungrouped"
    return StackRow(
        line.number,
        line.text,
        line.layer,
        _formula(count),
        count.weights,
        counted,
        _shortened(count.weights, line),
        line.remark,
    )


def _counts(name: str) -> dict[str, LayerCount]:
    return {count.layer.name: count for count in count_layers(architecture_named(name))}


def _is_printed_as(weights: int, line: _Printed) -> bool:
    return is_rounding(weights, line.value, line.unit)


def _formula(count: LayerCount) -> str:
    layer = count.layer
    if isinstance(layer, Conv):
        factors = [layer.kernel, layer.kernel, count.input_shape[0] // layer.groups, layer.depth]
    else:
        factors = [*count.input_shape, *count.output_shape]
    return "*".join(str(factor) for factor in factors) + f" = {count.weights:,}"


def _shortened(weights: int, line: _Printed) -> str:
    cut = weights // line.unit * line.unit == line.value
    rounded = (weights + line.unit // 2) // line.unit * line.unit == line.value
    return "either" if cut and rounded else "cut off" if cut else "rounded"


def render_stack() -> str:
    """The picture with its explanation, as plain text."""
    header = ("printed", "the picture's words", "layer", "weights", "counted", "shortened")
    cells = [header] + [
        (row.printed, row.text, row.layer, row.formula, row.counted, row.shortened)
        for row in stack_rows()
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    lines.insert(1, "-" * max(len(line) for line in lines))
    remarks = [f"  {row.layer}: {row.remark}" for row in stack_rows() if row.remark]
    networks = [
        f"  {each.architecture}: {each.num_equal} of 8; {', '.join(each.differing)}"
        for each in likenesses()
    ]
    return (
        "\n".join(
            [
                *lines,
                "",
                "Weights without biases. 'grouped': a filter sees the maps of its own tower, half",
                "of them, as in the paper; 'ungrouped': it sees all, as in a single tower. conv2",
                "and conv5 are counted the one way, conv4 the other: no network has all eight.",
                *networks,
                "",
                "In the picture",
                *remarks,
            ]
        )
        + "\n"
    )
