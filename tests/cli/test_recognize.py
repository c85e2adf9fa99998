"""`imagetree recognize` and `imagetree hedge`: real photographs, a run with its first weights."""

from __future__ import annotations

import io
import json
import os
import sys

import pytest

from imagetree.recognition.calibration import NAMES, load_calibration
from imagetree.training.runs import load_run

from .untrained import WNIDS, make_run


@pytest.fixture(scope="module")
def run(imagenette, tmp_path_factory):
    """A run's folder; beside it `images/`, with photographs by class."""
    return make_run(imagenette, tmp_path_factory.mktemp("recognize"))


@pytest.fixture(scope="module")
def hedged(run):
    """The same run, calibrated."""
    from imagetree.cli.main import main

    assert main(["hedge", str(run)]) == 0
    return run


@pytest.fixture
def photographs(run):
    return sorted((run.parent / "images").rglob("*.JPEG"))


def lines_of(said) -> list[dict]:
    return [json.loads(line) for line in said.out.splitlines()]


def test_words_and_the_way(run, photographs, imagetree) -> None:
    said = imagetree("recognize", run, photographs[0], "--no-calibration")
    assert said.status == 0
    name, *guesses, way = said.out.splitlines()
    assert name == str(photographs[0])
    assert sorted(line.split()[-1] for line in guesses) == sorted(WNIDS)
    assert way.strip().startswith("entity > physical entity > ")


def test_bad_ones_have_a_line_and_the_rest_goes_on(run, photographs, imagetree, tmp_path) -> None:
    """Exit status 1, the reasons on stderr, the answers on stdout."""
    (tmp_path / "a.jpg").write_text("no image")
    (tmp_path / "b.jpg").touch()
    (tmp_path / "c.txt").write_text("text")
    (tmp_path / "d.JPEG").write_bytes(photographs[0].read_bytes())
    os.mkfifo(tmp_path / "e.jpg")
    said = imagetree("recognize", run, tmp_path, tmp_path / "gone.jpg", "--k", 1)
    assert said.status == 1
    assert said.out.splitlines()[0] == f"{tmp_path}/d.JPEG"
    assert len(said.out.splitlines()) == 3
    for name, reason in {
        "a.jpg": "not an image",
        "b.jpg": "empty",
        "c.txt": "no image by its name",
        "e.jpg": "no regular file",
        "gone.jpg": "cannot be read: No such file",
    }.items():
        [line] = [line for line in said.err.splitlines() if f"/{name}: " in line]
        assert reason in line
    assert said.err.splitlines()[-1] == "5 of 6 could not be recognised"


def test_json_lines(run, photographs, imagetree, tmp_path) -> None:
    """A line for each, bad or not, in their order."""
    (tmp_path / "bad.jpg").touch()
    names = [photographs[3], tmp_path / "bad.jpg", photographs[0]]
    said = imagetree("recognize", run, *names, "--json", "--k", 2)
    found = lines_of(said)
    assert [each["name"] for each in found] == list(map(str, names))
    assert [len(each["guesses"]) for each in found] == [2, 0, 2]
    assert found[1]["reason"] == "empty: 0 bytes"
    assert set(found[0]["guesses"][0]) == {"wnid", "words", "probability", "path"}


def test_standard_input(run, photographs, imagetree, monkeypatch) -> None:
    data = photographs[0].read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    [found] = lines_of(imagetree("recognize", run, "-", "--json"))
    [same] = lines_of(imagetree("recognize", run, photographs[0], "--json"))
    assert (found["name"], found["guesses"]) == ("-", same["guesses"])


def test_urls_and_mistyped_options_are_refused(run, imagetree) -> None:
    said = imagetree("recognize", run, "https://a.example/b.jpg")
    assert (said.status, said.out) == (1, "")
    assert "--allow-urls" in said.err
    said = imagetree("recognize", run, "a.jpg", "--jsno")
    assert "--jsno: no such option" in said.err


def test_page(run, photographs, imagetree, tmp_path) -> None:
    page = tmp_path / "page.html"
    said = imagetree("recognize", run, *photographs[:5], "--page", page)
    assert said.status == 0
    assert page.read_text().count("<figure>") == 5
    assert f"{page}: 5 images" in said.err


def test_sample_of_val(run, imagetree) -> None:
    found = lines_of(imagetree("recognize", run, "--sample", 3, "--json"))
    assert len({each["name"] for each in found}) == 3


def test_nothing_or_both(run, imagetree) -> None:
    assert "nothing to look at" in imagetree("recognize", run).err
    assert "cannot go together" in imagetree("recognize", run, "a.jpg", "--sample", 3).err


def test_hedge_needs_to_be_prepared(run, photographs, imagetree, tmp_path) -> None:
    alone = tmp_path / "alone.safetensors"
    alone.symlink_to(run / "checkpoint.safetensors")
    said = imagetree("recognize", alone, photographs[0], "--hedge")
    assert said.status == 1
    assert "imagetree hedge RUN --accuracy 0.95" in said.err


