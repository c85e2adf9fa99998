"""What a submission's labels stand for: wnids, or numbers of a numbering that has been named.

The three numberings of ILSVRC's classes fit the same integers, so a number is read only where the
submission or its reader says of which it is; one that cannot be of it is refused, with what it
looks like. Sources of the numberings: `sources.numbering`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imagetree.challenge.hierarchy import hierarchy_of
from imagetree.errors import ChallengeError, WordnetError
from imagetree.sources.numbering import (
    EXPLANATION,
    NUMBERINGS,
    class_indices,
    kaggle_lines,
    parse_number,
)
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imagetree.challenge.lines import Faults
    from imagetree.sources.numbering import ClassIndex, IlsvrcId, KaggleLine, Numbering

    AnyNumbering = Numbering[IlsvrcId] | Numbering[ClassIndex] | Numbering[KaggleLine]

WNID = "wnid"
LABEL_KINDS = (WNID, *NUMBERINGS)
"""What labels may be, by the names that users write."""

_WNID = re.compile(r"n[0-9]{8}")
_OFFSET = re.compile(r"[0-9]{8}")
_MAX_SHOWN = 40
_HINT = "name what the labels are: --labels wnid, class-index, kaggle-line or, with --kit, an id"


@dataclass(eq=False)
class LabelSpace:
    """Which label means which class.

    Args:
        kind: one of LABEL_KINDS.
        wnids: of the challenge's classes, sorted.
        labels: wnids that may be answered, the classes first; guesses are places in it.
        index: place in `labels` of each label as it is written, as text and as bytes.
        numbering: of the numbers; None for wnids.
    """

    kind: str
    wnids: tuple[str, ...]
    labels: tuple[str, ...]
    index: Mapping[str | bytes, int]
    numbering: AnyNumbering | None = None
    _numbers: set[int] = field(default_factory=set)  # that were met in place of wnids

    def read(
        self, words: Sequence[str] | Sequence[bytes], max_guesses: int, line: int, faults: Faults
    ) -> list[int]:
        """The guesses that some labels are, best first; empty where there is a fault.

        Args:
            words: the labels.
            max_guesses: how many there may be.
            line: where they stand.
            faults: gets what is wrong with them.
        """
        try:
            guesses = list(map(self.index.__getitem__, words))
        except KeyError:
            texts = [w.decode("utf-8", "replace") if isinstance(w, bytes) else w for w in words]
            unknown = [text for text in texts if text not in self.index]
            self._numbers.update(n for text in unknown if (n := parse_number(text)) is not None)
            faults.add(line, "" if faults.is_full else self.fault_of(unknown[0]))
            return []
        if len(guesses) > max_guesses:
            faults.add(line, f"{len(guesses)} guesses (expected at most {max_guesses})")
            return []
        if len(set(guesses)) < len(guesses):
            faults.add(line, "a class is guessed twice (expected once)")
            return []
        return guesses

    def fault_of(self, text: str) -> str:
        """Why a word is no label of this space."""
        shown = repr(text[:_MAX_SHOWN])
        if self.numbering is None:
            return self._fault_of_wnid(text, shown)
        if _WNID.fullmatch(text):
            return f"{shown} looks like a wnid (expected a number, {self.kind})"
        number = parse_number(text)
        if number is None or str(number) != text:
            return f"{shown} is no number of {self.kind} (up to five digits, no zero before them)"
        fault = self.numbering.fault_of(number)
        if fault:
            return fault
        wnid = self.numbering.wnids[number - self.numbering.kind.first]
        return f"{self.kind} {number} is {wnid}, no class of this challenge"

    def hint(self) -> str:
        """What to do about the faults that were found so far."""
        if not self._numbers:
            return "see what a line holds: imagetree challenge formats"
        return f"these look like {_likely(self._numbers, len(self.wnids))}; {_HINT}"

    def _fault_of_wnid(self, text: str, shown: str) -> str:
        expected = f"expected a wnid such as {self.wnids[0]}"
        if parse_number(text) is not None:
            return f"{shown} is no class but a number ({expected})"
        if _OFFSET.fullmatch(text):
            return f"{shown} looks like a wnid without its n ({expected})"
        if not _WNID.fullmatch(text):
            return f"{shown} is no class of this challenge ({expected})"
        try:
            words = load_nouns().synset(text).words
            is_above = text in hierarchy_of(self.wnids).labels
        except WordnetError as error:
            return f"{shown} is no class of this challenge: {error.message}"
        if is_above:
            return f"{shown} ({words}) is above classes, which --format synsets alone may answer"
        return f"{shown} ({words}) is no class of this challenge"


def label_space(
    wnids: tuple[str, ...], kind: str, kit: Numbering[IlsvrcId] | None = None
) -> LabelSpace:
    """The labels of a challenge's classes.

    Args:
        wnids: of the classes, sorted.
        kind: one of LABEL_KINDS; `class-index` and `kaggle-line` count these classes.
        kit: ids of a development kit's classes, where `kind` is one of its.

    Raises:
        ChallengeError: there is no such kind, or the kit that has its ids is not given.

    >>> space = label_space(("n02084071", "n02121808"), "kaggle-line")
    >>> space.index["2"], space.fault_of("0")
    (1, '0 is not in 1..2 of kaggle-line: looks like class-index, from 0')
    """
    if kind not in LABEL_KINDS:
        raise ChallengeError(
            f"labels: {kind[:40]!r} (expected {', '.join(LABEL_KINDS)})", hint=EXPLANATION
        )
    if kind == WNID:
        return _space(kind, wnids, wnids, {wnid: place for place, wnid in enumerate(wnids)})
    numbering: AnyNumbering
    if kind == "class-index":
        numbering = class_indices(wnids)
    elif kind == "kaggle-line":
        numbering = kaggle_lines(wnids)
    elif kit is None or kit.kind.name != kind:
        raise ChallengeError(
            f"labels: {kind}, and no development kit that has these ids",
            hint="name the kit: --kit ILSVRC2012_devkit_t12.tar.gz",
        )
    else:
        numbering = kit
    class_index = {wnid: place for place, wnid in enumerate(wnids)}
    index = {
        str(number): class_index[wnid]
        for number, wnid in enumerate(numbering.wnids, numbering.kind.first)
        if wnid in class_index
    }
    return _space(kind, wnids, wnids, index, numbering)


def synset_space(wnids: tuple[str, ...]) -> LabelSpace:
    """The labels of hierarchical answers: wnids of the classes and of all that is above them.

    Args:
        wnids: of the classes, sorted.
    """
    labels = hierarchy_of(wnids).labels
    return _space(WNID, wnids, labels, {wnid: place for place, wnid in enumerate(labels)})


def _space(
    kind: str,
    wnids: tuple[str, ...],
    labels: tuple[str, ...],
    index: Mapping[str, int],
    numbering: AnyNumbering | None = None,
) -> LabelSpace:
    both: dict[str | bytes, int] = {}
    for label, place in index.items():
        both[label] = both[label.encode()] = place
    return LabelSpace(kind, wnids, labels, both, numbering)


def _likely(numbers: set[int], num_classes: int) -> str:
    """The numberings that some integers, met where wnids are expected, can be of."""
    if 0 in numbers:
        return "class-index (0 is among them)"
    if max(numbers) > num_classes:
        return f"ids of other classes ({max(numbers)} is among them)"
    if max(numbers) == num_classes:
        return f"kaggle-line or a kit's ids ({num_classes} is among them, 0 is not)"
    return "class-index, kaggle-line or a kit's ids"
