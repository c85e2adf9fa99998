"""Crops stay inside, and resizing keeps what it should."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from imagetree.training.crops import Box, centre_box, random_box, resize_into

sides = st.integers(1, 400)
unit = st.floats(0, 1, exclude_max=True)


@given(sides, sides, st.floats(0.01, 1), st.lists(unit, min_size=4, max_size=4))
def test_random_box_is_inside(height: int, width: int, area: float, numbers: list[float]) -> None:
    """Whatever the picture and the numbers, the box is in the picture and not empty."""
    box = random_box(height, width, area, numbers)
    assert box.width >= 1
    assert box.height >= 1
    assert 0 <= box.left <= width - box.width
    assert 0 <= box.top <= height - box.height


@given(sides, sides)
def test_centre_box_is_the_largest_centred_square(height: int, width: int) -> None:
    box = centre_box(height, width)
    assert box.width == box.height == min(height, width)
    assert abs((width - box.width) - 2 * box.left) <= 1
    assert abs((height - box.height) - 2 * box.top) <= 1


def test_flip_mirrors() -> None:
    picture = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    plain, flipped = np.empty_like(picture), np.empty_like(picture)
    resize_into(plain, picture, Box(0, 0, 4, 4))
    resize_into(flipped, picture, Box(0, 0, 4, 4), flip=True)
    assert np.array_equal(plain, picture)
    assert np.array_equal(flipped, picture[:, ::-1])


def test_shrinking_averages() -> None:
    """A fine checkerboard becomes grey and does not alias."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    target = np.empty((16, 16, 3), np.uint8)
    resize_into(target, np.repeat(board[..., None], 3, 2), Box(0, 0, 64, 64))
    assert abs(int(target.min()) - 127) <= 1
    assert abs(int(target.max()) - 127) <= 1
