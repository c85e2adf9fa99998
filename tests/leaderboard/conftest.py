"""A challenge of ten classes with a sealed test, leaderboards on it, and files of answers."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from imagetree.challenge.definition import Entry, save_challenge
from imagetree.leaderboard.boards import BoardConfig, open_board
from imagetree.leaderboard.entries import Submission, submit
from imagetree.leaderboard.teams import add_team

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from imagetree.challenge.definition import Challenge
    from imagetree.database import Database
    from imagetree.leaderboard.boards import Board
    from imagetree.leaderboard.entries import Receipt

WNIDS = (
    *("n01440764", "n02084071", "n02102040", "n02121808", "n02691156"),
    *("n02958343", "n03394916", "n03445777", "n03888257", "n07747607"),
)
NUM_TEST = 400
BOARD = "pets-2026"


def write_challenge(folder: Path, shift: int = 0, num_test: int = NUM_TEST) -> Challenge:
    """Of two shifts the public files are the same, the sealed classes all differ."""
    splits = {
        split: [Entry(f"{split}_{wnid}_{n}", wnid) for wnid in WNIDS for n in range(2)]
        for split in ("train", "minival", "val")
    }
    classes = [WNIDS[(n + shift) % len(WNIDS)] for n in range(num_test)]
    splits["test"] = [Entry(f"image_{n}", wnid) for n, wnid in enumerate(classes)]
    return save_challenge(folder, WNIDS, splits)


@dataclass
class Time:
    """A clock that is set by hand."""

    now: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **how: float) -> None:
        self.now += timedelta(**how)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def challenge(tmp_path: Path) -> Challenge:
    return write_challenge(tmp_path / "pets")


@pytest.fixture
def answer(challenge: Challenge, tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of answers to test: the first images wrong, all the others right.

    `far` of these have the class among their five guesses nowhere, the others in the second place.
    """

    def write(name: str, wrong: int, far: int = 0, seed: int = 0) -> Path:
        draw = random.Random(seed)
        lines = []
        for place, entry in enumerate(challenge.read_split("test")):
            others = draw.sample([w for w in WNIDS if w != entry.wnid], 5)
            if place < far:
                guesses = others
            elif place < wrong:
                guesses = [others[0], entry.wnid, *others[1:4]]
            else:
                guesses = [entry.wnid, *others[:4]]
            lines.append(" ".join(guesses) + "\n")
        path = tmp_path / name
        path.write_text("".join(lines))
        return path

    return write


@pytest.fixture
def board(database: Database, challenge: Challenge, tmp_path: Path) -> Board:
    """A leaderboard on test, with two teams."""
    for name in ("Ada", "Grace"):
        add_team(database, name, f"{name} and others", who="keeper")
    config = BoardConfig(title="Pets 2026", entries=tmp_path / "entries")
    return open_board(database, BOARD, challenge, config, "keeper")


@pytest.fixture
def send(database: Database, board: Board, time: Time) -> Callable[..., Receipt]:
    """Sends a file to the leaderboard."""

    def send(path: Path, team: str = "Ada", **more) -> Receipt:
        return submit(
            database, board.name, Submission(path=path, team=team, who="ada", **more), clock=time
        )

    return send
