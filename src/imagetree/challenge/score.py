"""The score of a submission on a split: flat, hierarchical, level by level, class by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imagetree.challenge.answers import MAX_GUESSES, Form, task_of
from imagetree.challenge.bootstrap import mean_interval
from imagetree.challenge.calibration import calibrate
from imagetree.challenge.hierarchy import hierarchy_of, truth_of
from imagetree.challenge.hierarchy_metrics import (
    errors_by_level,
    score_synsets,
    set_scores,
    severity,
)
from imagetree.challenge.metrics import NO_GUESS, flat_misses, hierarchical_errors
from imagetree.challenge.submission import load_answers
from imagetree.errors import ChallengeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from imagetree.challenge.answers import Answers, Task
    from imagetree.challenge.bootstrap import Interval
    from imagetree.challenge.calibration import Calibration
    from imagetree.challenge.definition import Challenge, Entry
    from imagetree.challenge.hierarchy import Hierarchy
    from imagetree.challenge.hierarchy_metrics import (
        LevelError,
        SetScores,
        Severity,
        SynsetAnswers,
    )

_LEAST_FOR_TOP5 = 5


@dataclass(frozen=True)
class TopK:
    """Error of the first k guesses; errors are fractions, the hierarchical one in levels.

    Args:
        k: guesses that count.
        num_misses: images without a right one.
        error: their share.
        hierarchical_error: mean height of the lowest common hypernym of the class and the guess
            that is nearest to it.
        interval: of the error, with 99.9 % confidence.
        hierarchical_interval: of the hierarchical error.
    """

    k: int
    num_misses: int
    error: float
    hierarchical_error: float
    interval: Interval
    hierarchical_interval: Interval


@dataclass(frozen=True)
class ClassScore:
    """Top-1 result of one class, and the label that it was most often taken for."""

    wnid: str
    num_images: int
    num_misses: int
    mistaken_for: str | None


@dataclass(frozen=True)
class Score:
    """What a submission reached on a split.

    Args:
        split: that was answered.
        num_images: in it.
        num_classes: of the challenge.
        top: errors by the number of guesses that count.
        classes: those that have images, in class order.
        levels: top-1 error by the height up to which synsets are one.
        sets: hierarchical precision, recall and F of the first guesses.
        severity: how bad the mistakes are.
        synsets: of hierarchical answers alone, accuracy and information.
        calibration: of submissions with probabilities alone.
    """

    split: str
    num_images: int
    num_classes: int
    top: tuple[TopK, ...]
    classes: tuple[ClassScore, ...]
    levels: tuple[LevelError, ...]
    sets: SetScores
    severity: Severity
    synsets: SynsetAnswers | None
    calibration: Calibration | None


@dataclass(frozen=True, eq=False)
class Marked:
    """A submission with the truth beside it.

    Args:
        task: what was answered.
        entries: the images, in their order.
        answers: of the submission.
        truth: class index of each image; int64 (N,).
        hierarchy: of the classes.
    """

    task: Task
    entries: tuple[Entry, ...]
    answers: Answers
    truth: NDArray[np.int64]
    hierarchy: Hierarchy

    def misses(self, k: int = 1) -> NDArray[np.bool_]:
        """Which images have no right answer among the first k; bool (N,)."""
        return flat_misses(self.answers.guesses, self.truth, k)

    def costs(self, k: int = 1) -> NDArray[np.float64]:
        """Hierarchical cost of each image at k guesses, in levels; float64 (N,)."""
        return hierarchical_errors(self.answers.guesses, self.truth, self.hierarchy.cost, k)


def score_submission(
    challenge: Challenge,
    path: Path,
    *,
    split: str = "val",
    ks: tuple[int, ...] | None = None,
    form: Form = Form(),  # noqa: B008 (frozen)
) -> Score:
    """Score a submission's file on a split.

    Args:
        challenge: the challenge it answers.
        path: the submission.
        split: the split it answers.
        ks: as for `score_marked`.
        form: how it is written, where the file itself does not say.

    Raises:
        ChallengeError: the file cannot be read or has faults, or a k is greater than the number
            of classes or of guesses.
    """
    check_ks(ks or (), len(challenge.wnids))
    return score_marked(mark_submission(challenge, path, split=split, form=form), ks)


def mark_submission(
    challenge: Challenge,
    path: Path,
    *,
    split: str = "val",
    form: Form = Form(),  # noqa: B008 (frozen)
) -> Marked:
    """Read a submission's file and lay the truth beside it.

    Raises:
        ChallengeError: the file cannot be read or has faults, or the labels of the split are sealed
            and not here.
    """
    entries = challenge.read_split(split)
    task = task_of(challenge, split)
    return mark_answers(load_answers(path, task, form), task, entries)


def mark_answers(answers: Answers, task: Task, entries: Sequence[Entry]) -> Marked:
    """Lay the truth beside answers.

    Args:
        answers: to the task.
        task: of a split.
        entries: the images of the split with their classes, in the order of the task.
    """
    truth = truth_of([entry.wnid for entry in entries], task.wnids)
    return Marked(task, tuple(entries), answers, truth, hierarchy_of(task.wnids))


def score_marked(marked: Marked, ks: tuple[int, ...] | None = None) -> Score:
    """Score answers.

    Args:
        marked: answers with the truth.
        ks: guesses that count, for each error asked for; if None 1 and, where there are five
            classes or more and five guesses, 5.

    Raises:
        ChallengeError: there is no image, or a k is greater than the number of classes or guesses.
    """
    num_classes, answers = len(marked.task.wnids), marked.answers
    num_guesses = answers.guesses.shape[1]
    ks = ks or ((1, 5) if num_classes >= _LEAST_FOR_TOP5 <= num_guesses else (1,))
    check_ks(ks, num_classes)
    args = answers.guesses, marked.truth, marked.hierarchy
    is_hierarchical = len(answers.labels) > num_classes
    return Score(
        split=marked.task.split,
        num_images=len(marked.truth),
        num_classes=num_classes,
        top=tuple(_top(marked, k) for k in ks),
        classes=_by_class(marked),
        levels=errors_by_level(marked.costs(), range(marked.hierarchy.max_cost + 1)),
        sets=set_scores(*args),
        severity=severity(*args, ks),
        synsets=score_synsets(*args) if is_hierarchical else None,
        calibration=None
        if answers.probabilities is None
        else calibrate(answers.probabilities, marked.truth),
    )


def check_ks(ks: Sequence[int], num_classes: int) -> None:
    """Refuse numbers of guesses that have no meaning.

    Raises:
        ChallengeError: one is greater than the number of classes or of guesses, or below 1.
    """
    if any(k > num_classes for k in ks):
        raise ChallengeError(
            f"top-{max(ks)} has no meaning with {num_classes} classes: no answer could be wrong",
            hint=f"choose k below {num_classes}",
        )
    if any(not 1 <= k <= MAX_GUESSES for k in ks):
        raise ChallengeError(f"k must be in 1..{MAX_GUESSES}, the guesses a submission may hold")


def _top(marked: Marked, k: int) -> TopK:
    misses, costs = marked.misses(k), marked.costs(k)
    return TopK(
        k,
        int(misses.sum()),
        float(misses.mean()),
        float(costs.mean()),
        mean_interval(misses),
        mean_interval(costs),
    )


def _by_class(marked: Marked) -> tuple[ClassScore, ...]:
    """Top-1 result of each class that has images, in class order; ties by label."""
    labels, answers = marked.answers.labels, marked.answers.guesses[:, 0]
    order = np.argsort(marked.truth, kind="stable")
    classes, starts = np.unique(marked.truth[order], return_index=True)
    scores = []
    for index, of_class in zip(classes.tolist(), np.split(answers[order], starts[1:]), strict=True):
        wrong = of_class[of_class != index]
        named = wrong[wrong != NO_GUESS]
        mistaken_for = labels[int(np.bincount(named).argmax())] if len(named) else None
        scores.append(ClassScore(labels[index], len(of_class), len(wrong), mistaken_for))
    return tuple(scores)
