"""The picture of the filters: every filter in its place, grey for zero."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from imagetree.errors import TrainingError
from imagetree.pictures.filters import filter_grid, render_png


def test_grid_of_96() -> None:
    """Six rows of 16; each tile spans its range and stands in its place."""
    weights = np.zeros((96, 3, 11, 11), np.float32)
    weights[17, 0, 2, 3] = 0.5
    weights[17, 1, 2, 3] = -0.5
    grid = filter_grid(weights)
    assert grid.shape == (6 * 12 + 1, 16 * 12 + 1, 3)
    assert (grid[0] == 255).all()
    assert (grid[:, 12] == 255).all()
    tile = grid[13:24, 13:24]  # second row, second column
    assert tile[2, 3].tolist() == [255, 0, 128]
    assert tile[0, 0].tolist() == [128, 128, 128]
    assert (grid[1:12, 1:12] == 128).all()


def test_weak_filters_are_as_visible_as_strong_ones() -> None:
    weights = np.random.default_rng(0).normal(size=(4, 3, 5, 5)).astype(np.float32)
    scaled = weights * np.array([1, 10, 1e-3, 1e-6], np.float32)[:, None, None, None]
    assert np.array_equal(filter_grid(weights), filter_grid(scaled))


def test_last_row_may_be_short() -> None:
    assert filter_grid(np.ones((17, 3, 3, 3), np.float32)).shape == (2 * 4 + 1, 16 * 4 + 1, 3)


def test_png_is_scaled_by_whole_pixels() -> None:
    grid = filter_grid(np.ones((2, 3, 2, 2), np.float32), columns=2)
    image = Image.open(io.BytesIO(render_png(grid, 3)))
    assert np.array_equal(np.array(image)[::3, ::3], grid)


def test_refused() -> None:
    with pytest.raises(TrainingError, match=r"filters have shape \(96, 48, 5, 5\)"):
        filter_grid(np.zeros((96, 48, 5, 5), np.float32))
    with pytest.raises(TrainingError, match="no finite number"):
        filter_grid(np.full((1, 3, 2, 2), np.nan, np.float32))
