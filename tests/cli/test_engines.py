"""`imagetree engines`, `imagetree compress` and `imagetree recognize --engine`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from imagetree.engines.engine import NAMES

from .untrained import make_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(imagenette, tmp_path_factory):
    """A run with its first weights; beside it `images/`."""
    return make_run(imagenette, tmp_path_factory.mktemp("engines"))


@pytest.fixture(scope="module")
def chosen(run):
    """The same run with its engines measured."""
    from imagetree.cli.main import main

    assert main(["engines", str(run)]) == 0
    return run


def guesses(said) -> list[dict[str, float]]:
    answers = [json.loads(line)["guesses"] for line in said.out.splitlines()]
    return [{guess["wnid"]: guess["probability"] for guess in each} for each in answers]


@pytest.mark.slow
def test_engines(run, imagetree) -> None:
    """A line for each engine, what was taken, and where it is kept; the same as JSON."""
    said = imagetree("engines", run)
    assert said.status == 0
    for name in NAMES:
        assert name in said.out
    assert "1 image, ms" in said.out
    assert said.out.splitlines()[-1] == f"{run}/engine.json: written"
    assert (run / "engine.json").is_file()
    found = json.loads(imagetree("engines", run, "--json").out)
    assert set(found) == {"machine", "latency", "throughput", "candidates"}
    assert [each["name"] for each in found["candidates"]] == list(NAMES)
    assert found["candidates"][0]["comparison"]["relative_error"] == 0


@pytest.mark.parametrize("name", ["auto", "openvino-int8"])
def test_recognize_with_an_engine(name, chosen, imagetree) -> None:
    """The same probabilities as the network's, near enough; of ten crops too."""
    photographs = sorted((chosen.parent / "images").rglob("*.JPEG"))[:3]
    for more in ([], ["--crops", 10]):
        words = ["recognize", chosen, *photographs, "--json", *more]
        plain = guesses(imagetree(*words, "--engine", "pytorch-fp32"))
        said = imagetree(*words, "--engine", name)
        assert said.status == 0
        for own, theirs in zip(guesses(said), plain, strict=True):
            assert own == pytest.approx(theirs, abs=0.02)


def test_a_sample_with_an_engine(chosen, imagetree) -> None:
    """The engine is what answers there, too: its probabilities are not the network's own bits."""
    words = ["recognize", chosen, "--sample", 2, "--json", "--engine"]
    plain = imagetree(*words, "pytorch-fp32")
    said = imagetree(*words, "openvino-int8")
    assert said.status == 0
    assert guesses(said) != guesses(plain)
    for own, theirs in zip(guesses(said), guesses(plain), strict=True):
        assert own == pytest.approx(theirs, abs=0.02)


def test_images_are_answered_by_what_was_chosen(chosen, imagetree) -> None:
    """One image by what answers it soonest, several by what answers most."""
    photographs = sorted((chosen.parent / "images").rglob("*.JPEG"))[:2]
    [kept] = json.loads((chosen / "engine.json").read_text())["machines"].values()
    latency, throughput = kept
    assert imagetree("recognize", chosen, photographs[0]).err == f"engine: {latency}\n"
    assert imagetree("recognize", chosen, *photographs).err == f"engine: {throughput}\n"


