"""Learning curves of one run or of several: loss, errors and learning rate, from their logs.

Records are those that `training.log.read_log` gives: `step` records with `loss` and `lr`, and
`epoch` records with the errors that the run logs, `NAME_top1_error` each. A training error is that
of the epoch's own batches as the network saw them, crops and dropout on.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Records = Sequence[Mapping[str, Any]]

COLOURS = ("#2a6f97", "#d1793b", "#4f8a5b", "#8c5fa8", "#b5485d", "#7a6a4f")
"""Of the runs; the first again after the last."""

_STYLES: dict[str, Any] = {"train": (0, (1.5, 1.5)), "minival": "-", "val": "--"}
_SUFFIX = "_top1_error"
_INK, _PALE = "#33424d", "#8796a1"
_ABOVE: dict[str, Any] = {  # a legend to the right of the title, where no curve is
    "loc": "lower right",
    "bbox_to_anchor": (1.02, 0.985),
    "ncols": 3,
    "columnspacing": 1.2,
    "borderpad": 0.2,
}
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "imagetree",
    "svg.fonttype": "none",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.edgecolor": _PALE,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.color": _INK,
    "legend.frameon": False,
    "legend.fontsize": 10,
}


@dataclass(frozen=True)
class Drop:
    """A moment at which the learning rate is lowered at once.

    Args:
        step: updates done with the higher rate, as far as the log tells: exact where the drop is
            at the end of an epoch, up to ten steps early elsewhere.
        factor: the higher rate over the lower.
    """

    step: int
    factor: float


def rate_drops(records: Records) -> tuple[Drop, ...]:
    """Where a schedule of steps lowers the learning rate; a cosine or a line has no such place.

    >>> rates = [0.1, 0.1, 0.01, 0.01, 0.001]
    >>> rate_drops([{"kind": "step", "step": 10 * n, "lr": lr} for n, lr in enumerate(rates)])
    (Drop(step=10, factor=10.0), Drop(step=30, factor=10.0))
    """
    steps = _of_kind(records, "step")
    drops = []
    for first, before, after in zip(steps, steps[1:], steps[2:], strict=False):
        was_level = math.isclose(first["lr"], before["lr"], rel_tol=1e-6)
        if was_level and 0 < after["lr"] < 0.99 * before["lr"]:
            drops.append(Drop(before["step"], round(before["lr"] / after["lr"], 6)))
    return tuple(drops)


def epochs_to(records: Records, level: float) -> float | None:
    """After how many epochs a run's training error is down to a level for the first time.

    Between two epochs the error is taken to fall in a straight line. A run that is below the level
    after its first epoch reaches it there, as nothing was logged before.

    Args:
        records: of the run.
        level: top-1 error, a fraction.

    Returns:
        Epochs, or None if it never gets there.

    Raises:
        TrainingError: the log has no training error.
    """
    epochs, errors = _training_errors(records)
    below = np.flatnonzero(errors <= level)
    if not below.size:
        return None
    here = int(below[0])
    if here == 0:
        return float(epochs[0])
    fallen = (errors[here - 1] - level) / (errors[here - 1] - errors[here])
    return float(epochs[here - 1] + fallen * (epochs[here] - epochs[here - 1]))


def times_sooner(records_a: Records, records_b: Records, level: float) -> float | None:
    """How many times sooner, in epochs, run a reaches a training error than run b.

    The paper's figure 1 has 6 for ReLU against tanh at 25 % on CIFAR-10.

    Args:
        records_a: of the one run.
        records_b: of the other.
        level: top-1 error, a fraction.

    Returns:
        The epochs of b over those of a; None where one of them never reaches the level.

    Raises:
        TrainingError: a log has no training error.
    """
    epochs_a, epochs_b = epochs_to(records_a, level), epochs_to(records_b, level)
    return None if epochs_a is None or epochs_b is None else epochs_b / epochs_a


def render_curves(records: Records) -> str:
    """Draw a run's log; see `render_runs`."""
    return render_runs({"": records})


