"""`imagetree alexnet`: the networks, layer by layer."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter

from imagetree.alexnet.architectures import ARCHITECTURES, architecture_named
from imagetree.alexnet.counts import count_layers, total
from imagetree.alexnet.table import layer_table
from imagetree.cli.output import JsonOption, SvgPath, print_json, print_table
from imagetree.files import write_atomic

app = App(name="alexnet", help="The networks called AlexNet, layer by layer.")

app.command("imagetree.cli.ablate:ablate", name="ablate", help="Train the forms of an ablation.")
app.command("imagetree.cli.ablate:ablations", name="ablations", help="List the ablations.")

Format = Literal["text", "markdown", "json", "html"]


@app.command
def table(
    architecture: str = "single_gpu",
    *,
    classes: int = 1000,
    input_size: int | None = None,
    form: Annotated[Format, Parameter(name=("--format", "--form"))] = "text",
    time: Annotated[bool, Parameter(negative="")] = False,
    json: JsonOption = False,
) -> None:
    """Print the layer table: shapes, weights with their formulas, costs, sums by each rule.

    Example: imagetree alexnet table single_gpu

    Args:
        architecture: a name of `imagetree alexnet list`.
        classes: units of the last layer.
        input_size: side of the input in pixels; the network's own if not given.
        form: text in columns, Markdown, JSON, or a page of HTML with the drawing.
        time: measure on this machine how long each layer takes, for one image in batches of 8.
    """
    from imagetree.alexnet.render import as_json, render_html, render_markdown, render_text

    network, times = architecture_named(architecture), None
    if time:
        from imagetree.alexnet.timing import layer_times

        times = layer_times(network, classes, input_size)
    result = layer_table(network, classes, input_size, times=times)
    if json or form == "json":
        print_json(as_json(result))
    else:
        render = {"text": render_text, "markdown": render_markdown, "html": render_html}[form]
        print(render(result), end="")


@app.command(name="list")
def list_(*, json: JsonOption = False) -> None:
    """List the networks with their sums and sources.

    Example: imagetree alexnet list
    """
    rows = []
    for each in ARCHITECTURES.values():
        totals = total(count_layers(each))
        sums = (totals.parameters, totals.macs, totals.neurons)
        rows.append((each.name, each.description, each.input_size, *sums, each.source))
    if json:
        keys = ("name", "description", "input_size", "parameters", "macs", "neurons", "source")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        head = ("name", "what it is", "input", "parameters", "MACs", "neurons", "source")
        print_table(head, rows)


@app.command
def stack(*, json: JsonOption = False) -> None:
    """Explain the lecture's second picture, the stack 35K 307K 884K 1.3M 442K 37M 16M 4M.

    Example: imagetree alexnet stack
    """
    from imagetree.alexnet.stack import likenesses, render_stack, stack_rows

    if json:
        print_json({"rows": stack_rows(), "networks": likenesses()})
    else:
        print(render_stack(), end="")


@app.command
def drawing(
    architecture: str,
    output: SvgPath,
    /,
    *,
    classes: int = 1000,
    input_size: int | None = None,
) -> None:
    """Draw a network as a stack of boxes, as the paper's figure 2 does, into an SVG.

    Example: imagetree alexnet drawing two_gpu two_gpu.svg

    Args:
        architecture: a name of `imagetree alexnet list`.
        output: the SVG to write.
        classes: units of the last layer.
        input_size: side of the input in pixels; the network's own if not given.
    """
    from imagetree.alexnet.drawing import render_drawing

    write_atomic(output, render_drawing(architecture_named(architecture), classes, input_size))
    print(output)
