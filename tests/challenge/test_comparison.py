"""Two entries on the same images: the difference, its interval, the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import binomtest

from imagetree.challenge.bootstrap import mean_interval
from imagetree.challenge.comparison import compare_entries
from imagetree.challenge.score import mark_submission
from imagetree.errors import ChallengeError

from .samples import WNIDS, in_turn, write_challenge, write_entry

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.challenge.score import Marked


def marked(folder: Path, num_wrong: int, name: str, per_class: int = 20) -> Marked:
    """An entry whose first so many images are answered with another class, its own second."""
    challenge = write_challenge(folder / f"challenge{per_class}", per_class)
    rows = []
    for place, (_, wnid) in enumerate(challenge.read_split("val")):
        other = WNIDS[(WNIDS.index(wnid) + 1) % 5]
        rows.append([other, wnid] if place < num_wrong else in_turn(wnid))
    return mark_submission(challenge, write_entry(folder / name, rows))


def test_a_better_entry_is_found_better(tmp_path: Path) -> None:
    first, second = marked(tmp_path, 10, "a.txt"), marked(tmp_path, 40, "b.txt")
    top1, top5 = compare_entries(first, second)
    assert (top1.first_error, top1.second_error) == (0.1, 0.4)
    assert top1.difference == pytest.approx(-0.3)
    assert (top1.only_first, top1.only_second) == (30, 0)
    assert top1.p_value == pytest.approx(binomtest(30, 30).pvalue)
    assert top1.interval == mean_interval(first.misses() - 1.0 * second.misses())
    assert top1.interval.high < 0
    assert top1.hierarchical_difference < 0
    assert top1.hierarchical_interval.high < 0
    assert top1.is_significant
    assert (top5.k, top5.difference, top5.p_value, top5.is_significant) == (5, 0, 1, False)
    assert (top5.hierarchical_difference, top5.hierarchical_interval) == (0, (0, 0))


def test_the_other_way_round_the_signs_change(tmp_path: Path) -> None:
    first, second = marked(tmp_path, 10, "a.txt"), marked(tmp_path, 14, "b.txt")
    there, back = (compare_entries(*pair)[0] for pair in ((first, second), (second, first)))
    assert there.difference == -back.difference
    assert (there.only_first, there.p_value) == (back.only_second, back.p_value)
    assert not there.is_significant
    assert there.interval.low < 0 <= there.interval.high


def test_pairing_sees_what_two_intervals_do_not(tmp_path: Path) -> None:
    """Intervals of 30 % and 42 % of 100 images overlap, but B is never right where A is not."""
    first, second = marked(tmp_path, 30, "a.txt"), marked(tmp_path, 42, "b.txt")
    alone = [mean_interval(each.misses()) for each in (first, second)]
    assert alone[0].high > alone[1].low
    (found,) = compare_entries(first, second, (1,))
    assert found.is_significant
    assert found.interval.high < 0


def test_entries_to_different_images_are_refused(tmp_path: Path) -> None:
    first, second = marked(tmp_path, 1, "a.txt"), marked(tmp_path, 1, "b.txt", per_class=3)
    with pytest.raises(ChallengeError, match="answer different images"):
        compare_entries(first, second)
    assert not np.array_equal(first.truth, second.truth)
