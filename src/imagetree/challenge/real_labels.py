"""ReaL: labels that people gave ILSVRC2012's val images afterwards, all that fit an image.

The file is a JSON list with a list for each of the 50,000 images in the order of their names: class
indices in the sorted wnids of the 1,000 classes. 3,163 lists are empty, and these images are not
scored; 7,443 have several labels. A first guess is right if it is one of an image's labels.
Source: Beyer, Henaff, Kolesnikov, Zhai and van den Oord, Are we done with ImageNet?, 2020.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imagetree.challenge.bootstrap import mean_interval
from imagetree.errors import ChallengeError
from imagetree.sources.numbering import ilsvrc2012_wnids

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from imagetree.challenge.bootstrap import Interval

MAX_BYTES = 16 << 20
"""Longest file of labels; the published one has half a megabyte."""
_IMAGE = re.compile(r"ILSVRC2012_val_([0-9]{8})")
_HINT = "name the file that was published, a list of 50,000 lists: --real real.json"


@dataclass(frozen=True)
class RealScore:
    """Error of the first guesses by the reassessed labels.

    Args:
        num_images: of the split.
        num_scored: those with a label that is a class of the challenge.
        num_several: of these, with several.
        num_unlabelled: whose list is empty; not scored.
        num_elsewhere: all of whose labels are no class of the challenge; not scored, as no answer
            could be right.
        error: of the scored images, a fraction.
        interval: of the error, with 99.9 % confidence.
    """

    num_images: int
    num_scored: int
    num_several: int
    num_unlabelled: int
    num_elsewhere: int
    error: float
    interval: Interval


def load_real_labels(path: Path) -> tuple[frozenset[str], ...]:
    """Read a file of reassessed labels.

    Returns:
        The wnids of each val image, in the order of their names.

    Raises:
        ChallengeError: it cannot be read, or is no list of lists of class indices.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        rows = json.loads(data) if len(data) <= MAX_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise ChallengeError(f"{path}: cannot be read ({error})", hint=_HINT) from error
    if not isinstance(rows, list):
        raise ChallengeError(f"{path}: no JSON list of lists with class indices", hint=_HINT)
    wnids = ilsvrc2012_wnids()
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or not all(
            type(label) is int and 0 <= label < len(wnids) for label in row
        ):
            raise ChallengeError(
                f"{path}: image {number} has no list of class indices in 0..{len(wnids) - 1}",
                hint=_HINT,
            )
    return tuple(frozenset(wnids[label] for label in row) for row in rows)


def score_real(
    guesses: NDArray[np.int64],
    names: Sequence[str],
    wnids: Sequence[str],
    labels: Sequence[frozenset[str]],
) -> RealScore:
    """Score first guesses by reassessed labels.

    Args:
        guesses: labels, best first, of which the first counts; int64 (N, G), NO_GUESS for none.
        names: of the images, ILSVRC2012_val_00000001 and so on, in their order.
        wnids: that the guesses are places of; guesses above them are never right.
        labels: of `load_real_labels`.

    Raises:
        ChallengeError: an image is none of ILSVRC2012's val, or no image is to be scored.
    """
    class_index = {wnid: index for index, wnid in enumerate(wnids)}
    sets = [labels[_place(name, len(labels))] for name in names]
    known = [{class_index[wnid] for wnid in each if wnid in class_index} for each in sets]
    is_miss = [
        guess not in each for guess, each in zip(guesses[:, 0].tolist(), known, strict=True) if each
    ]
    if not is_miss:
        raise ChallengeError("none of the images has a reassessed label that is a class")
    misses = np.array(is_miss)
    num_unlabelled = sum(not each for each in sets)
    return RealScore(
        num_images=len(names),
        num_scored=len(misses),
        num_several=sum(len(each) > 1 for each in known),
        num_unlabelled=num_unlabelled,
        num_elsewhere=len(names) - len(misses) - num_unlabelled,
        error=float(misses.mean()),
        interval=mean_interval(misses),
    )


def _place(name: str, num_images: int) -> int:
    found = _IMAGE.fullmatch(name)
    if not found or not 1 <= int(found[1]) <= num_images:
        raise ChallengeError(
            f"{name[:80]!r} is no image of ILSVRC2012's val with a reassessed label "
            f"(expected ILSVRC2012_val_00000001 to {num_images:08})",
            hint="score without --real",
        )
    return int(found[1]) - 1
