"""The rules of docs/formats.md for submissions, written a second time: plainly, without streaming.

It shares no code with the package. A whole file goes in, and out come its guesses (and its
probabilities, or None) or the word REFUSED.
"""

from __future__ import annotations

import json
import math
import re

REFUSED = "refused"
FOREIGN = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b", b"PK\x03\x04")


class _RefusedError(Exception):
    pass


def refuse_if(condition: object) -> None:
    if condition:
        raise _RefusedError


def slow_parse(
    data: bytes,
    *,
    wnids: list[str],
    names: list[str],
    synsets: list[str],
    form: str,
    labels: str | None = None,
    version: str = "V",
    split: str = "val",
) -> object:
    """Guesses, a list of class indices for each image, and probabilities or None; or REFUSED.

    Args:
        data: the file.
        wnids: of the classes, sorted.
        names: of the images.
        synsets: the classes, then what is above them.
        form: name of the format.
        labels: wnid, class-index or kaggle-line, if the reader says so.
        version: of the challenge.
        split: that is answered.
    """
    try:
        lines = lines_of(
            data,
            8192 + 64 * len(wnids)
            if form == "jsonl"
            else 4096
            if form in {"text", "synsets"}
            else 8192,
        )
        refuse_if(len(lines) > 2 * len(names) + 1000)
        stated, lines = statements_of(lines, form)
        refuse_if(stated.get("challenge", version) != version)
        refuse_if(stated.get("split", split) != split)
        refuse_if("labels" in stated and labels not in {None, stated["labels"]})
        kind = stated.get("labels") or labels or ("kaggle-line" if form == "kaggle" else "wnid")
        refuse_if(kind not in {"wnid", "class-index", "kaggle-line"})
        refuse_if(form == "synsets" and kind != "wnid")
        first = {"class-index": 0, "kaggle-line": 1}.get(kind)
        meant = synsets if form == "synsets" else wnids
        if first is not None:
            meant = [str(first + place) for place in range(len(wnids))]
        if form in {"text", "synsets"}:
            rows = [line.split() for line in lines]
            refuse_if(len(rows) != len(names))
            refuse_if(form == "synsets" and not all(len(row) == 1 for row in rows))
            return guesses_of(rows, meant), None
        if form == "jsonl":
            return json_of(lines, names, meant, is_number=first is not None)
        return table_of(lines, names, meant, form, is_number=first is not None)
    except _RefusedError:
        return REFUSED


def lines_of(data: bytes, longest: int) -> list[bytes]:
    refuse_if(data.startswith(FOREIGN))
    refuse_if(any(byte < 32 and byte not in b"\t\n\r" for byte in data))
    refuse_if(b"\r" in data)
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    refuse_if(any(len(line) > longest for line in lines))
    return lines


def statements_of(lines: list[bytes], form: str) -> tuple[dict[str, str], list[bytes]]:
    stated: dict[str, str] = {}
    if form == "jsonl":
        found = object_of(lines[0]) if lines else None
        if found and "image" not in found:
            refuse_if(not set(found) <= {"labels", "challenge", "split"})
            refuse_if(not all(isinstance(value, str) for value in found.values()))
            return found, lines[1:]
        return {}, lines
    while lines and lines[0][:1] == b"#":
        match = re.fullmatch(rb"#[ \t]*(labels|challenge|split)[ \t]*:(.*)", lines[0], re.DOTALL)
        refuse_if(not match or match[1].decode() in stated)
        assert match
        stated[match[1].decode()] = match[2].strip(b" \t").decode("utf-8", "replace")
        lines = lines[1:]
    return stated, lines


def object_of(line: bytes) -> dict | None:
    twice = []

    def unique(pairs: list) -> dict:
        twice.extend(key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1)
        return dict(pairs)

    def constant(name: str) -> None:
        raise ValueError(name)

    try:
        found = json.loads(line.decode(), object_pairs_hook=unique, parse_constant=constant)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and not twice else None


def guesses_of(rows: list[list], meant: list[str]) -> list[list[int]]:
    guesses = []
    for row in rows:
        words = [word.decode("latin-1") if isinstance(word, bytes) else word for word in row]
        refuse_if(any(word not in meant for word in words))
        refuse_if(len(words) > 5 or len(set(words)) != len(words))
        guesses.append([meant.index(word) for word in words])
    return guesses


def table_of(
    lines: list[bytes], names: list[str], meant: list[str], form: str, *, is_number: bool
) -> object:
    refuse_if(not lines or lines[0] != b"ImageId,PredictionString")
    found = {}
    for line in lines[1:]:
        match = re.fullmatch(rb"(.*),([^,]*)", line, re.DOTALL)
        refuse_if(not match)
        assert match
        name, words = match[1], match[2].split()
        refuse_if(name in found)
        if form == "kaggle":
            refuse_if(len(words) % 5)
            for at in range(0, len(words), 5):
                box = words[at + 1 : at + 5]
                refuse_if(not all(re.fullmatch(rb"\d{1,6}(\.\d{1,6})?", each) for each in box))
                x1, y1, x2, y2 = map(float, box)
                refuse_if(x1 > x2 or y1 > y2)
            words = words[::5]
        found[name] = words
    refuse_if({name.encode() for name in names} != set(found))
    guesses = guesses_of([found[name.encode()] for name in names], meant)
    if form == "csv" and is_number:
        answered = [row for row in guesses if row]
        like_boxes = [len(row) == 5 and row[1] <= row[3] and row[2] <= row[4] for row in answered]
        refuse_if(len(answered) >= 20 and all(like_boxes))
    return guesses, None


def json_of(lines: list[bytes], names: list[str], meant: list[str], *, is_number: bool) -> object:
    found, kinds = {}, set()
    for line in lines:
        each = object_of(line)
        refuse_if(each is None)
        assert each is not None
        refuse_if(set(each) not in ({"image", "labels"}, {"image", "scores"}))
        refuse_if(not isinstance(each["image"], str) or each["image"] in found)
        kinds.add("labels" in each)
        found[each["image"]] = each.get("labels", each.get("scores"))
    refuse_if(set(found) != set(names) or len(kinds) > 1)
    ordered = [found[name] for name in names]
    if True in kinds:
        for row in ordered:
            refuse_if(not isinstance(row, list))
            refuse_if(not all(type(each) is (int if is_number else str) for each in row))
            refuse_if(any(is_number and not 0 <= each <= len(meant) for each in row))
        return guesses_of([[str(each) for each in row] for row in ordered], meant), None
    scores = []
    for row in ordered:
        refuse_if(not isinstance(row, dict) or set(row) != set(meant))
        values = [row[label] for label in meant]
        refuse_if(not all(type(value) in {int, float} and 0 <= value <= 1 for value in values))
        refuse_if(abs(math.fsum(values) - 1) > 1e-3)
        scores.append([float(value) for value in values])
    ranks = [sorted(range(len(meant)), key=lambda c: (-row[c], c))[:5] for row in scores]
    return ranks, scores
