"""Submissions of any kind: what is accepted means what the rules say, the rest is refused.

FUZZ_TIMES=40 in the environment makes forty times as many examples, which takes minutes.
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from .slow_parser import slow_parse
from .task import FORMATS, LABELS, NAMES, REFUSED, SYNSETS, WNIDS, agree, ours

TIMES = int(os.environ.get("FUZZ_TIMES", "1"))
RULES = {"wnids": list(WNIDS), "names": list(NAMES), "synsets": list(SYNSETS)}
NUMBERED_FROM = {"class-index": 0, "kaggle-line": 1}
SHARES = st.lists(st.integers(0, 9), min_size=8, max_size=8).filter(any)
BOXES = st.sampled_from(["1 2 30 4.5", "0 0 0 0", "17 20 499.999999 999999"])


class File(NamedTuple):
    """A submission and how it is read."""

    data: bytes
    form: str
    labels: str | None


def check(file: File) -> object:
    """What ours makes of a file, which is what the slow parser does."""
    mine = ours(*file)
    slow = slow_parse(file.data, form=file.form, labels=file.labels, **RULES)
    assert agree(mine, slow), f"{mine} where the rules say {slow}"
    return mine


def objects(draw: st.DrawFn, rows: list[list[str]], kind: str) -> list[str]:
    """JSON lines with labels, or with probabilities of all classes."""
    if draw(st.booleans()):
        lists = [list(map(int, row)) if kind in NUMBERED_FROM else row for row in rows]
        return [json.dumps({"image": n, "labels": r}) for n, r in zip(NAMES, lists, strict=True)]
    labels = [str(NUMBERED_FROM[kind] + i) for i in range(8)] if kind in NUMBERED_FROM else WNIDS
    lines = []
    for name in NAMES:
        shares = draw(SHARES)
        scores = [share / sum(shares) for share in shares]
        pairs = draw(st.permutations(list(zip(labels, scores, strict=True))))
        lines.append(json.dumps({"image": name, "scores": dict(pairs)}, ensure_ascii=False))
    return lines


@st.composite
def good_files(draw: st.DrawFn) -> File:
    """A file without a fault, of any format, with any labels, that may state what it is."""
    form = draw(st.sampled_from(FORMATS))
    kind = "wnid" if form == "synsets" else draw(st.sampled_from(["wnid", *NUMBERED_FROM]))
    first = NUMBERED_FROM.get(kind)
    labels = WNIDS if first is None else [str(first + place) for place in range(8)]
    some = st.lists(st.sampled_from(labels), max_size=5, unique=True)
    if form == "synsets":
        some = st.lists(st.sampled_from(SYNSETS), min_size=1, max_size=1)
    rows = draw(st.lists(some, min_size=4, max_size=4))
    if form == "jsonl":
        lines = draw(st.permutations(objects(draw, rows, kind)))
    elif form in {"text", "synsets"}:
        blank = draw(st.sampled_from([" ", "  ", "\t"]))
        lines = [blank.join(row) for row in rows]
    else:
        behind = f" {draw(BOXES)}" if form == "kaggle" else ""
        words = [" ".join(label + behind for label in row) for row in rows]
        lines = [f"{name},{text}" for name, text in zip(NAMES, words, strict=True)]
        lines = ["ImageId,PredictionString", *draw(st.permutations(lines))]
    is_usual = kind == ("kaggle-line" if form == "kaggle" else "wnid")
    told = draw(st.sampled_from(["in the file", "by the reader"]))
    stated = {"labels": kind} if told == "in the file" and not is_usual else {}
    stated |= draw(st.sampled_from([{}, {"challenge": "V"}, {"split": "val", "challenge": "V"}]))
    if form == "jsonl":
        lines = [*([json.dumps(stated)] if stated else []), *lines]
    else:
        lines = [*(f"# {key}: {value}" for key, value in stated.items()), *lines]
    # an empty last line is one only if it is ended
    last = "\n" if not lines[-1] or draw(st.booleans()) else ""
    data = ("\n".join(lines) + last).encode()
    return File(data, form, None if is_usual or "labels" in stated else kind)


@settings(max_examples=300 * TIMES, deadline=None)
@given(good_files())
def test_good_files_are_accepted(file: File) -> None:
    assert check(file) != REFUSED


PIECES = st.one_of(
    st.binary(max_size=4),
    st.sampled_from([wnid.encode() for wnid in (*WNIDS, *SYNSETS[-3:])]),
    st.sampled_from([name.encode() for name in NAMES]),
    st.sampled_from(
        [
            *(b" ", b"\t", b"\n", b"\r\n", b"\r", b"\x00", b",", b"#", b'"', b"\xef\xbb\xbf"),
            *(b"NaN", b"1e999", b"-0.1", b"1.5", b"true", b"null", b"[]", b"{}", b"0", b"9", b"00"),
            *(b"# split: train\n", b"# challenge: W\n", b"# labels: class-index\n", b"\xff", b"e"),
            b'"labels": [], ',
        ]
    ),
)


@pytest.mark.slow
@settings(max_examples=800 * TIMES, deadline=None)
@given(good_files(), st.data())
def test_damaged_files(file: File, data: st.DataObject) -> None:
    """Once or twice a stretch of bytes is taken out and others are put in its place."""
    whole = file.data
    for _ in range(data.draw(st.integers(1, 2))):
        start = data.draw(st.integers(0, len(whole)))
        end = data.draw(st.integers(start, min(len(whole), start + 10)))
        whole = whole[:start] + data.draw(PIECES) + whole[end:]
    check(file._replace(data=whole))


@pytest.mark.slow
@settings(max_examples=300 * TIMES, deadline=None)
@given(good_files(), st.data())
def test_lines_lost_doubled_or_moved(file: File, data: st.DataObject) -> None:
    lines = file.data.split(b"\n")
    order = st.lists(st.integers(0, len(lines) - 1), max_size=len(lines) + 2)
    check(file._replace(data=b"\n".join(lines[i] for i in data.draw(order))))


@settings(max_examples=300 * TIMES, deadline=None)
@given(good_files(), st.sampled_from(FORMATS), st.sampled_from(LABELS))
def test_files_read_as_what_they_are_not(file: File, form: str, labels: str | None) -> None:
    check(File(file.data, form, labels))


@settings(max_examples=300 * TIMES, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.dictionaries(
                st.sampled_from(WNIDS),
                st.one_of(
                    st.floats(),
                    st.sampled_from([0, 1, True, None, "1", 10**400, 1e-320, 0.5, 0.999, 1.001]),
                ),
                min_size=7,
            ),
        ),
        max_size=5,
    )
)
def test_scores_of_any_kind(rows: list[tuple[str, dict[str, object]]]) -> None:
    text = "".join(json.dumps({"image": n, "scores": s}) + "\n" for n, s in rows)
    check(File(text.encode(), "jsonl", None))


@settings(max_examples=300 * TIMES, deadline=None)
@given(st.binary(max_size=80), st.sampled_from(FORMATS), st.sampled_from(LABELS))
@example(b"", "text", None)
@example(b"\n\n\n\n", "text", None)
@example(b"{}", "jsonl", None)
@example(b"[" * 5000, "jsonl", None)
@example(b'{"image":"val_1","labels":[%s]}' % (b"9" * 5000), "jsonl", "class-index")
def test_any_bytes(data: bytes, form: str, labels: str | None) -> None:
    check(File(data, form, labels))
