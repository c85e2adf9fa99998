"""`imagetree leaderboard`: teams, their entries to a challenge, ranked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import App

from imagetree.cli import leaderboard_keeping as keeping
from imagetree.cli.leaderboard_keeping import WhoOption, name_of
from imagetree.cli.output import (
    DEFAULT_DATABASE,
    DatabaseOption,
    JsonOption,
    print_json,
    print_table,
)
from imagetree.database.store import open_database
from imagetree.leaderboard.ranking import View

if TYPE_CHECKING:
    from imagetree.challenge.score import TopK
    from imagetree.leaderboard.boards import Board
    from imagetree.leaderboard.ranking import Standing

app = App(name="leaderboard", help="Keep a leaderboard: teams, their entries, ranks, pages.")
app.command(keeping.open_, name="open")
for _command in (keeping.team, keeping.move, keeping.close, keeping.rescore, keeping.log):
    app.command(_command)


@app.command
def submit(
    name: str,
    team: str,
    file: Path,
    *,
    title: str = "",
    description: str = "",
    method: str = "",
    extra_data: bool = False,
    format: str | None = None,
    labels: Literal["wnid", "class-index", "kaggle-line"] | None = None,
    who: WhoOption = None,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> None:
    """Send an entry: its file is checked, kept and scored.

    Bytes that the team has sent before are the entry that they were, and count nothing; neither
    does a file that is refused.

    Example: imagetree leaderboard submit dogs-2026 SuperVision test.txt --title "5 networks"

    Args:
        name: of the leaderboard.
        team: its name.
        file: of answers; see imagetree challenge formats.
        title: of the entry; the file's name if not given.
        description: what was done, shown to all.
        method: the network or algorithm, in a few words.
        extra_data: training data from outside the challenge was used.
        format: text, csv, kaggle or jsonl; by the ending of the file's name if not given.
        labels: what the labels are, where the file does not say.
    """
    from imagetree.challenge.answers import Form
    from imagetree.leaderboard.entries import Submission
    from imagetree.leaderboard.entries import submit as submit_entry

    submission = Submission(
        path=file,
        team=team,
        title=title,
        description=description,
        method=method,
        uses_extra_data=extra_data,
        form=Form(format=format, labels=labels),
        who=name_of(who),
    )
    with open_database(database) as store:
        entry, is_replay = submit_entry(store, name, submission)
    if json:
        print_json({"entry": entry, "is_replay": is_replay})
        return
    again = "these bytes are here already: " if is_replay else ""
    print(f"{again}entry {entry.id}, {entry.title}, of {entry.submitted_at}")
    print_table(
        ("guesses", "error", "99.9 % interval", "hierarchical error (levels)", "99.9 % interval"),
        [(f"top {top.k}", *_cells(top)) for top in entry.errors],
    )


@app.command
def withdraw(
    entry: int, *, who: WhoOption = None, database: DatabaseOption = DEFAULT_DATABASE
) -> None:
    """Withdraw an entry: it stays, marked and without a rank, and counts for the limit.

    Example: imagetree leaderboard withdraw 7

    Args:
        entry: its number, as imagetree leaderboard entries lists it.
    """
    from imagetree.leaderboard.entries import withdraw as withdraw_entry

    with open_database(database) as store:
        withdrawn = withdraw_entry(store, entry, name_of(who))
    print(f"entry {entry}, {withdrawn.title} of {withdrawn.team}: withdrawn")


@app.command
def show(
    name: str | None = None,
    *,
    view: View = "best",
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> None:
    """Show a leaderboard with its ranks; without a name list the leaderboards.

    Example: imagetree leaderboard show dogs-2026 --view all

    Args:
        name: of the leaderboard.
        view: the best entry of each team, or all entries.
    """
    from imagetree.leaderboard.boards import boards
    from imagetree.leaderboard.ranking import standings
    from imagetree.leaderboard.tables import public_facts

    with open_database(database) as store:
        if name is None:
            _print_boards(boards(store), json)
            return
        shown = standings(store, name, view)
    if json:
        print_json(public_facts(shown))
        return
    k = shown.board.rank_k
    print_table(
        (
            *("rank", "team", "entry", "outside data", f"top-{k} error", "99.9 % interval"),
            *("hierarchical (levels)", "99.9 % interval", "like the one above"),
        ),
        [
            (
                _rank(row.rank, row.is_shared),
                row.entry.team,
                row.entry.title,
                "yes" if row.entry.uses_extra_data else "",
                *_cells(row.entry.error_at(k)),
                _likeness(row),
            )
            for row in shown.rows
        ],
        title=_heading(shown.board),
    )


@app.command
def entries(
    name: str, *, database: DatabaseOption = DEFAULT_DATABASE, json: JsonOption = False
) -> None:
    """List the entries of a leaderboard as they came, with what only its keeper sees.

    Who sent each, its hash, which other team sent the same bytes before, who scored it when.

    Example: imagetree leaderboard entries dogs-2026

    Args:
        name: of the leaderboard.
    """
    from imagetree.leaderboard.entries import entries as list_entries

    with open_database(database) as store:
        found = list_entries(store, name)
    if json:
        print_json(found)
        return
    print_table(
        ("entry", "sent at", "by", "team", "title", "errors", "SHA-256", "scored by", "marks"),
        [
            (
                *(str(each.id), each.submitted_at, each.who, each.team, each.title),
                ", ".join(f"top {top.k} {top.error:.2%}" for top in each.errors),
                *(each.sha256[:12], each.scorer),
                _marks(each.equal_to, each.withdrawn_at),
            )
            for each in found
        ],
    )


@app.command
def figures(
    entry: int, *, database: DatabaseOption = DEFAULT_DATABASE, json: JsonOption = False
) -> None:
    """Show all figures of an entry, by level and by class; of a sealed split after it is closed.

    Example: imagetree leaderboard figures 7

    Args:
        entry: its number, as imagetree leaderboard entries lists it.
    """
    from imagetree.cli.scores import print_score
    from imagetree.leaderboard.rescoring import entry_figures

    with open_database(database) as store:
        score = entry_figures(store, entry)
    if json:
        print_json(score)
    else:
        print_score(score)


@app.command
def export(
    name: str,
    output: Path,
    *,
    style: Literal["board", "results"] = "board",
    view: View = "best",
    database: DatabaseOption = DEFAULT_DATABASE,
) -> None:
    """Write a leaderboard as a page (.html), a table (.csv) or JSON (.json), by the file's ending.

    In a .csv, text that begins like a formula has an apostrophe before it, so that no spreadsheet
    runs it.

    Example: imagetree leaderboard export dogs-2026 dogs-2026.html

    Args:
        name: of the leaderboard.
        output: file to write.
        style: of a page: ranks with intervals, or plain tables as ILSVRC2012's results page had.
        view: the best entry of each team, or all entries.
    """
    from imagetree.errors import ChallengeError
    from imagetree.files import write_atomic
    from imagetree.leaderboard.page import render_page
    from imagetree.leaderboard.ranking import standings
    from imagetree.leaderboard.tables import render_csv, render_json

    writers = {
        ".html": lambda shown: render_page(shown, style),
        ".csv": render_csv,
        ".json": render_json,
    }
    if output.suffix not in writers:
        raise ChallengeError(f"{output}: ends in {output.suffix!r} (expected .html, .csv or .json)")
    with open_database(database) as store:
        shown = standings(store, name, view)
    write_atomic(output, writers[output.suffix](shown))
    print(f"{output}: {len(shown.rows):,} entries")


def _likeness(row: Standing) -> str:
    p = "" if row.p_above is None else f", p = {row.p_above:.2g}"
    return f"yes{p}" if row.is_like_above else ""


def _rank(rank: int | None, is_shared: bool) -> str:
    return "withdrawn" if rank is None else f"{rank}{'=' if is_shared else ''}"


def _cells(top: TopK) -> tuple[str, str, str, str]:
    low, high = top.interval
    least, most = top.hierarchical_interval
    return (
        *(f"{top.error:.2%}", f"{low:.2%} to {high:.2%}"),
        *(f"{top.hierarchical_error:.3f}", f"{least:.3f} to {most:.3f}"),
    )


def _marks(equal_to: int | None, withdrawn_at: str | None) -> str:
    marks = [f"the bytes of entry {equal_to}"] if equal_to else []
    return ", ".join(marks + ([f"withdrawn {withdrawn_at[:10]}"] if withdrawn_at else []))


def _heading(board: Board) -> str:
    state = f"closed on {board.closed_at[:10]}" if board.closed_at else "open"
    return f"{board.title}: {board.num_images:,} images of {board.split}, {state}"


def _print_boards(found: tuple[Board, ...], json: bool) -> None:
    if json:
        print_json(found)
        return
    print_table(
        ("leaderboard", "title", "split", "images", "classes", "opened", "closed", "challenge"),
        [
            (
                *(each.name, each.title, each.split, each.num_images, each.num_classes),
                *(each.opened_at[:10], (each.closed_at or "")[:10], each.challenge),
            )
            for each in found
        ],
    )