def test_hedge_writes_and_measures(hedged, imagetree) -> None:
    """Temperature, multipliers of the usual promises and the one asked for; val and its halves."""
    said = imagetree("hedge", hedged, "--accuracy", 0.7)
    assert said.status == 0
    for word in ("temperature", "minival", "first half", "second half", "flat", NAMES[1]):
        assert word in said.out
    kept = load_calibration(hedged)
    assert sorted(kept.multipliers) == [0.7, 0.8, 0.9, 0.95, 0.99]
    values = json.loads(imagetree("hedge", hedged, "--json").out)
    assert values["calibration"]["log_loss_after"] <= values["calibration"]["log_loss_before"]
    found_on = [trial["found_on"] for trial in values["trials"]]
    assert found_on == ["minival", "first half", "second half"]
    assert "Infinity" not in json.dumps(values)
    assert "expected above 0, at most 1" in imagetree("hedge", hedged, "--accuracy", 1.2).err


def test_hedged_answers(hedged, photographs, imagetree) -> None:
    """An untaught network promises nothing but the root; the text says so."""
    [found] = lines_of(imagetree("recognize", hedged, photographs[0], "--hedge", "--json"))
    answer = found["hedged"]["answer"]
    assert answer["probability"] >= 0.5
    assert found["hedged"]["pareto"][-1]["information"] == 0
    said = imagetree("recognize", hedged, photographs[0], "--hedge", "--accuracy", 0.99)
    marks = [line for line in said.out.splitlines() if " <- " in line]
    assert len(marks) == 1
    assert (
        said.out.splitlines()[-1].split(" > ")[-1]
        == marks[0].split("%  ")[1].split(",")[0].split("  ")[0]
    )


def test_calibration_changes_probabilities_and_can_be_left_out(
    hedged, photographs, imagetree
) -> None:
    [with_it] = lines_of(imagetree("recognize", hedged, photographs[0], "--json"))
    [without] = lines_of(
        imagetree("recognize", hedged, photographs[0], "--json", "--no-calibration")
    )
    assert [g["wnid"] for g in with_it["guesses"]] == [g["wnid"] for g in without["guesses"]]
    chances = [each["guesses"][0]["probability"] for each in (with_it, without)]
    assert chances[0] != pytest.approx(chances[1], abs=1e-6)


@pytest.mark.slow
def test_ten_crops_have_a_calibration_of_their_own(hedged, photographs, imagetree) -> None:
    """Not that of one crop: none before it is found, and then that of ten."""
    ten = ("recognize", hedged, photographs[0], "--json", "--crops", 10)

    def probability(*more: object) -> float:
        [found] = lines_of(imagetree(*ten, *more))
        return found["guesses"][0]["probability"]

    (hedged / NAMES[10]).unlink(missing_ok=True)
    assert probability() == probability("--no-calibration")
    said = imagetree(*ten, "--hedge")
    assert said.status == 1
    assert "imagetree hedge RUN --accuracy 0.95 --crops 10" in said.err
    before = (hedged / NAMES[1]).read_bytes()
    said = imagetree("hedge", hedged, "--crops", 10)
    assert said.out.splitlines()[-1] == f"{hedged / NAMES[10]}: written"
    assert (hedged / NAMES[1]).read_bytes() == before
    assert load_calibration(hedged, 10) != load_calibration(hedged)
    assert probability() != pytest.approx(probability("--no-calibration"), abs=1e-6)
    [found] = lines_of(imagetree(*ten, "--hedge"))
    assert found["hedged"]["answer"]["probability"] > 0


def test_submission_with_all_probabilities(hedged, imagetree, tmp_path) -> None:
    """It has the error of the one as text, and scoring tells how far it is calibrated."""
    challenge = load_run(hedged).challenge
    scores = []
    for name in ("val.txt", "val.jsonl"):
        assert imagetree("challenge", "run", hedged, "--output", tmp_path / name).status == 0
        said = imagetree("challenge", "score", challenge, tmp_path / name, "--json")
        scores.append(json.loads(said.out))
    assert scores[0]["top"] == scores[1]["top"]
    assert scores[0]["calibration"] is None
    line, *_ = (tmp_path / "val.jsonl").read_text().splitlines()
    assert sum(json.loads(line)["scores"].values()) == pytest.approx(1, abs=1e-6)
    assert 0 <= scores[1]["calibration"]["error"] <= 1


def test_stale_calibration_is_refused(hedged, photographs, imagetree) -> None:
    path = hedged / NAMES[1]
    kept = path.read_text()
    try:
        path.write_text(json.dumps(json.loads(kept) | {"checkpoint": "0" * 64}))
        said = imagetree("recognize", hedged, photographs[0])
        assert said.status == 1
        assert "another checkpoint" in said.err
        assert imagetree("recognize", hedged, photographs[0], "--no-calibration").status == 0
    finally:
        path.write_text(kept)
