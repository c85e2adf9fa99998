"""The documents say what is true: the reference is fresh, every command in them exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from imagetree.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands() -> dict[str, object]:
    """Every command by its words, with the function behind it."""
    found: dict[str, object] = {}

    def walk(group: object, words: list[str]) -> None:
        for name in group:
            if name.startswith("-"):
                continue
            child = group[name]
            here = [*words, name]
            if child.default_command is not None:
                found[" ".join(here)] = child.default_command
            walk(child, here)

    walk(app, [])
    return found


COMMANDS = commands()


def test_reference_of_the_commands_is_fresh() -> None:
    """docs/cli.md is what `make docs` would write."""
    script = ROOT / "scripts" / "write_cli_docs.py"
    assert subprocess.run([sys.executable, str(script), "--check"]).returncode == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_help_with_an_example_of_itself(name: str) -> None:
    text = COMMANDS[name].__doc__ or ""
    example = re.search(r"^ *Example: (imagetree .*)$", text, re.MULTILINE)
    assert example is not None
    assert example.group(1).startswith(f"imagetree {name}")


def shown_commands() -> list[tuple[str, str]]:
    """Each line of a code block in the documents that calls imagetree."""
    found = []
    for path in DOCUMENTS:
        for block in re.findall(r"```\w*\n(.*?)```", path.read_text(), re.DOTALL):
            for line in re.sub(r"\s*\\\n\s*", " ", block).splitlines():
                words = re.match(r"(?:\$ )?(?:\.venv/bin/)?imagetree ([^#]*)", line)
                if words and "COMMAND" not in line and "OPTIONS" not in line:
                    found.append((path.name, re.split(r"\s{3,}", words.group(1))[0].strip()))
    return found


@pytest.mark.parametrize(("document", "line"), sorted(set(shown_commands())))
def test_commands_in_documents_exist(document: str, line: str) -> None:
    """A command that a document shows can be parsed with its flags."""
    app.parse_args(shlex.split(line), exit_on_error=False, print_error=False)


def test_make_targets_in_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in DOCUMENTS:
        for line in re.findall(r"(?:^|`)make ([a-z -]+)(?:$|`)", path.read_text(), re.MULTILINE):
            assert set(line.split()) <= targets, f"{path.name}: make {line}"


def test_documents_that_others_name_exist() -> None:
    """Links and plain mentions of files in docs/ lead somewhere."""
    for path in [*DOCUMENTS, *sorted((ROOT / "src").rglob("*.py"))]:
        for name in re.findall(r"docs/[\w./-]+\.(?:md|png|svg)", path.read_text()):
            assert (ROOT / name).exists(), f"{path.name} names {name}"
