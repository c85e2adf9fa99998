"""`imagetree alexnet`: the networks, layer by layer."""

from __future__ import annotations

from typing import Literal

from cyclopts import App

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named
from imagetree.alexnet.counts import count_layers, total
from imagetree.alexnet.table import layer_table, render_markdown, render_text
from imagetree.cli.output import JsonOption, print_json, print_table

app = App(name="alexnet", help="The networks called AlexNet, layer by layer.")


@app.command
def table(
    architecture: str = "single_gpu",
    *,
    classes: int = 1000,
    input_size: int | None = None,
    form: Literal["text", "markdown"] = "text",
    json: JsonOption = False,
) -> None:
    """Print the layer table: shapes, weights with their formulas, and the sums by each rule.

    Example: imagetree alexnet table single_gpu

    Args:
        architecture: a name of `imagetree alexnet list`.
        classes: units of the last layer.
        input_size: side of the input in pixels; the network's own if not given.
        form: text in columns, or Markdown.
    """
    result = layer_table(architecture_named(architecture), classes, input_size)
    if json:
        print_json({"architecture": architecture, "rows": result.rows, "totals": result.totals})
    else:
        print(render_text(result) if form == "text" else render_markdown(result), end="")


@app.command(name="list")
def list_(*, json: JsonOption = False) -> None:
    """List the networks with their parameters.

    Example: imagetree alexnet list
    """
    rows = [
        (each.name, each.description, each.input_size, total(count_layers(each)).parameters)
        for each in ARCHITECTURES.values()
    ]
    if json:
        keys = ("name", "description", "input_size", "parameters")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        print_table(("name", "what it is", "input", "parameters"), rows)
