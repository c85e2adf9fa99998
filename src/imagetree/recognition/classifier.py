"""What answers: images in; words, probabilities and ways through the tree out.

Nothing here imports torch: an engine answers a photograph in less time than torch takes to start.
"""

from __future__ import annotations

import itertools
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from imagetree.challenge.metrics import guesses_from_scores
from imagetree.errors import TrainingError
from imagetree.recognition.hedging import answer_tree, hedge, majority_subtree, pareto_list
from imagetree.recognition.inputs import InputReader, Upcoming
from imagetree.recognition.temperature import soften
from imagetree.training.crops import CentreCrop
from imagetree.training.evaluate import answer_squares, predict
from imagetree.training.feeder import Feeder, num_bytes
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from imagetree.recognition.calibration import Calibration
    from imagetree.recognition.hedging import AnswerTree
    from imagetree.recognition.inputs import Input
    from imagetree.training.batches import Images
    from imagetree.training.evaluate import Logits, Predictions, View
    from imagetree.training.feeder import Filled

_STREAM_BATCH = 32
"""Small enough that the first answers come soon, large enough that none is slow for it."""

_FEW = 64
"""Images up to here are decoded without workers, which take longer to begin than the work."""

_QUALITY = 85


@dataclass(frozen=True)
class Guess:
    """One answer for an image.

    Args:
        wnid: of the class.
        words: of its synset, as ImageNet writes them.
        probability: that the network gives it, in [0, 1].
        path: first words of the synsets from the root down to the class, along its first hypernyms.
    """

    wnid: str
    words: str
    probability: float
    path: tuple[str, ...]


@dataclass(frozen=True)
class LevelGuess(Guess):
    """An answer at any level of the tree.

    Args:
        information: of the answer, in bits; 0 for what all classes are.
    """

    information: float


@dataclass(frozen=True)
class Hedged:
    """What an image shows at the level that the network is sure of.

    Args:
        answer: the one that keeps the promised accuracy.
        majority: the most specific one that is likelier than not.
        pareto: all that no other beats in probability and information, the most specific first.
    """

    answer: LevelGuess
    majority: LevelGuess
    pareto: tuple[LevelGuess, ...]


@dataclass(frozen=True)
class Recognition:
    """What was recognised in one image.

    Args:
        name: of the image, or its path.
        guesses: best first; none if the image could not be read.
        reason: why it could not be read; None if it could.
        hedged: the answer at a promised accuracy; None if none was promised, or for a bad image.
        picture: the square that the network saw, a JPEG; None if it was not asked for.
    """

    name: str
    guesses: tuple[Guess, ...]
    reason: str | None = None
    hedged: Hedged | None = None
    picture: bytes | None = None


