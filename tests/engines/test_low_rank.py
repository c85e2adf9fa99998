"""Thin layers and fewer units: exact where they can be, near where the photographs allow it."""

from __future__ import annotations

import numpy as np
import pytest

from imagetree.engines.graph import take_apart
from imagetree.engines.low_rank import find_bases, keep_units, lower_rank
from imagetree.engines.runtimes import OnnxRuntimeEngine

from .small import CLASSES, INPUTS, UNITS, make_small, pixels

RANK = 5


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def logits(graph) -> np.ndarray:
    return OnnxRuntimeEngine("onnxruntime-fp32", graph.to_model()).logits(pixels(50))


@pytest.fixture
def thin():
    """A network whose fc6 has rank 5."""
    first = drawn(UNITS, RANK) @ drawn(RANK, INPUTS, seed=1) / 100
    return take_apart(make_small(first, drawn(CLASSES, UNITS, seed=2)))


def test_a_matrix_of_low_rank_is_split_without_loss(thin) -> None:
    found, ranks = lower_rank(thin, find_bases(thin, pixels()), 0.9999)
    assert ranks == {"fc6": RANK}
    assert found.tensors["fc6.down"].shape == (RANK, INPUTS)
    assert found.tensors["fc6.up"].shape == (UNITS, RANK)
    np.testing.assert_allclose(logits(found), logits(thin), rtol=1e-3, atol=1e-2)


def test_between_the_two_all_directions_have_variance_one(thin) -> None:
    bases = find_bases(thin, pixels())
    found, _ = lower_rank(thin, bases, 0.9999)
    given = pixels().reshape(-1, INPUTS).astype(np.float32)
    between = given @ found.tensors["fc6.down"].T
    np.testing.assert_allclose(between.std(0), 1, rtol=0.1)


def test_bases_hold_the_variance_that_they_say(thin) -> None:
    """Shares of the variance of real outputs; directions orthonormal; the greatest first."""
    basis = find_bases(thin, pixels())["fc6"]
    number = len(basis.shares)
    np.testing.assert_allclose(basis.directions.T @ basis.directions, np.eye(number), atol=1e-4)
    assert (np.diff(basis.deviations) <= 1e-5).all()
    outputs = pixels().reshape(-1, INPUTS) @ thin.tensors["fc6.weight"].T
    outputs = outputs - outputs.mean(0)
    kept = outputs @ basis.directions[:, :2]
    assert basis.shares[1] == pytest.approx(kept.var(0).sum() / outputs.var(0).sum(), abs=0.02)


def test_a_layer_that_gains_nothing_is_left() -> None:
    whole = take_apart(make_small(drawn(UNITS, INPUTS), drawn(CLASSES, UNITS, seed=2)))
    found, ranks = lower_rank(whole, find_bases(whole, pixels()), 1.0)
    assert ranks == {}
    assert found.nodes == whole.nodes


def test_a_lower_share_loses_more(thin) -> None:
    bases = find_bases(thin, pixels())
    lost = []
    for share in (0.99, 0.7, 0.3):
        found, _ = lower_rank(thin, bases, share)
        lost.append(float(np.abs(logits(found) - logits(thin)).mean()))
    assert lost == sorted(lost)
    assert lost[0] < lost[2] / 3


def test_units_that_others_tell_are_left_out() -> None:
    """Each unit is there twice, at another scale: half of them say all."""
    first = drawn(UNITS // 2, INPUTS) / 100
    graph = take_apart(
        make_small(np.concatenate([first, 0.3 * first]), np.sign(drawn(CLASSES, UNITS, seed=2)))
    )
    found = keep_units(graph, 0.5, pixels())
    weights = {node.name: found.tensors[node.input[1]] for node in found.nodes if "fc" in node.name}
    assert weights["fc6"].shape == (UNITS // 2, INPUTS)
    assert weights["fc7"].shape == (CLASSES, UNITS // 2)
    whole = logits(graph)
    assert np.abs(logits(found) - whole).max() < 0.05 * np.abs(whole).max()


def test_the_mean_of_what_is_left_out_stays() -> None:
    """A unit that always gives the same adds nothing but a bias."""
    first = drawn(UNITS, INPUTS) / 1000
    first[::2] = 0.01
    given = np.full((20, 4, 4, 3), 100, np.uint8)
    graph = take_apart(make_small(first, drawn(CLASSES, UNITS, seed=2)))
    found = keep_units(graph, 0.25, given)
    engine, cut = (
        OnnxRuntimeEngine("onnxruntime-fp32", each.to_model()).logits(given[:1])
        for each in (graph, found)
    )
    np.testing.assert_allclose(cut, engine, rtol=1e-4, atol=1e-4)


def test_all_units_kept_is_the_same_graph(thin) -> None:
    assert keep_units(thin, 1.0, pixels()) is thin
