"""A network made small: what each choice costs in error and gains in size and speed.

The choices are tried on minival. A few hundred images tell an error of half a point badly, so a
choice is held to what it is expected to lose as well: where its answer is another than the whole
network's, the difference of the probabilities that the whole network gives to the two. It needs no
label, is never below 0, and varies much less than the error itself (docs/log.md).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from imagetree.alexnet.onnx_graph import make_onnx
from imagetree.engines.engine import REFERENCE
from imagetree.engines.graph import fold_batch_norm, take_apart
from imagetree.engines.low_rank import find_bases, keep_units, lower_rank
from imagetree.engines.measuring import measure
from imagetree.engines.quantise import quantise
from imagetree.engines.runtimes import FILE_ENGINE, build_on
from imagetree.engines.torch_engine import TorchEngine
from imagetree.errors import TrainingError
from imagetree.recognition.temperature import find_temperature, soften

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from imagetree.alexnet.weights import Weights
    from imagetree.engines.engine import Engine
    from imagetree.engines.graph import Graph
    from imagetree.engines.images import Squares

    Progress = Callable[[int, int], None]

UNITS = (1.0, 0.75)
SHARES = (1.0, 0.99, 0.98, 0.97, 0.95)
MOST_JUDGED = 2000
"""Images that choices are judged on; in memory, 0.3 GB of the largest."""

_CALIBRATION = 256
_BATCH = 64  # one that engines know beforehand


@dataclass(frozen=True)
class Choice:
    """One way to make a network small; int8 in any case.

    Args:
        units: share of the units of fc6 and fc7 that is kept, in (0, 1].
        variance: share of the variance of what fully connected layers give that is kept, in (0, 1].
    """

    units: float
    variance: float

    def __post_init__(self) -> None:
        for name, value in (("units", self.units), ("variance", self.variance)):
            if not 0 < value <= 1:
                raise TrainingError(f"{name} is {value} (expected above 0 and at most 1)")


@dataclass(frozen=True)
class Tried:
    """What became of a choice; errors in [0, 1], on the same images as the reference.

    Args:
        name: `whole, fp32` or what was done.
        choice: None for the whole network.
        ranks: of the layers that were split, by their names.
        size: in bytes.
        error: top-1 error.
        excess: error beyond the whole network's that is expected.
        logits: of the images, float32 (N, K).
        latency: seconds for one image.
        rate: images a second.
        model: an `onnx.ModelProto`; None for the whole network.
    """

    name: str
    choice: Choice | None
    ranks: dict[str, int]
    size: int
    error: float
    excess: float
    logits: NDArray[np.float32]
    latency: float = 0.0
    rate: float = 0.0
    model: Any = None


def every_choice(
    units: Sequence[float] = UNITS, variance: Sequence[float] = SHARES
) -> tuple[Choice, ...]:
    """All pairs of the two."""
    return tuple(itertools.starmap(Choice, itertools.product(units, variance)))


def try_choices(
    weights: Weights,
    squares: Squares,
    others: NDArray[np.uint8],
    choices: Sequence[Choice],
    progress: Progress | None = None,
) -> tuple[Tried, ...]:
    """Try ways to make a network small.

    Args:
        weights: the network.
        squares: labelled images to judge on; minival's.
        others: images to find scales and directions on, uint8 (N, S, S, 3); train's. What fits
            these need not fit those that it is judged on.
        choices: to try.
        progress: called with (choices done, choices in all).

    Returns:
        The whole network in float32 first, then the choices in their order.

    Raises:
        TrainingError: a library is not installed, or the network gives what is not finite.
    """
    whole = TorchEngine(REFERENCE, weights)
    reference = Reference(answer(whole, squares.pixels), squares.labels)
    size = sum(each.numel() * each.element_size() for each in weights.tensors.values())
    logits = reference.logits
    tried = [Tried("whole, fp32", None, {}, size, *reference.judge(logits), logits)]
    engines: dict[str, Engine] = {"0": whole}
    for number, (choice, graph, ranks) in enumerate(iter_graphs(weights, others, choices)):
        model = quantise(graph, others[:_CALIBRATION]).to_model()
        engine = build_on(FILE_ENGINE, model)
        logits = answer(engine, squares.pixels)
        judged = reference.judge(logits)
        engines[str(len(tried))] = engine
        name, size = _named(choice, ranks), model.ByteSize()
        tried.append(Tried(name, choice, ranks, size, *judged, logits, model=model))
        if progress:
            progress(number + 1, len(choices))
    speeds = measure(engines, squares.pixels)
    return tuple(
        replace(each, latency=speeds[str(place)].latency, rate=speeds[str(place)].rate)
        for place, each in enumerate(tried)
    )


def choose(tried: Sequence[Tried], points: float) -> Tried:
    """The smallest that is expected to lose at most so much, and here does not lose more.

    Args:
        tried: what `try_choices` gave, of one image at least.
        points: of top-1 error, percent.

    Raises:
        TrainingError: there is none.
    """
    [whole, *others] = tried
    good = [
        each
        for each in others
        if each.excess <= points / 100 and each.error - whole.error <= points / 100
    ]
    if not good:
        raise TrainingError(
            f"nothing is within {points:g} points of the network's error",
            hint="allow more with --points, or keep more with --variance and --units",
        )
    return min(good, key=lambda each: (each.size, each.excess))


class Reference:
    """The whole network's answers on some images, and what others are worth beside them.

    Args:
        logits: float32 (N, K).
        labels: class indices; int64 (N,).
    """

    def __init__(self, logits: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        self.logits = logits
        self._labels = labels
        plain = torch.from_numpy(logits).double().softmax(1).numpy()
        self._probabilities = soften(plain, find_temperature(plain, labels))

    def judge(self, logits: NDArray[np.float32]) -> tuple[float, float]:
        """Top-1 error, and the error beyond the whole network's that is expected."""
        answers, rows = logits.argmax(1), np.arange(len(logits))
        lost = self._probabilities.max(1) - self._probabilities[rows, answers]
        return float((answers != self._labels).mean()), float(lost.mean())


def iter_graphs(
    weights: Weights, pixels: NDArray[np.uint8], choices: Sequence[Choice]
) -> Iterator[tuple[Choice, Graph, dict[str, int]]]:
    """The network after each choice, in float32, with the ranks of its layers."""
    whole = fold_batch_norm(take_apart(make_onnx(weights)))
    for units, group in itertools.groupby(choices, key=lambda choice: choice.units):
        graph = keep_units(whole, units, pixels)
        bases = None
        for choice in group:
            if choice.variance == 1:
                yield choice, graph, {}
                continue
            bases = find_bases(graph, pixels) if bases is None else bases
            yield choice, *lower_rank(graph, bases, choice.variance)


def answer(engine: Engine, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits of any number of images; float32 (N, K)."""
    starts = range(0, len(pixels), _BATCH)
    return np.concatenate([engine.logits(pixels[at : at + _BATCH]) for at in starts])


def _named(choice: Choice, ranks: dict[str, int]) -> str:
    units = "" if choice.units == 1 else f"{choice.units:.0%} of the units, "
    variance = "" if choice.variance == 1 else f"{choice.variance:.1%} of the variance "
    shown = f"(rank {', '.join(map(str, ranks.values()))}), " if ranks else ""
    return f"{units}{variance}{shown}int8"
