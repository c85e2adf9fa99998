"""A leaderboard as JSON and as a table of comma-separated values, without what is not public.

Public are ranks, errors, and what teams say of their entries. Who sent a file, its hash, its place
on the disk, and marks for the curator are not.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagetree.leaderboard.ranking import Standing, Standings

# what makes a spreadsheet take text for a formula; the wide forms of East Asian keyboards too
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_ABOUT_BOARD = (
    *("name", "title", "version", "split", "num_images", "num_classes", "weekly_limit"),
    *("rank_k", "opened_at", "closed_at"),
)
_ABOUT_ENTRY = (
    *("id", "team", "title", "method", "description", "uses_extra_data"),
    *("submitted_at", "withdrawn_at"),
)
_FIGURES = ("error", "hierarchical_error")


def public_facts(shown: Standings) -> dict[str, Any]:
    """What may be known of a leaderboard, as values that JSON has."""
    return {
        "leaderboard": {name: getattr(shown.board, name) for name in _ABOUT_BOARD},
        "view": shown.view,
        "members": shown.members,
        "entries": [_facts(row) for row in shown.rows],
    }


def render_json(shown: Standings) -> str:
    """A leaderboard as JSON; errors are fractions, hierarchical ones levels."""
    return json.dumps(public_facts(shown), indent=2, ensure_ascii=False) + "\n"


def render_csv(shown: Standings) -> str:
    """A leaderboard as comma-separated values, a heading first; errors are fractions.

    Text is always in quotes. Where it begins like a formula (`=`, `+`, `-`, `@`, their wide forms,
    a tab or a new line) an apostrophe is put before it, so that a spreadsheet shows it and does not
    run it; the text as it is, for programs, is in the JSON.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    ks = [top.k for top in shown.rows[0].entry.errors] if shown.rows else []
    figures = [
        f"top{k}_{name}{end}" for k in ks for name in _FIGURES for end in ("", "_low", "_high")
    ]
    writer.writerow(["rank", "is_shared", "is_like_above", *_ABOUT_ENTRY, *figures])
    for row in shown.rows:
        about = [getattr(row.entry, name) for name in _ABOUT_ENTRY]
        cells = [row.rank, row.is_shared, row.is_like_above, *about]
        for top in row.entry.errors:
            cells += [top.error, *top.interval]
            cells += [top.hierarchical_error, *top.hierarchical_interval]
        writer.writerow([_cell(cell) for cell in cells])
    return buffer.getvalue()


def _facts(row: Standing) -> dict[str, Any]:
    place = {
        "rank": row.rank,
        "is_shared": row.is_shared,
        "is_like_above": row.is_like_above,
        "p_above": row.p_above,
    }
    about = {name: getattr(row.entry, name) for name in _ABOUT_ENTRY}
    return place | about | {"errors": [asdict(top) for top in row.entry.errors]}


def _cell(value: object) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return value
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
