"""The house stands as README.md says: imports go downwards only, nothing is too large."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "imagetree"
FLOORS = (
    "errors",
    "files",
    "wordnet",
    "sources",
    "migrations",
    "database",
    "accounts",
    "mail",
    "curation",
    "export",
    "challenge",
    "leaderboard",
    "alexnet",
    "training",
    "recognition",
    "engines",
    "understanding",
    "index",
    "pictures",
    "web",
    "client",
    "demo",
    "cli",
)
"""From the ground up; a room may import from rooms before it in this list alone."""

TORCH_ROOMS = {"alexnet", "training", "recognition", "engines", "understanding", "pictures"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 5
FILES = sorted(PACKAGE.rglob("*.py"))


@cache
def imported(path: Path) -> set[str]:
    """Full names of the modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_downwards_only(path: Path) -> None:
    if path in (PACKAGE / "__init__.py", PACKAGE / "__main__.py"):
        return
    floor = FLOORS.index(room_of(path))
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "imagetree" and len(parts) > 1:
            assert FLOORS.index(parts[1]) <= floor, f"{name} is above {room_of(path)}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_torch_is_imported_in_its_rooms_alone(path: Path) -> None:
    uses = any(name.split(".")[0] == "torch" for name in imported(path))
    assert not uses or room_of(path) in TORCH_ROOMS


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_sizes(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= MAX_FUNCTION_LINES, f"{node.name} has {lines} lines"
            positional = [a for a in node.args.args if a.arg not in {"self", "cls", "ctx"}]
            assert len(positional) <= MAX_PARAMETERS, (
                f"{node.name} has {len(positional)} parameters"
            )


def test_house_is_two_levels() -> None:
    """No folder with code inside a room."""
    assert [p for p in FILES if len(p.relative_to(PACKAGE).parts) > 2] == []


def test_readme_shows_every_file() -> None:
    """The tree in README.md has a line for each module, and no line for one that is gone."""
    tree = re.search(r"```\nsrc/imagetree/\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert tree is not None
    shown, room = set(), ""
    for line in tree.group(1).splitlines():
        name = line.split()[0]
        if name.endswith("/"):
            room = name
        elif name.endswith(".py"):
            shown.add(
                name if line.startswith("  ") and not line.startswith("    ") else room + name
            )
    there = {str(p.relative_to(PACKAGE)) for p in FILES if p.name != "__init__.py"}
    assert shown == there


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "imagetree.cli.main",
        "imagetree.cli.synset",
        "imagetree.cli.database",
        "imagetree.cli.curation",
        "imagetree.cli.votes",
        "imagetree.cli.export",
        "imagetree.cli.challenge",
        "imagetree.cli.alexnet",
        "imagetree.cli.train",
        "imagetree.cli.engines",
        "imagetree.cli.demo",
        "imagetree.demo",
    ],
)
def test_importing_commands_leaves_torch_out(words: str) -> None:
    """No command waits for torch before it needs it."""
    code = f"import sys, {words}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
