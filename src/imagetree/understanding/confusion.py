"""What a network takes for what: classes in the order of the hierarchy, kin beside kin.

The counts themselves are in `challenge.confusion`. Here the classes are laid along the tree that
the first hypernym of each synset gives, so that every synset's classes stand in one row without
gaps, and the blocks that errors form beside the diagonal can be named.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imagetree.challenge.confusion import confusion_by_common_hypernym, confusion_matrix
from imagetree.challenge.metrics import NO_GUESS
from imagetree.challenge.submission import parse_submission
from imagetree.errors import ChallengeError
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from imagetree.challenge.confusion import Meeting
    from imagetree.challenge.definition import Challenge

NEARLY_ALL = 0.92
"""A synset with this share of the classes of the one above says nothing new and is passed over: of
ILSVRC's objects 98 % are wholes, and of its mammals 97 % placental."""

_MAX_EXAMPLES = 3


@dataclass(frozen=True)
class Group:
    """A synset with those of the classes that lie under it, along first hypernyms.

    Args:
        wnid: the synset.
        start: its first class, a place in the order of the hierarchy.
        stop: one after its last.
        level: groups that it lies in.
    """

    wnid: str
    start: int
    stop: int
    level: int


@dataclass(frozen=True)
class Pair:
    """A class that was taken for another.

    Args:
        truth: wnid of the class.
        guess: wnid of the other.
        count: images.
        num_images: of the class, answered.
        examples: names of some of the images.
    """

    truth: str
    guess: str
    count: int
    num_images: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Confusion:
    """What was taken for what, first answers alone.

    Args:
        wnids: of the classes, in the order of the hierarchy.
        matrix: images by class (row) and answer (column), in that order; int64 (K, K).
        groups: synsets over two or more classes, outer ones first; the root is left out.
        meetings: synsets in which class and answer of errors meet, most errors first.
        pairs: the most frequent confusions, most first.
        num_unanswered: images without an answer, which the matrix leaves out.
    """

    wnids: tuple[str, ...]
    matrix: NDArray[np.int64]
    groups: tuple[Group, ...]
    meetings: tuple[Meeting, ...]
    pairs: tuple[Pair, ...]
    num_unanswered: int

    @property
    def num_images(self) -> int:
        """Images that were answered."""
        return int(self.matrix.sum())

    @property
    def num_errors(self) -> int:
        """Images that were answered wrongly."""
        return self.num_images - int(np.trace(self.matrix))


def order_by_kin(wnids: Sequence[str]) -> tuple[int, ...]:
    """Places of the classes in the order of the hierarchy: by their ways from the root.

    >>> order_by_kin(["n02084071", "n02691156", "n02121808"])  # dog, airplane, domestic cat
    (0, 2, 1)
    """
    ways = [_way_to(wnid) for wnid in wnids]
    return tuple(sorted(range(len(wnids)), key=ways.__getitem__))


def group_by_kin(wnids: Sequence[str]) -> tuple[Group, ...]:
    """The synsets over two or more of the classes, each before those in it; without the root.

    Of synsets over the same classes the lowest is taken. One that has nearly all the classes of
    the group that it lies in is passed over.

    Args:
        wnids: of the classes, in the order of `order_by_kin`.

    >>> for group in group_by_kin(["n02084071", "n02121808", "n02691156", "n02958343"]):
    ...     print(load_nouns().synset(group.wnid).lemma, group.start, group.stop, group.level)
    carnivore 0 2 0
    vehicle 2 4 0
    """
    starts: dict[str, int] = {}
    stops: dict[str, int] = {}
    for place, wnid in enumerate(wnids):
        for above in _way_to(wnid):  # from the root: a synset comes after those above it
            starts.setdefault(above, place)
            stops[above] = place + 1
    lowest = {(start, -stops[wnid]): wnid for wnid, start in starts.items()}
    groups: list[Group] = []
    around: list[Group] = []
    for (start, stop), wnid in sorted(lowest.items()):
        while around and around[-1].stop <= start:
            around.pop()
        size = -stop - start
        room = around[-1].stop - around[-1].start if around else len(wnids)
        if 1 < size <= NEARLY_ALL * room:
            around.append(Group(wnid, start, -stop, len(around)))
            groups.append(around[-1])
    return tuple(groups)


def _way_to(wnid: str) -> tuple[str, ...]:
    """From the root down to a synset, always by the first hypernym."""
    nouns, way = load_nouns(), [wnid]
    while above := nouns.hypernyms(way[-1], instances=True):
        way.append(above[0])
    return tuple(reversed(way))


def study_confusion(
    challenge: Challenge, submission: Path, *, split: str = "val", num_pairs: int = 10
) -> Confusion:
    """What a submission's first answers take for what.

    Args:
        challenge: the challenge it answers.
        submission: file with up to five wnids a line, best first.
        split: the split it answers.
        num_pairs: confusions to name.

    Raises:
        ChallengeError: the file cannot be read or has faults, or answers nothing.
    """
    entries = challenge.read_split(split)
    try:
        text = submission.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ChallengeError(
            f"{submission}: cannot be read ({error})",
            hint=f"answer the split first: imagetree challenge run {submission.parent} "
            f"--split {split}",
        ) from error
    guesses = parse_submission(text, challenge.wnids, len(entries), name=str(submission))[:, 0]
    order = order_by_kin(challenge.wnids)
    wnids = tuple(challenge.wnids[index] for index in order)
    place = {wnid: index for index, wnid in enumerate(wnids)}
    truth = np.array([place[entry.wnid] for entry in entries], dtype=np.int64)
    moved = np.argsort(order)[guesses]  # class index to place in the hierarchy's order
    is_answered = guesses != NO_GUESS
    if not is_answered.any():
        raise ChallengeError(f"{submission}: there is no answer in it")
    matrix = confusion_matrix(moved[is_answered], truth[is_answered], len(wnids))
    examples = defaultdict(list)
    for index in np.flatnonzero(is_answered & (moved != truth)).tolist():
        examples[int(truth[index]), int(moved[index])].append(entries[index].name)
    return Confusion(
        wnids,
        matrix,
        group_by_kin(wnids),
        confusion_by_common_hypernym(matrix, wnids),
        _pairs(matrix, wnids, examples, num_pairs),
        int((~is_answered).sum()),
    )


def _pairs(
    matrix: NDArray[np.int64],
    wnids: tuple[str, ...],
    examples: Mapping[tuple[int, int], Sequence[str]],
    num_pairs: int,
) -> tuple[Pair, ...]:
    """The confusions with most images; equally frequent ones in the order of the hierarchy."""
    frequent = sorted(examples, key=lambda pair: (-len(examples[pair]), pair))[:num_pairs]
    return tuple(
        Pair(
            wnids[truth],
            wnids[guess],
            int(matrix[truth, guess]),
            int(matrix[truth].sum()),
            tuple(examples[truth, guess][:_MAX_EXAMPLES]),
        )
        for truth, guess in frequent
    )
