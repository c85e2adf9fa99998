"""`imagetree leaderboard`, second part: what its keeper does."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from imagetree.cli.output import (
    DEFAULT_DATABASE,
    DatabaseOption,
    JsonOption,
    print_json,
    print_table,
    progress_bar,
)
from imagetree.database.store import open_database
from imagetree.errors import ChallengeError
from imagetree.leaderboard.boards import BoardConfig

if TYPE_CHECKING:
    from imagetree.challenge.definition import Challenge
    from imagetree.database import Database

WhoOption = Annotated[str | None, Parameter(help="Who does it, for the log; you if not given.")]


def open_(
    name: str,
    challenge: Path,
    *,
    config: Annotated[BoardConfig, Parameter(name="*")] = BoardConfig(),  # noqa: B008 (frozen)
    who: WhoOption = None,
    database: DatabaseOption = DEFAULT_DATABASE,
) -> None:
    """Open a leaderboard for a split of a challenge, as its classes and images are now.

    The images of a sealed test are taken out of all that the database shows: below their synsets
    they would tell their classes.

    Example: imagetree leaderboard open dogs-2026 dogs --split test --weekly-limit 2

    Args:
        name: of the leaderboard: letters, digits, dots, dashes, underscores.
        challenge: folder of the challenge, with its sealed labels beside it.
        config: how it is kept.
    """
    from imagetree.challenge.definition import load_challenge
    from imagetree.leaderboard.boards import open_board

    loaded = load_challenge(challenge)
    with open_database(database, create=True) as store:
        board = open_board(store, name, loaded, config, name_of(who))
        seal = _sealed(loaded, store) if board.split == "test" else ""
    print(
        f"{name}: {board.split} of {board.challenge}, ranked by the error at {board.rank_k}; "
        f"{board.weekly_limit} entries a team and week, kept in {board.entries_folder}{seal}"
    )


def _sealed(challenge: Challenge, store: Database) -> str:
    """Seal the images of test, where they are in this database; what is to be said of it."""
    from imagetree.challenge.sealing import seal_test

    try:
        seal_test(challenge, store)
    except ChallengeError:
        return "; the images of test are in another database: imagetree challenge seal there"
    return "; the images of test are shown no more until imagetree challenge seal --undo"


def team(
    name: str,
    *,
    members: str = "",
    who: WhoOption = None,
    database: DatabaseOption = DEFAULT_DATABASE,
) -> None:
    """Add a team; it may send entries to every leaderboard of the database.

    Example: imagetree leaderboard team SuperVision --members "Alex, Ilya, Geoffrey"

    Args:
        name: as it is shown.
        members: who they are.
    """
    from imagetree.leaderboard.teams import add_team

    with open_database(database) as store:
        added = add_team(store, name, members, who=name_of(who))
    print(f"team {added.id}: {added.name}")


def move(
    name: str,
    *,
    challenge: Path | None = None,
    entries: Path | None = None,
    who: WhoOption = None,
    database: DatabaseOption = DEFAULT_DATABASE,
) -> None:
    """Tell a leaderboard where its challenge and the files of its entries are now.

    Example: imagetree leaderboard move dogs-2026 --challenge /data/dogs

    Args:
        name: of the leaderboard.
        challenge: folder of the challenge, which must be the same one.
        entries: folder with the kept files.
    """
    from imagetree.challenge.definition import load_challenge
    from imagetree.leaderboard.boards import move_board

    loaded = load_challenge(challenge) if challenge is not None else None
    with open_database(database) as store:
        board = move_board(store, name, loaded, entries, name_of(who))
    print(f"{name}: challenge in {board.challenge}, entries in {board.entries_folder}")


def close(name: str, *, who: WhoOption = None, database: DatabaseOption = DEFAULT_DATABASE) -> None:
    """Close a leaderboard: nothing comes in any more, and all figures of its entries are shown.

    Example: imagetree leaderboard close dogs-2026

    Args:
        name: of the leaderboard.
    """
    from imagetree.leaderboard.boards import close_board

    with open_database(database) as store:
        board = close_board(store, name, name_of(who))
    print(f"{name}: closed on {board.closed_at}")


def rescore(
    name: str,
    *,
    who: WhoOption = None,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> int:
    """Score all entries again from the files that were kept; the exit status is 1 if one differs.

    Example: imagetree leaderboard rescore dogs-2026

    Args:
        name: of the leaderboard.
    """
    from imagetree.leaderboard.rescoring import rescore as rescore_entries

    with open_database(database) as store, progress_bar("rescoring", "entries") as bar:
        found = rescore_entries(store, name, name_of(who), bar)
    bad = [each for each in found if each.fault or each.differences]
    if json:
        print_json([each._asdict() for each in found])
    else:
        for each in bad:
            for text in [each.fault] if each.fault else each.differences:
                print(f"entry {each.entry_id}, {each.title} of {each.team}: {text}")
        print(f"{name}: {len(found):,} entries, {len(found) - len(bad):,} the same")
    return 1 if bad else 0


def log(
    name: str | None = None,
    *,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> None:
    """Show what was done, by whom: entries, refusals, replays, withdrawals, rescoring.

    Example: imagetree leaderboard log dogs-2026

    Args:
        name: of the leaderboard; all of them if not given.
    """
    from imagetree.leaderboard.audit import read_log

    with open_database(database) as store:
        rows = read_log(store, name)
    if json:
        print_json([row._asdict() for row in rows])
        return
    print_table(
        ("at", "what", "by", "leaderboard", "team", "entry", "note"),
        [
            (
                *(row.at, row.action, row.who, row.board or "", row.team or ""),
                *(str(row.entry_id or ""), _first_line(row.note)),
            )
            for row in rows
        ],
    )


def name_of(who: str | None) -> str:
    """Who does it: the one who is named, else the one who is logged in."""
    if who is not None:
        return who
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return str(os.getuid())


def _first_line(note: str) -> str:
    first, *more = note.split("\n")
    return f"{first} (and {len(more)} more: --json)" if more else first
