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

from imagetree.errors import TrainingError
from imagetree.training.batches import (
    Batch,
    EpochPart,
    Images,
    Shard,
    eval_batch_bytes,
    iter_train_batches,
    train_batch_bytes,
)
from imagetree.training.device import choose_device, repeatable
from imagetree.training.distributed import joined_world
from imagetree.training.evaluate import predict
from imagetree.training.feeder import Feeder
from imagetree.training.log import RunLog, read_log
from imagetree.training.memory import keep_freed_memory
from imagetree.training.resident import DeviceBatch, iter_resident_batches
from imagetree.training.roofline import operations_per_image, product_rate
from imagetree.training.snapshots import (
    TENSOR,
    Snapshot,
    drop_snapshots_after,
    save_snapshot,
)
from imagetree.training.snapshots import is_due as is_snapshot_due
from imagetree.training.state import TrainingState
from imagetree.training.step import train_step
from imagetree.training.upload import iter_uploaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imagetree.training.runs import Run

_LOG_EVERY = 10
_FLAT_STEPS, _FLAT_SHARE = 3000, 0.995
"""A loss that is flat for so many steps, at so much of that of guessing, will stay flat."""


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Args:
        epoch: counted from 1.
        step: optimiser updates done, of num_steps.
        num_steps: in the whole run.
        loss: mean over the last ten steps.
        images_per_second: over the last ten steps, of all processes.
        share_of_limit: of the rate that the network's multiplications alone would have at the speed
            of one large product on each device; see `roofline`.
        seconds_left: estimate until the end of training.
        minival_error: top-1 error after the last whole epoch; None before.
    """

    epoch: int
    step: int
    num_steps: int
    loss: float
    images_per_second: float
    share_of_limit: float
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
        TrainingError: the loss is no number or stays that of guessing, the checkpoint is not this
            run's, or no image can be decoded.
        ImagetreeError: the disk is full; the last checkpoint stands.
    """
    keep_freed_memory()
    device = choose_device(run.config.device)
    with repeatable(run.config.deterministic), joined_world(device) as world:
        return _train(TrainingState(run, wnids, images, minival, world), progress)


def _train(state: TrainingState, progress: Callable[[Progress], None] | None) -> Result:
    folder, world = state.run.folder, state.world
    with (
        _stop_signals() as stop,
        RunLog(folder, state.step, writes=world.is_main) as log,
        _make_feeder(state) as feeder,
    ):
        was_finished = state.is_finished
        if progress and not was_finished:
            state.product_rate = product_rate(state.device, state.run.config.precision)
        _begin(state, feeder, log)
        is_stopped = False
        while not state.is_finished and not is_stopped:
            is_stopped = _train_epoch(state, feeder, log, stop, progress)
        if not was_finished:
            state.save()
        world.wait()
    return Result(
        state.is_finished, state.step, state.num_steps, state.minival_error, len(state.bad)
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
) -> bool:
    """Train to the end of the epoch that the run is in; then evaluate and log.

    Returns:
        Whether a signal asks for the end; then nothing was evaluated.
    """
    config, world = state.run.config, state.world
    epoch, first = divmod(state.step, state.steps_per_epoch)
    if first == 0:
        state.num_seen = state.num_misses = 0
    losses = []
    recent: deque[tuple[float, float]] = deque(maxlen=_LOG_EVERY)  # (time, loss) of each step
    began = time.monotonic()
    part = EpochPart(epoch, first, world.rank, world.size)
    for batch in _batches(state, feeder, part):
        (total,) = world.sum(train_step(state, batch), device=state.device)
        loss = total / world.size  # each process has as many images of the step
        losses.append(loss)
        recent.append((time.monotonic(), loss))
        if is_snapshot_due(state.step, state.steps_per_epoch):
            _keep_filters(state)
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
        is_due = time.monotonic() - state.saved_at > 60 * config.checkpoint_minutes
        num_stopped, num_due = world.sum(bool(stop), is_due, device=state.device)
        if num_due:
            state.save()
        if num_stopped:
            return True
    _end_epoch(state, feeder, log)
    if first == 0:
        _refuse_flat_loss(state, sum(losses) / len(losses))
    return False


def _batches(
    state: TrainingState, feeder: Feeder, part: EpochPart
) -> Iterator[Batch | DeviceBatch]:
    """From the device itself where all images lie there, else from the workers."""
    config = state.run.config
    if state.resident:
        return iter_resident_batches(state.resident, config, part)
    return iter_uploaded(iter_train_batches(feeder, state.images, config, part), state.device)


def _begin(state: TrainingState, feeder: Feeder, log: RunLog) -> None:
    """Bring the run's folder to the step that the run is at.

    A checkpoint may stand at the last step of an epoch that nobody evaluated.
    """
    folder, step = state.run.folder, state.step
    records = [record for record in read_log(folder) if record["step"] <= step]
    epochs = [record for record in records if record["kind"] == "epoch"]
    state.errors = [record["minival_top1_error"] for record in epochs]
    state.world.wait()
    if state.world.is_main:
        drop_snapshots_after(folder, step)
    if step == 0:
        _keep_filters(state)
    elif step % state.steps_per_epoch == 0 and not any(each["step"] == step for each in epochs):
        _end_epoch(state, feeder, log)


def _keep_filters(state: TrainingState) -> None:
    if not state.world.is_main:
        return
    filters = state.network.get_parameter(TENSOR).detach().cpu().numpy()
    save_snapshot(state.run.folder, Snapshot(state.step, filters))


def _end_epoch(state: TrainingState, feeder: Feeder, log: RunLog) -> None:
    """Evaluate on minival, and log the errors of the epoch that ends at this step."""
    world = state.world
    shard, num_wrong = Shard(state.minival, world.rank, world.size), 0
    if len(shard.labels):
        with state.answering() as logits:
            answer = predict(logits, shard, state.view, feeder=feeder)
        misses = answer.probabilities.argmax(1) != shard.labels
        num_wrong = int((misses | ~answer.is_readable).sum())
    wrong, seen, missed = world.sum(
        num_wrong, state.num_seen, state.num_misses, device=state.device
    )
    state.errors.append(wrong / len(state.minival.labels))
    errors = {"minival_top1_error": state.errors[-1]}
    if seen:  # 0 where the checkpoint is of a version that did not count
        errors["train_top1_error"] = missed / seen
    log.write("epoch", state.step, epoch=state.step // state.steps_per_epoch, **errors)


def _refuse_flat_loss(state: TrainingState, loss: float) -> None:
    """End a run that learns nothing: after long enough its loss is still that of guessing."""
    config, chance = state.run.config, math.log(len(state.wnids))
    if state.step < max(2 * state.steps_per_epoch, _FLAT_STEPS) or loss < _FLAT_SHARE * chance:
        return
    raise TrainingError(
        f"step {state.step}: the loss is still {loss:.4f}, and guessing has {chance:.4f}",
        hint="train again with another learning rate (imagetree lr finds one) or another start of "
        f"the weights (--seed {config.seed + 1}); {state.last_good}",
    )


def _log_bad(state: TrainingState, log: RunLog, batch: Batch | DeviceBatch) -> None:
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
    config = state.run.config
    rate = min(config.batch_size, len(state.images.labels)) / seconds_per_step
    operations = operations_per_image(
        config.network,
        len(state.wnids),
        input_size=config.input_size,
        size=config.crop_size(epoch),
    )
    return Progress(
        epoch + 1,
        state.step,
        state.num_steps,
        sum(loss for _, loss in recent) / len(recent),
        rate,
        rate * operations / (state.product_rate * state.world.size),
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
