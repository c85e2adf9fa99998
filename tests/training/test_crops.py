"""Crops stay inside, and resizing keeps what it should."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from imagetree.training.crops import (
    CentreCrop,
    Crop,
    RandomCrop,
    RandomWindow,
    random_box,
    resize_into,
)
from imagetree.training.randomness import uniforms

sides = st.integers(1, 400)
unit = st.floats(0, 1, exclude_max=True)


def numbers_of(crop: Crop, index: int) -> list[float]:
    [numbers] = crop.numbers(np.array([index]))
    return numbers


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
    box = CentreCrop().box((), height, width)
    assert box.width == box.height == min(height, width)
    assert abs((width - box.width) - 2 * box.left) <= 1
    assert abs((height - box.height) - 2 * box.top) <= 1


def test_flip_mirrors() -> None:
    picture = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    plain, flipped = np.empty_like(picture), np.empty_like(picture)
    resize_into(plain, picture, flip=False)
    resize_into(flipped, picture, flip=True)
    assert np.array_equal(plain, picture)
    assert np.array_equal(flipped, picture[:, ::-1])


@given(sides, sides, st.integers(0, 10**6))
def test_random_window_is_in_the_centred_square(height: int, width: int, index: int) -> None:
    """224 of 256: its side is 7/8 of the square's, and it stays inside."""
    square = CentreCrop().box((), height, width)
    crop = RandomWindow(224 / 256, seed=0, epoch=0)
    box = crop.box(numbers_of(crop, index), height, width)
    assert box.width == box.height == max(1, round(square.width * 7 / 8))
    assert square.left <= box.left <= square.left + square.width - box.width
    assert square.top <= box.top <= square.top + square.height - box.height


def test_windows_reach_every_place_and_half_are_mirrored() -> None:
    """Over 2,000 images the window's left edge takes all 33 places, and flips are fair."""
    crop = RandomWindow(224 / 256, seed=3, epoch=1)
    numbers = crop.numbers(np.arange(2000))
    assert {crop.box(own, 256, 256).left for own in numbers} == set(range(33)) - {32}
    assert 900 < sum(crop.flips(own) for own in numbers) < 1100


def test_crops_depend_on_seed_epoch_and_image_alone() -> None:
    """Alone or among others, an image has the same numbers."""
    one = RandomCrop(0.35, seed=1, epoch=2)
    assert numbers_of(one, 5) == numbers_of(RandomCrop(0.35, seed=1, epoch=2), 5)
    assert numbers_of(one, 5) == one.numbers(np.arange(9))[5] == uniforms(5, 1, 2, 5)
    others = (RandomCrop(0.35, seed=2, epoch=2), RandomCrop(0.35, seed=1, epoch=3))
    boxes = [crop.box(numbers_of(crop, 5), 375, 500) for crop in (one, *others)]
    assert len(set(boxes)) == 3
    assert one.box(numbers_of(one, 6), 375, 500) not in boxes


def test_shrinking_averages() -> None:
    """A fine checkerboard becomes grey and does not alias."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    target = np.empty((16, 16, 3), np.uint8)
    resize_into(target, np.repeat(board[..., None], 3, 2), flip=False)
    assert abs(int(target.min()) - 127) <= 1
    assert abs(int(target.max()) - 127) <= 1
