"""What a submission answers, what it says, and how it says it: the types that all formats share."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path  # noqa: TC003 (the command line reads the annotations)
from typing import TYPE_CHECKING

import numpy as np

from imagetree.challenge.metrics import NO_GUESS
from imagetree.errors import ChallengeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from imagetree.challenge.definition import Challenge
    from imagetree.challenge.lines import Faults

MAX_GUESSES = 5


@dataclass(frozen=True)
class Task:
    """What a submission answers; nothing of the truth is in it.

    Args:
        wnids: of the classes, sorted; a class index is a place here.
        num_images: to be answered.
        names: of the images, in their order; empty where only their order is known.
        split: that they are of.
        version: of the challenge, which a submission may state.
    """

    wnids: tuple[str, ...]
    num_images: int
    names: tuple[str, ...] = ()
    split: str = ""
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Form:
    """How a submission is written, where the file itself does not say.

    Args:
        format: text, csv, kaggle, jsonl or synsets; by the ending of the file's name if None.
        labels: wnid, class-index, kaggle-line or an id such as ilsvrc2012-id; if None what the file
            states, else the kit's ids, else those that belong to the format: kaggle-line for
            kaggle, wnid for the others.
        kit: development kit whose ids are the labels.
    """

    format: str | None = None
    labels: str | None = None
    kit: Path | None = None


@dataclass(frozen=True, eq=False)
class Answers:
    """What a submission says.

    Args:
        labels: wnids that guesses are places of: the classes in their order and, for hierarchical
            answers, all synsets above them.
        guesses: places in `labels`, best first, filled up with NO_GUESS; int64 (N, G), G = 5, or 1
            for hierarchical answers.
        format: that it was written in.
        probabilities: of all classes, where they are given; float32 (N, K), each row's sum 1.
    """

    labels: tuple[str, ...]
    guesses: NDArray[np.int64]
    format: str
    probabilities: NDArray[np.float32] | None = None


class ByName:
    """The images of a task by their names, each to be answered once, in any order.

    Args:
        task: with names.
        faults: gets what is wrong.

    Raises:
        ChallengeError: the images have no names, or several have the same.
    """

    def __init__(self, task: Task, faults: Faults) -> None:
        self._places = {name: place for place, name in enumerate(task.names)}
        if len(self._places) < task.num_images:
            raise ChallengeError(
                f"{faults.where}: the images of {task.split} cannot be told apart by name",
                hint="answer in the order of the images: --format text",
            )
        self._task, self._faults = task, faults
        self._seen = bytearray(task.num_images)

    def place_of(self, name: str | bytes, line: int) -> int | None:
        """Place of an image that is answered here and was not before; None for a fault."""
        if isinstance(name, bytes):
            try:
                name = name.decode("utf-8")
            except UnicodeDecodeError:
                self._faults.add(line, "the name of the image is no UTF-8")
                return None
        place = self._places.get(name)
        if place is None:
            stem = name.rpartition(".")[0]
            more = f" (expected {stem!r}, without its ending)" if stem in self._places else ""
            self._faults.add(line, f"{name[:80]!r} is no image of {self._task.split}{more}")
        elif self._seen[place]:
            self._faults.add(line, f"{name[:80]!r} is answered twice (expected once)")
        else:
            self._seen[place] = 1
            return place
        return None

    def check_all_seen(self) -> None:
        """Note every image that is not answered."""
        for place, seen in enumerate(self._seen):
            if not seen:
                self._faults.add(None, f"no answer for image {self._task.names[place]!r}")


def task_of(challenge: Challenge, split: str) -> Task:
    """What a submission to a split answers; of a sealed split too.

    Raises:
        ChallengeError: there is no such split, or a line of it is damaged.
    """
    names = challenge.read_names(split)
    return Task(challenge.wnids, len(names), names, split, challenge.version)


def guesses_of(rows: Sequence[Sequence[int]], width: int) -> NDArray[np.int64]:
    """Rows of guesses as an array, filled up with NO_GUESS; int64 (N, width).

    >>> guesses_of([[3], [], [1, 2]], 2).tolist()
    [[3, -1], [-1, -1], [1, 2]]
    """
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    guesses = np.full((len(rows), width), NO_GUESS, dtype=np.int64)
    guesses[np.arange(width) < lengths[:, None]] = list(chain.from_iterable(rows))
    return guesses
