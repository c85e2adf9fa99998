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

from imagetree.alexnet.architectures import architecture_named, dropout_rate, with_dropout
from imagetree.alexnet.changes import Changes, changed
from imagetree.errors import TrainingError
from imagetree.training.crops import RandomCrop, RandomWindow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagetree.alexnet.layers import Architecture
    from imagetree.training.crops import Crop

_MAX_PLATEAUS = 3
_COLOUR_SCALES = ("eigenvalue", "deviation")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of a run; the same settings give the same weights on the same machine.

    Args:
        architecture: network to train; `imagetree alexnet list` names them.
        activation: function behind the hidden layers; the paper holds ReLU against tanh.
        norm: the architecture's own normalisation, local response, batch, or none.
        overlapping_pool: pooling windows that overlap as the architecture's own, or 2 x 2 that do
            not.
        groups: towers that conv2, conv4 and conv5 are shared out to; the architecture's own if
            None.
        input_size: side in pixels of the images that the network is made for.
        start_size: side of the images in the first part of training; input_size if it is larger.
        start_share: share of the epochs at start_size.
        test_size: side of the images at evaluation; somewhat above input_size, because random
            crops magnify what training sees (Touvron et al. 2019).
        epochs: passes over the training images.
        batch_size: images in a step.
        accumulate: parts that a step's images go through the network in, for want of memory.
        optimiser: plain stochastic gradient descent, or its layer-wise form for large batches.
        lr: learning rate at the peak of the schedule.
        schedule: how it falls: along a cosine, or by ten at `lr_drops` or on a plateau.
        warmup_share: share of the steps in which the learning rate rises from zero to lr.
        lr_drops: epochs, as shares of all of them, after which `steps` divides by ten.
        patience: epochs without a lower minival error after which `plateau` does, thrice at most.
        momentum: of stochastic gradient descent.
        nesterov: look ahead by the momentum; the paper does not.
        bias_lr_factor: learning rate of the layers' biases, as a multiple of the weights'.
        weight_decay: of weights; biases, scales and shifts are not decayed.
        dropout: probability with which dropout sets a value to zero; the architecture's own if
            None.
        label_smoothing: probability that the target leaves to the other classes.
        mixup: alpha of mixup; 0 for none.
        cutmix: alpha of cutmix; 0 for none.
        average: share of the running mean of the weights that stays at each step; 0 for none.
        crop: regions of random area and shape, or square windows of one size as in the paper.
        min_crop_area: least share of the image that a region covers.
        window_share: side of a window as a share of the centred square's.
        colour_noise: standard deviation of the noise along the principal axes of the colours; 0.1
            in the paper, 0 for none.
        colour_scale: what the noise of an axis is multiplied by: its eigenvalue, the variance of
            pixels in 0..1, as in the paper, or its standard deviation as in the code of 2012.
        jitter: most by which brightness, contrast and saturation differ from one; 0 for none.
        mean_image: subtract the mean image of the training set, as the paper does, and not the
            mean of each channel.
        unit_variance: divide pixels by the standard deviation of their channel. The paper does not:
            its Gaussians of 0.01 and its norm's alpha are made for pixels in 0..255.
        seed: of initial weights, order, crops, flips and dropout.
        precision: bf16 computes convolutions and matrix products in bfloat16; weights stay fp32.
            auto takes it where the processor or GPU has it, and fp32 elsewhere.
        workers: processes that read and decode images.
        checkpoint_minutes: minutes between checkpoints.
        device: auto takes a GPU where there is one.
        deterministic: on a GPU too take only operations that give the same bits each time, some of
            which are slower; a CPU has no others.
    """

    architecture: str = "batch_norm"
    activation: Literal["relu", "tanh"] = "relu"
    norm: Literal["own", "lrn", "batch", "none"] = "own"
    overlapping_pool: bool = True
    groups: int | None = None
    input_size: int = 163
    start_size: int = 131
    start_share: float = 0.75
    test_size: int = 195
    epochs: int = 19
    batch_size: int = 64
    accumulate: int = 1
    optimiser: Literal["sgd", "lars"] = "sgd"
    lr: float = 0.012
    schedule: Literal["cosine", "steps", "plateau"] = "cosine"
    warmup_share: float = 0.15
    lr_drops: tuple[float, ...] = (1 / 3, 2 / 3)
    patience: int = 5
    momentum: float = 0.9
    nesterov: bool = True
    bias_lr_factor: float = 1.0
    weight_decay: float = 5e-4
    dropout: float | None = None
    label_smoothing: float = 0.1
    mixup: float = 0.0
    cutmix: float = 0.0
    average: float = 0.0
    crop: Literal["area", "window"] = "area"
    min_crop_area: float = 0.35
    window_share: float = 224 / 256
    colour_noise: float = 0.0
    colour_scale: Literal["eigenvalue", "deviation"] = "eigenvalue"
    jitter: float = 0.0
    mean_image: bool = False
    unit_variance: bool = True
    seed: int = 0
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    workers: int = 2
    checkpoint_minutes: float = 5.0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    deterministic: bool = False

    def __post_init__(self) -> None:
        scales = _COLOUR_SCALES
        _check(self, "colour_scale", self.colour_scale in scales, f"one of {', '.join(scales)}")
        for name in ("input_size", "start_size", "test_size", "epochs", "batch_size"):
            _check(self, name, getattr(self, name) >= 1, "at least 1")
        object.__setattr__(self, "lr_drops", tuple(self.lr_drops))  # JSON gives a list
        _check(self, "workers", self.workers >= 0, "at least 0")
        _check(self, "patience", self.patience >= 1, "at least 1")
        _check(self, "average", 0 <= self.average < 1, "in [0, 1)")
        _check(self, "window_share", 0 < self.window_share <= 1, "in (0, 1]")
        drops = (0, *self.lr_drops, 1)
        _check(self, "lr_drops", list(drops) == sorted(set(drops)), "rising, between 0 and 1")
        for name in ("mixup", "cutmix", "bias_lr_factor", "colour_noise"):
            _check(self, name, getattr(self, name) >= 0, "at least 0")
        for name in ("lr", "checkpoint_minutes"):
            _check(self, name, getattr(self, name) > 0, "above 0")
        for name in ("start_share", "warmup_share", "momentum", "label_smoothing", "jitter"):
            _check(self, name, 0 <= getattr(self, name) <= 1, "in [0, 1]")
        _check(self, "dropout", self.dropout is None or 0 <= self.dropout < 1, "in [0, 1)")
        _check(self, "min_crop_area", 0 < self.min_crop_area <= 1, "in (0, 1]")
        _check(self, "batch_size", self.batch_size >= 2, "at least 2, for batch normalisation")
        parts = self.accumulate
        _check(self, "accumulate", 1 <= parts <= self.batch_size // 2, "in parts of 2 images")
        _check(self, "weight_decay", self.weight_decay >= 0, "at least 0")
        _ = self.network  # refuses a name that is none, and towers that do not share evenly

    @property
    def changes(self) -> Changes:
        """What the network has other than its architecture's own, dropout aside."""
        return Changes(self.activation, self.norm, self.overlapping_pool, self.groups)

    @property
    def network(self) -> Architecture:
        """The architecture as this run has it: its activation, norm, pooling, towers, dropout."""
        network = changed(architecture_named(self.architecture), self.changes)
        return network if self.dropout is None else with_dropout(network, self.dropout)

    @property
    def dropout_rate(self) -> float:
        """The rate of dropout that this run has, whoever says it."""
        return dropout_rate(self.network)

    @property
    def is_changed(self) -> bool:
        """Whether the network is another than the one that its name stands for, dropout aside."""
        own = with_dropout(architecture_named(self.architecture), self.dropout_rate)
        return self.network != own

    def crop_size(self, epoch: int) -> int:
        """Side in pixels of the training crops in an epoch, counted from 0.

        >>> config = TrainConfig(epochs=4, start_size=128, input_size=160, start_share=0.5)
        >>> [config.crop_size(epoch) for epoch in range(4)]
        [128, 128, 160, 160]
        """
        early = epoch < round(self.start_share * self.epochs)
        return min(self.start_size, self.input_size) if early else self.input_size

    def crops_of(self, epoch: int) -> Crop:
        """The random crops of an epoch, counted from 0."""
        if self.crop == "window":
            return RandomWindow(self.window_share, self.seed, epoch)
        return RandomCrop(self.min_crop_area, self.seed, epoch)

    def learning_rate(self, step: int, num_steps: int, errors: Sequence[float] = ()) -> float:
        """Learning rate of a step: up in a straight line, then down as `schedule` says.

        Args:
            step: counted from 0.
            num_steps: of the whole run.
            errors: minival error after each epoch so far, for `plateau`.

        >>> config = TrainConfig(lr=0.1, warmup_share=0.5)
        >>> [round(config.learning_rate(step, 4), 3) for step in range(4)]
        [0.05, 0.1, 0.1, 0.05]
        """
        warmup = self.warmup_share * num_steps
        if step < warmup:
            return self.lr * min(1.0, (step + 1) / warmup)
        if self.schedule == "cosine":
            return self.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (num_steps - warmup)))
        if self.schedule == "steps":
            return self.lr * 0.1 ** sum(step >= share * num_steps for share in self.lr_drops)
        return self.lr * 0.1 ** num_plateaus(errors, self.patience)

    def to_json(self) -> dict[str, Any]:
        """The settings as plain values."""
        return dataclasses.asdict(self)


def num_plateaus(errors: Sequence[float], patience: int) -> int:
    """How often an error has stopped falling: `patience` epochs in a row without a new least one.

    Krizhevsky et al. 2012, section 5: divided by ten when the validation error stopped improving,
    three times before the end.

    >>> num_plateaus([0.5, 0.4, 0.4, 0.41, 0.39], patience=2)
    1
    """
    least, since, found = math.inf, 0, 0
    for error in errors:
        least, since = (error, 0) if error < least else (least, since + 1)
        if since == patience:
            found, since = found + 1, 0
    return min(found, _MAX_PLATEAUS)


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
