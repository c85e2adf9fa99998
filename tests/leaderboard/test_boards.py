"""Leaderboards and teams: opened, moved, named."""

from __future__ import annotations

import shutil

import pytest

from imagetree.challenge.definition import load_challenge
from imagetree.database import open_database
from imagetree.errors import ChallengeError
from imagetree.leaderboard.boards import (
    BoardConfig,
    boards,
    challenge_of,
    find_board,
    move_board,
    open_board,
)
from imagetree.leaderboard.teams import add_team, teams

from .conftest import BOARD, NUM_TEST, WNIDS, write_challenge


def test_board_is_of_a_version_and_a_split(database, board, challenge):
    assert board == find_board(database, BOARD)
    assert boards(database) == (board,)
    assert (board.version, board.split) == (challenge.version, "test")
    assert (board.num_images, board.num_classes) == (NUM_TEST, len(WNIDS))
    assert (board.weekly_limit, board.rank_k, board.shows_classes) == (2, 5, False)
    assert board.closed_at is None
    assert challenge_of(board) == challenge


def test_moved_board_takes_the_same_challenge_alone(database, board, challenge, tmp_path):
    for name in ("pets", "pets.sealed.tsv"):
        (tmp_path / name).rename(tmp_path / f"new-{name}")
    with pytest.raises(ChallengeError, match="no challenge is here"):
        challenge_of(board)
    other = write_challenge(tmp_path / "other", shift=1)
    with pytest.raises(ChallengeError, match=r"expected [0-9a-f]{12}, which leaderboard"):
        move_board(database, BOARD, other)
    moved = move_board(database, BOARD, load_challenge(tmp_path / "new-pets"), tmp_path / "files")
    assert challenge_of(moved).version == challenge.version
    assert moved.entries_folder == tmp_path / "files"


def test_challenge_that_was_replaced_is_refused(board, challenge, tmp_path):
    shutil.rmtree(challenge.folder)
    write_challenge(challenge.folder, shift=1)
    with pytest.raises(ChallengeError, match=f"version .* which leaderboard '{BOARD}' was opened"):
        challenge_of(board)


def test_files_go_beside_a_database_of_sqlite(challenge, tmp_path):
    with open_database(tmp_path / "images.db", create=True) as database:
        board = open_board(database, BOARD, challenge)
    assert board.entries_folder == tmp_path / "images.db.entries"


def test_a_server_needs_a_folder_for_the_files(new_postgresql, challenge):
    with (
        open_database(new_postgresql, create=True) as database,
        pytest.raises(ChallengeError, match="need a folder"),
    ):
        open_board(database, BOARD, challenge)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (BoardConfig(split="dev"), "no split 'dev'"),
        (BoardConfig(weekly_limit=0), "weekly limit 0"),
        (BoardConfig(rank_k=3), "ranks by the error at 3 guesses of 10 classes"),
        (BoardConfig(title="two\nlines"), "title .*not a name"),
    ],
)
def test_settings_without_meaning_are_refused(database, challenge, config, message):
    with pytest.raises(ChallengeError, match=message):
        open_board(database, BOARD, challenge, config)
    assert boards(database) == ()


def test_names_are_taken_once(database, board, challenge, tmp_path):
    with pytest.raises(ChallengeError, match="is there already"):
        open_board(database, BOARD, challenge, BoardConfig(entries=tmp_path))
    with pytest.raises(ChallengeError, match="is no name"):
        open_board(database, "../pets", challenge)
    with pytest.raises(ChallengeError, match="no leaderboard 'none'"):
        find_board(database, "none")


@pytest.mark.parametrize("name", ["ADA", "\uff21da", "ada"])
def test_teams_that_read_the_same_are_one(database, board, name):
    with pytest.raises(ChallengeError, match="team 'Ada' is there already"):
        add_team(database, name)


@pytest.mark.parametrize("name", ["", " Ada", "A\nda", "A\u200bda", "x" * 101])
def test_names_that_are_none_are_refused(database, name):
    with pytest.raises(ChallengeError, match="not a name"):
        add_team(database, name)


def test_teams_are_listed_by_name(database, board):
    added = add_team(database, "=cmd()", "one\r\ntwo", account_id=7)
    assert [team.name for team in teams(database)] == ["=cmd()", "Ada", "Grace"]
    assert (added.members, added.account_id) == ("one\ntwo", 7)
