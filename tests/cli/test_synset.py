"""`imagetree synset` and `imagetree alexnet`: what they print, as text and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from imagetree.cli.main import main

if TYPE_CHECKING:
    import pytest


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    """Words, both ways to the root, hyponyms and the other senses."""
    assert main(["synset", "show", "dog"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "n02084071  dog.n.01  dog, domestic dog, Canis familiaris"
    ways = [line for line in lines if line.startswith("  entity > ")]
    assert len(ways) == 2
    assert ways[0].endswith("carnivore > canine > dog")
    assert ways[1].endswith("animal > domestic animal > dog")
    assert "  18 hyponyms:" in lines
    assert "frump.n.01 (n10114209)" in lines[-1]


def test_show_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synset", "show", "n13878634", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["name"] == "square.n.01"
    assert shown["hypernyms"] == ["n13883346", "n13867133"]
    assert shown["lemmas"] == ["square", "foursquare"]


def test_search(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synset", "search", "terrier", "--limit", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["n02092468", "terrier.n.01", "terrier", "(exact)"]


def test_common_names_all_lowest_hypernyms(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synset", "common", "chihuahua.n.03", "tabby.n.01"]) == 0
    common = [x for x in capsys.readouterr().out.splitlines() if x.startswith("in common")]
    assert [line.split()[2] for line in common] == ["n01317541", "n02075296"]


def test_offset_of_another_wordnet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synset", "show", "n02086723"]) == 1
    assert "is an offset of WordNet 3.1" in capsys.readouterr().err


def test_alexnet_table_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alexnet", "table", "single_gpu", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["totals"]["lecture"] == 62_369_152
    assert table["totals"]["parameters"] == 62_378_344
    assert table["rows"][1]["parameters"] == 34_944


def test_alexnet_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alexnet", "list", "--json"]) == 0
    names = [each["name"] for each in json.loads(capsys.readouterr().out)]
    assert {"single_gpu", "two_gpu", "batch_norm"} <= set(names)


def test_help_of_all_says_what_each_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "Train a network on a challenge" in shown
    assert "Look up the nouns of WordNet 3.0" in shown


def test_reader_that_stops_early_is_no_error() -> None:
    """As in `imagetree synset search a | head -1`."""
    words = [sys.executable, "-m", "imagetree", "synset", "search", "a", "--limit", "20000"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        error = process.stderr.read()
    assert (process.returncode, error) == (0, b"")
