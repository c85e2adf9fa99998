"""How commands print: data on stdout, as JSON where asked for; progress on stderr."""

from __future__ import annotations

import dataclasses
import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, validators

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DatabaseOption = Annotated[
    str,
    Parameter(
        name="--database",
        env_var="IMAGETREE_DATABASE",
        help="Database: a path, or an SQLAlchemy URL.",
    ),
]
DEFAULT_DATABASE = "imagetree.db"

# under another ending nothing would open the picture
SvgPath = Annotated[Path, Parameter(validator=validators.Path(ext="svg"))]
PngPath = Annotated[Path, Parameter(validator=validators.Path(ext="png"))]
GifPath = Annotated[Path, Parameter(validator=validators.Path(ext="gif"))]

JsonOption = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]


def print_json(value: object) -> None:
    """Print a value as JSON; dataclasses become objects, paths text."""
    print(json.dumps(value, indent=2, default=_plain, ensure_ascii=False))


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """Print rows as a table; numbers to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
    for position, name in enumerate(header):
        is_number = bool(rows) and isinstance(rows[0][position], int | float)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
    is_terminal = sys.stdout.isatty()  # a file or a pipe is not folded to the width of a screen
    console = Console(width=None if is_terminal else 200, markup=False, highlight=False)
    console.print(table)


@contextmanager
def progress_bar(label: str, unit: str = "images") -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr; the function it gives takes (done, total). Silent where no one watches."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not Console(stderr=True).is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
