"""Who is where on a leaderboard.

Entries are in the order of their errors at the board's number of guesses; of equal ones the earlier
comes first. A difference that chance can make does not tell two entries apart, so an entry shares
the rank of the first entry before it that it is not significantly worse than, rank by rank: a rank
ends where an entry is worse than the one that began it, by McNemar's exact test on the same images
with 99.9 % confidence. It is not held to its neighbour alone: many small steps would then put a
clearly worse entry on the winner's rank. Whether it differs from the one above is said besides.
Tests are not corrected for their number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from imagetree.challenge.bootstrap import CONFIDENCE, compare_misses
from imagetree.leaderboard.boards import board_named
from imagetree.leaderboard.entries import entries_of
from imagetree.leaderboard.scoring import read_misses
from imagetree.leaderboard.teams import teams_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from imagetree.database.store import Database
    from imagetree.leaderboard.boards import Board
    from imagetree.leaderboard.entries import Entry

View = Literal["best", "all"]
"""The best entry of each team that was not withdrawn; or every entry."""


@dataclass(frozen=True)
class Standing:
    """An entry in its place.

    Args:
        entry: the entry.
        rank: from 1; entries that are not told apart share one, and as many numbers are then left
            out. None for a withdrawn entry.
        is_shared: whether others have this rank too.
        is_like_above: whether it is not significantly different from the one above.
        p_above: of McNemar's exact test against the entry above, two-sided; None for the first
            entry and withdrawn ones, and while the board is sealed: it tells on how many images
            two entries differ in being right, which their errors do not.
    """

    entry: Entry
    rank: int | None
    is_shared: bool = False
    is_like_above: bool = False
    p_above: float | None = None


@dataclass(frozen=True)
class Standings:
    """A leaderboard with its entries in their order.

    Args:
        board: the leaderboard.
        view: which entries are shown.
        rows: the entries, withdrawn ones behind the others.
        members: of the teams that have entries, by the team's name.
    """

    board: Board
    view: View
    rows: tuple[Standing, ...]
    members: dict[str, str]


def standings(database: Database, board_name: str, view: View = "best") -> Standings:
    """The entries of a leaderboard, ranked.

    Args:
        database: that keeps it.
        board_name: of the leaderboard.
        view: which entries.

    Raises:
        ChallengeError: there is no such board.
    """
    with database.reading() as connection:
        board = board_named(connection, board_name)
        all_entries = entries_of(connection, board)
        misses = read_misses(connection, board.id, board.rank_k)
        members = {team.name: team.members for team in teams_of(connection)}
    chosen = sorted(
        (each for each in all_entries if each.withdrawn_at is None),
        key=lambda entry: (entry.error_at(board.rank_k).num_misses, entry.id),
    )
    if view == "best":
        first = {entry.team: entry for entry in reversed(chosen)}
        chosen = [entry for entry in chosen if first[entry.team] is entry]
    rows = rank_entries(chosen, misses)
    if board.is_sealed:
        rows = [replace(row, p_above=None) for row in rows]
    if view == "all":
        withdrawn = (each for each in all_entries if each.withdrawn_at is not None)
        rows += [Standing(entry, None) for entry in withdrawn]
    shown = {row.entry.team for row in rows}
    return Standings(
        board, view, tuple(rows), {name: text for name, text in members.items() if name in shown}
    )


def rank_entries(
    chosen: Sequence[Entry], misses: Mapping[int, NDArray[np.bool_]]
) -> list[Standing]:
    """Entries in their order, each on the rank of the one that it is not worse than.

    Args:
        chosen: the entries, the best first.
        misses: which images each of them misses, by its id; bool (N,).
    """
    ranks: list[int] = []
    p_above: list[float | None] = []
    for place, entry in enumerate(chosen):
        ours = misses[entry.id]
        if not place:
            ranks.append(1)
            p_above.append(None)
            continue
        p_above.append(compare_misses(misses[chosen[place - 1].id], ours).p_value)
        leader = misses[chosen[ranks[-1] - 1].id]
        is_worse = compare_misses(leader, ours).p_value < 1 - CONFIDENCE
        ranks.append(place + 1 if is_worse else ranks[-1])
    return [
        Standing(entry, rank, ranks.count(rank) > 1, p is not None and p >= 1 - CONFIDENCE, p)
        for entry, rank, p in zip(chosen, ranks, p_above, strict=True)
    ]
