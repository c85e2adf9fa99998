"""Runs made of weights from elsewhere, and a run's weights for elsewhere.

A run that was imported has no training behind it: no log, no steps. It computes in float32, as its
source does; the checkpoint keeps mean and std of its pixels, `run.json` the side of its images.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import torch

from imagetree.alexnet.changes import UNCHANGED
from imagetree.alexnet.weights import Description, Weights, last_layer
from imagetree.errors import TrainingError
from imagetree.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from imagetree.training.config import TrainConfig
from imagetree.training.runs import load_run, open_run
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from imagetree.training.runs import Run

_MAX_CLASSES_BYTES = 1 << 20


def load_run_weights(folder: Path) -> Weights:
    """The weights of a run's newest checkpoint.

    Args:
        folder: of the run.

    Raises:
        TrainingError: there is no run or no checkpoint, or a mean image was subtracted.
    """
    checkpoint = load_checkpoint(load_run(folder).checkpoint_path)
    config = checkpoint.config
    if checkpoint.mean_image is not None:
        raise TrainingError(
            f"{folder}: was trained on images less their mean image, and a file of weights has one "
            "mean for each channel",
            hint="use the run itself: imagetree recognize, imagetree challenge run",
        )
    description = Description(
        architecture=config.architecture,
        dropout=config.dropout_rate,
        input_size=config.input_size,
        image_size=config.test_size,
        wnids=checkpoint.wnids,
        mean=checkpoint.mean,
        std=checkpoint.std,
        changes=config.changes if config.is_changed else UNCHANGED,
    )
    return Weights(description, checkpoint.network)


def save_as_run(folder: Path, weights: Weights, challenge: Path, database: str) -> Run:
    """Make a finished run of weights.

    Args:
        folder: of the run; made if it is missing.
        weights: tensors and what they are.
        challenge: folder of the challenge that the run answers; it may be cut later.
        database: path or URL of the database with its images.

    Returns:
        The run, as `load_run` gives it.

    Raises:
        TrainingError: a run is there already.
        ImagetreeError: the folder cannot be written.
    """
    description = weights.description
    config = TrainConfig(
        architecture=description.architecture,
        input_size=description.input_size,
        start_size=description.input_size,
        test_size=description.image_size,
        dropout=description.dropout,
        precision="fp32",
        epochs=1,
        **asdict(description.changes),
    )
    run = open_run(folder, config, challenge, database)
    if run.checkpoint_path.exists():
        raise TrainingError(f"{folder}: a run is here already", hint="name another folder")
    save_checkpoint(
        run.checkpoint_path,
        Checkpoint(
            config=config,
            wnids=description.wnids,
            mean=description.mean,
            std=description.std,
            step=0,
            num_steps=0,
            network=weights.tensors,
        ),
    )
    return run


def for_classes(weights: Weights, wnids: Sequence[str]) -> Weights:
    """The same network for some of its classes, in the order of `wnids`.

    Only the units of these classes are kept in the last layer: the probabilities are those of the
    whole network, given that the image shows one of them.

    Args:
        weights: of a network that knows them all.
        wnids: the classes to keep; those of a challenge, sorted.

    Raises:
        TrainingError: one of them is none of the network's classes.
    """
    description = weights.description
    places = {wnid: place for place, wnid in enumerate(description.wnids)}
    unknown = [wnid for wnid in wnids if wnid not in places]
    if unknown:
        raise TrainingError(
            f"the network does not know {len(unknown)} of the {len(wnids)} classes ({unknown[:3]})",
            hint="cut a challenge of classes that it knows, or name its classes with --wnids",
        )
    chosen = torch.tensor([places[wnid] for wnid in wnids])
    last = last_layer(description.network)
    tensors = {
        name: tensor[chosen] if name.startswith(f"{last}.") else tensor
        for name, tensor in weights.tensors.items()
    }
    return Weights(replace(description, wnids=tuple(wnids)), tensors)


def load_classes(path: Path) -> tuple[str, ...]:
    """The classes of a file with a wnid at the beginning of each line, in the order of the outputs.

    A challenge's `synsets.txt` and Kaggle's `LOC_synset_mapping.txt` are such files.

    Raises:
        TrainingError: it cannot be read, or a line begins with no noun's wnid, or one twice.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_CLASSES_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: cannot be read as text ({error})") from error
    known = set(load_nouns().wnids)
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        word = (line.split() or [""])[0]
        if word in lines:
            raise TrainingError(f"{path}:{number}: {word} is in line {lines[word]} already")
        if word not in known:
            raise TrainingError(
                f"{path}:{number}: {word[:40]!r} is no noun's wnid",
                hint="a wnid on each line, in the order of the outputs",
            )
        lines[word] = number
    return tuple(lines)
