"""The formats of submissions, each with its one parser.

A parser takes the lines of a file behind its statements and gives guesses. It notes every fault and
goes on to the next line, and accepts nothing that the format does not say.
Sources: readme.txt of ILSVRC2012's development kit, "Submission format", for text; Kaggle's
imagenet-object-localization-challenge, LOC_sample_submission.csv, for the tables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetree.challenge.answers import MAX_GUESSES, ByName, guesses_of
from imagetree.challenge.json_lines import parse_json_lines
from imagetree.challenge.label_space import WNID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from imagetree.challenge.answers import Task
    from imagetree.challenge.label_space import LabelSpace
    from imagetree.challenge.lines import Faults

    Lines = Iterable[tuple[int, bytes]]
    Parsed = tuple[NDArray[np.int64], NDArray[np.float32] | None]
    Parser = Callable[[Lines, Task, LabelSpace, Faults], Parsed]

_HEADER = b"ImageId,PredictionString"
_GROUP = 5  # a label and the four corners of its box
_COORDINATE = re.compile(rb"[0-9]{1,6}(\.[0-9]{1,6})?")
_MAX_SHOWN = 40
_BOXES_TO_BE_SURE = 20  # of random labels one row in four could be a box


@dataclass(frozen=True)
class Format:
    """A format of submissions.

    Args:
        name: as users write it.
        endings: of file names that are taken for it.
        what: a line about it.
        labels: what its labels are where nothing else is said.
        example: lines of it.
        parse: its parser.
        line_bytes: of its longest line: so many, and so many more for each class.
    """

    name: str
    endings: tuple[str, ...]
    what: str
    labels: str
    example: str
    parse: Parser
    line_bytes: tuple[int, int]


def parse_text(lines: Lines, task: Task, space: LabelSpace, faults: Faults) -> Parsed:
    """A line for each image in their order: up to five labels, parted by blanks."""
    rows = [
        space.read(line.split(), MAX_GUESSES, number, faults)
        for number, line in _counted(lines, task, faults)
    ]
    return guesses_of(rows, MAX_GUESSES), None


def parse_synsets(lines: Lines, task: Task, space: LabelSpace, faults: Faults) -> Parsed:
    """A line for each image in their order: one synset, a class or any above classes."""
    rows = []
    for number, line in _counted(lines, task, faults):
        words = line.split()
        if not words:
            faults.add(number, "no synset (one that says nothing is entity, n00001740)")
        rows.append(space.read(words, 1, number, faults))
    return guesses_of(rows, 1), None


def parse_csv(lines: Lines, task: Task, space: LabelSpace, faults: Faults) -> Parsed:
    """Kaggle's table with labels alone: ImageId,PredictionString."""
    rows: list[list[int]] = [[] for _ in range(task.num_images)]
    for number, place, words in _iter_csv(lines, task, faults):
        rows[place] = space.read(words, MAX_GUESSES, number, faults)
    guesses = guesses_of(rows, MAX_GUESSES)
    if space.kind != WNID and _look_like_boxes(guesses):
        faults.add(None, "the labels look like a label and its box each: --format kaggle")
    return guesses, None


def parse_kaggle(lines: Lines, task: Task, space: LabelSpace, faults: Faults) -> Parsed:
    """Kaggle's table with a box behind each label; boxes are checked and not scored."""
    rows: list[list[int]] = [[] for _ in range(task.num_images)]
    for number, place, words in _iter_csv(lines, task, faults):
        fault = _fault_of_groups(words)
        if fault:
            faults.add(number, fault)
        else:
            rows[place] = space.read(words[::_GROUP], MAX_GUESSES, number, faults)
    return guesses_of(rows, MAX_GUESSES), None


def _counted(lines: Lines, task: Task, faults: Faults) -> Iterator[tuple[int, bytes]]:
    """The lines that answer an image; a wrong number of them is noted."""
    count = last = 0
    for number, line in lines:
        count += 1
        if count <= task.num_images:
            last = number
            yield number, line
    if count != task.num_images:  # where the first is missing, or the first is too many
        fault = f"{count:,} lines (expected one for each of {task.num_images:,} images)"
        faults.add(last + 1, fault)


