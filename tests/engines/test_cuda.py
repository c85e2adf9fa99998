"""On a GPU: a batch's layers as one graph answer as they do one by one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from imagetree.engines.building import build_engine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here"),
]


@pytest.mark.parametrize(("name", "bound"), [("pytorch-fp32", 1e-3), ("pytorch-bf16", 0.05)])
def test_a_graph_answers_as_its_layers(name, bound, weights, squares) -> None:
    """Sizes that have graphs (1, 32) and one that has none, the same images twice and others."""
    engine = build_engine(name, weights)
    pixels = np.resize(squares.pixels, (33, *squares.pixels.shape[1:]))
    expected = engine.logits(pixels)
    scale = np.abs(expected).max()
    for few in (slice(0, 32), slice(1, 33), slice(0, 32), slice(0, 1), slice(7, 8)):
        np.testing.assert_allclose(engine.logits(pixels[few]), expected[few], atol=bound * scale)
    assert len(engine._graphs) == 2


def test_threads_do_not_meet_in_a_graph(weights, squares) -> None:
    """Each thread gets the answer to its own image, while graphs are captured too."""
    engine = build_engine("pytorch-fp32", weights)
    images = [squares.pixels[n : n + 1] for n in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(engine.logits, images * 4))
    for number, logits in enumerate(found):
        np.testing.assert_array_equal(logits, engine.logits(images[number % 8]))