def test_int8_answers_without_torch(chosen, imagetree) -> None:
    """Torch takes longer to start than the rest of a cold answer; calibrated and hedged, too."""
    photograph = next((chosen.parent / "images").rglob("*.JPEG"))
    kept = json.loads((chosen / "engine.json").read_text())
    [machine] = kept["machines"]
    kept["machines"][machine] = ["openvino-int8", "onnxruntime-int8"]
    (chosen / "engine.json").write_text(json.dumps(kept))
    assert imagetree("hedge", chosen).status == 0
    code = (
        "import sys; from imagetree.cli.main import main; "
        f"assert main(['recognize', {str(chosen)!r}, {str(photograph)!r}, '--hedge']) == 0; "
        "print('torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stderr == "engine: openvino-int8\n"
    assert said.stdout.splitlines()[0] == str(photograph)
    assert said.stdout.splitlines()[-1] == "False"


def test_an_engine_that_is_none(run, imagetree) -> None:
    photograph = next((run.parent / "images").rglob("*.JPEG"))
    said = imagetree("recognize", run, photograph, "--engine", "best")
    assert said.status == 1
    assert "no engine is called 'best' (expected one of pytorch-fp32" in said.err
    said = imagetree("recognize", run / "checkpoint.safetensors", photograph, "--engine", "auto")
    assert said.status == 1
    assert "no folder of a run, which --engine needs" in said.err


@pytest.mark.slow
def test_compress(run, imagetree, tmp_path) -> None:
    """The table, the file, its error on val; and the file answers, calibrated, at any level."""
    out = tmp_path / "small.onnx"
    words = ["--points", 100, "--units", 1, "--variance", 1, 0.9, "--val"]
    said = imagetree("compress", run, out, *words)
    assert said.status == 0, said.err
    assert "whole, fp32" in said.out
    assert "90.0% of the variance (rank " in said.out
    assert f"{out.stat().st_size:,} bytes" in said.out
    assert said.out.splitlines()[-1].startswith("top-1 error on val: ")
    photograph = next((run.parent / "images").rglob("*.JPEG"))
    answered = imagetree("recognize", run, photograph, "--engine", out)
    assert answered.status == 0
    assert len(answered.out.splitlines()) == 5
    for more in ([], ["--no-calibration"], ["--hedge"]):
        alone = imagetree("recognize", out, photograph, *more)
        assert (alone.status, alone.err) == (0, "engine: openvino-int8\n")
        beside = imagetree("recognize", run, photograph, "--engine", out, *more)
        assert alone.out == beside.out
        assert (alone.out == answered.out) == (not more)
    refused = imagetree("recognize", out, photograph, "--hedge", "--crops", 10)
    assert (refused.status, refused.out) == (1, "")
    assert "no multiplier is known for an accuracy of 0.95 (there is none)" in refused.err
    refused = imagetree("recognize", out, photograph, "--hedge", "--accuracy", 0.97)
    assert "(there are 0.8, 0.9, 0.95, 0.99)" in refused.err
    assert "hint: promise one of these, or find it on minival" in refused.err


def test_an_exported_file_answers_alone(run, imagetree, tmp_path) -> None:
    """ONNX in float32 says what the run says; what needs a run is told so."""
    out = tmp_path / "network.onnx"
    assert imagetree("weights", "export", run, out).status == 0
    photographs = sorted((run.parent / "images").rglob("*.JPEG"))[:3]
    words = [*photographs, "--json", "--no-calibration"]
    said = imagetree("recognize", out, *words)
    assert (said.status, said.err) == (0, "engine: openvino-fp32\n")
    plain = guesses(imagetree("recognize", run, *words, "--engine", "pytorch-fp32"))
    for own, theirs in zip(guesses(said), plain, strict=True):
        assert own == pytest.approx(theirs, abs=1e-4)
    words = [*photographs, "--json"]
    both = [imagetree("common", *words, "--run", each) for each in (out, run)]
    shown = [[each["wnid"] for each in json.loads(said.out)["concepts"]] for said in both]
    assert shown[0] == shown[1]
    for words, message in (
        (["recognize", out, "--sample", 2], "no folder of a run, whose val --sample draws from"),
        (["recognize", out, photographs[0], "--engine", "auto"], "which --engine needs"),
        (["recognize", out, photographs[0], "--hedge"], "no multiplier is known"),
        (["recognize", tmp_path / "none.onnx", photographs[0]], "none.onnx: cannot be read"),
    ):
        refused = imagetree(*words)
        assert (refused.status, refused.out) == (1, "")
        assert message in refused.err


def test_compress_as_json(run, imagetree, tmp_path) -> None:
    words = ["--points", 100, "--units", 0.5, "--variance", 1, "--json"]
    said = imagetree("compress", run, tmp_path / "small.onnx", *words)
    found = json.loads(said.out)
    assert [each["name"] for each in found["tried"]] == ["whole, fp32", "50% of the units, int8"]
    assert found["chosen"] == "50% of the units, int8"
    assert found["size"] == (tmp_path / "small.onnx").stat().st_size
    assert found["val"] is None


def test_compress_refuses_another_ending(run, imagetree, tmp_path) -> None:
    said = imagetree("compress", run, tmp_path / "small.zip")
    assert (said.status, said.out) == (1, "")
    assert "small.zip: an ending that is not known (expected .onnx)" in said.err
