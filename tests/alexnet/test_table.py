"""The layer table: the lecture's rows, the sums under it, and each form that it is given in."""

from __future__ import annotations

import html
import json
import re

import pytest

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named
from imagetree.alexnet.counts import count_layers
from imagetree.alexnet.measures import LayerTime, layer_measures
from imagetree.alexnet.render import as_json, render_html, render_markdown, render_text
from imagetree.alexnet.table import layer_table, total_lines
from imagetree.cli.output import print_json

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
    overall, conv, fully_connected, biases, weights, everything, macs, neurons, _ = lines.values()
    assert overall == "62,369,152 = 62.3 million"
    assert conv == "3.7 million"
    assert fully_connected == "58.6 million"
    assert biases == "9,192"
    assert weights == "62,367,776"
    assert everything == "62,378,344"
    assert neurons == "659,272"
    assert macs == "1,135.3 million"


def test_rows_add_up_to_the_lectures_total() -> None:
    table = layer_table(architecture_named("single_gpu"))
    assert sum(row.parameters or 0 for row in table.rows) == table.totals.lecture == 62_369_152


def test_formulas_of_windows_that_hang_over() -> None:
    """224 without padding: 55 is rounded up, and the formula says what the window finds."""
    formulas = [row.formula for row in layer_table(architecture_named("chm")).rows]
    assert "55 = ceil((224 - 11) / 4) + 1; the last hangs over by 3, onto zeros" in formulas
    small = [row.formula for row in layer_table(architecture_named("caffenet"), 10, 71).rows]
    assert "8 = ceil((16 - 3) / 2) + 1; the last hangs over by 1, onto nothing" in small
    padded = [row.formula for row in layer_table(architecture_named("one_weird_trick")).rows]
    assert "55 = floor((224 - 11 + 2*2) / 4) + 1" in padded


def test_order_of_each_source_shows() -> None:
    """Norm and pooling stand in the order of their source; chm has a norm more."""
    first = {
        name: [
            row.operation
            for row in layer_table(architecture_named(name)).rows
            if row.parameters is not None
        ][:4]
        for name in ("single_gpu", "two_gpu", "chm", "caffenet", "bvlc_alexnet", "one_weird_trick")
    }
    assert first == {
        "single_gpu": ["Conv1 + ReLU", "Max Pooling", "Norm", "Conv2 + ReLU"],
        "two_gpu": ["Conv1 + ReLU", "Norm", "Max Pooling", "Conv2 + ReLU"],
        "chm": ["Conv1", "Norm", "Max Pooling + ReLU", "Conv2 + ReLU"],
        "caffenet": ["Conv1 + ReLU", "Max Pooling", "Norm", "Conv2 + ReLU"],
        "bvlc_alexnet": ["Conv1 + ReLU", "Norm", "Max Pooling", "Conv2 + ReLU"],
        "one_weird_trick": ["Conv1 + ReLU", "Max Pooling", "Conv2 + ReLU", "Max Pooling"],
    }


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_form_has_every_row(name: str) -> None:
    """Text, Markdown, JSON and HTML hold the same rows, costs, sums and figures."""
    table = layer_table(architecture_named(name))
    texts = [render_text(table), render_markdown(table).replace("\\*", "*")]
    texts.append(html.unescape(render_html(table)))
    numbers = [row.formula for row in table.rows] + [value for _, value in total_lines(table)]
    numbers += [f"{m.activations:,}" for m in table.measures]
    numbers += [f"{figure.printed:,}" for figure in table.published]
    for text in texts:
        assert [number for number in numbers if number not in text] == []


def test_markdown_is_a_table() -> None:
    table = layer_table(architecture_named("batch_norm"))
    lines = render_markdown(table).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + len(table.rows) + 2 + len(table.measures)
    assert r"| Conv1 | 11 \* 11 | 96 | 4 |  | 11\*11\*3 \* 96 = 34,848 |" in lines


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Every number is a number, and the receptive field an object of its own."""
    print_json(as_json(layer_table(architecture_named("single_gpu"))))
    read = json.loads(capsys.readouterr().out)
    assert read["architecture"] == "single_gpu"
    assert read["rows"][1]["parameters"] == 34_944
    assert read["totals"]["lecture"] == 62_369_152
    assert read["measures"][0]["field"] == {"size": 11, "stride": 4}
    assert read["published"][0]["agrees"] is True


def test_html_asks_nothing_of_the_network() -> None:
    """The page has the drawing in it, loads nothing, and its policy forbids that it should."""
    page = render_html(layer_table(architecture_named("two_gpu"), 10, 131))
    assert "default-src 'none'" in page
    assert page.count("<svg ") == 1
    assert ">131</text>" in page
    addresses = set(re.findall(r"https?://[^\s\"'<]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a language, not a place
    assert not re.search(r"<(script|link|img|iframe)|@import|url\(", page)


def test_shares_of_time_add_up() -> None:
    """Forward and backward together are what a share is of."""
    counts = count_layers(architecture_named("two_gpu"), 10, 67)
    times = [LayerTime(c.layer.name, 1.0, 2.0 * (c.layer.name == "conv1")) for c in counts]
    measures = layer_measures(counts, times)
    assert sum(m.time_share or 0 for m in measures) == pytest.approx(1)
    assert measures[0].time_share == pytest.approx(3 / (len(counts) + 2))
    text = render_text(layer_table(architecture_named("two_gpu"), 10, 67, times=times))
    assert "Share" in text
    assert "1000.00 ms" in text


def test_time_is_measured_of_every_layer() -> None:
    """Every layer of every network is run by itself, forward and backward."""
    from imagetree.alexnet.timing import layer_times

    for name in ("batch_norm", "chm", "one_weird_trick"):
        architecture = architecture_named(name)
        times = layer_times(architecture, 3, 70, batch=2, repeats=1)
        assert [time.name for time in times] == [layer.name for layer in architecture.layers]
        assert all(time.forward > 0 and time.backward > 0 for time in times)
