"""A layer table as text, Markdown and JSON, and as one HTML page with the drawing in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from imagetree.alexnet.drawing import render_drawing
from imagetree.alexnet.measures import measure_cells, measure_columns
from imagetree.alexnet.table import COLUMNS, LayerTable, TableRow, total_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagetree.alexnet.published import Figure

_FIGURE_COLUMNS = ("Figure", "Printed", "Ours", "", "Source")


def render_text(table: LayerTable) -> str:
    """The table as plain text in columns: the lecture's table, sums, costs, published figures."""
    architecture = table.architecture
    parts = [
        f"{architecture.name}: {architecture.description}",
        _columns([COLUMNS, *(_cells(row) for row in table.rows)]),
        _columns(total_lines(table), underlined=False),
        _columns([measure_columns(table.measures), *(measure_cells(m) for m in table.measures)]),
    ]
    if table.published:
        parts.append(_columns([_FIGURE_COLUMNS, *(_figure(each) for each in table.published)]))
    notes = [f"note: {note}" for note in architecture.notes]
    parts.append("\n".join([f"source: {architecture.source}", *notes]))
    return "\n\n".join(parts) + "\n"


def render_markdown(table: LayerTable) -> str:
    """The table in Markdown, with what `render_text` has."""
    architecture = table.architecture
    parts = [
        f"# {architecture.name}\n\n{architecture.description}",
        _pipes(COLUMNS, [_cells(row) for row in table.rows]),
        "\n".join(f"- {label}: {value}" for label, value in total_lines(table)),
        _pipes(measure_columns(table.measures), [measure_cells(m) for m in table.measures]),
    ]
    if table.published:
        parts.append(_pipes(_FIGURE_COLUMNS, [_figure(each) for each in table.published]))
    notes = [f"Note: {note}." for note in architecture.notes]
    parts.append("\n\n".join([f"Source: {architecture.source}.", *notes]))
    return "\n\n".join(parts) + "\n"


def as_json(table: LayerTable) -> dict[str, object]:
    """The table as plain values and dataclasses, with what `render_text` has."""
    architecture = table.architecture
    return {
        "architecture": architecture.name,
        "description": architecture.description,
        "source": architecture.source,
        "notes": architecture.notes,
        "rows": table.rows,
        "totals": table.totals,
        "measures": table.measures,
        "published": table.published,
    }


def render_html(table: LayerTable) -> str:
    """One page that opens offline: the drawing, and all that `render_text` has."""
    classes = table.measures[-1].output[0]
    channels_and_sides = table.rows[0].operation.split(" * ")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    drawing = render_drawing(table.architecture, classes, int(channels_and_sides[1]))
    return environment.from_string(_PAGE).render(
        architecture=table.architecture,
        drawing=Markup(drawing),  # our own text
        rows=[(_cells(row), row.parameters is None) for row in table.rows],
        columns=COLUMNS,
        sums=total_lines(table),
        measure_columns=measure_columns(table.measures),
        measures=[measure_cells(measure) for measure in table.measures],
        figure_columns=_FIGURE_COLUMNS,
        figures=[_figure(each) for each in table.published],
    )


def _cells(row: TableRow) -> tuple[str, ...]:
    return (row.operation, row.filter, row.depth, row.stride, row.padding, row.formula)


def _figure(figure: Figure) -> tuple[str, ...]:
    verdict = "agrees" if figure.agrees else "differs"
    source = f"{figure.source}; {figure.remark}" if figure.remark else figure.source
    return (figure.what, f"{figure.printed:,}", f"{figure.ours:,}", verdict, source)


def _columns(lines: Sequence[Sequence[str]], *, underlined: bool = True) -> str:
    """Lines of cells below each other; the first line is the head."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    if underlined:
        text.insert(1, "-" * max(len(line) for line in text))
    return "\n".join(text)


def _pipes(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = ["| " + " | ".join(line).replace("*", r"\*") + " |" for line in lines]
    return "\n".join(["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *rows])


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ architecture.name }}, layer by layer</title>
<style>
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1.25rem 4rem; background: #fff;
  color: #1d2b36; font: 16px/1.5 "DejaVu Sans", Verdana, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; }
.soft, tr.size td { color: #5d6d79; } .scroll { overflow-x: auto; }
.drawing svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-size: .82rem; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #dde4e8;
  vertical-align: top; font-variant-numeric: tabular-nums; white-space: nowrap; }
td:last-child { white-space: normal; }
</style>
</head>
<body>
{% macro table(head, lines) %}
<div class="scroll"><table><tr>{% for cell in head %}<th>{{ cell }}</th>{% endfor %}</tr>
{% for line in lines %}
<tr>{% for cell in line %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
{% endmacro %}
<h1>{{ architecture.name }}</h1>
<p>{{ architecture.description }}. <span class="soft">Source: {{ architecture.source }}.</span></p>
{% for note in architecture.notes %}
<p class="soft">Note: {{ note }}.</p>
{% endfor %}
<div class="drawing">{{ drawing }}</div>
<h2>Layer by layer, in the lecture's form</h2>
<div class="scroll"><table><tr>{% for cell in columns %}<th>{{ cell }}</th>{% endfor %}</tr>
{% for line, is_size in rows %}
<tr{% if is_size %} class="size"{% endif %}>
{% for cell in line %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
<h2>The sums, each by its rule</h2>
<table>{% for label, value in sums %}
<tr><td>{{ label }}</td><td>{{ value }}</td></tr>{% endfor %}
</table>
<h2>What each layer costs for one image</h2>
{{ table(measure_columns, measures) }}
{% if figures %}
<h2>What others print</h2>
{{ table(figure_columns, figures) }}
{% endif %}
</body>
</html>
"""
