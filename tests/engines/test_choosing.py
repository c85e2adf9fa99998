"""What is chosen on a machine, what of it is remembered, and when it no longer holds."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from imagetree.engines import choosing, loading
from imagetree.engines.choosing import choose_engines
from imagetree.engines.engine import NAMES, REFERENCE, precision_of
from imagetree.engines.loading import INT8_NAME, NAME, load_engine, machine, remembered
from imagetree.engines.opening import open_classifier
from imagetree.errors import TrainingError
from imagetree.training.device import choose_device, computes_bf16
from imagetree.training.runs import load_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(run, tmp_path_factory):
    """A copy of the run with its engines chosen, and what was said of them."""
    folder = tmp_path_factory.mktemp("measured") / "run"
    shutil.copytree(run.folder, folder)
    loaded = load_run(folder)
    return loaded, choose_engines(loaded)


@pytest.fixture
def copied(measured, tmp_path):
    """The same, to be changed."""
    shutil.copytree(measured[0].folder, tmp_path / "run")
    return load_run(tmp_path / "run")


def test_all_are_tried_and_the_fastest_taken(measured) -> None:
    _, chosen = measured
    assert tuple(each.name for each in chosen.candidates) == NAMES
    untried = [each for each in chosen.candidates if each.comparison is None]
    assert all(each.fault == "no bf16 is computed here" for each in untried)
    assert bool(untried) is not computes_bf16(choose_device("auto"))
    good = {each.name: each for each in chosen.candidates if each.fault is None}
    assert REFERENCE in good
    assert good[chosen.latency].latency == min(each.latency for each in good.values())
    assert good[chosen.throughput].rate == max(each.rate for each in good.values())


def test_remembered(measured) -> None:
    run, chosen = measured
    assert remembered(run) == (chosen.latency, chosen.throughput)
    kept = json.loads((run.folder / NAME).read_text())
    assert list(kept["machines"]) == [machine()]
    assert [each["name"] for each in kept["measured"]] == list(NAMES)


def test_auto_is_what_was_chosen(measured, squares) -> None:
    run, chosen = measured
    assert load_engine(run, "auto", "latency").engine.name == chosen.latency
    engine = load_engine(run, "auto").engine
    assert engine.name == chosen.throughput
    reference = load_engine(run, REFERENCE).engine.logits(squares.pixels)
    found = engine.logits(squares.pixels)
    assert np.linalg.norm(found - reference) < 0.1 * np.linalg.norm(reference)


def test_another_machine_knows_nothing(measured, monkeypatch) -> None:
    run, _ = measured
    monkeypatch.setattr(loading, "machine", lambda: "another")
    assert remembered(run) is None
    with pytest.raises(TrainingError, match="no engine has been chosen on this machine") as caught:
        load_engine(run, "auto")
    assert caught.value.hint == f"imagetree engines {run.folder}"


def test_another_checkpoint_knows_nothing(copied) -> None:
    with copied.checkpoint_path.open("ab") as file:
        file.write(b" ")
    assert remembered(copied) is None


def test_without_a_checkpoint_nothing_is_known(copied) -> None:
    copied.checkpoint_path.unlink()
    assert remembered(copied) is None
    with pytest.raises(TrainingError, match="no int8 network of this checkpoint"):
        load_engine(copied, "openvino-int8")
    with pytest.raises(TrainingError, match="no checkpoint is here"):
        open_classifier(copied.folder)


def test_another_int8_network_is_refused(copied) -> None:
    """One of another checkpoint would answer, and wrongly."""
    path = copied.folder / NAME
    kept = json.loads(path.read_text())
    kept["machines"][machine()] = ["openvino-int8", "openvino-int8"]
    path.write_text(json.dumps(kept))
    assert remembered(copied) == ("openvino-int8", "openvino-int8")
    assert precision_of(load_engine(copied, "auto").engine.name) == "int8"
    with (copied.folder / INT8_NAME).open("ab") as file:
        file.write(b" ")
    assert remembered(copied) is None
    with pytest.raises(TrainingError, match="no int8 network of this checkpoint"):
        load_engine(copied, "openvino-int8")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "machines": {"a": ["b", "c"]}}']
)
def test_damaged(text, copied) -> None:
    (copied.folder / NAME).write_text(text)
    with pytest.raises(TrainingError, match=r"engine\.json: damaged") as caught:
        load_engine(copied, "auto")
    assert caught.value.hint == f"measure again: imagetree engines {copied.folder}"


def test_a_wrong_engine_is_refused(copied, monkeypatch) -> None:
    """One that answers with other logits is never chosen, and said why."""
    from imagetree.engines.runtimes import OpenVinoEngine

    right = OpenVinoEngine.logits
    monkeypatch.setattr(OpenVinoEngine, "logits", lambda self, pixels: -right(self, pixels))
    monkeypatch.setattr(choosing, "NAMES", (REFERENCE, "openvino-fp32"))
    chosen = choose_engines(copied)
    assert (chosen.latency, chosen.throughput) == (REFERENCE, REFERENCE)
    [_, refused] = chosen.candidates
    assert refused.fault.startswith("100.00% of the answers differ")
    assert refused.latency is None


def test_a_missing_library_is_told_and_the_rest_goes_on(copied, monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(choosing, "NAMES", (REFERENCE, "onnxruntime-fp32", "openvino-fp32"))
    chosen = choose_engines(copied)
    faults = {each.name: each.fault for each in chosen.candidates}
    assert faults["openvino-fp32"].startswith("openvino is not installed")
    assert faults["onnxruntime-fp32"] is None


def test_a_file_of_other_classes_is_refused(measured, weights, tmp_path) -> None:
    import dataclasses

    from imagetree.alexnet.onnx_graph import make_onnx
    from imagetree.alexnet.weights import Weights
    from imagetree.engines.model_file import save_model

    turned = dataclasses.replace(weights.description, wnids=weights.description.wnids[::-1])
    save_model(tmp_path / "a.onnx", make_onnx(Weights(turned, weights.tensors)))
    with pytest.raises(TrainingError, match="its wnids are not those of"):
        load_engine(measured[0], str(tmp_path / "a.onnx"))
