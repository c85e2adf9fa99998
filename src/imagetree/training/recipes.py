"""Settings by name: the paper's, those of the code that won in 2012, and one of today.

docs/training.md says what each costs and what error is to be expected of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagetree.errors import TrainingError
from imagetree.training.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_2012: dict[str, Any] = {
    "input_size": 224,
    "start_size": 224,
    "test_size": 224,
    "batch_size": 128,
    "lr": 0.01,
    "warmup_share": 0.0,
    "nesterov": False,
    "colour_noise": 0.1,
    "mean_image": True,
    "unit_variance": False,
    "dropout": 0.5,
    "label_smoothing": 0.0,
    "crop": "window",
    "precision": "fp32",
}

RECIPES: dict[str, dict[str, Any]] = {
    # a network with batch normalisation, one cycle of the learning rate, small images first
    "modern": {},
    # Krizhevsky et al. 2012, sections 4 and 5
    "paper": {
        **_OF_2012,
        "architecture": "two_gpu",
        "input_size": 227,
        "start_size": 227,
        "test_size": 227,
        "epochs": 90,
        "schedule": "plateau",
    },
    # cuda-convnet's layers-145.cfg and its log: a tenth after epochs 24, 51 and 78 of 92
    "chm": {
        **_OF_2012,
        "architecture": "chm",
        "colour_scale": "deviation",
        "epochs": 92,
        "schedule": "steps",
        "lr_drops": (24 / 92, 51 / 92, 78 / 92),
        "bias_lr_factor": 2.0,
    },
}
"""What each recipe sets other than the default."""


def config_of(recipe: str, changes: Mapping[str, Any]) -> TrainConfig:
    """The settings of a recipe, some of them changed.

    Args:
        recipe: its name.
        changes: settings that are to be others.

    Raises:
        TrainingError: there is no such recipe, or a value is out of its range.

    >>> config_of("paper", {"batch_size": 64}).lr
    0.01
    """
    if recipe not in RECIPES:
        raise TrainingError(f"no recipe {recipe!r} (expected one of {', '.join(RECIPES)})")
    return TrainConfig(**{**RECIPES[recipe], **changes})
