"""The model card of a run: what its network is, what it was trained on, how often it is wrong.

The sections are those of Mitchell et al. 2019; the head is read by model hubs. Whatever is not
known is said to be unknown: a card that is silent is taken for a card that says yes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from imagetree.alexnet.counts import count_layers, total
from imagetree.challenge.bootstrap import mean_interval
from imagetree.challenge.definition import load_challenge
from imagetree.challenge.metrics import flat_misses, guesses_from_scores
from imagetree.files import sha256_of
from imagetree.recognition.calibrating import labelled_probabilities
from imagetree.training.checkpoints import load_checkpoint
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagetree.challenge.bootstrap import Interval
    from imagetree.recognition.recognizer import Recognizer
    from imagetree.training.checkpoints import Checkpoint
    from imagetree.training.runs import Run

CONFIDENCE = 0.95


class CardError(NamedTuple):
    """How often a network is wrong on a split.

    Args:
        split: of its challenge.
        k: guesses that count.
        error: share of the images without a right one.
        interval: of the error, with 95 % confidence.
        num_images: that were looked at.
    """

    split: str
    k: int
    error: float
    interval: Interval
    num_images: int


def measure_errors(
    run: Run,
    recognizer: Recognizer,
    split: str,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[CardError, ...]:
    """Top-1 and, of more than five classes, top-5 error of a run on a split of its challenge.

    Raises:
        ChallengeError: images of the split are missing, or its labels are sealed.
        TrainingError: the split has no image.
    """
    probabilities, truth = labelled_probabilities(run, recognizer, split, progress)
    ks = (1, 5) if len(recognizer.wnids) > 5 else (1,)
    guesses = guesses_from_scores(probabilities, max(ks))
    errors = []
    for k in ks:
        misses = flat_misses(guesses, truth, k)
        interval = mean_interval(misses, confidence=CONFIDENCE)
        errors.append(CardError(split, k, float(misses.mean()), interval, len(truth)))
    return tuple(errors)


def render_card(run: Run, errors: tuple[CardError, ...], licence: str = "") -> str:
    """The card as Markdown.

    Args:
        run: whose checkpoint is described.
        errors: as they were measured; empty where nobody has.
        licence: of the weights, in words; empty where it is not known.

    Raises:
        TrainingError: there is no whole checkpoint.
        ChallengeError: the challenge is damaged.
    """
    checkpoint = load_checkpoint(run.checkpoint_path)
    return "\n".join(
        [
            *_head(checkpoint, licence),
            *_network(run, checkpoint),
            *_data(run),
            *_training(run, checkpoint),
            *_errors(errors),
            *_limits(),
            *_classes(checkpoint.wnids),
        ]
    )


def _head(checkpoint: Checkpoint, licence: str) -> list[str]:
    name = checkpoint.config.architecture
    return [
        "---",
        "pipeline_tag: image-classification",
        f"tags: [imagetree, alexnet, {name}]",
        f"license_name: {json.dumps(licence or 'not stated')}",
        "---",
        f"# AlexNet `{name}` for {len(checkpoint.wnids):,} classes of WordNet",
        "",
        f"Licence of the weights: {licence or 'not stated'}.",
        "",
    ]


def _network(run: Run, checkpoint: Checkpoint) -> list[str]:
    config = checkpoint.config
    counts = total(count_layers(config.network, len(checkpoint.wnids), config.input_size))
    changed = ", changed from the architecture of that name" if config.is_changed else ""
    subtracted = "the mean image" if checkpoint.mean_image is not None else _three(checkpoint.mean)
    return [
        "## Network",
        f"- architecture `{config.architecture}`{changed}",
        f"- {counts.parameters:,} parameters, {counts.macs:,} multiplications an image",
        f"- input: the centred square, {config.test_size} pixels wide; R, G, B in 0..255",
        f"- of them {subtracted} is subtracted, then they are divided by {_three(checkpoint.std)}",
        f"- output: {len(checkpoint.wnids):,} logits, in the order of the classes below",
        f"- SHA-256 of the checkpoint: `{sha256_of(run.checkpoint_path)}`",
        "",
    ]


def _data(run: Run) -> list[str]:
    told = "- the weights were imported; what they were trained on is not known here"
    if run.challenge.is_dir():
        challenge = load_challenge(run.challenge)
        sizes = ", ".join(f"{count:,} {split}" for split, count in challenge.num_images.items())
        told = f"- challenge `{challenge.folder.name}`, version `{challenge.version}`; {sizes}"
    return [
        "## Data",
        told,
        "- the images belong to their owners; this file holds none of them",
        "- classes are synsets of WordNet 3.0 (Princeton University), under WordNet's licence",
        "",
    ]


def _training(run: Run, checkpoint: Checkpoint) -> list[str]:
    described = json.loads((run.folder / "run.json").read_text())
    versions = ", ".join(f"{name} {value}" for name, value in described["versions"].items())
    settings = json.dumps(checkpoint.config.to_json(), sort_keys=True)
    if not checkpoint.num_steps:
        return ["## Training", f"Not here: the weights were imported; {versions}.", ""]
    return [
        "## Training",
        f"- {checkpoint.step:,} of {checkpoint.num_steps:,} updates; {versions}",
        f"- settings: `{settings}`",
        "",
    ]


def _errors(errors: tuple[CardError, ...]) -> list[str]:
    if not errors:
        return ["## Error", "Not measured.", ""]
    rows = [
        f"| {each.split} | {each.num_images:,} | top-{each.k} | {each.error:.2%} | "
        f"{each.interval.low:.2%} to {each.interval.high:.2%} |"
        for each in errors
    ]
    return [
        "## Error",
        "One crop, the centred square.",
        "",
        f"| split | images | error | measured | {CONFIDENCE:.0%} interval |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        "",
    ]


def _limits() -> list[str]:
    return [
        "## What it is not for",
        "It answers with one of its classes whatever an image shows. The error is that of images",
        "like those of the challenge; of others it is not known. Decisions about people must not",
        "be built on it.",
        "",
    ]


def _classes(wnids: tuple[str, ...]) -> list[str]:
    nouns = load_nouns()
    rows = [
        f"| {place} | {wnid} | {nouns.synset(wnid).words} |" for place, wnid in enumerate(wnids)
    ]
    return ["## Classes", "| output | wnid | words |", "| --- | --- | --- |", *rows, ""]


def _three(values: tuple[float, float, float]) -> str:
    return " ".join(f"{value:g}" for value in values)
