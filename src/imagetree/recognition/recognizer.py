"""A checkpoint that answers: images in; words, probabilities and ways through the tree out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imagetree.challenge.metrics import guesses_from_scores
from imagetree.errors import DatabaseError
from imagetree.training.checkpoints import load_checkpoint, load_network
from imagetree.training.device import choose_device
from imagetree.training.evaluate import View, predict
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from imagetree.alexnet.network import AlexNet
    from imagetree.training.batches import Images


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
class Recognition:
    """What was recognised in one image.

    Args:
        name: of the image, or its path.
        guesses: best first; none if the image could not be read.
        reason: why it could not be read; None if it could.
    """

    name: str
    guesses: tuple[Guess, ...]
    reason: str | None = None


class FileReader:
    """Reads image files by their paths."""

    def read(self, row: Path) -> bytes:
        """The bytes of one file.

        Raises:
            DatabaseError: it cannot be read.
        """
        try:
            return row.read_bytes()
        except OSError as error:
            raise DatabaseError(f"cannot be read: {error.strerror}") from None


class ImageFiles:
    """Image files on the disk as something to predict on; their labels are unknown, all -1."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.rows = tuple(paths)
        self.names = tuple(str(path) for path in paths)
        self.labels: NDArray[np.int64] = np.full(len(paths), -1, dtype=np.int64)
        self.reader = FileReader()


@dataclass(frozen=True)
class Recognizer:
    """A network that is ready to answer.

    Args:
        network: on its device, in evaluation mode.
        wnids: wnid of each class.
        view: how images are shown to it.
    """

    network: AlexNet
    wnids: tuple[str, ...]
    view: View

    @classmethod
    def load(cls, path: Path) -> Recognizer:
        """The network of a checkpoint file.

        Raises:
            TrainingError: the file is missing, damaged, or of another architecture than it says.
        """
        checkpoint = load_checkpoint(path)
        config = checkpoint.config
        device = choose_device("auto")
        network = load_network(checkpoint, name=str(path)).to(device)
        view = View(
            config.test_size, checkpoint.mean, checkpoint.std, config.precision, config.workers
        )
        return cls(network, checkpoint.wnids, view)

    def recognize(self, images: Images, k: int = 5) -> tuple[Recognition, ...]:
        """The k likeliest classes of each image.

        Args:
            images: what to look at.
            k: answers for each image, at most the number of classes.

        Raises:
            ChallengeError: k is greater than the number of classes.
        """
        answers = predict(self.network, images, self.view)
        guesses = guesses_from_scores(answers.probabilities, k)
        reasons = {bad.index: bad.reason for bad in answers.bad}
        return tuple(
            Recognition(name, (), reasons[index])
            if index in reasons
            else Recognition(
                name,
                tuple(self._guess(int(g), answers.probabilities[index]) for g in guesses[index]),
            )
            for index, name in enumerate(images.names)
        )

    def _guess(self, class_index: int, probabilities: NDArray[np.float32]) -> Guess:
        wnid = self.wnids[class_index]
        nouns = load_nouns()
        path = tuple(
            nouns.synset(each).lemma for each in nouns.paths_to_root(wnid, instances=True)[0]
        )
        return Guess(wnid, nouns.synset(wnid).words, float(probabilities[class_index]), path)
