"""The score of a submission on a split: flat, hierarchical, and class by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imagetree.challenge.metrics import flat_misses, hierarchical_error
from imagetree.challenge.submission import MAX_GUESSES, parse_submission
from imagetree.errors import ChallengeError
from imagetree.wordnet.taxonomy import hierarchical_cost

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from imagetree.challenge.definition import Challenge


@dataclass(frozen=True)
class TopK:
    """Error of the first k guesses; errors are fractions, the hierarchical one in levels."""

    k: int
    num_misses: int
    error: float
    hierarchical_error: float


@dataclass(frozen=True)
class ClassScore:
    """Top-1 result of one class, and the class that it was most often taken for."""

    wnid: str
    num_images: int
    num_misses: int
    mistaken_for: str | None


@dataclass(frozen=True)
class Score:
    """What a submission reached on a split."""

    split: str
    num_images: int
    num_classes: int
    top: tuple[TopK, ...]
    classes: tuple[ClassScore, ...]


def score_submission(
    challenge: Challenge, path: Path, *, split: str = "val", ks: tuple[int, ...] | None = None
) -> Score:
    """Score a submission's file on a split.

    Args:
        challenge: the challenge it answers.
        path: the submission.
        split: the split it answers.
        ks: guesses that count, for each error asked for; if None 1 and, where there are five
            classes or more, 5.

    Raises:
        ChallengeError: the file cannot be read or has faults, or a k is greater than the number
            of classes or of guesses.
    """
    num_classes = len(challenge.wnids)
    if ks is None:
        ks = (1, 5) if num_classes >= 5 else (1,)
    if max(ks) > num_classes:
        raise ChallengeError(
            f"top-{max(ks)} has no meaning with {num_classes} classes: no answer could be wrong",
            hint=f"choose k below {num_classes}",
        )
    if max(ks) > MAX_GUESSES or min(ks) < 1:
        raise ChallengeError(f"k must be in 1..{MAX_GUESSES}, the guesses a submission may hold")
    entries = challenge.read_split(split)
    class_index = {wnid: index for index, wnid in enumerate(challenge.wnids)}
    truth = np.array([class_index[entry.wnid] for entry in entries], dtype=np.int64)
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ChallengeError(f"{path}: cannot be read ({error})") from error
    guesses = parse_submission(text, challenge.wnids, len(entries), name=str(path))
    cost = hierarchical_cost(challenge.wnids)
    top = []
    for k in ks:
        misses = flat_misses(guesses, truth, k)
        hierarchical = hierarchical_error(guesses, truth, cost, k)
        top.append(TopK(k, int(misses.sum()), float(misses.mean()), hierarchical))
    return Score(
        split, len(entries), num_classes, tuple(top), _by_class(challenge.wnids, guesses, truth)
    )


def _by_class(
    wnids: tuple[str, ...], guesses: NDArray[np.int64], truth: NDArray[np.int64]
) -> tuple[ClassScore, ...]:
    """Top-1 result of each class that has images, in class order; ties by class index."""
    scores = []
    for index in np.unique(truth):
        answers = guesses[truth == index, 0]
        wrong = answers[(answers != index) & (answers >= 0)]
        mistaken_for = wnids[int(np.bincount(wrong).argmax())] if len(wrong) else None
        num_misses = int((answers != index).sum())
        scores.append(ClassScore(wnids[index], len(answers), num_misses, mistaken_for))
    return tuple(scores)
