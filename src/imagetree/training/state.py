"""The state of a run: the network, its momentum, the step; begun afresh or from a checkpoint."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from imagetree.alexnet.network import AlexNet
from imagetree.errors import DatabaseError, TrainingError
from imagetree.sources.decoding import decode_image
from imagetree.training.batches import Images, num_train_batches
from imagetree.training.checkpoints import (
    Checkpoint,
    load_checkpoint,
    load_network,
    save_checkpoint,
)
from imagetree.training.device import choose_device
from imagetree.training.evaluate import View
from imagetree.training.randomness import permutation

if TYPE_CHECKING:
    from imagetree.training.config import TrainConfig
    from imagetree.training.runs import Run

_NUM_FOR_MEAN = 512


class TrainingState:
    """A run in memory.

    Args:
        run: settings and folder; its checkpoint, if there is one, is gone on with.
        wnids: wnid of each class, by class index.
        images: training images.
        minival: images for the error after each epoch.

    Raises:
        TrainingError: fewer than two images, or the checkpoint is not this run's.
    """

    def __init__(self, run: Run, wnids: tuple[str, ...], images: Images, minival: Images) -> None:
        if len(images.labels) < 2:
            raise TrainingError(f"{run.challenge}: fewer than two images to train on")
        config = run.config
        self.run, self.wnids, self.images, self.minival = run, wnids, images, minival
        self.device = choose_device(config.device)
        self.steps_per_epoch = num_train_batches(len(images.labels), config.batch_size)
        self.num_steps = config.epochs * self.steps_per_epoch
        self.step = 0
        self.minival_error: float | None = None
        self.bad: dict[int, str] = {}
        checkpoint = load_checkpoint(run.checkpoint_path) if run.checkpoint_path.exists() else None
        if checkpoint is None:
            self.mean, self.std = _channel_statistics(images, config.seed)
            network = AlexNet(config.network, len(wnids), config.input_size, seed=config.seed)
        else:
            self._check(checkpoint)
            self.mean, self.std, self.step = checkpoint.mean, checkpoint.std, checkpoint.step
            network = load_network(checkpoint, name=str(run.checkpoint_path)).train()
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = _make_optimiser(self.network, config)
        if checkpoint is not None:
            self._restore_momentum(checkpoint)
        self.saved_at = time.monotonic()

    @property
    def is_finished(self) -> bool:
        """Whether every step of the run is done."""
        return self.step >= self.num_steps

    @property
    def view(self) -> View:
        """How the network is shown images at evaluation."""
        config = self.run.config
        return View(config.test_size, self.mean, self.std, config.precision, config.workers)

    def save(self) -> None:
        """Write the checkpoint; momentum only while there is a use for it."""
        parameters = dict(self.network.named_parameters())
        momentum = {
            name: self.optimiser.state[parameter]["momentum_buffer"]
            for name, parameter in parameters.items()
            if parameter in self.optimiser.state and not self.is_finished
        }
        save_checkpoint(
            self.run.checkpoint_path,
            Checkpoint(
                self.run.config,
                self.wnids,
                self.mean,
                self.std,
                self.step,
                self.num_steps,
                self.network.state_dict(),
                momentum,
            ),
        )
        self.saved_at = time.monotonic()

    def _check(self, checkpoint: Checkpoint) -> None:
        path = self.run.checkpoint_path
        asked, there = self.run.config.architecture, checkpoint.config.architecture
        if asked != there:
            raise TrainingError(f"{path}: holds {there!r} (expected {asked!r})")
        if checkpoint.wnids != self.wnids:
            raise TrainingError(f"{path}: was trained on other classes than {self.run.challenge}")
        if checkpoint.num_steps != self.num_steps:
            raise TrainingError(
                f"{path}: belongs to a run of {checkpoint.num_steps} steps, this one has "
                f"{self.num_steps}"
            )

    def _restore_momentum(self, checkpoint: Checkpoint) -> None:
        parameters = dict(self.network.named_parameters())
        if checkpoint.momentum and checkpoint.momentum.keys() != parameters.keys():
            raise TrainingError(f"{self.run.checkpoint_path}: the momentum is not complete")
        for name, buffer in checkpoint.momentum.items():
            like = parameters[name]
            restored = torch.empty_like(like).copy_(buffer)
            self.optimiser.state[like]["momentum_buffer"] = restored


def _make_optimiser(network: AlexNet, config: TrainConfig) -> torch.optim.SGD:
    """Stochastic gradient descent; weights decay, biases and normalisation do not."""
    parameters = list(network.parameters())
    return torch.optim.SGD(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=config.lr,
        momentum=config.momentum,
        nesterov=config.momentum > 0,
        fused=True,
    )


def _channel_statistics(
    images: Images, seed: int
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation of R, G, B over some hundred training images."""
    sums, count = np.zeros((2, 3)), 0
    for index in permutation(len(images.labels), seed)[:_NUM_FOR_MEAN]:
        try:
            pixels = (
                decode_image(images.reader.read(images.rows[index]))
                .reshape(-1, 3)
                .astype(np.float64)
            )
        except DatabaseError:
            continue
        sums += pixels.sum(0), np.square(pixels).sum(0)
        count += len(pixels)
    if count == 0:
        raise TrainingError(
            "none of the first training images can be decoded",
            hint="list the bad images: imagetree database check --database PATH",
        )
    mean = sums[0] / count
    std = np.sqrt(np.maximum(sums[1] / count - np.square(mean), 1.0))
    red, green, blue = (round(float(value), 3) for value in mean)
    red_std, green_std, blue_std = (round(float(value), 3) for value in std)
    return (red, green, blue), (red_std, green_std, blue_std)
