"""How good hedged answers are: accuracy and what they say, beside the flat ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imagetree.challenge.bootstrap import mean_interval
from imagetree.errors import TrainingError
from imagetree.recognition.hedging import accuracy_by_multiplier, hedge
from imagetree.recognition.temperature import find_temperature, soften
from imagetree.training.randomness import permutation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imagetree.challenge.bootstrap import Interval
    from imagetree.recognition.hedging import AnswerTree

CONFIDENCE = 0.95


@dataclass(frozen=True)
class HedgeScore:
    """Answers for N images, held to the truth.

    Args:
        num_images: N.
        accuracy: share of answers that are the image's class or above it.
        interval: of the accuracy, with 95 % confidence.
        information: mean over all images of what a right answer says, nothing for a wrong one, as
            a share of log2 of the number of classes; Deng et al. 2012, section 3.
        num_by_height: answers by the height of their synset in WordNet, rising; 0 is a leaf.
    """

    num_images: int
    accuracy: float
    interval: Interval
    information: float
    num_by_height: dict[int, int]


@dataclass(frozen=True)
class Found:
    """What hedged answers are made with.

    Args:
        on: the images that it was found on, in words.
        temperature: of the probabilities.
        multiplier: in bits; infinity answers the root.
    """

    on: str
    temperature: float
    multiplier: float


@dataclass(frozen=True)
class Trial:
    """Temperature and multiplier found on some images and measured on others.

    Args:
        found: the two.
        hedged: the score of hedged answers.
        flat: the score of always naming the likeliest class, on the same images.
    """

    found: Found
    hedged: HedgeScore
    flat: HedgeScore


def score_answers(
    tree: AnswerTree, answers: NDArray[np.int64], truth: NDArray[np.int64]
) -> HedgeScore:
    """The score of answers.

    Args:
        tree: the possible answers.
        answers: node for each image; int64 (N,).
        truth: class index of each; int64 (N,).

    Raises:
        TrainingError: there is no image.
    """
    if not len(truth):
        raise TrainingError("no image to score answers on")
    is_right = tree.is_under[truth, answers]
    said = float((tree.information[answers] * is_right).mean())
    heights, counts = np.unique(tree.heights[answers], return_counts=True)
    return HedgeScore(
        num_images=len(truth),
        accuracy=float(is_right.mean()),
        interval=mean_interval(is_right, confidence=CONFIDENCE),
        information=said / tree.max_information if tree.max_information else 0.0,
        num_by_height=dict(zip(heights.tolist(), counts.tolist(), strict=True)),
    )


def flat_answers(tree: AnswerTree, probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """The node of the likeliest class for each image; the first of equals. int64 (N,).

    Args:
        tree: the possible answers.
        probabilities: of the classes; (N, K).
    """
    return np.asarray(tree.class_nodes[probabilities.argmax(axis=1)])


def try_multiplier(
    tree: AnswerTree,
    probabilities: NDArray[np.floating],
    truth: NDArray[np.int64],
    found: Found,
) -> Trial:
    """A temperature and a multiplier on images that they were not found on.

    Args:
        tree: the possible answers.
        probabilities: of the classes as the network gives them; (N, K), N >= 1.
        truth: class index of each image; int64 (N,).
        found: the two.

    Raises:
        TrainingError: there is no image.
    """
    calibrated = soften(probabilities, found.temperature)
    hedged = score_answers(tree, hedge(tree, calibrated, found.multiplier), truth)
    flat = score_answers(tree, flat_answers(tree, calibrated), truth)
    return Trial(found, hedged, flat)


def try_halves(
    tree: AnswerTree,
    probabilities: NDArray[np.floating],
    truth: NDArray[np.int64],
    accuracy: float,
    *,
    seed: int = 0,
) -> tuple[Trial, Trial]:
    """Temperature and multiplier found on each half of the images, measured on the other.

    Args:
        tree: the possible answers.
        probabilities: of the classes as the network gives them; (N, K), N >= 2.
        truth: class index of each image; int64 (N,).
        accuracy: promised, in (0, 1].
        seed: which images make the halves.

    Raises:
        TrainingError: there are fewer than two images, or the accuracy is not in (0, 1].
    """
    order = permutation(len(truth), seed)
    first, second = order[: len(order) // 2], order[len(order) // 2 :]

    def across(name: str, here: NDArray[np.int64], there: NDArray[np.int64]) -> Trial:
        temperature = find_temperature(probabilities[here], truth[here])
        calibrated = soften(probabilities[here], temperature)
        multiplier = accuracy_by_multiplier(tree, calibrated, truth[here]).least_multiplier(
            accuracy
        )
        found = Found(name, temperature, multiplier)
        return try_multiplier(tree, probabilities[there], truth[there], found)

    return across("first half", first, second), across("second half", second, first)
