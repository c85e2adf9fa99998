"""ILSVRC's development kits of 2010 to 2012 as a challenge: submissions scored by their own rules.

Submissions and truth are in the kit's numbering, ids from 1. The rules, where they differ from our
own (`submission`, `score`): a line may have any number of labels, of which those behind the k-th do
not count; 0 is no guess, and a short line is filled up with it; a line of the truth may have
several labels, and its error is the mean over them; the numbers of lines must agree.
Sources: readme.txt of the kits of 2010 and 2012, "Evaluation"; evaluation/eval_flat.m, eval_hie.m.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from imagetree.errors import ChallengeError
from imagetree.sources.devkit import parse_devkit, read_kit_files, truth_file_name
from imagetree.sources.numbering import parse_number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from imagetree.sources.devkit import Devkit, KitSynset

MAX_GUESSES = 5
_NONE = 0
"""No guess, as MATLAB fills a matrix up whose lines are short."""
_MAX_LABELS = 100
_MAX_CLASSES = 10_000
_MAX_BYTES = 256 << 20
_MAX_FAULTS = 20
_HINT = "a line holds ids of the kit's classes, best first, parted by blanks; see its readme.txt"


@dataclass(frozen=True)
class OfficialKit:
    """A development kit and the truth of its validation images.

    Args:
        devkit: synsets, numbering and, for 2010, costs.
        truth: ids of the labels of each image in the order of their names, filled up with 0;
            int64 (N, M); N = 0 where the kit has none.
    """

    devkit: Devkit
    truth: NDArray[np.int64]

    @cached_property
    def costs(self) -> NDArray[np.uint8]:
        """Hierarchical cost of each pair of classes in levels, by id less one; uint8 (K, K).

        The kit's own matrix, or where it has none the one that follows from its synsets.
        """
        given = self.devkit.cost_matrix
        return costs_of(self.devkit.synsets) if given is None else given


@dataclass(frozen=True)
class OfficialScore:
    """What a submission reached by a kit's rules.

    Args:
        year: of the kit.
        num_images: in the truth.
        flat: mean error of the first 1, 2, ..., 5 guesses, as fractions.
        hierarchical: the same in levels of the hierarchy; the criterion of 2010. (2011 divides it
            by the height of entity, 2012 has none.)
    """

    year: int
    num_images: int
    flat: tuple[float, ...]
    hierarchical: tuple[float, ...]


def load_official(path: Path, *, truth: Path | None = None) -> OfficialKit:
    """Read a kit, and its truth with several labels a line where it has them.

    Args:
        path: the kit's `.tar.gz`, its folder, or its `meta.mat`.
        truth: a file of its own for the truth; that of the kit if None.

    Raises:
        DatabaseError: the kit cannot be read, is of another year, or contradicts itself.
        ChallengeError: a line of the truth is empty, or a label is the id of no class.
    """
    files = read_kit_files(path)
    meta = {name: data for name, data in files.items() if "ground_truth" not in name}
    devkit = parse_devkit(path, meta)
    name = truth_file_name(devkit.year)
    text = files.get(name, b"").decode("ascii", "replace") if truth is None else _read(truth)
    where = str(truth or f"{path}: {name}")
    return OfficialKit(devkit, _parse_truth(text, devkit.numbering.last, where))


def score_official(kit: OfficialKit, path: Path) -> OfficialScore:
    """Score a submission's file by the rules of a kit.

    Args:
        kit: with its truth.
        path: ids of classes, best first, a line for each validation image in the order of names.

    Raises:
        ChallengeError: the kit has no truth, the file cannot be read, its number of lines is wrong,
            or a label is the id of no class.
    """
    return score_text(kit, _read(path), str(path))


def score_text(kit: OfficialKit, text: str, where: str = "submission") -> OfficialScore:
    """Score the text of a submission; see `score_official`.

    Args:
        kit: with its truth.
        text: of the submission.
        where: what to call it in errors.
    """
    if not len(kit.truth):
        raise ChallengeError(
            f"{kit.devkit.path}: no {truth_file_name(kit.devkit.year)} is in it",
            hint="name the file with the truth: --truth FILE",
        )
    rows = _parse_lines(text, kit.devkit.numbering.last, where)
    if len(rows) != len(kit.truth):
        raise ChallengeError(
            f"{where}: {len(rows)} lines (expected one for each of {len(kit.truth)} images)",
            hint=_HINT,
        )
    guesses = _filled([row[:MAX_GUESSES] for row in rows], MAX_GUESSES)
    flat, hierarchical = (
        tuple(_mean_error(guesses[:, :k], kit.truth, costs) for k in range(1, MAX_GUESSES + 1))
        for costs in (_flat_costs(len(kit.costs)), kit.costs)
    )
    return OfficialScore(kit.devkit.year, len(rows), flat, hierarchical)


def costs_of(synsets: Sequence[KitSynset]) -> NDArray[np.uint8]:
    """The hierarchical costs that follow from a kit's synsets alone.

    The cost of two classes is the least height among the synsets that both are below, 0 for the
    same class. With the synsets of 2010 it is the kit's `cost_matrix`.

    Args:
        synsets: in the order of their ids, the classes first.

    Returns:
        Levels, symmetric; uint8 (K, K).

    Raises:
        ChallengeError: two classes have nothing in common, a height is not in 0..255, or there are
            more than 10,000 classes.
    """
    num_classes = sum(not synset.children for synset in synsets)
    heights = np.array([synset.wordnet_height for synset in synsets], dtype=np.int64)
    if num_classes > _MAX_CLASSES:
        raise ChallengeError(f"{num_classes} classes (expected at most {_MAX_CLASSES})")
    if not ((heights >= 0) & (heights <= 255)).all():
        raise ChallengeError("a wordnet_height of the kit is not in 0..255")
    below = _classes_below(synsets, num_classes)
    costs = np.zeros((num_classes, num_classes), dtype=np.uint8)
    has_common = np.eye(num_classes, dtype=bool)
    for place in np.argsort(-heights, kind="stable"):  # the least height is written last
        members = np.flatnonzero(below[place])
        costs[np.ix_(members, members)] = heights[place]
        has_common[np.ix_(members, members)] = True
    np.fill_diagonal(costs, 0)
    if not has_common.all():
        first, second = (synsets[place].wnid for place in np.argwhere(~has_common)[0])
        raise ChallengeError(f"{first} and {second} are below no common synset of the kit")
    return costs


def _classes_below(synsets: Sequence[KitSynset], num_classes: int) -> NDArray[np.bool_]:
    """Which classes are below each synset, or are it; bool (S, K).

    Found by passing on until nothing is new, which ends even where a kit's children run in circles.
    """
    below = np.zeros((len(synsets), num_classes), dtype=bool)
    below[np.arange(num_classes), np.arange(num_classes)] = True
    edges = [(s.id.value - 1, child.value - 1) for s in synsets for child in s.children]
    found = -1
    while found != (found := int(below.sum())):
        for parent, child in edges:
            below[parent] |= below[child]
    return below


def _mean_error(
    guesses: NDArray[np.int64], truth: NDArray[np.int64], costs: NDArray[np.uint8]
) -> float:
    """Mean over images of the mean over labels of the least cost of a guess."""
    total = np.zeros(len(truth))
    for labels in truth.T:
        cost = np.where(guesses == _NONE, costs.max(), costs[labels[:, None] - 1, guesses - 1])
        total += np.where(labels == _NONE, 0, cost.min(axis=1))
    return float((total / (truth != _NONE).sum(axis=1)).mean())


def _flat_costs(num_classes: int) -> NDArray[np.uint8]:
    return np.uint8(1) - np.eye(num_classes, dtype=np.uint8)


def _parse_truth(text: str, last: int, where: str) -> NDArray[np.int64]:
    rows = _parse_lines(text, last, where)
    for number, row in enumerate(rows, 1):
        if _NONE in row or not row:
            raise ChallengeError(f"{where}:{number}: an image without a label", hint=_HINT)
    return _filled(rows, max(map(len, rows), default=1))


def _parse_lines(text: str, last: int, where: str) -> list[list[int]]:
    """The ids on each line; the last line may or may not be ended."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    rows, faults = [], []
    for number, line in enumerate(lines, 1):
        words = line.split()
        values = [parse_number(word) for word in words[:_MAX_LABELS]]
        wrong = [w for w, v in zip(words, values, strict=False) if v is None or v > last]
        if len(words) > _MAX_LABELS:
            faults.append(f"{where}:{number}: {len(words)} labels (expected 1 to {_MAX_LABELS})")
        elif wrong:
            faults.append(f"{where}:{number}: {wrong[0][:40]!r} is no id (expected 1 to {last})")
        rows.append([value for value in values if value is not None])
    if faults:
        rest = [f"... {len(faults)} faults in all"] if len(faults) > _MAX_FAULTS else []
        raise ChallengeError("\n".join([*faults[:_MAX_FAULTS], *rest]), hint=_HINT)
    return rows


def _filled(rows: list[list[int]], width: int) -> NDArray[np.int64]:
    """Rows of like length; int64 (N, width)."""
    filled = [row + [_NONE] * (width - len(row)) for row in rows]
    return np.array(filled, dtype=np.int64).reshape(len(rows), width)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ChallengeError(f"{path}: cannot be read ({error.strerror})") from error
    if len(data) > _MAX_BYTES:
        raise ChallengeError(f"{path}: more than {_MAX_BYTES} bytes")
    return data.decode("utf-8", "replace")
