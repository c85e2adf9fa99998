"""The three numberings of ILSVRC's 1,000 classes, as types that cannot be taken for one another.

ILSVRC20xx_ID counts from 1 in the order of a development kit, the class index from 0 in the order
of the sorted wnids (torch, Keras, Caffe), the line of Kaggle's LOC_synset_mapping.txt from 1 in
that order. A file of bare integers fits all three, and read by the wrong one it is wrong in
silence: so who reads it names its numbering, and a number of one type meets none of another.
Sources: ILSVRC2012's readme.txt; Kaggle's imagenet-object-localization-challenge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from imagetree.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

EXPLANATION = (
    "three numberings of the same classes are in use: ilsvrc2012-id (ILSVRC2012_ID of the "
    "development kit, from 1), class-index (place in the sorted wnids, from 0: torch, Keras, "
    "Caffe) and kaggle-line (line of LOC_synset_mapping.txt, the sorted wnids, from 1)"
)
MAX_FAULTS_SHOWN = 20


@dataclass(frozen=True, order=True)
class ClassNumber:
    """A number of a class, in the numbering that its type is; see the types below.

    Equal to, and ordered among, numbers of its own type.

    Raises:
        TypeError: compared with a number of another type or a bare integer.

    >>> ClassIndex(7) == ClassIndex(7), ClassIndex(7) < ClassIndex(8)
    (True, True)
    >>> ClassIndex(7) == KaggleLine(7)
    Traceback (most recent call last):
    TypeError: class-index 7 and kaggle-line 7 are numbers of different numberings
    """

    value: int
    name: ClassVar[str]
    first: ClassVar[int]

    def __str__(self) -> str:
        return f"{self.name} {self.value}"

    def __eq__(self, other: object) -> bool:
        if type(other) is type(self):
            return self.value == other.value
        if isinstance(other, ClassNumber | int):
            raise TypeError(f"{self} and {other} are numbers of different numberings")
        return NotImplemented


class IlsvrcId(ClassNumber):
    """Of a development kit, from 1 in the kit's order; each year has its own."""

    first = 1


class Ilsvrc2010Id(IlsvrcId):
    """ILSVRC2010_ID."""

    name = "ilsvrc2010-id"


class Ilsvrc2011Id(IlsvrcId):
    """ILSVRC2011_ID."""

    name = "ilsvrc2011-id"


class Ilsvrc2012Id(IlsvrcId):
    """ILSVRC2012_ID."""

    name = "ilsvrc2012-id"


class ClassIndex(ClassNumber):
    """Place in the sorted wnids, from 0."""

    name = "class-index"
    first = 0


class KaggleLine(ClassNumber):
    """Line of the sorted wnids, from 1."""

    name = "kaggle-line"
    first = 1


_TYPES: tuple[type[ClassNumber], ...] = (
    *(Ilsvrc2010Id, Ilsvrc2011Id, Ilsvrc2012Id),
    *(ClassIndex, KaggleLine),
)
NUMBERINGS: dict[str, type[ClassNumber]] = {kind.name: kind for kind in _TYPES}
"""The types by the names that users write."""

Number = TypeVar("Number", bound=ClassNumber)


@dataclass(frozen=True)
class Numbering(Generic[Number]):
    """Which number of a numbering is which synset.

    Args:
        kind: type of its numbers.
        wnids: in the order of the numbers, from the first.
    """

    kind: type[Number]
    wnids: tuple[str, ...]
    _places: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places = {wnid: place for place, wnid in enumerate(self.wnids)}
        if len(places) != len(self.wnids):
            raise DatabaseError(f"{self.kind.name}: a class is there twice")
        object.__setattr__(self, "_places", places)

    @property
    def last(self) -> int:
        """The greatest number."""
        return self.kind.first + len(self.wnids) - 1

    def wnid_of(self, number: Number) -> str:
        """The synset of a number.

        Raises:
            TypeError: it is a number of another numbering, or a bare integer.
            DatabaseError: there is no such class.

        >>> class_indices().wnid_of(ClassIndex(0)), kaggle_lines().wnid_of(KaggleLine(1))
        ('n01440764', 'n01440764')
        """
        if type(number) is not self.kind:
            raise TypeError(f"{number} is no {self.kind.name}")
        fault = self.fault_of(number.value)
        if fault:
            raise DatabaseError(fault)
        return self.wnids[number.value - self.kind.first]

    def number_of(self, wnid: str) -> Number:
        """The number of a synset.

        Raises:
            DatabaseError: it is no class of this numbering.
        """
        place = self._places.get(wnid)
        if place is None:
            raise DatabaseError(f"{wnid!r} is none of the {len(self.wnids)} classes")
        return self.kind(place + self.kind.first)

    def fault_of(self, value: int) -> str:
        """Why an integer is no number of this numbering; empty where it is one.

        >>> class_indices().fault_of(1000)
        '1000 is not in 0..999 of class-index: looks like ilsvrc2012-id or kaggle-line, from 1'
        """
        first, last = self.kind.first, self.last
        if first <= value <= last:
            return ""
        fault = f"{value} is not in {first}..{last} of {self.kind.name}"
        if first == 1 and value == 0:
            return f"{fault}: looks like class-index, from 0"
        if first == 0 and value == last + 1:
            return f"{fault}: looks like ilsvrc2012-id or kaggle-line, from 1"
        return fault


