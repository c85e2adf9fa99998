"""Entries scored behind the seal, and scored again.

The truth is read here and nowhere else. What leaves are errors with their intervals; which images
were missed is kept as bits, for comparing entries, and is in no type that a caller gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sqlalchemy import func, insert, select

from imagetree import __version__
from imagetree.challenge.answers import MAX_GUESSES, Form, task_of
from imagetree.challenge.bootstrap import Interval
from imagetree.challenge.score import TopK, mark_answers, score_marked
from imagetree.challenge.submission import parse_answers
from imagetree.database import schema
from imagetree.database.journal import utc_now
from imagetree.errors import ChallengeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection, Select

    from imagetree.challenge.answers import Answers, Task
    from imagetree.challenge.definition import Challenge, Entry
    from imagetree.challenge.score import Score

SCORER = f"imagetree {__version__}"
"""Who computes scores; kept with each."""
LABELS = ("wnid", "class-index", "kaggle-line")
"""Labels that an entry may have: those that need no file beside it."""
_SCORES = schema.entry_scores.c


@dataclass(frozen=True)
class Referee:
    """Reads and scores the entries to a split.

    Args:
        task: what is answered; nothing of the truth is in it.
        truth: the images with their classes, in the order of the task.
    """

    task: Task
    truth: tuple[Entry, ...]

    def read(self, file: IO[bytes], name: str, form: Form) -> Answers:
        """Read an entry. The truth has no part in it, so that no error can tell of it.

        Args:
            file: opened for reading bytes.
            name: of the file.
            form: how it is written, where it does not say itself.

        Raises:
            ChallengeError: the file has faults, or holds other answers than guesses.
        """
        if form.kit is not None or form.labels not in {None, *LABELS}:
            raise ChallengeError(
                f"labels: {form.labels or 'those of a kit'} (expected {', '.join(LABELS)})",
                hint="write wnids, which need nothing else to be read",
            )
        answers = parse_answers(file, self.task, form, where=name, name=name)
        if answers.guesses.shape[1] < MAX_GUESSES:
            raise ChallengeError(
                f"{name}: answers of the format {answers.format} have no error at "
                f"{MAX_GUESSES} guesses (expected text, csv, kaggle or jsonl)",
                hint="see the formats: imagetree challenge formats",
            )
        return answers

    def score(self, answers: Answers) -> Score:
        """All figures of an entry; by class, too, so that it is for the time after the board."""
        return score_marked(mark_answers(answers, self.task, self.truth))

    def judge(self, answers: Answers) -> tuple[Judged, ...]:
        """What is kept of an entry's score, for each number of guesses."""
        marked = mark_answers(answers, self.task, self.truth)
        return tuple(
            Judged(top, np.packbits(marked.misses(top.k)).tobytes())
            for top in score_marked(marked).top
        )


class Judged(NamedTuple):
    """An entry's score at k guesses as it is kept.

    Args:
        top: what anyone sees of it.
        misses: a bit for each image, set for a miss; the first image is the highest bit.
    """

    top: TopK
    misses: bytes


class Scored(NamedTuple):
    """The score of an entry that counts, the newest one.

    Args:
        errors: by the number of guesses.
        scorer: the version that computed it.
        scored_at: UTC, ISO 8601.
    """

    errors: tuple[TopK, ...]
    scorer: str
    scored_at: str


def referee_of(challenge: Challenge, split: str) -> Referee:
    """Who judges answers to a split.

    Raises:
        ChallengeError: there is no such split, or its labels are sealed and not here.
    """
    return Referee(task_of(challenge, split), challenge.read_split(split))


