"""The state of a run: the network, its momentum, the step; begun afresh or from a checkpoint."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from imagetree.alexnet.network import AlexNet
from imagetree.errors import TrainingError
from imagetree.training.averaging import WeightAverage
from imagetree.training.batches import Images, num_train_batches
from imagetree.training.checkpoints import (
    Checkpoint,
    load_checkpoint,
    load_network,
    save_checkpoint,
)
from imagetree.training.colour import measure_colours
from imagetree.training.device import choose_device, logits_of
from imagetree.training.distributed import World
from imagetree.training.evaluate import View
from imagetree.training.mean_image import measure_mean_image
from imagetree.training.optimisers import make_optimiser
from imagetree.training.resident import resident_where_it_fits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagetree.training.config import TrainConfig
    from imagetree.training.device import Mean
    from imagetree.training.evaluate import Logits
    from imagetree.training.runs import Run


class TrainingState:
    """A run in memory.

    Args:
        run: settings and folder; its checkpoint, if there is one, is gone on with.
        wnids: wnid of each class, by class index.
        images: training images.
        minival: images for the error after each epoch.
        world: the processes that train together.

    Raises:
        TrainingError: fewer than two images, a batch that the processes cannot share, or the
            checkpoint is not this run's.
    """

    def __init__(
        self,
        run: Run,
        wnids: tuple[str, ...],
        images: Images,
        minival: Images,
        world: World = World(),  # noqa: B008 (frozen)
    ) -> None:
        if len(images.labels) < 2:
            raise TrainingError(f"{run.challenge}: fewer than two images to train on")
        config = run.config
        self.run, self.wnids, self.images, self.minival = run, wnids, images, minival
        self.world = world
        _check_shares(config, world, len(images.labels))
        self.device = choose_device(config.device)
        self.steps_per_epoch = num_train_batches(len(images.labels), config.batch_size)
        self.num_steps = config.epochs * self.steps_per_epoch
        self.step = 0
        self.product_rate = math.inf  # operations a second of one large product; unknown yet
        self.num_seen, self.num_misses = 0, 0  # of the newest epoch
        self.errors: list[float] = []
        self.bad: dict[int, str] = {}
        checkpoint = load_checkpoint(run.checkpoint_path) if run.checkpoint_path.exists() else None
        self.axes = None if checkpoint is None else checkpoint.axes
        if checkpoint is None:
            colours = measure_colours(images, config.seed)
            self.mean, self.axes = colours.mean, colours.axes
            self.std = colours.std if config.unit_variance else (1.0, 1.0, 1.0)
            self.mean_image = measure_mean_image(images, config) if config.mean_image else None
            network = AlexNet(config.network, len(wnids), config.input_size, seed=config.seed)
        else:
            self._check(checkpoint)
            self.mean, self.std, self.step = checkpoint.mean, checkpoint.std, checkpoint.step
            self.mean_image = checkpoint.mean_image
            if world.is_main:  # the sum over all processes
                self.num_seen, self.num_misses = checkpoint.num_seen, checkpoint.num_misses
            network = load_network(checkpoint, name=str(run.checkpoint_path)).train()
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.set_shard(world.rank, world.size)
        self.parallel = world.wrap(self.network)
        self.optimiser = make_optimiser(self.network, config)
        is_averaged = config.average > 0 and not self.is_finished
        self.average = WeightAverage(self.network, config.average) if is_averaged else None
        if checkpoint is not None:
            self._restore(checkpoint)
        self.resident = resident_where_it_fits(images, self.device)
        self.saved_at = time.monotonic()
        self.saved_step = None if checkpoint is None else checkpoint.step

    @property
    def last_good(self) -> str:
        """Where the last checkpoint is, and of which step, as the end of a sentence."""
        if self.saved_step is None:
            return "no checkpoint was written yet"
        return f"the last good checkpoint, of step {self.saved_step}, is {self.run.checkpoint_path}"

    @property
    def is_finished(self) -> bool:
        """Whether every step of the run is done."""
        return self.step >= self.num_steps

    @property
    def minival_error(self) -> float | None:
        """Top-1 error after the last whole epoch; None before."""
        return self.errors[-1] if self.errors else None

    @contextmanager
    def answering(self) -> Iterator[Logits]:
        """What the network answers, with the mean of its weights where one is kept."""
        if self.average:
            self.average.exchange()
        self.network.eval()
        try:
            yield logits_of(self.network, self.view)
        finally:
            self.network.train()
            if self.average:
                self.average.exchange()

    @property
    def view(self) -> View:
        """How the network is shown images at evaluation."""
        config = self.run.config
        return View(config.test_size, self.subtracted, self.std, config.precision, config.workers)

    @property
    def subtracted(self) -> Mean:
        """What is subtracted from an image: the mean image where the run has one."""
        return self.mean if self.mean_image is None else self.mean_image

    def save(self) -> None:
        """Write the checkpoint; momentum and means only while there is a use for them.

        All processes call it, as each has counted its own images; the main one writes.
        """
        seen, misses = self.world.sum(self.num_seen, self.num_misses, device=self.device)
        if self.is_finished and self.average:
            self.average.exchange()  # the mean is what the run is for
            self.average = None
        self.saved_step = self.step
        if not self.world.is_main:
            return
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
                int(seen),
                int(misses),
                self.average.tensors if self.average else {},
                self.average.num_updates if self.average else 0,
                self.axes,
                self.mean_image,
            ),
        )
        self.saved_at = time.monotonic()

    def _check(self, checkpoint: Checkpoint) -> None:
        path, hint = self.run.checkpoint_path, "name another folder for the run"
        asked, there = self.run.config.architecture, checkpoint.config.architecture
        if asked != there:
            raise TrainingError(f"{path}: holds {there!r} (expected {asked!r})", hint=hint)
        if self.run.config.network != checkpoint.config.network:
            raise TrainingError(
                f"{path}: holds {there!r} with another activation, norm, pooling, number of towers "
                "or rate of dropout",
                hint=hint,
            )
        if checkpoint.wnids != self.wnids:
            raise TrainingError(
                f"{path}: was trained on other classes than {self.run.challenge}", hint=hint
            )
        if checkpoint.num_steps != self.num_steps:
            raise TrainingError(
                f"{path}: belongs to a run of {checkpoint.num_steps} steps, this one has "
                f"{self.num_steps}",
                hint=hint,
            )

    def _restore(self, checkpoint: Checkpoint) -> None:
        if self.average:
            if self.average.tensors.keys() != checkpoint.average.keys():
                path = self.run.checkpoint_path
                raise TrainingError(f"{path}: the mean of the weights is not complete")
            self.average.restore(checkpoint.average, checkpoint.num_averaged)
        parameters = dict(self.network.named_parameters())
        if checkpoint.momentum and checkpoint.momentum.keys() != parameters.keys():
            raise TrainingError(f"{self.run.checkpoint_path}: the momentum is not complete")
        for name, buffer in checkpoint.momentum.items():
            like = parameters[name]
            restored = torch.empty_like(like).copy_(buffer)
            self.optimiser.state[like]["momentum_buffer"] = restored


def _check_shares(config: TrainConfig, world: World, num_images: int) -> None:
    """Every process must have as many images of each batch, and two for batch normalisation."""
    batch_size = min(config.batch_size, num_images)
    if batch_size % world.size or batch_size // world.size < 2 * config.accumulate:
        raise TrainingError(
            f"a batch of {batch_size} images cannot be shared by {world.size} processes in "
            f"{config.accumulate} parts of two images or more",
            hint=f"choose --batch-size as a multiple of {2 * world.size * config.accumulate}",
        )