def class_indices(wnids: Iterable[str] | None = None) -> Numbering[ClassIndex]:
    """The numbering of torch, Keras and Caffe.

    Args:
        wnids: the classes, in any order; None for the 1,000 of ILSVRC2012.
    """
    return Numbering(ClassIndex, _sorted(wnids))


def kaggle_lines(wnids: Iterable[str] | None = None) -> Numbering[KaggleLine]:
    """The numbering of Kaggle's submissions; see `class_indices`."""
    return Numbering(KaggleLine, _sorted(wnids))


@cache
def ilsvrc2012_wnids() -> tuple[str, ...]:
    """The 1,000 classes of ILSVRC2012, sorted."""
    return tuple(files(__package__).joinpath("ilsvrc2012.txt").read_text("ascii").split())


def parse_numbering(text: str) -> type[ClassNumber]:
    """The type that a name stands for.

    Raises:
        DatabaseError: it is none of NUMBERINGS.

    >>> parse_numbering("class-index").__name__
    'ClassIndex'
    """
    kind = NUMBERINGS.get(text)
    if kind is None:
        raise DatabaseError(
            f"{text!r} is no numbering (expected {', '.join(NUMBERINGS)})", hint=EXPLANATION
        )
    return kind


def number_labels(name: str | None, path: Path | None) -> tuple[str, ...] | None:
    """The labels that the numbers of a table or a list stand for, from 0.

    Args:
        name: of a numbering of the 1,000 classes of ILSVRC2012; None for none of them.
        path: of a file with a label on each line instead.

    Returns:
        Labels, "" for a number that the numbering has not; None where no one has said.

    Raises:
        DatabaseError: the file cannot be read, or the numbering is unknown, or known to a
            development kit alone.

    >>> number_labels("kaggle-line", None)[:2]
    ('', 'n01440764')
    """
    if path is not None:
        try:
            return tuple(line.strip() for line in path.read_text("utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise DatabaseError(f"{path}: cannot be read ({error})") from error
    if name is None:
        return None
    kind = parse_numbering(name)
    if kind not in {ClassIndex, KaggleLine}:
        raise DatabaseError(
            f"--numbering {name}: only a development kit has this numbering",
            hint="name the kit's classes by --classes FILE, a label for each number from 0",
        )
    return (*[""] * kind.first, *ilsvrc2012_wnids())


def parse_number(text: str) -> int | None:
    """The integer that a label is; None for a word, a wnid, or eight digits (WordNet's offset).

    >>> parse_number("0017"), parse_number("02084071"), parse_number("-1")
    (17, None, None)
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else None


def parse_numbers(text: str, numbering: Numbering[Number], where: str) -> tuple[Number, ...]:
    r"""The numbers of a file with one on each line; blank lines do not count.

    Args:
        text: of the file.
        numbering: that it uses.
        where: the file, for the error.

    Raises:
        DatabaseError: a line is no number of the numbering; the first 20 faults, and their total.

    >>> parse_numbers("2\n1\n", kaggle_lines(), "truth.txt")
    (KaggleLine(value=2), KaggleLine(value=1))
    """
    numbers, faults = [], []
    for line, word in enumerate(text.split("\n"), 1):
        word = word.strip()
        value = parse_number(word)
        if value is not None and not (fault := numbering.fault_of(value)):
            numbers.append(numbering.kind(value))
        elif word:
            fault = f"{word[:40]!r} is no number" if value is None else fault
            faults.append(f"{where}:{line}: {fault}")
    raise_faults(where, faults)
    return tuple(numbers)


def raise_faults(where: str, faults: Sequence[str], hint: str = EXPLANATION) -> None:
    """Raise the faults of a file as one error, if there are any."""
    if not faults:
        return
    shown = "\n".join(f"  {fault}" for fault in faults[:MAX_FAULTS_SHOWN])
    rest = f", the first {MAX_FAULTS_SHOWN} of them" if len(faults) > MAX_FAULTS_SHOWN else ""
    raise DatabaseError(f"{where}: {len(faults)} faults{rest}:\n{shown}", hint=hint)


def unnamed_numbering(where: str) -> DatabaseError:
    """The error for a file of integers where no one has said which numbering it uses."""
    return DatabaseError(
        f"{where}: the labels are numbers, and nothing says of which numbering; {EXPLANATION}",
        hint="name it: --numbering class-index, --numbering kaggle-line, or the development kit",
    )


def _sorted(wnids: Iterable[str] | None) -> tuple[str, ...]:
    return ilsvrc2012_wnids() if wnids is None else tuple(sorted(wnids))
