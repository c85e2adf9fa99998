"""One update of the weights."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch.nn.parallel import DistributedDataParallel

from imagetree.errors import TrainingError
from imagetree.training.colour import colour_shifts
from imagetree.training.device import autocast, normalise, on_device
from imagetree.training.jitter import jitter, jitter_factors
from imagetree.training.mixing import mix_batch, mixed_loss
from imagetree.training.optimisers import set_learning_rate
from imagetree.training.randomness import mix

if TYPE_CHECKING:
    from imagetree.training.batches import Batch
    from imagetree.training.resident import DeviceBatch
    from imagetree.training.state import TrainingState


def train_step(state: TrainingState, batch: Batch | DeviceBatch) -> float:
    """Bring the weights one update further, and count what the network had right before it.

    Args:
        state: the run; its step is counted up.
        batch: this process's share of the step's images.

    Returns:
        The loss before the update, the mean over this process's images.

    Raises:
        TrainingError: the loss is no finite number.
    """
    config, optimiser = state.run.config, state.optimiser
    set_learning_rate(optimiser, config.learning_rate(state.step, state.num_steps, state.errors))
    torch.manual_seed(mix(config.seed, state.step) >> 1)  # dropout depends on the step alone
    shifts = colour_shifts(state.axes, config, state.step // state.steps_per_epoch, batch.indices)
    factors = jitter_factors(config, state.step // state.steps_per_epoch, batch.indices)
    pixels = batch.pixels
    if factors is not None:
        pixels = jitter(on_device(pixels, state.device), factors)
    x = normalise(pixels, state.device, state.subtracted, state.std, shifts=shifts)
    labels = torch.from_numpy(batch.labels).to(state.device)
    x, others, share = mix_batch(x, labels, config, state.step)
    optimiser.zero_grad(set_to_none=True)
    value = 0.0
    parts = len(x.chunk(config.accumulate))
    for number, (part, own, other) in enumerate(
        zip(*(each.chunk(config.accumulate) for each in (x, labels, others)), strict=True), 1
    ):
        with _gradients_averaged(state, now=number == parts):
            with autocast(state.device, config.precision):
                logits = state.parallel(part)
            loss = mixed_loss(logits.float(), own, other, share, config.label_smoothing)
            weighed = loss * (len(part) / len(x))
            misses = (logits.argmax(1) != own).sum()
            # a GPU is waited for here alone: all that follows it works off by itself
            share_of_loss, num_misses = torch.stack([weighed.detach(), misses]).tolist()
            value += share_of_loss
            if not math.isfinite(value):
                raise _not_finite(state, value)
            weighed.backward()  # type: ignore[no-untyped-call]
        state.num_misses += int(num_misses)
    optimiser.step()
    if state.average:
        state.average.update()
    state.step += 1
    state.num_seen += len(labels)
    return value


def _gradients_averaged(state: TrainingState, *, now: bool) -> AbstractContextManager[None]:
    """Other processes are waited for once a step, with the gradients of its last part."""
    network = state.parallel
    if isinstance(network, DistributedDataParallel) and not now:
        return network.no_sync()
    return nullcontext()


def _not_finite(state: TrainingState, value: float) -> TrainingError:
    lr = state.run.config.lr
    return TrainingError(
        f"step {state.step}: the loss is {value}",
        hint=f"train again with a lower learning rate, for example --lr {lr / 4:g}; "
        f"{state.last_good}",
    )
