"""`imagetree pictures` and `imagetree report`: what a run looks like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from imagetree.cli import understanding
from imagetree.cli.output import (
    GifPath,
    JsonOption,
    PngPath,
    SvgPath,
    print_json,
    print_table,
)
from imagetree.errors import TrainingError
from imagetree.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagetree.pictures.formation import Moment

app = App(name="pictures", help="Draw what a run has learnt, and what it answers.")
for _command in (
    understanding.answers,
    understanding.neighbours,
    understanding.confusion,
    understanding.activations,
    understanding.units,
    understanding.saliency,
):
    app.command(_command)


@app.command
def filters(
    run: Path,
    *,
    output: PngPath | None = None,
    scale: Annotated[int, Parameter(validator=Number(gte=1, lte=50))] = 4,
    common_scale: Annotated[bool, Parameter(negative="")] = False,
    json: JsonOption = False,
) -> None:
    """Draw the filters of the first convolution (96 of 11 x 11 x 3) as a PNG; say how coloured.

    Two towers are drawn apart, as in the paper's figure 3. The colour of a filter is the share of
    its energy outside grey: 0 % sees brightness alone, noise has 67 %.

    Example: imagetree pictures filters demo/run

    Args:
        run: folder of the run.
        output: file to write; RUN/filters.png if not given.
        scale: pixels for each weight.
        common_scale: one scale for all filters, so that strong ones stand out; else each its own.
    """
    from imagetree.pictures.filters import (
        colour_shares,
        describe_colour,
        render_png,
        tower_picture,
    )
    from imagetree.training.checkpoints import load_checkpoint
    from imagetree.training.runs import load_run
    from imagetree.training.snapshots import TENSOR

    opened = load_run(run)
    weights = load_checkpoint(opened.checkpoint_path).network[TENSOR].float().numpy()
    towers = opened.config.network.towers
    path = output or run / "filters.png"
    picture = tower_picture(weights, towers, scale=scale, common_scale=common_scale)
    write_atomic(path, render_png(picture))
    if json:
        shares = colour_shares(weights).tolist()
        print_json({"picture": path, "towers": towers, "colour_shares": shares})
        return
    count, channels, height, width = weights.shape
    print(f"{path}: {count} filters of {height} x {width} x {channels}")
    for line in describe_colour(weights, towers):
        print(line)


@app.command
def curves(
    run: Path, *others: Path, level: float | None = None, output: SvgPath | None = None
) -> None:
    """Draw loss, errors and learning rate as SVG, several runs over each other.

    With --level: the training errors of two runs, and how many times sooner one of them is down to
    this error, as the paper's figure 1 shows ReLU and tanh.

    Example: imagetree pictures curves runs/relu runs/tanh --level 0.25

    Args:
        run: folder of the run.
        others: folders of more runs.
        level: top-1 error that two runs shall reach, a fraction.
        output: file to write; if not given, in the first run's folder curves.svg, for several runs
            comparison.svg, with --level race.svg.
    """
    from imagetree.pictures.curves import describe_race, render_race, render_runs
    from imagetree.training.log import read_log
    from imagetree.training.runs import load_run

    folders = (run, *others)
    short = [folder.resolve().name for folder in folders]
    names = short if len(set(short)) == len(short) else [str(folder) for folder in folders]
    if len(set(names)) < len(names):
        raise TrainingError(f"a run is named twice ({', '.join(names)})")
    logs = {
        name: read_log(load_run(folder).folder) for name, folder in zip(names, folders, strict=True)
    }
    if level is None:
        path = output or run / ("comparison.svg" if others else "curves.svg")
        write_atomic(path, render_runs(logs))
        print(path)
    else:
        path = output or run / "race.svg"
        write_atomic(path, render_race(logs, level))
        print(f"{path}: {describe_race(logs, level)}")


@app.command
def formation(
    run: Path,
    *,
    output: GifPath | None = None,
    strip: PngPath | None = None,
    seconds: float = 0.4,
    json: JsonOption = False,
) -> None:
    """Show how the first filters form: an animated GIF, and a film strip of six moments as PNG.

    The table has the colour of the filters too: of the median filter of each tower, the share of
    its energy outside grey. Noise, from which they start, has 67 %.

    Example: imagetree pictures formation demo/run

    Args:
        run: folder of the run.
        output: animation to write; RUN/formation.gif if not given.
        strip: film strip to write; RUN/formation.png if not given.
        seconds: how long each frame stands.
    """
    from imagetree.pictures.formation import moments_of, render_animation, render_strip
    from imagetree.training.log import read_log
    from imagetree.training.runs import load_run
    from imagetree.training.snapshots import load_snapshots

    towers = load_run(run).config.network.towers
    records = read_log(run)
    moments = moments_of(load_snapshots(run), records, towers)
    paths = output or run / "formation.gif", strip or run / "formation.png"
    write_atomic(paths[0], render_animation(moments, records, seconds=seconds))
    write_atomic(paths[1], render_strip(moments))
    if json:
        told = [moment.to_json() for moment in moments]
        print_json({"animation": paths[0], "strip": paths[1], "moments": told})
        return
    _print_moments(moments)
    print(f"{paths[0]}\n{paths[1]}")


def _print_moments(moments: Sequence[Moment]) -> None:
    """A line for each moment: the log's figures, and the colour of each tower's filters."""

    def shown(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    towers = len(moments[0].colours)
    whose = [f", GPU {number}" for number in range(1, towers + 1)] if towers > 1 else [""]
    colours = [f"colour{each}" for each in whose]
    rows = [
        [
            moment.snapshot.step,
            shown(moment.epoch, ".2f"),
            shown(moment.loss, ".3f"),
            *(shown(moment.errors.get(name), ".2%") for name in ("minival", "train")),
            *(f"{share:.0%}" for share in moment.colours),
        ]
        for moment in moments
    ]
    print_table(["step", "epoch", "loss", "minival error", "training error", *colours], rows)


def report(run: Path, *, output: Path | None = None) -> None:
    """Write one page about a run: images, tree, scores, answers, filters; it opens offline.

    Example: imagetree report demo/run

    Args:
        run: folder of the run, answered with `imagetree challenge run`.
        output: file to write; RUN/report.html if not given.
    """
    from imagetree.pictures.report import render_report
    from imagetree.training.runs import load_run

    path = output or run / "report.html"
    write_atomic(path, render_report(load_run(run)))
    print(path)
