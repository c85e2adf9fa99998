"""`imagetree alexnet`: what each command says, in each form, and what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from imagetree.alexnet.architectures import ARCHITECTURES
from imagetree.cli.main import main


def test_list_has_all_networks_with_sums_and_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alexnet", "list", "--json"]) == 0
    listed = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert tuple(listed) == tuple(ARCHITECTURES)
    assert listed["one_weird_trick"]["parameters"] == 61_100_840
    assert listed["two_gpu"]["neurons"] == 659_272
    assert all(each["source"] for each in listed.values())
    assert main(["alexnet", "list"]) == 0
    assert "60,965,224" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("form", "beginning"),
    [("text", "chm: "), ("markdown", "# chm"), ("json", "{"), ("html", "<!doctype html>")],
)
def test_table_in_each_form(form: str, beginning: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["alexnet", "table", "chm", "--format", form, "--classes", "10", "--input-size", "131"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(beginning)
    assert "31 = (131 - 11) / 4 + 1" in printed


def test_table_with_times(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["alexnet", "table", "two_gpu", "--time", "--classes", "3", "--input-size", "67"]
    assert main([*words, "--json"]) == 0
    measures = json.loads(capsys.readouterr().out)["measures"]
    assert sum(measure["time_share"] for measure in measures) == pytest.approx(1)
    assert all(measure["time"]["forward"] > 0 for measure in measures)


def test_stack(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alexnet", "stack"]) == 0
    assert "5*5*48*256 = 307,200" in capsys.readouterr().out
    assert main(["alexnet", "stack", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert [row["printed"] for row in read["rows"] if row["printed"]][-1] == "35K"
    assert read["networks"][0]["num_equal"] == 7


def test_drawing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "two_gpu.svg"
    assert main(["alexnet", "drawing", "two_gpu", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    assert ElementTree.parse(output).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_mistakes_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown name, a size that is too small, no classes: one line, status 1."""
    output = str(tmp_path / "a.svg")
    for words, message in (
        (["table", "alexnet"], "no architecture is called 'alexnet'"),
        (["table", "chm", "--input-size", "20"], "a window of 3 does not fit a map of 2"),
        (["table", "--classes", "0"], "number of classes is 0"),
        (["drawing", "vgg", output], "no architecture is called 'vgg'"),
    ):
        assert main(["alexnet", *words]) == 1
        assert message in capsys.readouterr().err
    assert not Path(output).exists()
