"""Which learning rate: a short run in which it rises from far too low to far too high.

Smith 2017, "Cyclical learning rates for training neural networks", section 3.3. Nothing is saved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from typing import TYPE_CHECKING

from imagetree.errors import TrainingError
from imagetree.training.batches import EpochPart, iter_train_batches, train_batch_bytes
from imagetree.training.feeder import Feeder
from imagetree.training.memory import keep_freed_memory
from imagetree.training.state import TrainingState
from imagetree.training.step import train_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from imagetree.training.batches import Batch, Images
    from imagetree.training.runs import Run

_SMOOTHING = 0.9
_DIVERGED = 3.0


@dataclass(frozen=True)
class Trial:
    """One step of the search.

    Args:
        lr: its learning rate.
        loss: before the step, smoothed over those before it.
    """

    lr: float
    loss: float


@dataclass(frozen=True)
class Finding:
    """What the search found.

    Args:
        trials: in rising order of the rate; they end where the loss diverges.
        steepest: the rate at which the loss fell fastest for each factor of the rate: one to try.
        lowest: the rate at the least loss: too high to train with.
    """

    trials: tuple[Trial, ...]
    steepest: float
    lowest: float


def rising_rates(lowest: float, highest: float, steps: int) -> tuple[float, ...]:
    """Rates from the lowest to the highest, each the same multiple of the one before.

    Raises:
        TrainingError: the range or the number is out of order.
    """
    if not 0 < lowest < highest or steps < 20:
        raise TrainingError("the search needs 0 < lowest < highest and 20 steps or more")
    return tuple(lowest * (highest / lowest) ** (step / (steps - 1)) for step in range(steps))


def find_learning_rate(
    run: Run,
    wnids: tuple[str, ...],
    images: Images,
    rates: Sequence[float],
    progress: Callable[[int, int], None] | None = None,
) -> Finding:
    """Train for some steps at rising rates, from initial weights.

    Args:
        run: its settings; nothing is written into its folder, and a checkpoint there is not read.
        wnids: wnid of each class.
        images: training images.
        rates: of the steps, rising.
        progress: called with (steps done, steps in all).

    Raises:
        TrainingError: the loss diverges at once.
    """
    keep_freed_memory()
    state = TrainingState(replace(run, folder=run.folder / "not-saved"), wnids, images, images)
    trials: list[Trial] = []
    mean = 0.0
    with Feeder(images.reader, run.config.workers, train_batch_bytes(run.config)) as feeder:
        for number, (lr, batch) in enumerate(zip(rates, _batches(state, feeder), strict=False), 1):
            steady = replace(run.config, lr=lr, schedule="steps", lr_drops=(), warmup_share=0.0)
            state.run = replace(state.run, config=steady)
            try:
                loss = train_step(state, batch)
            except TrainingError:  # no number any more
                break
            mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
            trials.append(Trial(lr, mean / (1 - _SMOOTHING**number)))
            if trials[-1].loss > _DIVERGED * min(trial.loss for trial in trials):
                break
            if progress:
                progress(number, len(rates))
    return _judge(tuple(trials))


def _batches(state: TrainingState, feeder: Feeder) -> Iterator[Batch]:
    """Those of the first epoch, the second, and so on."""
    config, images = state.run.config, state.images
    epochs = (iter_train_batches(feeder, images, config, EpochPart(each)) for each in count())
    return chain.from_iterable(epochs)


def _judge(trials: tuple[Trial, ...]) -> Finding:
    """Where the smoothed loss falls fastest, over a tenth of the trials each, before its least."""
    if len(trials) < 10:
        raise TrainingError(
            f"the loss diverged after {len(trials)} steps",
            hint="begin lower: imagetree lr CHALLENGE --lowest 1e-8",
        )
    least = min(range(len(trials)), key=lambda place: trials[place].loss)
    window = max(2, len(trials) // 10)
    slopes = {
        start: (trials[start + window].loss - trials[start].loss)
        / math.log(trials[start + window].lr / trials[start].lr)
        for start in range(max(1, least - window + 1))
    }
    best = min(slopes, key=lambda start: (slopes[start], start))
    middle = islice(trials, best + window // 2, None)
    return Finding(trials, next(middle).lr, trials[least].lr)
