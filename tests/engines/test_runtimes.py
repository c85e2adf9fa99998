"""Every engine answers as the reference does, on real photographs, from several threads."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from imagetree.alexnet.weights_out import build_network
from imagetree.engines.building import build_engine
from imagetree.engines.comparing import compare, fault_of
from imagetree.engines.engine import NAMES, REFERENCE, precision_of
from imagetree.errors import TrainingError
from imagetree.training.device import choose_device, computes_bf16

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engines(weights, int8):
    return _Built(lambda name: build_engine(name, weights, int8))


class _Built(dict):
    """Engines by name, built when first asked for; bf16 is skipped where it is not computed."""

    def __init__(self, build) -> None:
        self._build = build

    def __missing__(self, name):
        if precision_of(name) == "bf16" and not computes_bf16(choose_device("auto")):
            pytest.skip("no bf16 is computed here")
        self[name] = self._build(name)
        return self[name]


def test_the_reference_is_the_network(engines, weights, squares) -> None:
    expected = build_network(weights)(torch.from_numpy(squares.pixels)).numpy()
    found = engines[REFERENCE].logits(squares.pixels)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES[1:])
def test_within_its_bounds(name, engines, squares) -> None:
    """Logits near the reference's, and no nearer than such a precision can be."""
    reference = engines[REFERENCE].logits(squares.pixels)
    logits = engines[name].logits(squares.pixels)
    assert (logits.shape, logits.dtype) == ((len(squares.labels), 3), np.float32)
    found = compare(logits, reference, squares.labels)
    assert fault_of(name, found) is None
    least = {"fp32": 0, "bf16": 1e-5, "int8": 1e-3}[precision_of(name)]
    assert found.relative_error >= least


@pytest.mark.parametrize("name", NAMES)
def test_an_image_alone_or_among_others(name, engines, squares) -> None:
    """Any number of images, one after the other, the same logits but for the last bits."""
    some = engines[name].logits(squares.pixels[:5])
    [first] = engines[name].logits(squares.pixels[:1])
    scale = np.abs(some).max()
    np.testing.assert_allclose(first, some[0], atol=(0.05 if "bf16" in name else 0.02) * scale)
    again = engines[name].logits(squares.pixels[:5])
    np.testing.assert_array_equal(again, some)


@pytest.mark.parametrize("name", ["pytorch-fp32", "onnxruntime-int8", "openvino-int8"])
def test_threads_do_not_meet(name, engines, squares) -> None:
    """Each thread gets the answer to its own images, however many ask at once."""
    engine = engines[name]
    parts = [squares.pixels[n : n + 2] for n in range(8)]
    expected = [engine.logits(part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(engine.logits, parts * 4))
    for number, logits in enumerate(found):
        np.testing.assert_allclose(logits, expected[number % 8], rtol=1e-5, atol=1e-5)


def computed_by(engine) -> list[tuple[str, str]]:
    """OpenVINO's own account of what it runs: operator and precision."""
    compiled = engine._request((1, 67, 67, 3)).get_compiled_model()
    infos = [op.get_rt_info() for op in compiled.get_runtime_model().get_ops()]
    return [(i["layerType"].astype(str), i["runtimePrecision"].astype(str)) for i in infos]


def test_openvino_runs_norms_as_norms(model) -> None:
    """Its own LRN operator is what computes them, and not a part of it for each power and sum."""
    from imagetree.engines.runtimes import OpenVinoEngine

    kinds = [kind for kind, _ in computed_by(OpenVinoEngine("openvino-fp32", model))]
    assert kinds.count("Lrn") == 2
    assert "Power" not in kinds


def test_int8_is_integer_arithmetic(int8) -> None:
    """OpenVINO computes every layer with weights in int8: no float is left of any of them.

    Of the norms only the sums over neighbouring maps are layers, in float.
    """
    from imagetree.engines.runtimes import OpenVinoEngine

    kinds = computed_by(OpenVinoEngine("openvino-int8", int8))
    layers = [precision for kind, precision in kinds if kind in ("Convolution", "FullyConnected")]
    assert (len(layers), layers.count("u8")) == (8 + 2, 8)
    assert "Lrn" not in [kind for kind, _ in kinds]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tensorrt-fp16", r"expected one of pytorch-fp32, "),
        ("openvino-int8", "has not been calibrated"),
    ],
)
def test_what_cannot_be_built(name, message, weights) -> None:
    with pytest.raises(TrainingError, match=message):
        build_engine(name, weights)


@pytest.mark.parametrize("name", ["pytorch-bf16", "openvino-bf16"])
def test_bf16_that_is_not_computed_is_refused(name, weights, monkeypatch) -> None:
    """Not computed in float32 under another name, and not a hundred times slower."""
    import openvino

    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: ["FP32", "INT8"])
    with pytest.raises(TrainingError, match=f"{name}: no bf16 is computed here"):
        build_engine(name, weights)


def test_a_missing_library_says_what_to_install(weights, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(TrainingError, match="openvino is not installed") as caught:
        build_engine("openvino-fp32", weights)
    assert caught.value.hint == "pip install 'imagetree[engines]'"