def render_runs(runs: Mapping[str, Records]) -> str:
    """Draw the logs of runs over each other: loss, errors, learning rate.

    The loss is drawn as it was logged, pale, and as a running mean. Upright lines stand where a
    learning rate is lowered at once, with the factor.

    Args:
        runs: records of each run by the name to show.

    Returns:
        SVG text; the same logs give the same text.

    Raises:
        TrainingError: a log has no step yet.
    """
    for records in runs.values():
        if not _of_kind(records, "step"):
            raise TrainingError(
                "the log of this run has no step yet", hint="train first: imagetree train"
            )
    with rc_context(_STYLE):
        figure = Figure(figsize=(13.3, 4.4), layout="constrained")
        loss, error, rate = figure.subplots(1, 3)
        unit = _Unit(runs)
        kinds: set[str] = set()
        for number, records in enumerate(runs.values()):
            colour = COLOURS[number % len(COLOURS)]
            window = _plot_loss(loss, records, unit, colour)
            kinds |= _plot_errors(error, records, unit, colour)
            _plot_rate(rate, records, unit, colour)
        _mark_drops((loss, error, rate), runs, unit)
        _dress(loss, "loss (nats)", unit.name)
        _dress(error, "top-1 error (%)", unit.name)
        _dress(rate, "learning rate", unit.name)
        _label_loss(loss, window if len(runs) == 1 else None)
        _label_errors(error, [kind for kind in _STYLES if kind in kinds])
        if len(runs) > 1:
            _name_runs(figure, list(runs))
        return _svg(figure)


def render_race(runs: Mapping[str, Records], level: float) -> str:
    """Draw the training errors of two runs against epochs, and when each reaches a level.

    This is the figure by which the paper shows what saturating units cost (section 3.1, figure 1).

    Args:
        runs: two of them, by the names to show.
        level: top-1 error to reach, a fraction.

    Returns:
        SVG text; the same logs give the same text.

    Raises:
        TrainingError: not two runs, no error between 0 and 1, or no training error in a log.
    """
    if len(runs) != 2:
        raise TrainingError(
            f"{len(runs)} run(s) to compare (expected 2)",
            hint="name two: imagetree pictures curves RUN RUN --level 0.25",
        )
    if not 0 < level < 1:
        raise TrainingError(f"the error to reach is {level:g} (expected a fraction in (0, 1))")
    with rc_context(_STYLE):
        figure = Figure(figsize=(8.5, 5.2), layout="constrained")
        axes = figure.subplots()
        for (name, records), colour, style in zip(runs.items(), COLOURS, ("-", "--"), strict=False):
            epochs, errors = _training_errors(records)
            axes.plot(epochs, 100 * errors, color=colour, linestyle=style, label=name, linewidth=2)
            reached = epochs_to(records, level)
            if reached is not None:
                axes.plot([reached, reached], [0, 100 * level], color=colour, linestyle=":")
                axes.plot([reached], [100 * level], "o", color=colour, markersize=6)
                axes.annotate(
                    f" {reached:.1f} epochs", (reached, 0), color=colour, va="bottom", fontsize=11
                )
        axes.axhline(100 * level, color=_PALE, linewidth=1)
        _dress(axes, describe_race(runs, level), "epochs")
        axes.set_ylabel("top-1 error on the training batches (%)")
        axes.legend(loc="upper right", handlelength=2.6)
        return _svg(figure)


def describe_race(runs: Mapping[str, Records], level: float) -> str:
    """What the figure of two runs shows, in a sentence.

    Raises:
        TrainingError: a log has no training error.
    """
    (name_a, records_a), (name_b, records_b) = runs.items()
    for name, records in runs.items():
        if epochs_to(records, level) is None:
            return f"{name} does not reach {level:.0%} training error"
    ratio = times_sooner(records_a, records_b, level)
    assert ratio is not None  # both reach it
    if ratio >= 1:
        return f"{name_a} reaches {level:.0%} training error {ratio:.1f} times sooner than {name_b}"
    return f"{name_b} reaches {level:.0%} training error {1 / ratio:.1f} times sooner than {name_a}"


class _Unit:
    """What the curves are drawn against: epochs where each run has finished one, else steps."""

    def __init__(self, runs: Mapping[str, Records]) -> None:
        ended = [_of_kind(records, "epoch") for records in runs.values()]
        self.name = "epochs" if all(ended) else "steps"

    def of(self, records: Records, steps: Sequence[int]) -> NDArray[np.float64]:
        """Steps of a run in this unit."""
        if self.name == "steps":
            return np.array(steps, np.float64)
        first = _of_kind(records, "epoch")[0]
        return np.array(steps, np.float64) * float(first["epoch"] / first["step"])


