"""The picture of the filters: every filter in its place, grey for zero; how coloured they are."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from imagetree.alexnet.architectures import architecture_named
from imagetree.alexnet.network import AlexNet
from imagetree.cli.main import main
from imagetree.errors import TrainingError
from imagetree.pictures.filters import (
    colour_shares,
    describe_colour,
    filter_grid,
    render_png,
    tower_members,
    tower_picture,
)
from imagetree.training.checkpoints import Checkpoint, save_checkpoint
from imagetree.training.config import TrainConfig
from imagetree.training.runs import open_run

RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(96, 3, 11, 11)).astype(np.float32)


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


def test_on_a_common_scale_weak_filters_are_weak() -> None:
    """A filter of half the weights spans half the range around grey."""
    weights = np.stack([np.full((3, 2, 2), value, np.float32) for value in (2, 1, -2, 0)])
    grid = filter_grid(weights, columns=4, common_scale=True)
    assert [grid[1, left, 0] for left in (1, 4, 7, 10)] == [255, 191, 0, 128]


def test_last_row_may_be_short() -> None:
    assert filter_grid(np.ones((17, 3, 3, 3), np.float32)).shape == (2 * 4 + 1, 16 * 4 + 1, 3)


def test_png_is_scaled_by_whole_pixels() -> None:
    grid = filter_grid(np.ones((2, 3, 2, 2), np.float32), columns=2)
    image = Image.open(io.BytesIO(render_png(grid, 3)))
    assert np.array_equal(np.array(image)[::3, ::3], grid)


def test_one_tower_is_the_grid_alone() -> None:
    assert np.array_equal(
        tower_picture(NOISE, scale=2), filter_grid(NOISE).repeat(2, axis=0).repeat(2, axis=1)
    )


def test_towers_stand_apart_under_their_titles() -> None:
    """As in figure 3 of the paper: filters 0 to 47 above, 48 to 95 below, three rows of 16 each."""
    picture = tower_picture(NOISE, 2, scale=4)
    upper, lower = filter_grid(NOISE[:48]), filter_grid(NOISE[48:])
    tall = 4 * upper.shape[0]
    title = picture.shape[0] // 2 - tall
    assert picture.shape == (2 * (title + tall), 4 * upper.shape[1], 3)
    assert np.array_equal(picture[title : title + tall : 4, ::4], upper)
    assert np.array_equal(picture[2 * title + tall :: 4, ::4], lower)
    for top in (0, title + tall):
        strip = picture[top : top + title]
        assert strip.min() < 100  # there is text, and it leaves the right half free
        assert (strip[:, strip.shape[1] // 2 :] == 255).all()
    assert not np.array_equal(picture[:title], picture[title + tall : 2 * title + tall])


def test_common_scale_is_one_for_all_towers() -> None:
    """A strong filter of the second tower makes those of the first one pale."""
    weights = np.ones((4, 3, 2, 2), np.float32)
    weights[3] = 5
    picture = tower_picture(weights, 2, scale=1, columns=2, common_scale=True)
    title = picture.shape[0] // 2 - 4
    assert picture[title + 1, 1].tolist() == [153] * 3
    assert picture[-2, -2].tolist() == [255] * 3


def test_filters_that_cannot_be_parted_are_refused() -> None:
    with pytest.raises(TrainingError, match="95 filters in 2 towers"):
        tower_members(95, 2)


def test_refused() -> None:
    for draw in (filter_grid, tower_picture, colour_shares):
        with pytest.raises(TrainingError, match=r"filters have shape \(96, 48, 5, 5\)"):
            draw(np.zeros((96, 48, 5, 5), np.float32))
        with pytest.raises(TrainingError, match="no finite number"):
            draw(np.full((1, 3, 2, 2), np.nan, np.float32))


def test_colour_of_grey_red_and_opponent_filters() -> None:
    """Grey is 0, red alone two thirds, red against green 1, nothing 0; strength is all one."""
    weights = np.zeros((4, 3, 2, 2), np.float32)
    weights[0] = [[[1, -1], [2, 0]]] * 3
    weights[1, 0] = 1
    weights[2, 0], weights[2, 1] = 3, -3
    assert colour_shares(weights).tolist() == pytest.approx([0, 2 / 3, 1, 0])
    assert np.allclose(colour_shares(weights * 1e-30), colour_shares(weights))


def test_noise_is_two_thirds_coloured_and_neither_grey_nor_coloured() -> None:
    shares = colour_shares(NOISE)
    assert shares.mean() == pytest.approx(2 / 3, abs=0.01)
    assert shares.std() == pytest.approx(0.035, abs=0.01)
    assert "0 are grey (below 33%), 0 coloured (above 80%)" in describe_colour(NOISE)[0]


def test_towers_are_told_apart_by_colour() -> None:
    """As the paper reports of its own: GPU 1 agnostic to colour, GPU 2 specific to it."""
    weights = NOISE.copy()
    weights[:48] = weights[:48].mean(axis=1, keepdims=True)
    weights[48:] -= weights[48:].mean(axis=1, keepdims=True)
    first, second = describe_colour(weights, 2)
    assert first.startswith("GPU 1, filters 0 to 47: 0% of")
    assert "48 are grey" in first
    assert second.startswith("GPU 2, filters 48 to 95: 100% of")
    assert "48 coloured" in second


def test_command_draws_a_run_of_two_towers(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the checkpoint's own weights; the colour of each filter as JSON."""
    config = TrainConfig(architecture="two_gpu", input_size=67, device="cpu")
    run = open_run(tmp_path, config, tmp_path / "challenge", "images.db")
    network = AlexNet(architecture_named("two_gpu"), 2, 67, seed=3)
    tensors = {"conv1.weight": network.state_dict()["conv1.weight"]}
    plain = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    classes = ("n02084071", "n02121808")
    save_checkpoint(run.checkpoint_path, Checkpoint(config, classes, *plain, 1, 1, tensors))
    weights = tensors["conv1.weight"].detach().numpy()

    assert main(["pictures", "filters", str(tmp_path), "--scale", "2"]) == 0
    out = capsys.readouterr().out
    assert "96 filters of 11 x 11 x 3\nGPU 1, filters 0 to 47" in out
    with Image.open(tmp_path / "filters.png") as image:
        assert np.array_equal(np.array(image), tower_picture(weights, 2, scale=2))

    other = tmp_path / "common.png"
    words = ["--output", str(other), "--common-scale", "--json"]
    assert main(["pictures", "filters", str(tmp_path), *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["colour_shares"] == colour_shares(weights).tolist()
    with Image.open(other) as image:
        common = tower_picture(weights, 2, scale=4, common_scale=True)
        assert np.array_equal(np.array(image), common)
