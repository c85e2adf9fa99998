"""Writes docs/cli.md from the commands' own help.

With --check it writes nothing and ends with status 1 where the file is not what it would write.
"""

from __future__ import annotations

import sys
from pathlib import Path

from imagetree.cli.main import app

TARGET = Path(__file__).resolve().parents[1] / "docs" / "cli.md"


def render() -> str:
    """The reference of all commands in Markdown."""
    text = app.generate_docs(output_format="markdown", recursive=True, include_hidden=False)
    lines = (line.rstrip() for line in text.replace(app.version or "", "VERSION").splitlines())
    return "<!-- made by `make docs`; do not edit -->\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(TARGET.read_text() != render())
    TARGET.write_text(render())
    print(TARGET, file=sys.stderr)
