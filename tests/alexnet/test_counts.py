"""The counts of the networks against the lecture's table and the paper."""

from __future__ import annotations

import pytest

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named
from imagetree.alexnet.counts import count_layers, output_size, total
from imagetree.alexnet.table import layer_table, render_markdown, render_text, total_lines
from imagetree.errors import TrainingError

LECTURE_ROWS = """
3 * 227 * 227
Conv1 + ReLU 11 * 11 96 4 (11*11*3 + 1) * 96 = 34,944
96 * 55 * 55 55 = (227 - 11) / 4 + 1
Max Pooling 3 * 3 2
96 * 27 * 27 27 = (55 - 3) / 2 + 1
Norm
Conv2 + ReLU 5 * 5 256 1 2 (5*5*96 + 1) * 256 = 614,656
256 * 27 * 27 27 = (27 - 5 + 2*2) / 1 + 1
Max Pooling 3 * 3 2
256 * 13 * 13 13 = (27 - 3) / 2 + 1
Norm
Conv3 + ReLU 3 * 3 384 1 1 (3*3*256 + 1) * 384 = 885,120
384 * 13 * 13 13 = (13 - 3 + 2*1) / 1 + 1
Conv4 + ReLU 3 * 3 384 1 1 (3*3*384 + 1) * 384 = 1,327,488
384 * 13 * 13 13 = (13 - 3 + 2*1) / 1 + 1
Conv5 + ReLU 3 * 3 256 1 1 (3*3*384 + 1) * 256 = 884,992
256 * 13 * 13 13 = (13 - 3 + 2*1) / 1 + 1
Max Pooling 3 * 3 2
256 * 6 * 6 6 = (13 - 3) / 2 + 1
Dropout (rate 0.5)
FC6 + ReLU 256*6*6 * 4096 = 37,748,736
4096
Dropout (rate 0.5)
FC7 + ReLU 4096 * 4096 = 16,777,216
4096
FC8 4096 * 1000 = 4,096,000
1000 classes
"""
"""The lecture's table, row by row; our own addition is the formula beside each size."""


def test_table_is_the_lectures() -> None:
    """Every row of the lecture, in its order, with its formula and its number."""
    rows = render_text(layer_table(architecture_named("single_gpu"))).split("\n\n")[1]
    printed = [" ".join(line.split()) for line in rows.splitlines()[2:]]
    assert printed == LECTURE_ROWS.strip().splitlines()


def test_sums_by_each_rule() -> None:
    """62,369,152 by the lecture's rule, 62,378,344 in all, conv 3.7 million."""
    lines = dict(total_lines(layer_table(architecture_named("single_gpu"))))
    overall, conv, fully_connected, biases, everything, macs = lines.values()
    assert overall == "62,369,152 = 62.3 million"
    assert conv == "3.7 million"
    assert fully_connected == "58.6 million"
    assert biases == "9,192"
    assert everything == "62,378,344"
    assert macs == "1,135.3 million"


def test_rows_add_up_to_the_lectures_total() -> None:
    table = layer_table(architecture_named("single_gpu"))
    assert sum(row.parameters or 0 for row in table.rows) == table.totals.lecture == 62_369_152


def test_macs_of_each_layer() -> None:
    """Multiplications by hand: weights times positions."""
    counts = {c.layer.name: c.macs for c in count_layers(architecture_named("single_gpu"))}
    expected = {
        "conv1": 105_415_200,
        "conv2": 447_897_600,
        "conv3": 149_520_384,
        "conv4": 224_280_576,
        "conv5": 149_520_384,
        "fc6": 37_748_736,
        "fc7": 16_777_216,
        "fc8": 4_096_000,
    }
    assert {name: macs for name, macs in counts.items() if name in expected} == expected


def test_batch_norm_trades_biases_for_scales_and_shifts() -> None:
    """Each bias of a normalised layer goes, a scale and a shift for each of its maps come."""
    plain, normed = (
        total(count_layers(architecture_named(name))) for name in ("single_gpu", "batch_norm")
    )
    maps = 96 + 256 + 384 + 384 + 256 + 4096 + 4096
    assert normed.parameters == plain.parameters - maps + 2 * maps


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_maps_of_the_lecture(name: str) -> None:
    """227 gives 55, 27, 13 and 6."""
    counts = count_layers(architecture_named(name))
    sides = [c.output_shape[1] for c in counts if len(c.output_shape) == 3]
    assert sorted(set(sides), reverse=True) == [55, 27, 13, 6]


def test_output_size_by_hand() -> None:
    """(227 - 11) / 4 + 1 = 55; 224 leaves three pixels over and gives 54."""
    assert output_size(227, 11, 4) == 55
    assert output_size(224, 11, 4) == 54
    assert output_size(27, 5, 1, 2) == 27


def test_too_small_an_input_is_refused() -> None:
    with pytest.raises(TrainingError, match="a window of 3 does not fit a map of 1"):
        count_layers(architecture_named("single_gpu"), input_size=35)


def test_unknown_architecture_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"no architecture is called .alexnet. .*single_gpu"):
        architecture_named("alexnet")


def test_markdown_has_every_row() -> None:
    table = layer_table(architecture_named("batch_norm"))
    lines = render_markdown(table).splitlines()
    assert len([line for line in lines if line.startswith("|")]) == 2 + len(table.rows)
    assert r"| Conv1 | 11 \* 11 | 96 | 4 |  | 11\*11\*3 \* 96 = 34,848 |" in lines
