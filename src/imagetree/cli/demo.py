"""`imagetree demo`: the main job in one go, by the same commands that a user would type."""

from __future__ import annotations

import shlex
import time
from itertools import chain
from pathlib import Path

from cyclopts import App

from imagetree.cli.output import progress_bar
from imagetree.errors import ImagetreeError

app = App(name="demo", help="The main job in one go, on drawn images or on your own archives.")

_FIGURES = {
    "--epochs": "12",
    "--start-size": "99",
    "--input-size": "99",
    "--test-size": "99",
    "--lr": "0.03",
    "--min-crop-area": "0.85",
}
"""Settings for the drawn figures: few wrong in little time, by a network that int8 holds, too
(docs/log.md)."""


@app.default
def demo(
    output: Path = Path("demo"),
    *,
    train: Path | None = None,
    val: Path | None = None,
    val_labels: Path | None = None,
    epochs: int | None = None,
) -> None:
    """Draw images or take yours, import, cut a challenge, train, score, recognise, report.

    Every step is a command of its own, printed as it runs. What is done already is not done again:
    after Ctrl-C the same command goes on.

    Example: imagetree demo --train train.tar --val val.tar --val-labels val_wnids.tsv

    Args:
        output: folder for all that is made.
        train: archive or folder of training images; drawn figures if not given.
        val: flat archive of images for the score; a share of train if not given.
        val_labels: file name and wnid of each image of val, a line each.
        epochs: passes over the training images.
    """
    if val is not None and train is None:
        raise ImagetreeError("--val was given without --train", hint="imagetree demo --help")
    began = time.monotonic()
    for step in _steps(output, train, val, val_labels, epochs):
        _run(step)
    print(f"\ndone in {time.monotonic() - began:.0f} s; open {output}/run/report.html")


def _steps(
    output: Path, train: Path | None, val: Path | None, val_labels: Path | None, epochs: int | None
) -> list[list[str]]:
    """The commands of the main job, word by word."""
    archive = train or output / "figures_train.tar"
    challenge, run = str(output / "challenge"), str(output / "run")
    database = ["--database", str(output / "imagetree.db")]
    steps = []
    if train is None and not archive.exists():
        steps.append(["demo", "draw", str(archive)])
    steps.append(["database", "import", str(archive), *database])
    cut = ["challenge", "cut", challenge, *database]
    if val is not None:
        labels = ["--labels", str(val_labels)] if val_labels else []
        steps.append(["database", "import", str(val), *labels, *database])
        cut += ["--val-source", str(val)]
    settings = dict(_FIGURES) if train is None else {}
    if epochs is not None:
        settings["--epochs"] = str(epochs)
    return [
        *steps,
        ["database", "tree", *database],
        cut,
        ["train", challenge, run, *database, *chain.from_iterable(settings.items())],
        ["challenge", "run", run],
        ["challenge", "score", challenge, f"{run}/val.txt"],
        ["recognize", run, "--sample", "4"],
        ["pictures", "filters", run],
        ["pictures", "curves", run],
        ["report", run],
    ]


def _run(words: list[str]) -> None:
    """Print a command and run it; something set aside does not end the demo, an error does."""
    from imagetree.cli.main import app as imagetree

    print(f"\n$ imagetree {shlex.join(words)}", flush=True)
    status = imagetree(words, exit_on_error=False, result_action="return_value")
    if status == 130:
        raise KeyboardInterrupt


@app.command
def draw(
    archive: Path, *, images_per_class: int = 250, seed: int = 0, workers: int | None = None
) -> None:
    """Draw figures and solids as JPEGs, into an archive laid out as ILSVRC's training images.

    Example: imagetree demo draw figures_train.tar

    Args:
        archive: tar file to write.
        images_per_class: images of each noun.
        seed: of the drawings; the same seed gives the same bytes.
        workers: processes that draw; one for each core if not given.
    """
    from imagetree.demo import draw_archive

    with progress_bar("drawing") as bar:
        drawn = draw_archive(
            archive,
            images_per_class=images_per_class,
            seed=seed,
            workers=workers,
            progress=bar,
        )
    print(f"{drawn.path}: {drawn.num_images:,} images of {drawn.num_synsets} synsets")