def _of_kind(records: Records, kind: str) -> list[Mapping[str, Any]]:
    return [record for record in records if record["kind"] == kind]


def _training_errors(records: Records) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Epochs and the training error of each."""
    name = f"train{_SUFFIX}"
    found = [record for record in _of_kind(records, "epoch") if name in record]
    if not found:
        raise TrainingError(
            "the log of this run has no training error",
            hint="it is logged at the end of each epoch: imagetree train CHALLENGE RUN",
        )
    return (
        np.array([record["epoch"] for record in found], np.float64),
        np.array([record[name] for record in found], np.float64),
    )


def _running_mean(values: NDArray[np.float64], half: int) -> NDArray[np.float64]:
    """Mean of each value and its `half` neighbours on each side, of those that there are."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    low, high = np.maximum(places - half, 0), np.minimum(places + half + 1, len(values))
    means: NDArray[np.float64] = (sums[high] - sums[low]) / (high - low)
    return means


def _plot_loss(axes: Any, records: Records, unit: _Unit, colour: str) -> int:
    """Draw the loss as logged and smoothed; how many records each mean is over."""
    steps = _of_kind(records, "step")
    x = unit.of(records, [record["step"] for record in steps])
    losses = np.array([record["loss"] for record in steps], np.float64)
    half = max(1, len(losses) // 50)
    axes.plot(x, losses, color=colour, alpha=0.35, linewidth=0.8)
    axes.plot(x, _running_mean(losses, half), color=colour, linewidth=1.8)
    return 2 * half + 1


def _plot_errors(axes: Any, records: Records, unit: _Unit, colour: str) -> set[str]:
    """Draw the errors that the log has; their names."""
    epochs = _of_kind(records, "epoch")
    names = {name for name in _STYLES if any(name + _SUFFIX in record for record in epochs)}
    for name in sorted(names):
        found = [record for record in epochs if name + _SUFFIX in record]
        x = unit.of(records, [record["step"] for record in found])
        y = [100 * record[name + _SUFFIX] for record in found]
        axes.plot(x, y, color=colour, linestyle=_STYLES[name], linewidth=1.8)
        if len(found) == 1:  # a line of one point is not seen
            axes.plot(x, y, "o", color=colour, markersize=4)
    return names


def _plot_rate(axes: Any, records: Records, unit: _Unit, colour: str) -> None:
    steps = _of_kind(records, "step")
    x = unit.of(records, [record["step"] for record in steps])
    axes.plot(x, [record["lr"] for record in steps], color=colour, linewidth=1.8)


def _mark_drops(panels: Sequence[Any], runs: Mapping[str, Records], unit: _Unit) -> None:
    """A line for each drop, once where runs have it in common; a rate of steps on a log scale."""
    marks = {
        (float(unit.of(records, [drop.step])[0]), f"÷{drop.factor:.3g}")
        for records in runs.values()
        for drop in rate_drops(records)
    }
    for axes in panels:
        for x, text in sorted(marks):
            axes.axvline(x, color=_PALE, linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(
                text,
                (x, 0.98),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                xytext=(3, 0),
                va="top",
                fontsize=10,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
            )
    if marks:
        panels[-1].set_yscale("log")


def _dress(axes: Any, title: str, unit: str) -> None:
    axes.set_title(title, loc="left")
    axes.set_xlabel(unit)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25, linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_yscale() == "linear":
        axes.set_ylim(bottom=0)


def _label_loss(axes: Any, window: int | None) -> None:
    smoothed = "running mean" if window is None else f"mean of {window} records"
    handles = [
        Line2D([], [], color=_INK, alpha=0.35, linewidth=0.8),
        Line2D([], [], color=_INK, linewidth=1.8),
    ]
    axes.legend(handles, ["as logged", smoothed], **_ABOVE)


def _label_errors(axes: Any, names: Sequence[str]) -> None:
    handles = [Line2D([], [], color=_INK, linestyle=_STYLES[name]) for name in names]
    axes.legend(handles, names, handlelength=2.6, **_ABOVE)


def _name_runs(figure: Figure, names: Sequence[str]) -> None:
    handles = [
        Line2D([], [], color=COLOURS[number % len(COLOURS)], linewidth=3)
        for number in range(len(names))
    ]
    figure.legend(handles, names, loc="outside upper left", ncols=min(len(names), 6))


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
