"""Int8: scales, what becomes eight bits, and how near the answers stay on real photographs."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from imagetree.engines.comparing import compare, fault_of
from imagetree.engines.graph import take_apart
from imagetree.engines.quantise import find_scales, quantise, quantise_weights, quantised_values
from imagetree.engines.runtimes import OnnxRuntimeEngine, build_on
from imagetree.engines.torch_engine import TorchEngine
from imagetree.errors import TrainingError

from .small import CLASSES, INPUTS, UNITS, make_small, pixels


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.just(3), st.integers(1, 5)),
        elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False),
    )
)
def test_weights_are_off_by_half_a_step_and_fit_in_sixteen_bits_by_twos(weights) -> None:
    whole, scales = quantise_weights(weights)
    assert (scales > 0).all()
    for sign in (1, -1):
        two = np.sort(np.maximum(sign * whole.astype(int), 0), axis=1)[:, -2:].sum(1)
        assert (255 * two < 1 << 15).all()
    apart = np.abs(whole * scales[:, None].astype(np.float64) - weights)
    assert (apart <= scales[:, None] * 0.5001).all()


def test_a_great_bias_widens_its_row() -> None:
    """A dead unit with a bias would ask for more than 32 bits on the scale of its weights."""
    first = np.zeros((UNITS, INPUTS))
    second = np.full((CLASSES, UNITS), 1e-30)
    model = make_small(first + 1e-3, second)
    quantised = quantise(take_apart(model), pixels(20)).to_model()
    found = OnnxRuntimeEngine("onnxruntime-int8", quantised).logits(pixels(20))
    np.testing.assert_allclose(found, 1.0, rtol=1e-3)


def test_values_between_layers_of_weights(model) -> None:
    """What goes into each, and what comes out behind its ReLU; pools keep the scale they found."""
    found = quantised_values(take_apart(model))
    assert found["channels_first"] == "channels_first"
    assert found["relu1"] == "relu1"
    assert found["norm1"] == "norm1"
    assert found["flatten"] == "relu5"
    assert {"logits", "fc8", "fc6"}.isdisjoint(found)


def test_scales_are_the_mean_of_the_batches_greatest(model, squares) -> None:
    graph = take_apart(model)
    scales = find_scales(graph, ["relu1", "channels_first"], squares.pixels[:20])
    zeros = {name: int(scale.zero) for name, scale in scales.items()}
    assert zeros == {"relu1": 0, "channels_first": 128}
    parts = [find_scales(graph, ["relu1"], p) for p in (squares.pixels[:16], squares.pixels[16:20])]
    mean = np.mean([part["relu1"].step for part in parts])
    assert scales["relu1"].step == pytest.approx(mean, rel=1e-6)


def test_the_answers_stay(weights, int8, squares) -> None:
    reference = TorchEngine("pytorch-fp32", weights).logits(squares.pixels)
    found = OnnxRuntimeEngine("onnxruntime-int8", int8).logits(squares.pixels)
    compared = compare(found, reference, squares.labels)
    assert fault_of("onnxruntime-int8", compared) is None
    assert 1e-4 < compared.relative_error < 0.1


@pytest.mark.parametrize("name", ["onnxruntime-int8", "openvino-int8"])
def test_no_library_clips(name, int8, squares) -> None:
    """What the graph says in floats, its integers made floats again, is what they compute.

    A processor without VNNI clips sums of two products that 16 bits do not hold.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(int8.SerializeToString(), options)
    [expected] = session.run(None, {"pixels": squares.pixels})
    found = build_on(name, int8).logits(squares.pixels)
    assert np.linalg.norm(found - expected) < 0.01 * np.linalg.norm(expected)


def test_a_quarter_of_the_bytes(model, int8) -> None:
    """Every weight lies in the file as one byte."""
    assert int8.ByteSize() < 0.252 * model.ByteSize()


def test_what_is_not_finite_is_refused() -> None:
    first = np.ones((UNITS, INPUTS))
    first[0, 0] = np.inf
    with pytest.raises(TrainingError, match="not finite"):
        quantise(take_apart(make_small(first, np.ones((CLASSES, UNITS)))), pixels(4))
