"""`imagetree pictures` and `imagetree report`: what a run looks like."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from imagetree.files import write_atomic

app = App(name="pictures", help="Draw the first-layer filters and the learning curves of a run.")


@app.command
def filters(run: Path, *, output: Path | None = None, scale: int = 4) -> None:
    """Draw the filters of the first convolution (96 of 11 x 11 x 3) as a PNG.

    Example: imagetree pictures filters demo/run

    Args:
        run: folder of the run.
        output: file to write; RUN/filters.png if not given.
        scale: pixels for each weight.
    """
    from imagetree.pictures.filters import filter_grid, render_png
    from imagetree.training.checkpoints import load_checkpoint
    from imagetree.training.runs import load_run

    weights = load_checkpoint(load_run(run).checkpoint_path).network["conv1.weight"].numpy()
    path = output or run / "filters.png"
    write_atomic(path, render_png(filter_grid(weights), scale))
    count, channels, height, width = weights.shape
    print(f"{path}: {count} filters of {height} x {width} x {channels}")


@app.command
def curves(run: Path, *, output: Path | None = None) -> None:
    """Draw the loss, the error after each epoch and the learning rate as SVG.

    Example: imagetree pictures curves demo/run

    Args:
        run: folder of the run.
        output: file to write; RUN/curves.svg if not given.
    """
    from imagetree.pictures.curves import render_curves
    from imagetree.training.log import read_log
    from imagetree.training.runs import load_run

    path = output or run / "curves.svg"
    write_atomic(path, render_curves(read_log(load_run(run).folder)))
    print(path)


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
