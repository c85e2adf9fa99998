"""The commands by name, and how a command ends: its exit status and its error on one line.

Exit status: 0 done, 1 an error or something set aside, 2 wrong usage, 130 interrupted.
Each group of commands is imported when it is called, so that no command waits for the imports of
another.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError, Parameter

from imagetree import __version__
from imagetree.errors import ImagetreeError

if TYPE_CHECKING:
    from collections.abc import Sequence

app = App(
    name="imagetree",
    version=__version__,
    help="Images on the WordNet hierarchy, the recognition challenge over them, and AlexNet.",
    default_parameter=Parameter(consume_multiple=True),  # --classes a b c
)
for _name, _target in (
    ("demo", "demo:app"),
    ("synset", "synset:app"),
    ("database", "database:app"),
    ("curation", "curation:app"),
    ("votes", "votes:app"),
    ("export", "export:app"),
    ("challenge", "challenge:app"),
    ("leaderboard", "leaderboard:app"),
    ("kit", "kit:app"),
    ("alexnet", "alexnet:app"),
    ("weights", "weights:app"),
    ("pack", "pack:pack"),
    ("train", "train:train"),
    ("lr", "lr:lr"),
    ("runs", "runs:runs"),
    ("engines", "engines:engines"),
    ("compress", "engines:compress"),
    ("recognize", "recognize:recognize"),
    ("hedge", "hedge:hedge"),
    ("common", "common:common"),
    ("index", "index:app"),
    ("pictures", "pictures:app"),
    ("report", "pictures:report"),
    ("web", "web:app"),
):
    app.command(f"imagetree.cli.{_target}", name=_name)


def main(argv: Sequence[str]) -> int:
    """Run one command.

    Args:
        argv: its words, without the program's name.

    Returns:
        The exit status.
    """
    if list(argv) in ([], ["--help"], ["-h"]):
        for name in app:
            app[name]  # imports it: the list of commands shows what each is for
    try:
        status = app(
            list(argv), exit_on_error=False, print_error=True, result_action="return_value"
        )
    except ImagetreeError as error:
        print(f"imagetree: {error}", file=sys.stderr)
        return 1
    except CycloptsError:
        return 2
    except KeyboardInterrupt:
        print("imagetree: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader has seen enough; without this Python would complain again while closing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status if isinstance(status, int) else 0
