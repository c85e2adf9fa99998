"""A network's file: read back as it was; refused where it holds anything else."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from imagetree.alexnet.architectures import ARCHITECTURES
from imagetree.alexnet.onnx_graph import make_onnx
from imagetree.alexnet.weights import DESCRIPTION_KEY, Weights, tensor_shapes
from imagetree.engines.model_file import load_model, save_model
from imagetree.engines.runtimes import FILE_ENGINE, build_on
from imagetree.errors import TrainingError
from imagetree.recognition.calibration import Calibration

from .small import make_small

pytestmark = pytest.mark.slow


def test_read_back(int8, weights, squares, tmp_path) -> None:
    """The same graph, the same answers, and what network it is."""
    size = save_model(tmp_path / "a.onnx", int8)
    assert (tmp_path / "a.onnx").stat().st_size == size
    found = load_model(tmp_path / "a.onnx")
    assert found.description == weights.description
    assert found.calibration is None
    assert found.model == int8
    first, second = (build_on(FILE_ENGINE, m).logits(squares.pixels) for m in (int8, found.model))
    np.testing.assert_array_equal(first, second)


def test_a_calibration_in_the_file(int8, tmp_path) -> None:
    """Read back as it was, the network beside it unchanged; damaged, it is refused."""
    own = Calibration("0" * 64, 1.25, 475, 0.72, 0.69, {0.9: 2.5, 1.0: float("inf")})
    before = int8.SerializeToString(deterministic=True)
    save_model(tmp_path / "a.onnx", int8, own)
    assert int8.SerializeToString(deterministic=True) == before
    found = load_model(tmp_path / "a.onnx")
    assert found.calibration == own
    for text in ("", "[]", "{", own.to_text().replace("1.25", "0"), "[" * 100_000):
        [entry] = [e for e in found.model.metadata_props if e.key == "imagetree.calibration"]
        entry.value = text
        save_model(tmp_path / "b.onnx", found.model)
        with pytest.raises(TrainingError, match="its calibration is damaged"):
            load_model(tmp_path / "b.onnx")


def test_the_same_network_gives_the_same_bytes(int8, tmp_path) -> None:
    for name in ("a.onnx", "b.onnx"):
        save_model(tmp_path / name, int8)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.fixture
def small(weights):
    """A small graph that says it is the network; its shapes say otherwise."""
    model = make_small(np.ones((24, 48)), np.ones((3, 24)))
    helper.set_model_props(model, {DESCRIPTION_KEY: weights.description.to_json()})
    return model


def changed(model, how: str):
    node = model.graph.node[3]
    if how == "operator":
        node.op_type = "NonMaxSuppression"
    elif how == "domain":
        node.domain = "com.example"
    elif how == "graph":
        node.attribute.append(helper.make_attribute("body", model.graph))
    elif how == "function":
        model.functions.add().name = "f"
    elif how == "outside":
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "../../etc/passwd"
    elif how == "no description":
        del model.metadata_props[:]
    elif how == "description":
        model.metadata_props[0].value = "{"
    elif how == "weights":
        model.graph.initializer[0].dims[1] = 7
    elif how == "many":
        model.graph.node.extend([node] * 1001)
    return model


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("operator", r"none of ours \(NonMaxSuppression\)"),
        ("domain", "other domains"),
        ("graph", "graphs in graphs"),
        ("function", "functions"),
        ("outside", "another file"),
        ("no description", "does not say what network"),
        ("description", "damaged description"),
        ("weights", "no network of imagetree's"),
        ("many", "1,006 operators"),
        ("nothing", r"input .* \(expected pixels of \(67, 67, 3\)"),
    ],
)
def test_refused(how, message, small, tmp_path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(changed(small, how).SerializeToString())
    with pytest.raises(TrainingError, match=message):
        load_model(path)


def test_values_too_large_are_refused(int8, tmp_path) -> None:
    """A padding of a hundred thousand pixels would take all memory."""
    model = onnx.ModelProto()
    model.CopyFrom(int8)
    [conv] = [node for node in model.graph.node if node.name == "conv2"]
    for attribute in conv.attribute:
        if attribute.name == "pads":
            attribute.ints[:] = [100_000] * 4
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(TrainingError, match=r"too large|no network of imagetree's"):
        load_model(tmp_path / "a.onnx")


@pytest.mark.parametrize("data", [b"", b"text", b"\x08\x08" + bytes(100), b"\xff" * 64])
def test_no_onnx(data, tmp_path) -> None:
    (tmp_path / "a.onnx").write_bytes(data)
    with pytest.raises(TrainingError, match=r"a\.onnx: "):
        load_model(tmp_path / "a.onnx")


def test_names_that_are_no_text(int8, tmp_path) -> None:
    """A single byte makes a name of an operator or of a value one that is not UTF-8."""
    data = int8.SerializeToString()
    for name in (b"Transpose", b"pixels"):
        assert name in data
        (tmp_path / "a.onnx").write_bytes(data.replace(name, b"\x80" + name[1:]))
        with pytest.raises(TrainingError, match=r"a\.onnx: no network of imagetree's"):
            load_model(tmp_path / "a.onnx")


def test_no_file(tmp_path) -> None:
    with pytest.raises(TrainingError, match="cannot be read"):
        load_model(tmp_path / "a.onnx")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), cut=st.booleans())
def test_any_damage_is_told(place, byte, cut, tmp_path_factory, weights) -> None:
    """A byte that is wrong, or an end that is missing: read or refused, never anything else."""
    model = make_small(np.ones((24, 48)), np.ones((3, 24)))
    helper.set_model_props(model, {DESCRIPTION_KEY: weights.description.to_json()})
    data = bytearray(model.SerializeToString())
    at = int(place * len(data))
    data[at] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(data[:at] if cut else data)
    with pytest.raises(TrainingError):  # the small graph is none of ours in any case
        load_model(path)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_can_be_read(name, weights, tmp_path) -> None:
    """At a size that is not its own, where the last pooling takes operators of its own."""
    described = dataclasses.replace(
        weights.description, architecture=name, input_size=67, image_size=83
    )
    shapes = tensor_shapes(described.network, 3, 67)
    zeros = {key: torch.zeros(shape) for key, shape in shapes.items()}
    save_model(tmp_path / "a.onnx", make_onnx(Weights(described, zeros)))
    assert load_model(tmp_path / "a.onnx").description == described
