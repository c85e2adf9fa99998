"""Recipes: what the sources say, and that what is given wins over them."""

from __future__ import annotations

import pytest

from imagetree.cli.train import Settings
from imagetree.errors import TrainingError
from imagetree.training.config import TrainConfig, num_plateaus
from imagetree.training.recipes import RECIPES, config_of


def test_paper() -> None:
    """Krizhevsky et al. 2012, sections 4.2 and 5."""
    config = config_of("paper", {})
    assert (config.momentum, config.weight_decay, config.batch_size) == (0.9, 5e-4, 128)
    assert (config.lr, config.epochs, config.schedule, config.dropout) == (0.01, 90, "plateau", 0.5)
    assert config.network.name == "two_gpu"
    assert not config.nesterov
    assert config.crops_of(0).box((0.5, 0.5), 256, 256).width == 224


def test_rate_falls_thrice_by_ten_on_plateaus() -> None:
    """Five epochs without a new least error each; a fourth plateau changes nothing."""
    config = config_of("paper", {})
    errors = [0.9, 0.8, *[0.8] * 5, 0.7, *[0.75] * 5, *[0.71] * 5, *[0.71] * 5]
    rates = [config.learning_rate(10**6, 10**7, errors[:count]) for count in range(len(errors) + 1)]
    assert rates == sorted(rates, reverse=True)
    assert rates[6] == pytest.approx(0.01)
    assert rates[7] == pytest.approx(0.001)
    assert rates[13] == pytest.approx(1e-4)
    assert rates[-1] == pytest.approx(1e-5)
    assert num_plateaus(errors, 5) == 3


def test_code_of_2012() -> None:
    """A tenth after epochs 24, 51 and 78."""
    config = config_of("chm", {})
    rates = [config.learning_rate(epoch, 92) for epoch in (23, 24, 50, 51, 77, 78, 91)]
    assert rates == pytest.approx([0.01, 0.001, 0.001, 1e-4, 1e-4, 1e-5, 1e-5])


def test_modern_is_the_default() -> None:
    assert config_of("modern", {}) == TrainConfig()


def test_what_is_given_wins() -> None:
    """Also where it is the default of another recipe."""
    assert config_of("paper", {"batch_size": 64}).batch_size == TrainConfig().batch_size == 64
    with pytest.raises(TrainingError, match="batch_size is 1"):
        config_of("paper", {"batch_size": 1})
    with pytest.raises(TrainingError, match=r"no recipe .papre. .expected one of modern"):
        config_of("papre", {})


def test_command_tells_what_is_given_from_what_is_not() -> None:
    """Every setting can be given, none is by default, and the help shows each recipe's value."""
    nothing = vars(Settings())
    assert set(nothing) == set(vars(TrainConfig()))
    assert set(nothing.values()) == {None}
    assert "        epochs: [19, 90 (paper), 92 (chm)] passes" in Settings.__doc__
    assert Settings.__doc__.count(": [") == len(nothing)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_survive_their_file(name: str) -> None:
    from imagetree.training.config import config_from_json

    config = config_of(name, {})
    assert config_from_json(config.to_json()) == config


@pytest.mark.parametrize("recipe", ["paper", "chm"])
def test_pixels_of_2012_are_not_divided(recipe: str) -> None:
    """Section 2: the mean image is subtracted and nothing else is done to the pixels."""
    assert not config_of(recipe, {}).unit_variance
    assert config_of("modern", {}).unit_variance
