"""One update: parts of a batch, mixtures, the layer-wise rates, the mean of the weights."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.nn import functional

from imagetree.alexnet.network import AlexNet
from imagetree.errors import TrainingError
from imagetree.training import train as loop
from imagetree.training.averaging import WeightAverage
from imagetree.training.batches import Batch
from imagetree.training.checkpoints import load_checkpoint, load_network
from imagetree.training.config import TrainConfig
from imagetree.training.device import logits_of
from imagetree.training.evaluate import predict
from imagetree.training.mixing import mix_batch, mixed_loss
from imagetree.training.optimisers import LARS, TRUST, make_optimiser, set_learning_rate
from imagetree.training.runs import open_run
from imagetree.training.state import TrainingState
from imagetree.training.step import train_step
from imagetree.training.train import train

from .conftest import SETTINGS, WNIDS, MemoryImages

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = {"architecture": "single_gpu", "dropout": 0.0, "precision": "fp32", "lr": 0.01}


def settings(**changes: object) -> TrainConfig:
    return TrainConfig(**SETTINGS | PLAIN | {"warmup_share": 0.0} | changes)


def new_state(folder: Path, config: TrainConfig, images: MemoryImages) -> TrainingState:
    folder.mkdir(exist_ok=True)
    run = open_run(folder, config, folder / "challenge", "sqlite:////images.db")
    return TrainingState(run, WNIDS, images, images)


def a_batch(count: int = 8) -> Batch:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 67, 67, 3), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int64) % 2
    return Batch(pixels, labels, np.arange(count), np.ones(count, np.bool_), ())


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_parts_of_a_batch_give_the_update_of_the_whole(
    tmp_path: Path, images: MemoryImages, parts: int
) -> None:
    """Also where the parts are not of one size, as for 8 images in 3."""
    states = [new_state(tmp_path / str(n), settings(accumulate=n), images) for n in (1, parts)]
    losses = [train_step(state, a_batch()) for state in states]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert states[0].num_misses == states[1].num_misses
    for (name, one), two in zip(
        states[0].network.named_parameters(), states[1].network.parameters(), strict=True
    ):
        assert torch.allclose(one, two, rtol=1e-4, atol=1e-7), name


def test_mixup_is_the_sum_with_weights() -> None:
    """Images and labels alike: the loss is that of the soft target."""
    config = settings(mixup=0.4, label_smoothing=0.1)
    x = torch.rand(6, 3, 8, 8)
    labels = torch.arange(6) % 3
    mixed, others, share = mix_batch(x.clone(), labels, config, step=5)
    assert 0 < share < 1
    assert torch.allclose(mixed, share * x + (1 - share) * x.roll(1, 0), atol=1e-6)
    logits = torch.randn(6, 3)
    target = share * functional.one_hot(labels, 3) + (1 - share) * functional.one_hot(others, 3)
    soft = functional.cross_entropy(logits, target.float(), label_smoothing=0.1)
    assert torch.allclose(mixed_loss(logits, labels, others, share, 0.1), soft, atol=1e-6)
    again = mix_batch(x.clone(), labels, config, step=5)
    assert again[2] == share
    assert mix_batch(x.clone(), labels, config, step=6)[2] != share


def test_cutmix_puts_a_box_in() -> None:
    """Every pixel is one image's or the other's, and the share is that of the area."""
    config = settings(cutmix=1.0)
    x = torch.rand(4, 3, 32, 32)
    for step in range(20):
        mixed, _, share = mix_batch(x.clone(), torch.arange(4), config, step)
        is_own = (mixed == x).all(1)
        is_other = (mixed == x.roll(1, 0)).all(1)
        assert bool((is_own | is_other).all())
        assert is_own.float().mean().item() == pytest.approx(share, abs=1e-6)
        rows = (~is_own[0]).any(1).nonzero().flatten()
        columns = (~is_own[0]).any(0).nonzero().flatten()
        assert len(rows) * len(columns) == int((~is_own[0]).sum())


def test_no_mixture_leaves_the_batch() -> None:
    x = torch.rand(4, 3, 8, 8)
    mixed, others, share = mix_batch(x, torch.arange(4), settings(), step=0)
    assert mixed is x
    assert share == 1.0
    assert others.tolist() == [0, 1, 2, 3]


def test_layer_wise_rate_is_the_formula_of_the_paper() -> None:
    """You et al. 2017: w - lr TRUST |w| / (|g| + decay |w|) (g + decay w); biases as ever."""
    torch.manual_seed(0)
    weight, bias = (torch.nn.Parameter(torch.randn(shape)) for shape in ((5, 4), (5,)))
    weight.grad, bias.grad = torch.randn(5, 4), torch.randn(5)
    w, g, b, gb = (
        weight.detach().clone(),
        weight.grad.clone(),
        bias.detach().clone(),
        bias.grad.clone(),
    )
    optimiser = LARS([{"params": [weight, bias], "weight_decay": 0.1}], lr=0.5)
    optimiser.step()
    ratio = TRUST * w.norm() / (g.norm() + 0.1 * w.norm())
    assert torch.allclose(weight, w - 0.5 * ratio * (g + 0.1 * w))
    assert torch.allclose(bias, b - 0.5 * (gb + 0.1 * b))
    assert optimiser.param_groups[0]["weight_decay"] == 0.1


def test_layer_wise_rate_of_nothing() -> None:
    """Weights or gradients of zero: no division by it."""
    zero, still = (torch.nn.Parameter(torch.zeros(3, 3)) for _ in range(2))
    zero.grad, still.grad = torch.ones(3, 3), torch.zeros(3, 3)
    LARS([zero, still], lr=0.5).step()
    assert torch.allclose(zero, torch.full((3, 3), -0.5))
    assert torch.equal(still, torch.zeros(3, 3))


def test_groups_of_the_optimiser() -> None:
    """Weights alone decay; the biases of layers have their own rate, as in 2012 and in Caffe."""
    network = AlexNet(settings(architecture="batch_norm").network, 2, 67)
    optimiser = make_optimiser(network, settings(architecture="batch_norm", bias_lr_factor=2.0))
    set_learning_rate(optimiser, 0.1)
    found = {
        name: (group["weight_decay"], group["lr"])
        for group in optimiser.param_groups
        for parameter in group["params"]
        for name, own in network.named_parameters()
        if own is parameter
    }
    assert len(found) == len(list(network.parameters()))
    assert found["fc8.weight"] == (5e-4, 0.1)
    assert found["fc8.bias"] == (0.0, 0.2)
    norms = {values for name, values in found.items() if name.startswith("norm")}
    assert norms == {(0.0, 0.1)}


def test_mean_of_weights() -> None:
    """The recursion by hand, statistics of batch normalisation too; an exchange undone is none."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    average = WeightAverage(network, 0.9)
    expected = {name: value.clone() for name, value in network.state_dict().items()}
    for number in range(1, 201):
        with torch.no_grad():
            network[0].weight += torch.randn(2, 3)
        network(torch.randn(4, 3))
        average.update()
        keep = min(0.9, (1 + number) / (10 + number))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                expected[name] = keep * expected[name] + (1 - keep) * value
    before = {name: value.clone() for name, value in network.state_dict().items()}
    average.exchange()
    for name, value in network.state_dict().items():
        wanted = expected[name] if value.is_floating_point() else before[name]
        assert torch.allclose(value, wanted, rtol=1e-4, atol=1e-6), name
    average.exchange()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.slow
