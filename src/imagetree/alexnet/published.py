"""What others print about the networks, each figure beside ours.

A printed figure agrees if ours, rounded or cut off to its unit, is the same: the paper's "60
million" is 60,965,224 cut off, the lecture's "3.7 million" 3,747,200 rounded. Where one does not
agree it says so, and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from imagetree.alexnet.counts import LayerCount, Totals


@dataclass(frozen=True)
class Figure:
    """A printed figure and ours.

    Args:
        what: is counted.
        printed: by the source, as a number.
        ours: counted from the layers.
        source: that prints it.
        agrees: whether ours gives the printed one.
        remark: why not, or how.
    """

    what: str
    printed: int
    ours: int
    source: str
    agrees: bool
    remark: str = ""


class _Print(NamedTuple):
    """A printed figure; `key` is a sum of `Totals`, or layer.parameters, .weights, .activations."""

    names: tuple[str, ...]
    what: str
    key: str
    number: int
    source: str
    unit: int = 1
    remark: str = ""


_LECTURE = ("single_gpu",)
_GROUPED = ("two_gpu", "chm", "caffenet", "bvlc_alexnet")
_TABLE = "the lecture's table"
_PAPER = "paper, section 3.5"
_PRINTS = (
    _Print(_LECTURE, "conv1, with biases", "conv1.parameters", 34_944, _TABLE),
    _Print(_LECTURE, "conv2, with biases", "conv2.parameters", 614_656, _TABLE),
    _Print(_LECTURE, "conv3, with biases", "conv3.parameters", 885_120, _TABLE),
    _Print(_LECTURE, "conv4, with biases", "conv4.parameters", 1_327_488, _TABLE),
    _Print(_LECTURE, "conv5, with biases", "conv5.parameters", 884_992, _TABLE),
    _Print(_LECTURE, "fc6, without biases", "fc6.weights", 37_748_736, _TABLE),
    _Print(_LECTURE, "fc7, without biases", "fc7.weights", 16_777_216, _TABLE),
    _Print(_LECTURE, "fc8, without biases", "fc8.weights", 4_096_000, _TABLE),
    _Print(_LECTURE, "overall", "lecture", 62_369_152, _TABLE),
    _Print(_LECTURE, "overall, in millions", "lecture", 62_300_000, _TABLE, 100_000, "cut off"),
    _Print(_LECTURE, "convolutions", "conv_parameters", 3_700_000, _TABLE, 100_000),
    _Print(_LECTURE, "parameters", "parameters", 62_378_344, "osmr/imgclsmob, table of models"),
    _Print(("two_gpu",), "parameters", "parameters", 60_000_000, "paper, abstract", 1_000_000),
    _Print(_GROUPED, "parameters", "parameters", 60_965_224, "HPE Deep Learning Cookbook, alexnet"),
    _Print(("two_gpu",), "neurons", "neurons", 650_000, "paper, abstract", 10_000, "cut off"),
    _Print(
        ("two_gpu",),
        "neurons of conv1",
        "conv1.activations",
        253_440,
        _PAPER,
        remark="the paper's slip: 253,440 is 55 * 48 * 96, its maps are 55 * 55 * 96; with it the "
        "sum would be 622,312",
    ),
    _Print(("two_gpu",), "neurons of conv2", "conv2.activations", 186_624, _PAPER),
    _Print(("two_gpu",), "neurons of conv3", "conv3.activations", 64_896, _PAPER),
    _Print(("two_gpu",), "neurons of conv4", "conv4.activations", 64_896, _PAPER),
    _Print(("two_gpu",), "neurons of conv5", "conv5.activations", 43_264, _PAPER),
    _Print(("two_gpu",), "neurons of fc6", "fc6.activations", 4096, _PAPER),
    _Print(("two_gpu",), "neurons of fc7", "fc7.activations", 4096, _PAPER),
    _Print(("two_gpu",), "neurons of fc8", "fc8.activations", 1000, _PAPER),
    _Print(
        ("two_gpu",),
        "connections",
        "macs",
        630_000_000,
        "Krizhevsky's slides of 2012",
        10_000_000,
        "how the slides count is not said",
    ),
    _Print(("one_weird_trick",), "parameters", "parameters", 61_100_840, "torchvision, num_params"),
    _Print(
        ("one_weird_trick",),
        "multiplications",
        "macs",
        714_000_000,
        "torchvision, 0.714 G operations",
        1_000_000,
    ),
    _Print(
        ("one_weird_trick",),
        "multiplications",
        "macs",
        714_188_480,
        "torcheval, tests of its module summary",
    ),
)


def published_figures(
    name: str, counts: tuple[LayerCount, ...], totals: Totals
) -> tuple[Figure, ...]:
    """Every printed figure about a network, beside ours.

    Args:
        name: of the architecture.
        counts: of its layers, at its own input size with 1,000 classes.
        totals: their sums.
    """
    return tuple(
        _compare(each, _count_of(each.key, counts, totals))
        for each in _PRINTS
        if name in each.names
    )


def _count_of(key: str, counts: tuple[LayerCount, ...], totals: Totals) -> int:
    layer, _, what = key.partition(".")
    if not what:
        return int(getattr(totals, key))
    count = next(count for count in counts if count.layer.name == layer)
    return {
        "parameters": count.weights + count.biases,
        "weights": count.weights,
        "activations": count.activations,
    }[what]


def _compare(printed: _Print, ours: int) -> Figure:
    return Figure(
        printed.what,
        printed.number,
        ours,
        printed.source,
        is_rounding(ours, printed.number, printed.unit),
        printed.remark,
    )


def is_rounding(exact: int, printed: int, unit: int) -> bool:
    """Whether a printed number is the exact one, rounded or cut off to a unit.

    >>> is_rounding(62_369_152, 62_300_000, 100_000), is_rounding(290_400, 253_440, 1)
    (True, False)
    """
    return printed in (exact // unit * unit, (exact + unit // 2) // unit * unit)
