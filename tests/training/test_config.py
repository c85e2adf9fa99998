"""Settings: their range, their schedules, and no unknown key."""

from __future__ import annotations

import dataclasses

import pytest

from imagetree.errors import TrainingError
from imagetree.training.config import TrainConfig, config_from_json


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epochs", 0, "epochs is 0 .expected at least 1."),
        ("lr", 0.0, "lr is 0.0 .expected above 0."),
        ("momentum", 1.5, r"momentum is 1.5 .expected in \[0, 1\]"),
        ("min_crop_area", 0.0, r"min_crop_area is 0.0 .expected in \(0, 1\]"),
        ("batch_size", 1, "batch_size is 1 .expected at least 2"),
        ("weight_decay", -1.0, "weight_decay is -1.0 .expected at least 0"),
        ("architecture", "vgg", "no architecture is called 'vgg'"),
    ],
)
def test_values_out_of_range(name: str, value: object, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        TrainConfig(**{name: value})


def test_unknown_key_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"unknown settings \['bn_wd'\]"):
        config_from_json({"bn_wd": 0.1})


def test_round_trip() -> None:
    config = TrainConfig(epochs=7, lr=0.3)
    assert config_from_json(config.to_json()) == config


def test_learning_rate_rises_then_falls_to_nearly_nothing() -> None:
    config = TrainConfig(lr=1.0, warmup_share=0.2)
    rates = [config.learning_rate(step, 100) for step in range(100)]
    assert rates[:20] == sorted(rates[:20])
    assert max(rates) == 1.0
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert rates[-1] < 0.001


def test_dropout_reaches_the_network() -> None:
    """The rate of the run is that of the layers, of the module and of the table."""
    from imagetree.alexnet.modules import DropValues
    from imagetree.alexnet.network import AlexNet
    from imagetree.alexnet.table import layer_table

    network = TrainConfig(dropout=0.3).network
    modules = AlexNet(network, 5, 67).modules()
    assert [m.layer.rate for m in modules if isinstance(m, DropValues)] == [0.3, 0.3]
    rows = [row.operation for row in layer_table(network).rows]
    assert rows.count("Dropout (rate 0.3)") == 2


def test_every_setting_has_a_line_of_help() -> None:
    """The docstring describes each field: the command line shows it."""
    text = TrainConfig.__doc__ or ""
    for field in dataclasses.fields(TrainConfig):
        assert f"{field.name}:" in text
