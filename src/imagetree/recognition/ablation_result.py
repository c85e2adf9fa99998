"""What an ablation found: errors of its forms, their differences, and what others report of them.

A difference is the first form's error less the second's: below 0 the first is better.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from imagetree.challenge.bootstrap import mean_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from imagetree.alexnet.ablations import Ablation, Reported, ReportedSpeed
    from imagetree.challenge.bootstrap import Interval


@dataclass(frozen=True)
class Trained:
    """One form with one seed.

    Args:
        form: its name.
        seed: of the run.
        run: its folder.
        misses: for each k, which images have no right answer among the first k; bool (N,).
        epochs_to_level: passes until the training error was at the level; None if it never was, or
            if nothing was trained for the comparison.
    """

    form: str
    seed: int
    run: Path
    misses: Mapping[int, NDArray[np.bool_]] = field(repr=False)
    epochs_to_level: int | None = None


@dataclass(frozen=True)
class FormResult:
    """A form over all seeds.

    Args:
        name: of the form.
        what: it is.
        errors: top-k error by k, a fraction, the mean over the seeds.
        intervals: of these, bootstrap over the images.
        runs: folder of each seed's run.
        epochs_to_level: of each seed; see `Trained`.
    """

    name: str
    what: str
    errors: dict[int, float]
    intervals: dict[int, Interval]
    runs: tuple[Path, ...]
    epochs_to_level: tuple[int | None, ...]


@dataclass(frozen=True)
class Delta:
    """Two forms on the same images.

    Args:
        first: name of a form.
        second: of another.
        differences: of the top-k errors by k: the first less the second, the mean over the seeds.
        intervals: of these, paired bootstrap over the images.
        deviations: standard deviation of the difference from seed to seed; None for one seed.
        speed: epochs to the level of the second over those of the first, means over the seeds;
            None where a seed of one of them did not reach it.
        reported: what others say of these two.
    """

    first: str
    second: str
    differences: dict[int, float]
    intervals: dict[int, Interval]
    deviations: dict[int, float | None]
    speed: float | None
    reported: tuple[Reported, ...]


@dataclass(frozen=True)
class AblationResult:
    """What an ablation found.

    Args:
        name: of the ablation.
        what: is compared.
        split: whose images were answered.
        num_images: of the split.
        num_classes: of the challenge.
        crops: views of an image, where the forms do not say.
        seeds: of the runs.
        level: training error whose epochs are counted, a fraction.
        confidence: of the intervals.
        settings: of all runs; the forms' own come on top.
        forms: in the ablation's order.
        deltas: of each two forms.
        reported_speed: published; None where there is no such figure.
        remark: what has to be known beside the figures.
        bad: name and reason of each image that could not be decoded; it counts as a miss.
    """

    name: str
    what: str
    split: str
    num_images: int
    num_classes: int
    crops: int
    seeds: tuple[int, ...]
    level: float
    confidence: float
    settings: dict[str, Any]
    forms: tuple[FormResult, ...]
    deltas: tuple[Delta, ...]
    reported_speed: ReportedSpeed | None
    remark: str
    bad: tuple[tuple[str, str], ...]


def form_result(name: str, what: str, trained: Sequence[Trained]) -> FormResult:
    """Sum up the seeds of a form."""
    means = {k: _mean([each.misses[k] for each in trained]) for k in trained[0].misses}
    return FormResult(
        name,
        what,
        {k: float(values.mean()) for k, values in means.items()},
        {k: mean_interval(values) for k, values in means.items()},
        tuple(each.run for each in trained),
        tuple(each.epochs_to_level for each in trained),
    )


def deltas_of(ablation: Ablation, trained: Sequence[Trained]) -> tuple[Delta, ...]:
    """The differences of each two forms, with what is reported of them."""
    of_form = {
        form.name: [each for each in trained if each.form == form.name] for form in ablation.forms
    }
    return tuple(
        _delta(
            of_form[first],
            of_form[second],
            tuple(
                each for each in ablation.reported if (each.first, each.second) == (first, second)
            ),
        )
        for first, second in ablation.pairs
    )


def _delta(
    first: Sequence[Trained], second: Sequence[Trained], reported: tuple[Reported, ...]
) -> Delta:
    """Image by image: both forms have answered the same ones in the same order."""
    differences, intervals, deviations = {}, {}, {}
    for k in first[0].misses:
        ours, theirs = ([each.misses[k] for each in form] for form in (first, second))
        apart = _mean(ours) - _mean(theirs)
        by_seed = [float(a.mean() - b.mean()) for a, b in zip(ours, theirs, strict=True)]
        differences[k] = float(apart.mean())
        intervals[k] = mean_interval(apart)
        deviations[k] = float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else None
    return Delta(
        first[0].form,
        second[0].form,
        differences,
        intervals,
        deviations,
        _speed(first, second),
        reported,
    )


def _speed(first: Sequence[Trained], second: Sequence[Trained]) -> float | None:
    means = []
    for form in (first, second):
        epochs = [each.epochs_to_level for each in form if each.epochs_to_level is not None]
        if len(epochs) < len(form):
            return None
        means.append(sum(epochs) / len(epochs))
    return means[1] / means[0]


def _mean(misses: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Share of the seeds that miss each image; float64 (N,)."""
    mean: NDArray[np.float64] = np.mean(np.stack(misses), axis=0, dtype=np.float64)
    return mean


