"""The command line: `imagetree <noun> <verb>`. No logic here: call the library, show the result."""

from __future__ import annotations

import sys


def run() -> None:
    """Entry point of the console script."""
    from imagetree.cli.main import main

    sys.exit(main(sys.argv[1:]))
