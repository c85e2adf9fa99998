"""How bad mistakes are, by the hierarchy: levels, precision and recall, severity, information.

All are of the first guess unless k is named. A label is a place in `Hierarchy.labels`: a class, or
for hierarchical answers one of their ancestors. Costs are heights of lowest common hypernyms, as in
`metrics.hierarchical_errors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imagetree.challenge.metrics import NO_GUESS, check_shapes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imagetree.challenge.hierarchy import Hierarchy


@dataclass(frozen=True)
class LevelError:
    """Error where kinds below a height are one.

    Args:
        height: in levels; 0 is the classes themselves.
        num_misses: images whose answer and class have no common hypernym up to this height.
        error: of all images, a fraction.
    """

    height: int
    num_misses: int
    error: float


@dataclass(frozen=True)
class SetScores:
    """Hierarchical precision, recall and F.

    Args:
        precision: of the synsets that the answers imply, the share that is right.
        recall: of the synsets that the classes imply, the share that was answered.
        f1: their harmonic mean.
    """

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Severity:
    """How far from the truth the mistakes are.

    Args:
        num_mistakes: images whose first guess is wrong.
        mean_height: of the lowest common hypernym, in levels, over mistakes alone; None if there
            are none.
        distance: by k, the mean height over the first k guesses of all images.
    """

    num_mistakes: int
    mean_height: float | None
    distance: dict[int, float]


@dataclass(frozen=True)
class SynsetAnswers:
    """Hierarchical answers: how many are true, and how much they say.

    Args:
        accuracy: share of images whose answer is the class or an ancestor of it.
        information: mean information of the answers in bits, 0 for a wrong one, as a share of what
            naming the class would give.
        heights: images by the height of their answer.
    """

    accuracy: float
    information: float
    heights: dict[int, int]


def errors_by_level(costs: NDArray[np.floating], heights: range) -> tuple[LevelError, ...]:
    """The error at each height: an answer is right there if it costs no more than the height.

    At height 0 it is the flat error; it never rises with the height. So a network that takes
    terriers for one another is good from the height of terrier on, and one that takes them for
    teapots is not.

    Args:
        costs: of each image's answer, in levels; (N,), N >= 1.
        heights: which to show.
    """
    misses = [(height, int((costs > height).sum())) for height in heights]
    return tuple(LevelError(height, count, count / len(costs)) for height, count in misses)


def set_scores(
    guesses: NDArray[np.int64], truth: NDArray[np.int64], hierarchy: Hierarchy
) -> SetScores:
    """Hierarchical precision, recall and F of the first guesses.

    With A(x) = x and its ancestors without the root, which all share: precision is the sum over
    images of |A(answer) & A(class)| over that of |A(answer)|, recall the same over that of
    |A(class)|. No guess implies nothing. Ancestors are a set: a synset counts once, whatever the
    number of ways to it.

    Args:
        guesses: labels, best first; int64 (N, G), in [0, L) or NO_GUESS.
        truth: class indices; int64 (N,).
        hierarchy: of the challenge.

    Source: Kiritchenko, Matwin, Nock and Famili, Learning and evaluation in the presence of class
    hierarchies, Canadian AI 2006, section 4.
    """
    check_shapes(guesses, truth, 1)
    num_classes, num_labels = hierarchy.cost.shape
    is_root = hierarchy.is_above.all(axis=0)
    sets = (hierarchy.is_above & ~is_root).astype(np.float32)  # whose products are BLAS's
    sizes = sets.sum(axis=1)
    answered = guesses[:, 0] != NO_GUESS
    pairs = truth[answered] * num_labels + guesses[answered, 0]
    counts = np.bincount(pairs, minlength=num_classes * num_labels)
    counts = counts.reshape(num_classes, num_labels)
    common = float((counts * (sets[:num_classes] @ sets.T)).sum())
    answers = float(sizes[guesses[answered, 0]].sum(dtype=np.float64))
    classes = float(sizes[truth].sum(dtype=np.float64))
    precision = common / answers if answers else 0.0
    recall = common / classes if classes else 0.0
    total = precision + recall
    return SetScores(precision, recall, 2 * precision * recall / total if total else 0.0)


def severity(
    guesses: NDArray[np.int64],
    truth: NDArray[np.int64],
    hierarchy: Hierarchy,
    ks: tuple[int, ...],
) -> Severity:
    """How far from the truth wrong answers are.

    The severity of a mistake is the height of the lowest common hypernym of answer and class; the
    hierarchical distance at k is its mean over the first k guesses, the right one being 0. No
    guess is a mistake, as far as the farthest class.

    Args:
        guesses: labels, best first; int64 (N, G), in [0, L) or NO_GUESS.
        truth: class indices; int64 (N,).
        hierarchy: of the challenge.
        ks: guesses over which to average; each in [1, G].

    Source: Bertinetto, Mueller, Tertikas, Samangooei and Lord, Making better mistakes, CVPR 2020,
    section 4.
    """
    check_shapes(guesses, truth, max(ks))
    costs = hierarchy.cost[truth[:, None], np.maximum(guesses, 0)]
    costs = np.where(guesses == NO_GUESS, hierarchy.max_cost, costs)
    is_mistake = guesses[:, 0] != truth
    mean = float(costs[is_mistake, 0].mean()) if is_mistake.any() else None
    distance = {k: float(costs[:, :k].mean()) for k in ks}
    return Severity(int(is_mistake.sum()), mean, distance)


def score_synsets(
    guesses: NDArray[np.int64], truth: NDArray[np.int64], hierarchy: Hierarchy
) -> SynsetAnswers:
    """Accuracy and information of answers at any height.

    The information of an answer is log2 K - log2 of the number of classes under it: 0 for the root,
    log2 K for a class. Naming the root always is always right and says nothing, so that the two
    figures belong together.

    Args:
        guesses: labels, the first counts; int64 (N, G), in [0, L), NO_GUESS for wrong.
        truth: class indices; int64 (N,).
        hierarchy: of the challenge.

    Source: Deng, Krause, Berg and Fei-Fei, Hedging your bets, CVPR 2012, section 3.
    """
    check_shapes(guesses, truth, 1)
    answers = np.maximum(guesses[:, 0], 0)
    is_right = hierarchy.is_above[truth, answers] & (guesses[:, 0] != NO_GUESS)
    bits = np.where(is_right, hierarchy.information[answers], 0)
    most = np.log2(hierarchy.num_classes)
    heights, counts = np.unique(
        hierarchy.heights[answers[guesses[:, 0] != NO_GUESS]], return_counts=True
    )
    return SynsetAnswers(
        float(is_right.mean()),
        float(bits.mean() / most) if most else 0.0,
        dict(zip(heights.tolist(), counts.tolist(), strict=True)),
    )