Table = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]
"""A head and rows of text."""


def forms_table(result: AblationResult) -> Table:
    """The forms with their errors."""
    ks = tuple(result.forms[0].errors)
    is_trained = any(epochs for form in result.forms for epochs in form.epochs_to_level)
    head = ["form", "what it is"]
    for k in ks:
        head += [f"top-{k} error", _interval_head(result)]
    if is_trained:
        head.append(f"epochs to {result.level:.0%} training error")
    rows = []
    for form in result.forms:
        row = [form.name, form.what]
        for k in ks:
            low, high = form.intervals[k]
            row += [f"{form.errors[k]:.2%}", f"{low:.2%} to {high:.2%}"]
        if is_trained:
            row.append(
                ", ".join("not reached" if e is None else str(e) for e in form.epochs_to_level)
            )
        rows.append(tuple(row))
    return tuple(head), tuple(rows)


def deltas_table(result: AblationResult) -> Table:
    """The differences measured, in points of percent, each published one beside them."""
    ks = tuple(result.forms[0].errors)
    head = ["difference"]
    for k in ks:
        head += [f"top-{k} here", _interval_head(result)]
    head += ["top-1 published", "top-5 published", "by", "of"]
    rows = []
    for delta in result.deltas:
        measured = [f"{delta.first} - {delta.second}"]
        for k in ks:
            measured += [
                _points(delta.differences[k], delta.deviations[k]),
                _range(delta.intervals[k]),
            ]
        for number, reported in enumerate(delta.reported or (None,)):
            own = measured if number == 0 else [""] * len(measured)
            rows.append((*own, *reported_cells(reported)))
    return tuple(head), tuple(rows)


def notes_of(result: AblationResult) -> tuple[str, ...]:
    """What has to be said under the tables."""
    notes = ["differences are in points of percent, the first form less the second"]
    images = f"{result.num_images:,} images of {result.split}"
    notes.append(f"intervals are over the {images}, paired for differences")
    if len(result.seeds) > 1:
        notes.append("+- is the standard deviation from seed to seed")
    reported = [each for delta in result.deltas for each in delta.reported]
    notes += [f"{each.source}: {each.remark}" for each in reported if each.remark]
    if result.reported_speed:
        notes.append(_speed_note(result, result.reported_speed))
    if result.remark:
        notes.append(result.remark)
    return tuple(notes)


def render_markdown(result: AblationResult) -> str:
    """The result as Markdown: both tables and what has to be said."""
    seeds = ", ".join(str(seed) for seed in result.seeds)
    images = f"{result.num_images:,} images of {result.split}, {result.num_classes:,} classes"
    parts = [f"# {result.name}\n\n{result.what}; {images}, seeds {seeds}, crops {result.crops}\n"]
    parts += [_markdown(table) for table in (forms_table(result), deltas_table(result))]
    parts.append("".join(f"- {note}\n" for note in notes_of(result)))
    return "\n".join(parts)


def _interval_head(result: AblationResult) -> str:
    return f"{100 * result.confidence:g} % interval"


def _markdown(table: Table) -> str:
    head, rows = table
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _speed_note(result: AblationResult, published: ReportedSpeed) -> str:
    [speed] = [
        delta.speed
        for delta in result.deltas
        if (delta.first, delta.second) == (published.first, published.second)
    ]
    here = "not both forms reached it" if speed is None else f"{speed:.1f} times sooner"
    return (
        f"training error of {result.level:.0%}, {published.first} against {published.second}: "
        f"{here} here; published {published.factor:g} times for {published.level:.0%} "
        f"({published.source}: {published.remark})"
    )


def reported_cells(reported: Reported | None) -> tuple[str, str, str, str]:
    """Published differences, top-1 and top-5, by whom, and of which images; empty for None."""
    if reported is None:
        return "", "", "", ""
    crops = f", {reported.crops} crop{'s' if reported.crops > 1 else ''}" if reported.crops else ""
    more = "more than " if reported.is_bound else ""
    cells = [
        "" if delta is None else more + _points(delta)
        for delta in (reported.delta(1), reported.delta(5))
    ]
    return cells[0], cells[1], reported.source, reported.images + crops


def _points(difference: float, deviation: float | None = None) -> str:
    """A difference of errors in points of percent.

    >>> _points(-0.0137), _points(0.01, 0.002)
    ('-1.37', '+1.00 +- 0.20')
    """
    more = "" if deviation is None else f" +- {100 * deviation:.2f}"
    return f"{100 * difference:+.2f}{more}"


def _range(interval: Interval) -> str:
    return f"{_points(interval.low)} to {_points(interval.high)}"
