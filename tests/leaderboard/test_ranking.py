"""Who is where: order, ties, ranks that are shared, the best entry of a team."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from imagetree.challenge.bootstrap import CONFIDENCE, compare_misses
from imagetree.leaderboard.boards import close_board
from imagetree.leaderboard.entries import withdraw
from imagetree.leaderboard.ranking import rank_entries, standings
from imagetree.leaderboard.teams import add_team

from .conftest import BOARD


@pytest.fixture
def filled(database, send, answer, time):
    """Ada 0 and 40 of 400 missed at five guesses, Grace 0 and 3: entries 1, 2, 3, 4."""
    for name, team, far in (
        ("a", "Ada", 40),
        ("b", "Grace", 0),
        ("c", "Grace", 3),
        ("d", "Ada", 0),
    ):
        send(answer(f"{name}.txt", far, far=far, seed=ord(name)), team, title=name)
        time.pass_by(hours=1)
    return database


def shown(database, view):
    rows = standings(database, BOARD, view).rows
    return [(row.rank, row.is_shared, row.is_like_above, row.entry.title) for row in rows]


def test_equal_errors_the_earlier_first(filled):
    """Entries b and d miss nothing: b came first. c is no worse than chance allows; a is."""
    assert shown(filled, "all") == [
        (1, True, False, "b"),
        (1, True, True, "d"),
        (1, True, True, "c"),
        (4, False, False, "a"),
    ]


def test_p_values_are_sealed_until_the_board_is_closed(filled):
    """They tell on how many images two entries differ; that they do not is told before."""
    assert [row.p_above for row in standings(filled, BOARD, "all").rows] == [None] * 4
    close_board(filled, BOARD)
    values = [row.p_above for row in standings(filled, BOARD, "all").rows]
    assert values[:3] == [None, 1.0, pytest.approx(0.25)]
    assert values[3] < 1e-9


def test_best_entry_of_each_team(filled):
    assert shown(filled, "best") == [(1, True, False, "b"), (1, True, True, "d")]


def test_withdrawn_entry_has_no_rank(filled):
    """The team's next one takes its place; among all entries it stands behind the others."""
    withdraw(filled, 2)
    assert shown(filled, "best") == [(1, True, False, "d"), (1, True, True, "c")]
    assert shown(filled, "all")[-1] == (None, False, False, "b")


def test_board_without_entries(database, board):
    add_team(database, "None")
    found = standings(database, BOARD)
    assert (found.rows, found.members) == ((), {})


def test_members_are_of_teams_that_have_entries(filled):
    assert standings(filled, BOARD).members == {
        "Ada": "Ada and others",
        "Grace": "Grace and others",
    }


def test_many_small_steps_do_not_share_the_first_rank(filled):
    """Each is like the one above; the one that is worse than the first begins a rank."""
    rows = standings(filled, BOARD, "all").rows
    chain = [replace(rows[0].entry, id=number) for number in range(5)]
    misses = {n: np.arange(400) < 6 * n for n in range(5)}
    worse = [compare_misses(misses[0], misses[n]).p_value < 1 - CONFIDENCE for n in range(5)]
    assert worse == [False, False, True, True, True]
    found = rank_entries(chain, misses)
    assert [row.rank for row in found] == [1, 1, 3, 3, 5]
    assert [row.is_like_above for row in found] == [False, True, True, True, True]
    assert [row.is_shared for row in found] == [True, True, True, True, False]