def _iter_csv(lines: Lines, task: Task, faults: Faults) -> Iterator[tuple[int, int, list[bytes]]]:
    """Line number, place of the image, and words of its prediction."""
    images = ByName(task, faults)
    rest = iter(lines)
    number, header = next(rest, (1, b""))
    if header != _HEADER:
        faults.add(number, f"{_shown(header)} (expected the header {_HEADER.decode()})")
    for number, line in rest:
        name, comma, prediction = line.rpartition(b",")
        if not comma:
            faults.add(number, "no comma (expected an image, a comma, its labels)")
            continue
        place = images.place_of(name, number)
        if place is not None:
            yield number, place, prediction.split()
    images.check_all_seen()


def _fault_of_groups(words: list[bytes]) -> str:
    """Why words are not labels with a box behind each; empty where they are."""
    if len(words) % _GROUP:
        return (
            f"{len(words)} words (expected a label and the four numbers of its box, up to "
            "five times; labels alone are --format csv)"
        )
    for at in range(0, len(words), _GROUP):
        box = words[at + 1 : at + _GROUP]
        if not all(map(_COORDINATE.fullmatch, box)):
            return f"{_shown(b' '.join(box))} is no box (expected left, top, right, bottom)"
        left, top, right, bottom = map(float, box)
        if left > right or top > bottom:
            return f"{_shown(b' '.join(box))} is no box: it ends before it begins"
    return ""


def _shown(data: bytes) -> str:
    return repr(data[:_MAX_SHOWN].decode("utf-8", "replace"))


def _look_like_boxes(guesses: NDArray[np.int64]) -> bool:
    """Whether all rows could be one label and a box, which random labels never are."""
    answered = guesses[(guesses >= 0).any(axis=1)]
    _, left, top, right, bottom = answered.T
    is_box = (answered >= 0).all(axis=1) & (left <= right) & (top <= bottom)
    return len(answered) >= _BOXES_TO_BE_SURE and bool(is_box.all())


FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format(
            name="text",
            endings=(".txt",),
            what="a line for each image, in the order of the split: up to five labels, best first; "
            "an empty line is no guess",
            labels=WNID,
            example="n02084071 n02121808\nn02121808\n",
            parse=parse_text,
            line_bytes=(4096, 0),
        ),
        Format(
            name="csv",
            endings=(".csv",),
            what="images in any order, each with up to five labels, best first",
            labels=WNID,
            example="ImageId,PredictionString\nval_1,n02084071 n02121808\nval_2,n02121808\n",
            parse=parse_csv,
            line_bytes=(8192, 0),
        ),
        Format(
            name="kaggle",
            endings=(),
            what="as csv, with a box behind each label: left, top, right, bottom; boxes are "
            "checked and not scored",
            labels="kaggle-line",
            example="ImageId,PredictionString\nval_1,1 10 20 99 95 2 0 0 60 60\nval_2,2 5 5 9 9\n",
            parse=parse_kaggle,
            line_bytes=(8192, 0),
        ),
        Format(
            name="jsonl",
            endings=(".jsonl", ".ndjson"),
            what="an object for each image, in any order: its labels, or the probabilities of all "
            "classes",
            labels=WNID,
            example='{"image": "val_1", "scores": {"n02084071": 0.75, "n02121808": 0.25}}\n',
            parse=parse_json_lines,
            line_bytes=(8192, 64),
        ),
        Format(
            name="synsets",
            endings=(),
            what="hierarchical answers: a line for each image, in the order of the split, with one "
            "synset, a class or any above classes",
            labels=WNID,
            example="n02084071\nn02075296\n",
            parse=parse_synsets,
            line_bytes=(4096, 0),
        ),
    )
}
"""By the names that users write."""