def test_finished_run_holds_the_mean(
    tmp_path: Path, images: MemoryImages, minival: MemoryImages
) -> None:
    """The network of the checkpoint is the one whose error was logged last."""
    config = settings(architecture="batch_norm", average=0.8, lr=0.02)
    run = open_run(tmp_path, config, tmp_path / "challenge", "sqlite:////images.db")
    result = train(run, WNIDS, images, minival)
    checkpoint = load_checkpoint(run.checkpoint_path)
    assert checkpoint.average == {}
    state = TrainingState(run, WNIDS, images, minival)
    network = load_network(checkpoint)
    answer = predict(logits_of(network, state.view), minival, state.view)
    assert (answer.probabilities.argmax(1) != minival.labels).mean() == result.minival_error
    live = open_run(
        tmp_path / "live", replace(config, average=0.0), tmp_path, "sqlite:////images.db"
    )
    train(live, WNIDS, images, minival)
    other = load_checkpoint(live.checkpoint_path).network["conv1.weight"]
    assert not torch.equal(other, checkpoint.network["conv1.weight"])


@pytest.mark.slow
def test_flat_loss_ends_the_run_with_advice(
    tmp_path: Path, minival: MemoryImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rate so low that nothing is learnt: found once enough steps are done, not before."""
    monkeypatch.setattr(loop, "_FLAT_STEPS", 15)
    config = settings(lr=1e-12, epochs=20)
    run = open_run(tmp_path, config, tmp_path / "challenge", "sqlite:////images.db")
    expected = rf"step 15: the loss is still 0\.69\d+, and guessing has {math.log(2):.4f}"
    with pytest.raises(TrainingError, match=expected) as caught:
        train(run, WNIDS, MemoryImages(40), minival)
    assert "imagetree lr" in (caught.value.hint or "")
