"""Submissions: what is written is read back, and every fault is named with its line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetree.challenge.metrics import NO_GUESS
from imagetree.challenge.submission import parse_submission, render_submission
from imagetree.errors import ChallengeError

WNIDS = [f"n{number:08}" for number in range(1, 8)]


@given(st.lists(st.lists(st.integers(0, 6), max_size=5, unique=True), min_size=1, max_size=20))
def test_round_trip(rows: list[list[int]]) -> None:
    """Parse(render(x)) = x, empty answers included."""
    guesses = np.array([row + [NO_GUESS] * (5 - len(row)) for row in rows], dtype=np.int64)
    text = render_submission(guesses, WNIDS)
    assert np.array_equal(parse_submission(text, WNIDS, len(rows)), guesses)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n00000001\n", "entry: 1 lines .expected one for each of 2 images."),
        ("n00000001\nn00000001\n\n", "entry: 3 lines"),
        ("n00000001\nn00000009\n", "entry:2: 'n00000009' is no class of this challenge"),
        ("n00000001\n17\n", "entry:2: '17' is no class .*expected a wnid"),
        ("n00000001\nn00000002 n00000002\n", "entry:2: a class is guessed twice"),
        (f"n00000001\n{' '.join(WNIDS[:6])}\n", "entry:2: 6 guesses .expected at most 5."),
    ],
)
def test_faults(text: str, message: str) -> None:
    with pytest.raises(ChallengeError, match=message):
        parse_submission(text, WNIDS, 2, name="entry")


def test_first_twenty_faults_are_listed() -> None:
    with pytest.raises(
        ChallengeError, match=r"(?s)entry:1: .*entry:20: .*30 faults in all"
    ) as info:
        parse_submission("x\n" * 30, WNIDS, 30, name="entry")
    assert "entry:21" not in str(info.value)
