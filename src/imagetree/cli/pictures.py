"""`imagetree pictures` and `imagetree report`: what a run looks like."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from imagetree.cli.output import JsonOption, print_json, print_table, progress_bar
from imagetree.errors import TrainingError
from imagetree.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imagetree.challenge.definition import Challenge
    from imagetree.database.reading import ImageReader
    from imagetree.database.store import Database
    from imagetree.pictures.formation import Moment
    from imagetree.training.runs import Run
    from imagetree.understanding.confusion import Confusion

_MAX_MEETINGS = 20
app = App(name="pictures", help="Draw what a run has learnt, and what it answers.")


@app.command
def filters(
    run: Path,
    *,
    output: Path | None = None,
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
    run: Path, *others: Path, level: float | None = None, output: Path | None = None
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
    output: Path | None = None,
    strip: Path | None = None,
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


@app.command
def answers(
    run: Path,
    *,
    images: tuple[str, ...] = ("8",),
    split: str = "val",
    output: Path | None = None,
    database: str | None = None,
) -> int:
    """Draw images with their five likeliest classes, bars as long as these are likely, as SVG.

    Example: imagetree pictures answers demo/run --images 8

    Args:
        run: folder of the run.
        images: how many to draw from the split; or names of images of it; or image files.
        split: where the images are from: val or minival.
        output: file to write; RUN/answers.svg if not given.
        database: where the images are; the run's own if not given.
    """
    from imagetree.challenge.images import locate_split
    from imagetree.pictures.answers import answer_images, choose_images, render_answers
    from imagetree.recognition.recognizer import Recognizer

    with _challenge_of(run, database) as (loaded, challenge, store, reader):
        chosen = choose_images(
            locate_split(challenge, split, store, reader), images, loaded.config.seed
        )
        found, bad = answer_images(Recognizer.load(loaded.checkpoint_path), chosen)
    for each in bad:
        print(f"{chosen.names[each.index]}: {each.reason}", file=sys.stderr)
    path = output or run / "answers.svg"
    write_atomic(path, render_answers(found, f"{run.resolve().name}: the likeliest classes"))
    known = [each for each in found if each.wnid]
    right = sum(each.guesses[0].wnid == each.wnid for each in known)
    print(f"{path}: {len(found)} images; first answer right for {right} of {len(known)}")
    return 1 if bad else 0


@app.command
def neighbours(
    run: Path,
    *,
    images: tuple[str, ...] = ("5",),
    count: int = 6,
    layer: str = "fc7",
    split: str = "val",
    output: Path | None = None,
    database: str | None = None,
) -> int:
    """Draw images with the training images nearest to them in a layer's features, as SVG.

    All training images go through the network once, which takes as long as answering them does.

    Example: imagetree pictures neighbours demo/run --images 5 --count 6

    Args:
        run: folder of the run.
        images: how many to draw from the split; or names of images of it; or image files.
        count: neighbours of each.
        layer: fully connected layer whose values, after its ReLU, are compared.
        split: where the images are from: val or minival.
        output: file to write; RUN/neighbours.svg if not given.
        database: where the images are; the run's own if not given.
    """
    from imagetree.challenge.images import locate_split
    from imagetree.pictures.answers import choose_images
    from imagetree.pictures.neighbours import find_neighbours, render_neighbours
    from imagetree.recognition.recognizer import Recognizer
    from imagetree.understanding.features import Extractor

    with _challenge_of(run, database) as (loaded, challenge, store, reader):
        extractor = Extractor(Recognizer.load(loaded.checkpoint_path), layer)
        queries = choose_images(
            locate_split(challenge, split, store, reader), images, loaded.config.seed
        )
        training = locate_split(challenge, "train", store, reader)
        with progress_bar("train") as bar:
            found = find_neighbours(extractor, queries, training, count, bar)
    for name, reason in found.bad:
        print(f"{name}: {reason}", file=sys.stderr)
    path = output or run / "neighbours.svg"
    title = f"{run.resolve().name}: nearest training images by {layer}, Euclidean distance"
    write_atomic(path, render_neighbours(found.tiles, title))
    same = sum(each.wnid == row[0].wnid for row in found.tiles for each in row[1:])
    print(
        f"{path}: {len(found.tiles)} images; "
        f"{same} of {len(found.tiles) * count} neighbours are of their class"
    )
    return 1 if found.bad else 0


@app.command
def confusion(
    run: Path,
    *,
    split: str = "val",
    output: Path | None = None,
    json: JsonOption = False,
) -> None:
    """Draw what was taken for what, beside the tree, as SVG; print where in the tree errors meet.

    The answers are those of `imagetree challenge run`.

    Example: imagetree pictures confusion demo/run

    Args:
        run: folder of the run.
        split: the split that was answered: val or minival.
        output: file to write; RUN/confusion.svg if not given.
    """
    from imagetree.challenge.definition import load_challenge
    from imagetree.pictures.confusion import render_confusion
    from imagetree.training.runs import load_run
    from imagetree.understanding.confusion import study_confusion

    challenge = load_challenge(load_run(run).challenge)
    found = study_confusion(challenge, run / f"{split}.txt", split=split)
    path = output or run / "confusion.svg"
    write_atomic(path, render_confusion(found, f"{run.resolve().name} on {split}"))
    if json:
        _print_confusion_as_json(found, path, split)
        return
    _print_confusion(found)
    print(f"{path}: {found.num_errors:,} errors in {found.num_images:,} images of {split}")


def _print_confusion_as_json(found: Confusion, picture: Path, split: str) -> None:
    from imagetree.wordnet import load_nouns

    meetings = [
        {
            "wnid": each.wnid,
            "words": load_nouns().synset(each.wnid).words,
            "height": each.height,
            "count": each.count,
            "share": each.share,
        }
        for each in found.meetings
    ]
    names = ("num_images", "num_errors", "num_unanswered", "pairs")
    figures = {name: getattr(found, name) for name in names}
    print_json({"picture": picture, "split": split, **figures, "meetings": meetings})


def _print_confusion(found: Confusion) -> None:
    from imagetree.wordnet import load_nouns

    nouns = load_nouns()
    print_table(
        ("where the true and the guessed class meet", "height", "errors", "share"),
        [
            (nouns.synset(each.wnid).words, each.height, each.count, f"{each.share:.1%}")
            for each in found.meetings[:_MAX_MEETINGS]
        ],
        title="errors by lowest common hypernym",
    )
    print_table(
        ("class", "taken for", "images", "of the class", "such as"),
        [
            (
                nouns.synset(each.truth).lemma,
                nouns.synset(each.guess).lemma,
                each.count,
                f"{each.count / each.num_images:.1%}",
                " ".join(each.examples),
            )
            for each in found.pairs
        ],
        title="most frequent confusions",
    )
    if found.num_unanswered:
        print(f"{found.num_unanswered:,} images have no answer and are left out")


@contextmanager
def _challenge_of(
    run: Path, database: str | None
) -> Iterator[tuple[Run, Challenge, Database, ImageReader]]:
    """A run, its challenge, and its database open: the run's own if none is named."""
    from imagetree.challenge.definition import load_challenge
    from imagetree.database.reading import ImageReader
    from imagetree.database.store import open_database
    from imagetree.training.runs import load_run

    loaded = load_run(run)
    with open_database(database or loaded.database) as store, ImageReader(store) as reader:
        yield loaded, load_challenge(loaded.challenge), store, reader


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
