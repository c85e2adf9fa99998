"""Submissions as JSON lines: an object for each image, with its labels or all its probabilities."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from imagetree.challenge.answers import MAX_GUESSES, ByName, guesses_of
from imagetree.challenge.metrics import guesses_from_scores

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from imagetree.challenge.answers import Task
    from imagetree.challenge.label_space import LabelSpace
    from imagetree.challenge.lines import Faults

MAX_SUM_ERROR = 1e-3
"""By which the probabilities of an image may miss 1: what rounding to six digits costs."""


def parse_json_lines(
    lines: Iterable[tuple[int, bytes]], task: Task, space: LabelSpace, faults: Faults
) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
    """Guesses, and probabilities where the objects give these: all of them or none.

    An object has `image` and either `labels`, a list of up to five, best first, or `scores`, an
    object with the probability of every class; equal ones are ordered by class index.
    """
    images = ByName(task, faults)
    rows: list[list[int]] = [[] for _ in range(task.num_images)]
    scores: NDArray[np.float32] | None = None
    kind = ""
    for number, line in lines:
        found, fault = parse_object(line)
        fault = fault or _fault_of_keys(found, kind)
        if fault:
            faults.add(number, fault)
            continue
        kind = kind or ("scores" if "scores" in found else "labels")
        place = images.place_of(found["image"], number)
        if place is None:
            continue
        if kind == "labels":
            rows[place] = _labels(found["labels"], number, space, faults)
            continue
        row = _probabilities(found["scores"], number, space, faults)
        if row is not None:
            if scores is None:
                scores = np.zeros((task.num_images, len(space.wnids)), dtype=np.float32)
            scores[place] = row
            most = min(MAX_GUESSES, len(row))
            rows[place] = guesses_from_scores(row[None], most)[0].tolist()
    images.check_all_seen()
    return guesses_of(rows, MAX_GUESSES), scores


def parse_object(line: bytes) -> tuple[dict[str, Any], str]:
    """The object on a line, and why there is none: a key that is there twice, NaN, no JSON.

    >>> parse_object(b'{"image": "a"}')
    ({'image': 'a'}, '')
    >>> parse_object(b'{"image": NaN}')
    ({}, 'NaN is no number of JSON (expected a finite one)')
    """
    try:
        found = json.loads(
            line.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        return {}, f"no JSON at character {error.pos + 1}: {error.msg.lower()}"
    except UnicodeDecodeError as error:
        return {}, f"no UTF-8 at byte {error.start + 1}"
    except RecursionError:
        return {}, "objects or lists too deep in each other"
    except ValueError as error:
        return {}, str(error)
    if not isinstance(found, dict):
        return {}, "no JSON object (expected one for each image)"
    return found, ""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:40]!r} is there twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON (expected a finite one)")


def _fault_of_keys(found: dict[str, Any], kind: str) -> str:
    """Why an object is none of a submission whose first object had labels, or scores."""
    keys = found.keys() - {"image"}
    if not isinstance(found.get("image"), str):
        return "no image (expected its name as a text under the key 'image')"
    if keys not in ({"labels"}, {"scores"}):
        shown = ", ".join(sorted(key[:40] for key in keys)) or "none"
        return f"the keys beside image are {shown} (expected either labels or scores)"
    if kind and kind not in keys:
        return f"{keys.pop()} where the lines before have {kind}"
    return ""


def _labels(value: Any, line: int, space: LabelSpace, faults: Faults) -> list[int]:
    """Guesses of a list of wnids, or of whole numbers where these are the labels."""
    kind = str if space.numbering is None else int
    if not isinstance(value, list) or not all(type(each) is kind for each in value):
        what = "texts" if kind is str else f"whole numbers, {space.kind}"
        faults.add(line, f"labels: no list of {what}")
        return []
    try:
        words = [str(each) for each in value]
    except ValueError:  # more digits than Python writes
        faults.add(line, "labels: a number of thousands of digits")
        return []
    return space.read(words, MAX_GUESSES, line, faults)


def _probabilities(
    value: Any, line: int, space: LabelSpace, faults: Faults
) -> NDArray[np.float64] | None:
    """Probabilities in the order of the classes; float64 (K,)."""
    if not isinstance(value, dict):
        faults.add(line, "scores: no object with a probability for each class")
        return None
    unknown = [label for label in value if label not in space.index]
    if unknown:
        space.read(unknown[:1], 1, line, faults)
        return None
    if len(value) < len(space.wnids):
        missing = len(space.wnids) - len(value)
        faults.add(line, f"scores: {missing:,} classes are missing (expected all)")
        return None
    fault = next((text for each in value.values() if (text := _fault_of_score(each))), "")
    row = np.zeros(len(space.wnids))
    if not fault:
        row[[space.index[label] for label in value]] = list(value.values())
        if abs(row.sum() - 1) > MAX_SUM_ERROR:
            fault = f"their sum is {row.sum():.6g} (expected 1)"
    if fault:
        faults.add(line, f"scores: {fault}")
        return None
    return row


def _fault_of_score(value: Any) -> str:
    if type(value) not in (int, float):
        return f"{str(value)[:40]!r} is no number"
    if not 0 <= value <= 1:
        return (
            "a value is infinite (expected probabilities)"
            if value in (float("inf"), float("-inf"))
            else ("a value is not in 0..1 (expected probabilities)")
        )
    return ""
