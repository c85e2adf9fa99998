"""Nearest neighbours: exact, whatever the batches, nearest first, ties by index."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from imagetree.errors import TrainingError
from imagetree.training.batches import BadImage
from imagetree.understanding.features import FeatureBatch
from imagetree.understanding.neighbours import nearest


def batched(values: np.ndarray, *cuts: int) -> list[FeatureBatch]:
    """The rows of an array in batches that end at the cuts."""
    edges = [0, *sorted(cuts), len(values)]
    return [FeatureBatch(np.arange(a, b), values[a:b]) for a, b in pairwise(edges)]


def test_as_by_the_whole_table_of_distances() -> None:
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(4, 50)).astype(np.float32)
    values = rng.normal(size=(700, 50)).astype(np.float32)
    found = nearest(queries, batched(values, 128, 600), 6)
    table = cdist(queries.astype(np.float64), values.astype(np.float64))
    assert np.array_equal(found.indices, np.argsort(table, axis=1)[:, :6])
    assert np.allclose(found.distances, np.sort(table, axis=1)[:, :6], rtol=1e-12)


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 40))
def test_batches_change_nothing(cuts: list[int], count: int) -> None:
    """However the set is cut: the same bits, and by index where whole numbers make ties."""
    rng = np.random.default_rng(1)
    queries = rng.integers(0, 3, (3, 4)).astype(np.float32)
    values = rng.integers(0, 3, (40, 4)).astype(np.float32)
    found, whole = (
        nearest(queries, batched(values, *cuts), count),
        nearest(queries, batched(values), count),
    )
    assert np.array_equal(found.indices, whole.indices)
    assert np.array_equal(found.distances, whole.distances)
    keys = np.lexsort((np.broadcast_to(np.arange(40), (3, 40)), cdist(queries, values)), axis=1)
    assert np.array_equal(found.indices, keys[:, :count])


def test_small_distances_between_large_vectors() -> None:
    """Vectors of length 64,000 that differ by one float32 step are told apart, and from self."""
    query = np.full((1, 4096), 1000, np.float32)
    near = query.copy()
    near[0, 7] = np.nextafter(np.float32(1000), np.float32(2000))
    far = near.copy()
    far[0, 8] = near[0, 7]
    found = nearest(query, batched(np.concatenate([far, near, query])), 3)
    assert found.indices.tolist() == [[2, 1, 0]]
    step = float(near[0, 7]) - 1000
    assert found.distances.tolist() == [[0.0, step, pytest.approx(step * np.sqrt(2), rel=1e-12)]]


def test_bad_images_are_nobodys_neighbours() -> None:
    """Indices are those of the images: left out is what could not be decoded."""
    batches = [
        FeatureBatch(np.array([0, 2]), np.zeros((2, 3), np.float32), (BadImage(1, "truncated"),)),
        FeatureBatch(np.array([], np.int64), np.zeros((0, 3), np.float32), (BadImage(3, "empty"),)),
    ]
    found = nearest(np.zeros((1, 3), np.float32), batches, 2)
    assert found.indices.tolist() == [[0, 2]]
    assert [each.index for each in found.bad] == [1, 3]


def test_refused() -> None:
    query, values = np.zeros((1, 3), np.float32), np.zeros((2, 3), np.float32)
    with pytest.raises(TrainingError, match="3 neighbours cannot be found among 2 usable images"):
        nearest(query, batched(values), 3)
    with pytest.raises(TrainingError, match=r"number of neighbours is 0 \(expected at least 1\)"):
        nearest(query, batched(values), 0)
    with pytest.raises(TrainingError, match=r"have 2 values \(expected 3, as the queries\)"):
        nearest(query, batched(values[:, :2]), 1)
    with pytest.raises(TrainingError, match="set: a feature is no finite number"):
        nearest(query, batched(values + np.nan), 1)
    with pytest.raises(TrainingError, match="query: a feature is no finite number"):
        nearest(query + np.inf, batched(values), 1)
