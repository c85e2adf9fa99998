"""The task that fuzzed submissions answer, and ours held against the slow parser."""

from __future__ import annotations

import io

import numpy as np

from imagetree.challenge.answers import Form, Task
from imagetree.challenge.hierarchy import hierarchy_of
from imagetree.challenge.submission import parse_answers
from imagetree.errors import ChallengeError

WNIDS = (
    *("n02084071", "n02121808", "n02691156", "n02958343", "n03028079", "n03394916"),
    *("n07739125", "n07747607"),
)
"""Dog, domestic cat, airplane, car, church, French horn, apple, orange: K = 8."""
NAMES = ("val_1", "val_2", "été, 3", "val_4.JPEG")
SYNSETS = hierarchy_of(WNIDS).labels
FORMATS = ("text", "csv", "kaggle", "jsonl", "synsets")
LABELS = (None, "wnid", "class-index", "kaggle-line")
REFUSED = "refused"


def ours(data: bytes, form: str, labels: str | None) -> object:
    """What the package makes of a file, in the slow parser's terms.

    Raises:
        AssertionError: it is accepted with what no submission can have.
    """
    task = Task(WNIDS, len(NAMES), NAMES, "val", "V")
    fault: ChallengeError | None = None
    try:
        answers = parse_answers(io.BytesIO(data), task, Form(format=form, labels=labels))
    except ChallengeError as error:
        fault = error
    if fault is not None:
        assert fault.message
        assert len(fault.message.splitlines()) <= 21
        assert fault.hint
        return REFUSED
    assert answers.guesses.dtype == np.int64
    assert answers.guesses.shape == (len(NAMES), 1 if form == "synsets" else 5)
    rows = [[guess for guess in row if guess >= 0] for row in answers.guesses.tolist()]
    for row, filled in zip(rows, answers.guesses.tolist(), strict=True):
        assert filled == row + [-1] * (len(filled) - len(row)), "no guess stands last alone"
    scores = answers.probabilities
    return rows, None if scores is None else scores.tolist()


def agree(mine: object, slow: object) -> bool:
    """Whether both refuse a file, or give it the same meaning; probabilities to single precision.

    A sum on the very edge of what is allowed may fall to either side.
    """
    if REFUSED in (mine, slow) or not isinstance(mine, tuple) or not isinstance(slow, tuple):
        return mine == slow
    if mine[1] is None or slow[1] is None:
        return mine == slow
    return mine[0] == slow[0] and bool(np.array_equal(np.float32(slow[1]), np.float32(mine[1])))