def add_score(connection: Connection, entry_id: int, judged: Sequence[Judged]) -> None:
    """Add a score to an entry; it is the one that counts from now on."""
    common = {"entry_id": entry_id, "scorer": SCORER, "scored_at": utc_now()}
    rows = [
        {
            **common,
            "k": each.top.k,
            "num_misses": each.top.num_misses,
            "error": each.top.error,
            "error_low": each.top.interval.low,
            "error_high": each.top.interval.high,
            "hierarchical_error": each.top.hierarchical_error,
            "hierarchical_low": each.top.hierarchical_interval.low,
            "hierarchical_high": each.top.hierarchical_interval.high,
            "misses": each.misses,
        }
        for each in judged
    ]
    connection.execute(insert(schema.entry_scores), rows)


def read_scores(connection: Connection, board_id: int) -> dict[int, Scored]:
    """The scores of a leaderboard's entries that count, by the entry."""
    columns = [column for column in _SCORES if column.name != "misses"]
    errors: dict[int, list[TopK]] = {}
    by_whom: dict[int, tuple[str, str]] = {}
    for row in connection.execute(_newest(select(*columns), board_id).order_by(_SCORES.k)):
        top = TopK(
            k=row.k,
            num_misses=row.num_misses,
            error=row.error,
            hierarchical_error=row.hierarchical_error,
            interval=Interval(row.error_low, row.error_high),
            hierarchical_interval=Interval(row.hierarchical_low, row.hierarchical_high),
        )
        errors.setdefault(row.entry_id, []).append(top)
        by_whom[row.entry_id] = row.scorer, row.scored_at
    return {each: Scored(tuple(tops), *by_whom[each]) for each, tops in errors.items()}


def read_misses(connection: Connection, board_id: int, k: int) -> dict[int, NDArray[np.bool_]]:
    """Which images each entry of a leaderboard misses at k guesses, by the entry.

    For comparisons within this room alone. Behind the images come up to seven that no entry misses,
    which fill the last byte and tell no two entries apart; bool (8 * ceil(N / 8),).
    """
    query = _newest(select(_SCORES.entry_id, _SCORES.misses), board_id).where(_SCORES.k == k)
    return {
        entry_id: np.unpackbits(np.frombuffer(misses, np.uint8)).astype(np.bool_)
        for entry_id, misses in connection.execute(query)
    }


def differences(before: Sequence[Judged], after: Sequence[Judged]) -> tuple[str, ...]:
    """What differs between two scores of the same file; empty if nothing does.

    They are compared exactly: costs are whole numbers of levels, so that neither sums nor means
    depend on the order of addition, and the generator of the intervals is frozen.
    """
    found = []
    if [each.top.k for each in before] != [each.top.k for each in after]:
        return ("scored at other numbers of guesses",)
    for old, new in zip(before, after, strict=True):
        for name in ("error", "hierarchical_error", "interval", "hierarchical_interval"):
            was, now = getattr(old.top, name), getattr(new.top, name)
            if was != now:
                found.append(f"top {old.top.k} {name}: {_shown(was)} before, {_shown(now)} now")
        if old.misses != new.misses:
            found.append(f"top {old.top.k}: other images are missed")
    return tuple(found)


def read_judged(connection: Connection, board_id: int, entry_id: int) -> tuple[Judged, ...]:
    """The score of an entry that counts, as it is kept."""
    scored = read_scores(connection, board_id)[entry_id]
    query = _newest(select(_SCORES.k, _SCORES.misses), board_id)
    rows = connection.execute(query.where(_SCORES.entry_id == entry_id))
    misses = {row.k: bytes(row.misses) for row in rows}
    return tuple(Judged(top, misses[top.k]) for top in scored.errors)


def _newest(query: Select[Any], board_id: int) -> Select[Any]:
    """Of the scores of a leaderboard's entries those that count."""
    of_board = select(schema.entries.c.id).where(schema.entries.c.board_id == board_id)
    newest = (
        select(func.max(_SCORES.id))
        .where(_SCORES.entry_id.in_(of_board))
        .group_by(_SCORES.entry_id, _SCORES.k)
    )
    return query.where(_SCORES.id.in_(newest))


def _shown(value: float | Interval) -> str:
    parts = value if isinstance(value, tuple) else (value,)
    return " to ".join(f"{part:.6g}" for part in parts)
