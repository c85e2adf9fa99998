"""The training loop: batches in, updates, a checkpoint now and then, the error after each epoch.

Whatever ends a run, the last checkpoint is whole, and a run that goes on from it ends with the
same weights as one that was never broken off: order, crops and dropout are functions of the seed
and the step.
"""

from __future__ import annotations

import math
import signal
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from imagetree.errors import TrainingError
from imagetree.training.batches import (
    Batch,
    Images,
    eval_batch_bytes,
    iter_train_batches,
    train_batch_bytes,
)
from imagetree.training.device import autocast, normalise
from imagetree.training.evaluate import predict
from imagetree.training.feeder import Feeder
from imagetree.training.log import RunLog, read_log
from imagetree.training.memory import keep_freed_memory
from imagetree.training.randomness import mix
from imagetree.training.state import TrainingState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imagetree.training.runs import Run

_LOG_EVERY = 10


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Args:
        epoch: counted from 1.
        step: optimiser updates done, of num_steps.
        num_steps: in the whole run.
        loss: mean over the last ten steps.
        images_per_second: over the last ten steps.
        seconds_left: estimate until the end of training.
        minival_error: top-1 error after the last whole epoch; None before.
    """

    epoch: int
    step: int
    num_steps: int
    loss: float
    images_per_second: float
    seconds_left: float
    minival_error: float | None


@dataclass(frozen=True)
class Result:
    """How a call of `train` ended.

    Args:
        is_finished: False if it was interrupted; the checkpoint is saved.
        step: optimiser updates done.
        num_steps: in the whole run.
        minival_error: top-1 error after the last whole epoch; None before.
        num_bad: training images that could not be decoded; the log lists them.
    """

    is_finished: bool
    step: int
    num_steps: int
    minival_error: float | None
    num_bad: int


def train(
    run: Run,
    wnids: tuple[str, ...],
    images: Images,
    minival: Images,
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Train a network, or go on from the run's checkpoint.

    Args:
        run: settings and folder.
        wnids: wnid of each class, by class index.
        images: training images.
        minival: images for the error after each epoch; they choose nothing and are not trained on.
        progress: called after each step.

    Raises:
        TrainingError: the loss is no number, the checkpoint is not this run's, or no image can be
            decoded.
        ImagetreeError: the disk is full; the last checkpoint stands.
    """
    keep_freed_memory()
    state = TrainingState(run, wnids, images, minival)
    with (
        _stop_signals() as stop,
        RunLog(run.folder, state.step) as log,
        _make_feeder(state) as feeder,
    ):
        was_finished = state.is_finished
        while not state.is_finished and not stop:
            _train_epoch(state, feeder, log, stop, progress)
        if not was_finished:
            state.save()
    epochs = [record for record in read_log(run.folder) if record["kind"] == "epoch"]
    return Result(
        state.is_finished,
        state.step,
        state.num_steps,
        epochs[-1]["minival_top1_error"] if epochs else None,
        len(state.bad),
    )


def _make_feeder(state: TrainingState) -> Feeder:
    config = state.run.config
    largest = max(train_batch_bytes(config), eval_batch_bytes(config.test_size))
    return Feeder(state.images.reader, config.workers, largest)


def _train_epoch(
    state: TrainingState,
    feeder: Feeder,
    log: RunLog,
    stop: list[int],
    progress: Callable[[Progress], None] | None,
) -> None:
    """Train to the end of the epoch that the run is in, or to a signal; then evaluate and log."""
    config = state.run.config
    epoch, first = divmod(state.step, state.steps_per_epoch)
    recent: deque[tuple[float, float]] = deque(maxlen=_LOG_EVERY)  # (time, loss) of each step
    began = time.monotonic()
    for batch in iter_train_batches(feeder, state.images, config, epoch, first):
        loss = _train_step(state, batch)
        recent.append((time.monotonic(), loss))
        _log_bad(state, log, batch)
        now = _progress(state, recent, began, epoch)
        if progress:
            progress(now)
        if state.step % _LOG_EVERY == 0 or state.step % state.steps_per_epoch == 0:
            log.write(
                "step",
                state.step,
                loss=now.loss,
                images_per_second=now.images_per_second,
                lr=state.optimiser.param_groups[0]["lr"],
            )
        if time.monotonic() - state.saved_at > 60 * config.checkpoint_minutes:
            state.save()
        if stop:
            return
    answer = predict(state.network, state.minival, state.view, feeder=feeder)
    misses = answer.probabilities.argmax(1) != state.minival.labels
    state.minival_error = float((misses | ~answer.is_readable).mean())
    log.write("epoch", state.step, epoch=epoch + 1, minival_top1_error=state.minival_error)


def _train_step(state: TrainingState, batch: Batch) -> float:
    """One update; returns the loss before it."""
    config, network, optimiser = state.run.config, state.network, state.optimiser
    for group in optimiser.param_groups:
        group["lr"] = config.learning_rate(state.step, state.num_steps)
    torch.manual_seed(mix(config.seed, state.step) >> 1)  # dropout depends on the step alone
    x = normalise(batch.pixels, state.device, state.mean, state.std)
    labels = torch.from_numpy(batch.labels).to(state.device)
    with autocast(state.device, config.precision):
        logits = network(x)
    loss = functional.cross_entropy(logits.float(), labels, label_smoothing=config.label_smoothing)
    value = loss.item()
    if not math.isfinite(value):
        raise TrainingError(
            f"step {state.step}: the loss is {value}",
            hint=f"train again with a lower learning rate, for example --lr {config.lr / 4:g}; "
            f"the last good checkpoint is {state.run.checkpoint_path}",
        )
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    state.step += 1
    return value


def _log_bad(state: TrainingState, log: RunLog, batch: Batch) -> None:
    for bad in batch.bad:
        if bad.index not in state.bad:
            state.bad[bad.index] = bad.reason
            name = state.images.names[bad.index]
            log.write("bad image", state.step, name=name, reason=bad.reason)


def _progress(
    state: TrainingState, recent: deque[tuple[float, float]], began: float, epoch: int
) -> Progress:
    """Rates are over the last steps, so that they follow a change of the crop size."""
    first = recent[0][0] if len(recent) > 1 else began
    steps = max(1, len(recent) - 1)
    seconds_per_step = max(1e-9, (recent[-1][0] - first) / steps)
    batch_size = min(state.run.config.batch_size, len(state.images.labels))
    return Progress(
        epoch + 1,
        state.step,
        state.num_steps,
        sum(loss for _, loss in recent) / len(recent),
        batch_size / seconds_per_step,
        (state.num_steps - state.step) * seconds_per_step,
        state.minival_error,
    )


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them; a second one ends the process at once.

    The list is empty until a signal comes. In another thread than the main one signals are left
    alone, as Python demands.
    """
    received: list[int] = []
    previous: dict[signal.Signals, Any] = {}

    def note(number: int, _frame: object) -> None:
        received.append(number)
        for each, handler in previous.items():
            signal.signal(each, handler)

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, note)
    except ValueError:
        previous.clear()
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
