"""`imagetree pictures`, second part: what a run answers, and why."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from imagetree.cli.output import JsonOption, SvgPath, print_json, print_table, progress_bar
from imagetree.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagetree.challenge.definition import Challenge
    from imagetree.database.reading import ImageReader
    from imagetree.database.store import Database
    from imagetree.training.runs import Run
    from imagetree.understanding.confusion import Confusion
    from imagetree.understanding.saliency import Study

_MAX_MEETINGS = 20


def answers(
    run: Path,
    *,
    images: tuple[str, ...] = ("8",),
    split: str = "val",
    output: SvgPath | None = None,
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


def neighbours(
    run: Path,
    *,
    images: tuple[str, ...] = ("5",),
    count: int = 6,
    layer: str = "fc7",
    split: str = "val",
    output: SvgPath | None = None,
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


def confusion(
    run: Path,
    *,
    split: str = "val",
    output: SvgPath | None = None,
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


def activations(
    run: Path,
    image: str,
    *,
    layer: str = "conv1",
    common_scale: Annotated[bool, Parameter(negative="")] = False,
    split: str = "val",
    output: SvgPath | None = None,
    database: str | None = None,
) -> None:
    """Draw all maps that a layer makes of an image beside it, as SVG.

    Example: imagetree pictures activations demo/run photo.jpg --layer conv1

    Args:
        run: folder of the run.
        image: an image file, or the name of an image of the split.
        layer: one in front of fc6; its own values, and not those of the ReLU behind it.
        common_scale: one scale for all maps, so that strong ones stand out; else each its own.
        split: where the image is from, if it is no file: train, minival or val.
        output: file to write; RUN/activations-LAYER.svg if not given.
        database: where the images are; the run's own if not given.
    """
    from imagetree.challenge.images import locate_split
    from imagetree.pictures.activations import describe_maps, render_activations
    from imagetree.recognition.inputs import ImageFiles
    from imagetree.recognition.recognizer import Recognizer
    from imagetree.training.runs import load_run
    from imagetree.understanding.activations import index_of, maps_of

    recognizer = Recognizer.load(load_run(run).checkpoint_path)
    if Path(image).is_file():
        maps = maps_of(recognizer, ImageFiles([Path(image)]), 0, layer)
    else:
        with _challenge_of(run, database) as (_, challenge, store, reader):
            images = locate_split(challenge, split, store, reader)
            maps = maps_of(recognizer, images, index_of(images, image), layer)
    path = output or run / f"activations-{layer}.svg"
    towers = recognizer.network.architecture.towers
    name = Path(image).name
    write_atomic(path, render_activations(maps, name, towers=towers, common_scale=common_scale))
    print(f"{path}: {describe_maps(maps)}")


def units(
    run: Path,
    *,
    layer: str = "conv5",
    units: tuple[str, ...] = (),
    split: str = "val",
    count: Annotated[int, Parameter(validator=Number(gte=1, lte=100))] = 9,
    output: SvgPath | None = None,
    database: str | None = None,
    json: JsonOption = False,
) -> int:
    """Draw what excites single units of a layer: the crops of a split that each responds to most.

    The split goes through the network once. A class's share of a unit is that of its mean response,
    the greatest value of the unit's map: every class has the same where the unit has no preference.

    Example: imagetree pictures units demo/run --layer conv5 --units 0,1,2

    Args:
        run: folder of the run.
        layer: whose units: a map of a convolution, or a value of a fully connected layer.
        units: their numbers; if not given, the 10 of which a single class has the greatest share,
            one of each class first.
        split: where the images are from: train, minival or val.
        count: crops for each unit.
        output: file to write; RUN/units-LAYER.svg if not given.
        database: where the images are; the run's own if not given.
    """
    from imagetree.challenge.images import locate_split
    from imagetree.pictures.units import caption, render_units, unit_rows
    from imagetree.recognition.recognizer import Recognizer
    from imagetree.understanding.units import find_strongest, most_selective, parse_units

    asked = parse_units(units)
    with _challenge_of(run, database) as (loaded, challenge, store, reader):
        recognizer = Recognizer.load(loaded.checkpoint_path)
        images = locate_split(challenge, split, store, reader)
        with progress_bar(split) as bar:
            found = find_strongest(recognizer, images, layer, count, bar)
        rows = unit_rows(recognizer, images, found, asked or most_selective(found, 10))
    for each in found.bad:
        print(f"{images.names[each.index]}: {each.reason}", file=sys.stderr)
    path = output or run / f"units-{layer}.svg"
    title = f"{run.resolve().name}: what excites the units of {layer} on {split}"
    about = caption(found, rows, are_selected=not asked)
    write_atomic(path, render_units(rows, title, about))
    if json:
        told = [row.to_json() for row in rows]
        print_json({"picture": path, "layer": layer, "split": split, "units": told})
    else:
        print_table(
            ("unit", "greatest response", "share of the classes that drive it"),
            [(row.unit, f"{row.tiles[0].value:.3g}", row.classes_in_words) for row in rows],
        )
        print(f"{path}: {about[0]}")
    return 1 if found.bad else 0


def saliency(
    run: Path,
    image: str,
    *,
    wnid: Annotated[str | None, Parameter(name="--class")] = None,
    split: str = "val",
    output: SvgPath | None = None,
    database: str | None = None,
    json: JsonOption = False,
) -> None:
    """Draw why the network gives an image a class, as SVG.

    Occlusion, Grad-CAM, the gradients of the class's logit, plain and guided, and the strongest
    unit behind each convolution brought down to the pixels by the deconvnet.

    Example: imagetree pictures saliency demo/run photo.jpg

    Args:
        run: folder of the run.
        image: an image file, or the name of an image of the split.
        wnid: class to be explained; the likeliest if not given.
        split: where the image is from, if it is no file: train, minival or val.
        output: file to write; RUN/saliency.svg if not given.
        database: where the images are; the run's own if not given.
    """
    from imagetree.challenge.images import locate_split
    from imagetree.pictures.saliency import describe_study, render_saliency
    from imagetree.recognition.inputs import ImageFiles
    from imagetree.recognition.recognizer import Recognizer
    from imagetree.training.runs import load_run
    from imagetree.understanding.activations import index_of
    from imagetree.understanding.saliency import study_image

    recognizer = Recognizer.load(load_run(run).checkpoint_path)
    if Path(image).is_file():
        study = study_image(recognizer, ImageFiles([Path(image)]), 0, wnid)
    else:
        with _challenge_of(run, database) as (_, challenge, store, reader):
            images = locate_split(challenge, split, store, reader)
            study = study_image(recognizer, images, index_of(images, image), wnid)
    path = output or run / "saliency.svg"
    write_atomic(path, render_saliency(study))
    if json:
        print_json({"picture": path, **study.to_json()})
        return
    _print_study(study)
    print(f"{path}: {'; '.join(describe_study(study))}")


def _print_study(study: Study) -> None:
    from imagetree.pictures.saliency import describe_occlusion

    print_table(
        ("layer", "strongest unit", "response", "row", "column", "pixels that it sees"),
        [
            (
                each.projection.layer,
                each.projection.unit,
                f"{each.projection.value:.3g}",
                *each.projection.place,
                f"{each.field.seen.width} x {each.field.seen.height}",
            )
            for each in study.units
        ],
    )
    print(describe_occlusion(study.occlusion))


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
