"""Settings that change the network: what they give, what is refused, and what older runs keep."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from imagetree.alexnet.architectures import architecture_named, with_dropout
from imagetree.alexnet.layers import BatchNorm, LocalResponseNorm, Tanh
from imagetree.alexnet.weights_in import load_weights
from imagetree.alexnet.weights_out import save_weights
from imagetree.errors import TrainingError
from imagetree.training.checkpoints import load_checkpoint, load_network, save_checkpoint
from imagetree.training.config import TrainConfig, config_from_json
from imagetree.training.interchange import load_run_weights, save_as_run
from imagetree.training.runs import load_run, open_run
from imagetree.training.train import train

from .conftest import SETTINGS, WNIDS, MemoryImages
from .test_train import open_at, stop_after, weights_hash

CHANGES = {"activation": "tanh", "norm": "lrn", "overlapping_pool": False, "groups": 2}


def test_defaults_are_the_named_networks() -> None:
    """Nothing is changed, and batch_norm has the dropout that the settings used to have."""
    assert TrainConfig().network == with_dropout(architecture_named("batch_norm"), 0.2)
    assert TrainConfig().dropout_rate == 0.2
    assert TrainConfig(architecture="single_gpu").dropout_rate == 0.5
    assert TrainConfig(architecture="single_gpu", dropout=0.2).dropout_rate == 0.2
    for name in ("single_gpu", "two_gpu", "chm"):
        config = TrainConfig(architecture=name)
        assert config.network == architecture_named(name)
        assert not config.is_changed
        assert not replace(config, dropout=0.1).is_changed


def test_changes_reach_the_network() -> None:
    config = TrainConfig(**CHANGES)
    layers = config.network.layers
    assert config.is_changed
    assert any(isinstance(layer, Tanh) for layer in layers)
    assert not any(isinstance(layer, BatchNorm) for layer in layers)
    assert [layer.groups for layer in layers if isinstance(layer, LocalResponseNorm)] == [2, 2]
    assert config.dropout_rate == 0.2  # the architecture's own, whatever its norm becomes
    assert config_from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("activation", "gelu", "activation is gelu .expected one of relu, tanh."),
        ("norm", "group", "norm is group .expected one of own, lrn, batch, none."),
        ("colour_scale", "x", "colour_scale is x .expected one of eigenvalue, deviation."),
        ("colour_noise", -0.1, "colour_noise is -0.1 .expected at least 0."),
        ("groups", 5, "groups is 5, and conv2 makes 256 maps of 96"),
        ("dropout", 1.0, r"dropout is 1.0 .expected in \[0, 1\)"),
    ],
)
def test_what_is_impossible_is_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        TrainConfig(**{name: value})


def test_changed_network_comes_back_from_its_checkpoint(
    tmp_path, images: MemoryImages, minival: MemoryImages
) -> None:
    """Trained, interrupted, gone on with, loaded; and through a file of weights into a new run."""
    config = TrainConfig(**{**SETTINGS, "architecture": "single_gpu", "epochs": 1}, **CHANGES)
    run = open_at(tmp_path / "run", config)
    assert not train(run, WNIDS, images, minival, stop_after(3)).is_finished
    assert train(run, WNIDS, images, minival).is_finished
    checkpoint = load_checkpoint(run.checkpoint_path)
    assert load_network(checkpoint).architecture == config.network
    assert load_run(run.folder).config == config
    save_weights(tmp_path / "a.safetensors", load_run_weights(run.folder))
    again = save_as_run(
        tmp_path / "again", load_weights(tmp_path / "a.safetensors"), run.challenge, run.database
    )
    assert again.config.network == config.network
    back = load_checkpoint(again.checkpoint_path).network
    assert all(torch.equal(back[name], tensor) for name, tensor in checkpoint.network.items())


def test_checkpoint_of_another_form_is_refused(
    tmp_path, images: MemoryImages, minival: MemoryImages
) -> None:
    """Its tensors have the same names and shapes, and would be another network's."""
    config = TrainConfig(**{**SETTINGS, "architecture": "single_gpu", "epochs": 1})
    run = open_at(tmp_path / "run", config)
    train(run, WNIDS, images, minival, stop_after(1))
    other = open_at(tmp_path / "other", replace(config, activation="tanh"))
    other.checkpoint_path.write_bytes(run.checkpoint_path.read_bytes())
    with pytest.raises(TrainingError, match="holds 'single_gpu' with another activation"):
        train(other, WNIDS, images, minival)


@pytest.mark.slow
def test_run_of_an_earlier_version_goes_on(
    tmp_path, images: MemoryImages, minival: MemoryImages
) -> None:
    """Whose settings name dropout 0.2 and know nothing of forms: the same weights in the end."""
    config = TrainConfig(**SETTINGS)
    whole = open_at(tmp_path / "whole", config)
    train(whole, WNIDS, images, minival)
    old = open_at(tmp_path / "old", config)
    train(old, WNIDS, images, minival, stop_after(6))
    new = ("activation", "norm", "overlapping_pool", "groups", "colour_noise", "colour_scale")
    values = json.loads((old.folder / "run.json").read_text())
    values["config"] = {
        **{name: value for name, value in values["config"].items() if name not in new},
        "dropout": 0.2,
    }
    (old.folder / "run.json").write_text(json.dumps(values))
    earlier = replace(load_checkpoint(old.checkpoint_path), config=load_run(old.folder).config)
    save_checkpoint(old.checkpoint_path, replace(earlier, axes=None))
    again = open_run(old.folder, config, old.challenge, old.database)
    assert train(again, WNIDS, images, minival).is_finished
    assert weights_hash(again) == weights_hash(whole)
