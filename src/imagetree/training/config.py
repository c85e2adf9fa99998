"""The settings of a training run, and the schedules that follow from them.

The defaults are a recipe of today for a small set of images on a laptop: batch normalisation, one
cycle of the learning rate, smoothed labels, smaller images first. docs/log.md says what it reached.

Sizes of 99, 131, 163, 195 and 227 pixels are those at which every window fits a whole number of
times, as (227 - 11) / 4 + 1 = 55 does: no border of a map is left unseen.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from imagetree.alexnet.architectures import architecture_named, with_dropout
from imagetree.errors import TrainingError
from imagetree.training.crops import RandomCrop

if TYPE_CHECKING:
    from imagetree.alexnet.layers import Architecture


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of a run; the same settings give the same weights on the same machine.

    Args:
        architecture: network to train; `imagetree alexnet list` names them.
        input_size: side in pixels of the images that the network is made for.
        start_size: side of the images in the first part of training; input_size if it is larger.
        start_share: share of the epochs at start_size.
        test_size: side of the images at evaluation; somewhat above input_size, because random
            crops magnify what training sees (Touvron et al. 2019).
        epochs: passes over the training images.
        batch_size: images in a step.
        lr: learning rate at the peak of the cycle.
        warmup_share: share of the steps in which the learning rate rises from zero to lr.
        momentum: of stochastic gradient descent, Nesterov's form.
        weight_decay: of weights; biases, scales and shifts are not decayed.
        dropout: probability with which a value in front of fc6 and fc7 is set to zero.
        label_smoothing: probability that the target leaves to the other classes.
        min_crop_area: least share of the image that a random crop covers.
        seed: of initial weights, order, crops, flips and dropout.
        precision: bf16 computes convolutions and matrix products in bfloat16; weights stay fp32.
        workers: processes that read and decode images.
        checkpoint_minutes: minutes between checkpoints.
        device: auto takes a GPU where there is one.
    """

    architecture: str = "batch_norm"
    input_size: int = 163
    start_size: int = 131
    start_share: float = 0.75
    test_size: int = 195
    epochs: int = 19
    batch_size: int = 64
    lr: float = 0.012
    warmup_share: float = 0.15
    momentum: float = 0.9
    weight_decay: float = 5e-4
    dropout: float = 0.2  # the paper's 0.5 is for a network without batch normalisation
    label_smoothing: float = 0.1
    min_crop_area: float = 0.35
    seed: int = 0
    precision: Literal["bf16", "fp32"] = "bf16"
    workers: int = 2
    checkpoint_minutes: float = 5.0
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        architecture_named(self.architecture)
        for name in ("input_size", "start_size", "test_size", "epochs", "batch_size"):
            _check(self, name, getattr(self, name) >= 1, "at least 1")
        _check(self, "workers", self.workers >= 0, "at least 0")
        for name in ("lr", "checkpoint_minutes"):
            _check(self, name, getattr(self, name) > 0, "above 0")
        for name in ("start_share", "warmup_share", "momentum", "label_smoothing"):
            _check(self, name, 0 <= getattr(self, name) <= 1, "in [0, 1]")
        _check(self, "dropout", 0 <= self.dropout < 1, "in [0, 1)")
        _check(self, "min_crop_area", 0 < self.min_crop_area <= 1, "in (0, 1]")
        _check(self, "batch_size", self.batch_size >= 2, "at least 2, for batch normalisation")
        _check(self, "weight_decay", self.weight_decay >= 0, "at least 0")

    @property
    def network(self) -> Architecture:
        """The architecture with this run's rate of dropout."""
        return with_dropout(architecture_named(self.architecture), self.dropout)

    def crop_size(self, epoch: int) -> int:
        """Side in pixels of the training crops in an epoch, counted from 0.

        >>> config = TrainConfig(epochs=4, start_size=128, input_size=160, start_share=0.5)
        >>> [config.crop_size(epoch) for epoch in range(4)]
        [128, 128, 160, 160]
        """
        early = epoch < round(self.start_share * self.epochs)
        return min(self.start_size, self.input_size) if early else self.input_size

    def crop(self, epoch: int) -> RandomCrop:
        """The random crops of an epoch, counted from 0."""
        return RandomCrop(self.min_crop_area, self.seed, epoch)

    def learning_rate(self, step: int, num_steps: int) -> float:
        """Learning rate of a step, counted from 0: up in a straight line, down along a cosine.

        >>> config = TrainConfig(lr=0.1, warmup_share=0.5)
        >>> [round(config.learning_rate(step, 4), 3) for step in range(4)]
        [0.05, 0.1, 0.1, 0.05]
        """
        warmup = self.warmup_share * num_steps
        if step < warmup:
            return self.lr * min(1.0, (step + 1) / warmup)
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (num_steps - warmup)))

    def to_json(self) -> dict[str, Any]:
        """The settings as plain values."""
        return dataclasses.asdict(self)


_RENAMED = {"threads": "workers"}
"""Settings of earlier versions, by the names that they have now."""


def config_from_json(values: dict[str, Any]) -> TrainConfig:
    """Settings from plain values, as `to_json` gave them.

    Raises:
        TrainingError: a key is unknown or a value is out of its range.

    >>> config_from_json({"epochs": 3}).epochs
    3
    """
    values = {_RENAMED.get(key, key): value for key, value in values.items()}
    known = {field.name for field in dataclasses.fields(TrainConfig)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise TrainingError(f"unknown settings {unknown} (expected some of {sorted(known)})")
    return TrainConfig(**values)


def _check(config: TrainConfig, name: str, is_right: bool, expected: str) -> None:
    if not is_right:
        raise TrainingError(f"{name} is {getattr(config, name)} (expected {expected})")
