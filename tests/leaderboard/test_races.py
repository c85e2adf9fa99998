"""The last place of the week taken by many at once, and programs that are killed in between."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from imagetree.database import open_database
from imagetree.errors import ChallengeError
from imagetree.leaderboard import entries as entries_module
from imagetree.leaderboard.audit import read_log
from imagetree.leaderboard.entries import Submission, entries, submit
from imagetree.leaderboard.scoring import Referee

from .conftest import BOARD

pytestmark = pytest.mark.slow

NUM_SENDERS = 4
_SEND = """
import os, signal, sys
from pathlib import Path
from imagetree.database import open_database
from imagetree.leaderboard import entries

def die(*arguments, **more):
    os.kill(os.getpid(), signal.SIGKILL)

place, path, moment = sys.argv[1:]
if moment == "before":
    entries._add = die
elif moment == "inside":
    entries.note_action = die
elif moment == "after":
    add = entries._add
    entries._add = lambda *arguments: (add(*arguments), die())
with open_database(place) as database:
    entries.submit(database, "pets-2026", entries.Submission(path=Path(path), team="Ada"))
    print("reported", flush=True)
"""


def send_at_once(place, paths, time):
    """Every path from a connection of its own; what became of each."""

    def send(path):
        with open_database(place) as database:
            try:
                submission = Submission(path=path, team="Ada")
                return submit(database, BOARD, submission, clock=time)
            except ChallengeError as error:
                return error.message

    with ThreadPoolExecutor(len(paths)) as pool:
        return list(pool.map(send, paths))


@pytest.fixture
def all_at_the_door(monkeypatch):
    """Once called, nobody writes before everybody has found a place free and has been scored."""
    barrier = Barrier(NUM_SENDERS, timeout=30)
    judge = Referee.judge

    def judge_and_wait(self, answers):
        judged = judge(self, answers)
        barrier.wait()
        return judged

    return lambda: monkeypatch.setattr(Referee, "judge", judge_and_wait)


def test_last_place_is_taken_once(database, place, board, send, answer, time, all_at_the_door):
    """Of four that send different files at one moment one is taken; the others are told why."""
    send(answer("first.txt", 9))
    all_at_the_door()
    paths = [answer(f"{n}.txt", n) for n in range(NUM_SENDERS)]
    results = send_at_once(place, paths, time)
    refused = [each for each in results if isinstance(each, str)]
    assert len(refused) == NUM_SENDERS - 1
    assert all("has sent 2 entries in the last seven days" in each for each in refused)
    assert len(entries(database, BOARD)) == 2
    actions = sorted(row.action for row in read_log(database, BOARD))
    assert actions == ["opened", *["refused"] * 3, *["submitted"] * 2]


def test_same_file_at_one_moment_is_one_entry(
    database, place, board, answer, time, all_at_the_door
):
    all_at_the_door()
    results = send_at_once(place, [answer("a.txt", 1)] * NUM_SENDERS, time)
    assert sorted(each.is_replay for each in results) == [False, True, True, True]
    assert {each.entry.id for each in results} == {1}
    assert len(entries(database, BOARD)) == 1


@pytest.mark.parametrize(
    ("moment", "is_there"), [("before", False), ("inside", False), ("after", True)]
)
def test_killed_submission_is_there_with_its_score_or_not_at_all(
    database, place, board, answer, send, moment, is_there
):
    """Between keeping the file and its row, within the transaction, and before it was reported."""
    path = answer("a.txt", 5)
    ended = subprocess.run(
        [sys.executable, "-c", _SEND, place, path, moment], capture_output=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, b"")
    kept = [each for each in board.entries_folder.iterdir() if each.suffix != ".part"]
    assert [each.read_bytes() for each in kept] == [path.read_bytes()]
    found = entries(database, BOARD)
    assert [each.error_at(1).num_misses for each in found] == [5] * is_there
    again = send(path)
    assert again.is_replay is is_there
    assert len(entries(database, BOARD)) == 1


def test_the_names_that_are_killed_are_there():
    """The program above replaces functions by name: they must be those that `submit` calls."""
    assert {"_add", "add_score", "note_action"} <= vars(entries_module).keys()