class Classifier:
    """What is ready to answer, from any number of threads.

    Attributes:
        wnids: wnid of each class.
        view: how images are shown to it.
        calibration: how its probabilities are to be read; None takes them as they are.
    """

    wnids: tuple[str, ...]
    view: View
    calibration: Calibration | None

    @property
    def logits(self) -> Logits:
        """What computes the logits of squares, of a network or an engine."""
        raise NotImplementedError

    @property
    def tree(self) -> AnswerTree:
        """All answers that it can give, at any level."""
        return answer_tree(self.wnids)

    def multiplier(self, accuracy: float) -> float:
        """The multiplier that keeps a promised accuracy.

        Raises:
            TrainingError: it has not been found for this run.
        """
        known = self.calibration.multipliers if self.calibration else {}
        if accuracy not in known:
            there = f"there are {', '.join(map(str, known))}" if known else "there is none"
            crops = "" if self.view.crops == 1 else f" --crops {self.view.crops}"
            instead = "promise one of these, or " if known else ""
            command = f"imagetree hedge RUN --accuracy {accuracy}{crops}"
            raise TrainingError(
                f"no multiplier is known for an accuracy of {accuracy} ({there})",
                hint=f"{instead}find it on minival: {command}",
            )
        return known[accuracy]

    def predict(
        self, images: Images, progress: Callable[[int, int], None] | None = None
    ) -> Predictions:
        """Probabilities of images, not calibrated; see `evaluate.predict`."""
        return predict(self.logits, images, self.view, progress)

    def probabilities(self, images: Images) -> tuple[NDArray[np.float64], dict[int, str]]:
        """Calibrated probabilities of images.

        Args:
            images: what to look at, one at least.

        Returns:
            float64 (N, K), rows of zeros for those that cannot be read; and why, by their index.
        """
        found = self.predict(images)
        return self.calibrated(found.probabilities), {bad.index: bad.reason for bad in found.bad}

    def recognize(
        self, images: Images, k: int = 5, *, accuracy: float | None = None
    ) -> tuple[Recognition, ...]:
        """The k likeliest classes of each image.

        Args:
            images: what to look at, one at least.
            k: answers for each image, at most the number of classes.
            accuracy: promised for a hedged answer besides; None for none.

        Raises:
            ChallengeError: k is greater than the number of classes.
            TrainingError: no multiplier is known for this accuracy.
        """
        multiplier = None if accuracy is None else self.multiplier(accuracy)
        probabilities, reasons = self.probabilities(images)
        faults = [reasons.get(index) for index in range(len(images.names))]
        return tuple(self._answers(images.names, probabilities, faults, k, multiplier))

    def stream(
        self,
        inputs: Iterable[Input],
        k: int = 5,
        *,
        accuracy: float | None = None,
        pictures: bool = False,
    ) -> Iterator[Recognition]:
        """The likeliest classes of one image after another, in memory that does not grow with them.

        The next images are read and decoded while these are answered. The answers come in the order
        of the inputs.

        Args:
            inputs: see `inputs.iter_inputs`; drawn from as they are worked through.
            k: answers for each image, at most the number of classes.
            accuracy: promised for a hedged answer besides; None for none.
            pictures: keep the square that the network saw.

        Raises:
            ChallengeError: k is greater than the number of classes.
            TrainingError: no multiplier is known for this accuracy, or a worker was killed.
        """
        multiplier = None if accuracy is None else self.multiplier(accuracy)
        for taken, filled in self._filled(inputs):
            probabilities = self.calibrated(answer_squares(self.logits, filled.pixels, self.view))
            names = [each.name for each in taken]
            answers = self._answers(names, probabilities, filled.faults, k, multiplier)
            for found, pixels in zip(answers, filled.pixels, strict=True):
                is_shown = pictures and found.reason is None
                yield replace(found, picture=_as_jpeg(pixels)) if is_shown else found

    def stream_probabilities(
        self, inputs: Iterable[Input]
    ) -> Iterator[tuple[str, NDArray[np.float64], str | None]]:
        """Calibrated probabilities of one image after another; see `stream`.

        Args:
            inputs: see `inputs.iter_inputs`.

        Yields:
            Name, float64 (K,), and why it could not be read or None.
        """
        for taken, filled in self._filled(inputs):
            rows = self.calibrated(answer_squares(self.logits, filled.pixels, self.view))
            for each, row, fault in zip(taken, rows, filled.faults, strict=True):
                yield each.name, row, fault

    def _filled(self, inputs: Iterable[Input]) -> Generator[tuple[list[Input], Filled]]:
        """Batches of inputs, decoded ahead."""
        remaining = iter(inputs)
        first = list(itertools.islice(remaining, _FEW))
        if not first:
            return
        workers = self.view.workers if len(first) == _FEW else 0
        upcoming, size = Upcoming(), self.view.side
        places = map(upcoming.put, _batches(itertools.chain(first, remaining)))
        with (
            Feeder(InputReader(), workers, num_bytes(_STREAM_BATCH, size)) as feeder,
            closing(feeder.iter_filled(upcoming, places, CentreCrop(), size)) as batches,
        ):
            for filled in batches:
                yield [upcoming.take(number) for number in filled.indices.tolist()], filled

    def calibrated(self, probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities at the run's temperature; the same where none was found."""
        return soften(probabilities, self.calibration.temperature if self.calibration else 1.0)

    def _answers(
        self,
        names: Sequence[str],
        probabilities: NDArray[np.float64],
        faults: Sequence[str | None],
        k: int,
        multiplier: float | None,
    ) -> Iterator[Recognition]:
        guesses = guesses_from_scores(probabilities, k)
        levels = None if multiplier is None else self._levels(probabilities, multiplier)
        for index, (name, fault) in enumerate(zip(names, faults, strict=True)):
            if fault is not None:
                yield Recognition(name, (), fault)
                continue
            yield Recognition(
                name,
                tuple(self._guess(g, probabilities[index]) for g in guesses[index].tolist()),
                hedged=levels[index] if levels else None,
            )

    def _levels(self, probabilities: NDArray[np.float64], multiplier: float) -> list[Hedged]:
        tree = self.tree
        answers = hedge(tree, probabilities, multiplier).tolist()
        majorities = majority_subtree(tree, probabilities).tolist()
        [*parts] = tree.node_probabilities(probabilities)
        of_nodes = np.concatenate([found for _, found in parts])

        def level(row: int, node: int) -> LevelGuess:
            words, path = _described(tree.wnids[node])
            return LevelGuess(
                tree.wnids[node],
                words,
                min(1.0, float(of_nodes[row, node])),  # a sum of shares may be 1 + 2e-16
                path,
                float(tree.information[node]),
            )

        return [
            Hedged(
                level(row, answers[row]),
                level(row, majorities[row]),
                tuple(level(row, node) for node in pareto_list(tree, probabilities[row])),
            )
            for row in range(len(probabilities))
        ]

    def _guess(self, class_index: int, probabilities: NDArray[np.float64]) -> Guess:
        wnid = self.wnids[class_index]
        words, path = _described(wnid)
        return Guess(wnid, words, float(probabilities[class_index]), path)


@lru_cache(maxsize=1 << 15)
def _described(wnid: str) -> tuple[str, tuple[str, ...]]:
    """Words of a synset, and the first words of those from the root down to it."""
    nouns = load_nouns()
    way = nouns.paths_to_root(wnid, instances=True)[0]
    return nouns.synset(wnid).words, tuple(nouns.synset(each).lemma for each in way)


def _batches(inputs: Iterator[Input]) -> Iterator[list[Input]]:
    while batch := list(itertools.islice(inputs, _STREAM_BATCH)):
        yield batch


def _as_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    return cv2.imencode(".jpg", pixels[..., ::-1], quality)[1].tobytes()
