"""The report of a run: one HTML page that holds all it shows and opens offline."""

from __future__ import annotations

import base64
import io
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from PIL import Image

from imagetree.alexnet.table import COLUMNS, layer_table, total_lines
from imagetree.challenge.definition import load_challenge
from imagetree.challenge.images import SplitImages, locate_split
from imagetree.challenge.score import score_submission
from imagetree.database.hierarchy import tree, unfold
from imagetree.database.reading import ImageReader
from imagetree.database.store import open_database
from imagetree.errors import DatabaseError
from imagetree.pictures.curves import render_curves
from imagetree.pictures.filters import filter_grid, render_png
from imagetree.recognition.recognizer import Recognizer
from imagetree.sources.decoding import decode_image
from imagetree.training.checkpoints import load_checkpoint
from imagetree.training.log import read_log
from imagetree.training.randomness import permutation
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagetree.challenge.definition import Challenge
    from imagetree.challenge.score import Score
    from imagetree.recognition.classifier import Guess
    from imagetree.training.runs import Run

_NUM_RECOGNISED = 6
_MAX_CLASSES_SHOWN = 24
_IMAGES_PER_CLASS = 6
_THUMBNAIL = 112


@dataclass(frozen=True)
class Shown:
    """An image on the page: its picture as a data URL, what it shows, what was answered."""

    picture: str
    name: str
    words: str
    guesses: tuple[Guess, ...] = ()
    is_right: bool = False


def render_report(run: Run, *, split: str = "val") -> str:
    """The page about a run.

    Args:
        run: trained, and answered with `imagetree challenge run`.
        split: the split whose answers are shown.

    Raises:
        ImagetreeError: the run has no checkpoint or no answers, or its images cannot be found.
    """
    challenge = load_challenge(run.challenge)
    submission = run.folder / f"{split}.txt"
    score = score_submission(challenge, submission, split=split)
    checkpoint = load_checkpoint(run.checkpoint_path)
    config = run.config
    with open_database(run.database) as store, ImageReader(store) as reader:
        nodes = tree(store)
        training = locate_split(challenge, "train", store, reader)
        answered = locate_split(challenge, split, store, reader)
        recognised = _recognised(run, answered)
        examples = _examples(challenge, training)
    table = layer_table(config.network, len(challenge.wnids), config.input_size)
    environment = Environment(
        loader=PackageLoader("imagetree", "pictures"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    grid = filter_grid(checkpoint.network["conv1.weight"].numpy())
    return environment.get_template("report.html").render(
        run=run,
        challenge=challenge,
        score=score,
        classes=_hardest(score),
        tree=unfold(nodes),
        num_images=next(iter(nodes.values())).num_subtree,
        checkpoint=checkpoint,
        curves=Markup(_inline_svg(render_curves(read_log(run.folder)))),  # our own text
        filters=_data_url(render_png(grid, 4), "png"),
        recognised=recognised,
        examples=examples,
        table=table,
        columns=COLUMNS,
        sums=total_lines(table),
        commands=_commands(run, split),
    )


def _recognised(run: Run, images: SplitImages) -> tuple[Shown, ...]:
    """A few images of the split with the network's answers, drawn by the run's seed."""
    chosen = permutation(len(images.labels), run.config.seed)[:_NUM_RECOGNISED].tolist()
    some = images.select(chosen)
    recognizer = Recognizer.load(run.checkpoint_path)
    k = min(3, len(recognizer.wnids))
    found = recognizer.recognize(some, k)
    shown = []
    for index, answer in enumerate(found):
        wnid = recognizer.wnids[int(some.labels[index])]
        picture = _thumbnail(some, index, 2 * _THUMBNAIL)
        if picture and answer.guesses:
            is_right = answer.guesses[0].wnid == wnid
            words = load_nouns().synset(wnid).words
            shown.append(Shown(picture, answer.name, words, answer.guesses, is_right))
    return tuple(shown)


def _examples(
    challenge: Challenge, images: SplitImages
) -> tuple[tuple[str, tuple[Shown, ...]], ...]:
    """Some training images of each class, under the words of its synset."""
    rows = []
    for class_index, wnid in enumerate(challenge.wnids[:_MAX_CLASSES_SHOWN]):
        words = load_nouns().synset(wnid).words
        chosen = (images.labels == class_index).nonzero()[0][:_IMAGES_PER_CLASS]
        pictures = [(int(i), _thumbnail(images, int(i), _THUMBNAIL)) for i in chosen]
        shown = tuple(Shown(p, images.names[i], words) for i, p in pictures if p)
        rows.append((words, shown))
    return tuple(rows)


def _thumbnail(images: SplitImages, index: int, size: int) -> str | None:
    """A small JPEG of an image as a data URL; None if it cannot be decoded."""
    try:
        image = Image.fromarray(decode_image(images.read(index)))
    except DatabaseError:
        return None
    image.thumbnail((size, size))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return _data_url(buffer.getvalue(), "jpeg")


def _data_url(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _inline_svg(svg: str) -> str:
    """An SVG without its XML prologue, as HTML wants it."""
    return svg[svg.index("<svg") :]


def _hardest(score: Score) -> list[dict[str, object]]:
    """The classes of the split, the hardest first."""
    nouns = load_nouns()
    ordered = sorted(score.classes, key=lambda each: -each.num_misses / each.num_images)
    return [
        {
            "words": nouns.synset(each.wnid).words,
            "error": each.num_misses / each.num_images,
            "num_misses": each.num_misses,
            "num_images": each.num_images,
            "mistaken_for": nouns.synset(each.mistaken_for).lemma if each.mistaken_for else "",
        }
        for each in ordered
    ]


def _commands(run: Run, split: str) -> Sequence[str]:
    """The commands that repeat what the page shows."""
    challenge, folder = str(run.challenge), str(run.folder)
    database = ["--database", run.database]
    settings = [
        word
        for name, value in run.config.to_json().items()
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    return [
        shlex.join(["imagetree", *words])
        for words in (
            ["database", "tree", *database],
            ["train", challenge, folder, *database, *settings],
            ["challenge", "run", folder],
            ["challenge", "score", challenge, str(Path(folder) / f"{split}.txt")],
            ["recognize", folder, "--sample", str(_NUM_RECOGNISED)],
            ["pictures", "filters", folder],
            ["report", folder],
        )
    ]
