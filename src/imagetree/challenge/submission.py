"""Submissions: one line an image, in the order of the split, with up to five wnids, best first.

The layout is ILSVRC's; the classes are named by wnid, so that no numbering of the classes can be
mistaken for another. An empty line is no guess and counts as wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imagetree.challenge.metrics import NO_GUESS
from imagetree.errors import ChallengeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_GUESSES = 5
_MAX_FAULTS = 20


def render_submission(guesses: NDArray[np.int64], wnids: Sequence[str]) -> str:
    r"""Guesses as the text of a submission.

    Args:
        guesses: class indices, best first; int64 (N, G), G <= 5, in [0, K) or NO_GUESS.
        wnids: wnid of each class.

    >>> render_submission(np.array([[1, 0], [0, NO_GUESS]]), ["n00000001", "n00000002"])
    'n00000002 n00000001\nn00000001\n'
    """
    return "".join(
        " ".join(wnids[guess] for guess in row if guess != NO_GUESS) + "\n" for row in guesses
    )


def parse_submission(
    text: str, wnids: Sequence[str], num_images: int, *, name: str = "submission"
) -> NDArray[np.int64]:
    r"""The guesses of a submission.

    Args:
        text: the whole file.
        wnids: wnid of each class.
        num_images: images of the split.
        name: what to call the file in errors.

    Returns:
        int64 (num_images, 5), filled up with NO_GUESS.

    Raises:
        ChallengeError: the number of lines, a wnid, or the number of guesses is wrong; the first
            20 faults are named with their lines.

    >>> parse_submission("n00000002\n", ["n00000001", "n00000002"], 1)
    array([[ 1, -1, -1, -1, -1]])
    """
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    faults = []
    if len(lines) != num_images:
        faults.append(f"{name}: {len(lines)} lines (expected one for each of {num_images} images)")
    class_index = {wnid: index for index, wnid in enumerate(wnids)}
    guesses = np.full((max(num_images, len(lines)), MAX_GUESSES), NO_GUESS, dtype=np.int64)
    for number, line in enumerate(lines, 1):
        words = line.split()
        fault = _fault_of(words, class_index)
        if fault:
            faults.append(f"{name}:{number}: {fault}")
        else:
            guesses[number - 1, : len(words)] = [class_index[word] for word in words]
    if faults:
        shown = faults[:_MAX_FAULTS]
        more = [f"... {len(faults)} faults in all"] if len(faults) > len(shown) else []
        raise ChallengeError("\n".join([*shown, *more]), hint="see docs/formats.md, submissions")
    return guesses[:num_images]


def _fault_of(words: list[str], class_index: dict[str, int]) -> str | None:
    if len(words) > MAX_GUESSES:
        return f"{len(words)} guesses (expected at most {MAX_GUESSES})"
    if len(set(words)) != len(words):
        return "a class is guessed twice"
    unknown = [word for word in words if word not in class_index]
    if unknown:
        return f"{unknown[0]!r} is no class of this challenge (expected a wnid such as n02084071)"
    return None
