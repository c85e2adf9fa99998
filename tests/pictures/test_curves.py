"""The learning curves: what the log has is drawn, drops and crossings are where they are."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from imagetree.errors import TrainingError
from imagetree.pictures.curves import (
    Drop,
    describe_race,
    epochs_to,
    rate_drops,
    render_curves,
    render_race,
    render_runs,
    times_sooner,
)
from imagetree.training.config import TrainConfig

SVG = "{http://www.w3.org/2000/svg}"


def step_records(rates: list[float]) -> list[dict[str, object]]:
    """A step record each ten steps."""
    return [
        {"kind": "step", "step": 10 * n, "loss": 3 / n, "lr": lr} for n, lr in enumerate(rates, 1)
    ]


def epoch_records(errors: list[float], steps: int = 50) -> list[dict[str, object]]:
    """An epoch record each `steps` steps; minival is ten points above training."""
    return [
        {
            "kind": "epoch",
            "step": steps * n,
            "epoch": n,
            "minival_top1_error": error + 0.1,
            "train_top1_error": error,
        }
        for n, error in enumerate(errors, 1)
    ]


RECORDS = [
    *step_records([0.1] * 9),
    *epoch_records([0.5, 0.25]),
    {"kind": "bad image", "step": 20, "name": "x", "reason": "damaged"},
]


def text_of(svg: str) -> str:
    return "\n".join(text.strip() for text in ElementTree.fromstring(svg).itertext())


def num_points(svg: str) -> list[int]:
    """Points of each path in the figure, the most first."""
    paths = [path.get("d") or "" for path in ElementTree.fromstring(svg).iter(f"{SVG}path")]
    return sorted((path.count("L ") + path.count("M ") for path in paths), reverse=True)


def test_run_is_drawn_in_three_panels() -> None:
    """Loss raw and smoothed, both errors, and the rate, against epochs; a point for each record."""
    svg = render_curves(RECORDS)
    text = text_of(svg)
    for words in ("loss (nats)", "top-1 error (%)", "learning rate", "epochs"):
        assert words in text
    for words in ("as logged", "mean of 3 records", "train\n", "minival\n"):
        assert words in text
    assert "val" not in re.sub("minival", "", text)
    # matplotlib drops points on one straight line, and the rate is one
    assert num_points(svg)[:2] == [9, 9]


def test_validation_error_is_drawn_where_it_is_logged() -> None:
    records = [*RECORDS, {**RECORDS[-2], "step": 150, "epoch": 3, "val_top1_error": 0.3}]
    assert re.search(r"^val$", text_of(render_curves(records)), re.MULTILINE)


@pytest.mark.slow
def test_same_log_same_text() -> None:
    assert render_curves(RECORDS) == render_curves(RECORDS)


def test_no_epoch_yet() -> None:
    """Then the curves are drawn against steps."""
    text = text_of(render_curves(RECORDS[:3]))
    assert "steps" in text
    assert "epochs" not in text


def test_several_runs_are_drawn_over_each_other() -> None:
    """Each in its colour under its name; a run of half the steps an epoch ends at its own epoch."""
    other = [*step_records([0.1] * 4), *epoch_records([0.8], steps=40)]
    svg = render_runs({"small": RECORDS, "large": other})
    assert "small" in text_of(svg)
    assert "large" in text_of(svg)
    assert svg.count("#2a6f97") >= 5
    assert svg.count("#d1793b") >= 5


def test_log_without_steps_is_refused() -> None:
    with pytest.raises(TrainingError, match="no step yet\nhint: train first"):
        render_curves([])
    with pytest.raises(TrainingError, match="no step yet"):
        render_runs({"a": RECORDS, "b": epoch_records([0.5])})


def test_steps_of_the_rate_are_marked() -> None:
    """At the last record of the higher rate, with the factor; the rate stands on a log scale."""
    rates = [0.01, 0.02, *[0.02] * 3, *[0.002] * 3, *[0.001] * 2]
    records = [*step_records(rates), *epoch_records([0.5, 0.4])]
    assert rate_drops(records) == (Drop(50, 10.0), Drop(80, 2.0))
    text = text_of(render_curves(records))
    assert text.count("÷10") == text.count("÷2") == 3


@pytest.mark.parametrize(
    "settings",
    [{"schedule": "cosine"}, {"schedule": "cosine", "warmup_share": 0.0}],
)
@pytest.mark.parametrize("num_steps", [30, 200, 20000])
def test_cosine_has_no_drop(settings: dict[str, object], num_steps: int) -> None:
    """Not even in its last steps, where the rate falls a hundredfold from record to record."""
    config = TrainConfig(**settings)
    rates = [config.learning_rate(step, num_steps) for step in range(9, num_steps, 10)]
    assert rate_drops(step_records(rates)) == ()
    assert "÷" not in text_of(render_curves(step_records(rates)))


def test_drops_of_a_schedule_of_steps_are_found() -> None:
    config = TrainConfig(schedule="steps", warmup_share=0.1, lr_drops=(0.5, 0.8))
    rates = [config.learning_rate(step, 1000) for step in range(9, 1000, 10)]
    assert rate_drops(step_records(rates)) == (Drop(500, 10.0), Drop(800, 10.0))


def test_level_is_reached_between_two_epochs() -> None:
    """In a straight line: from 0.4 after epoch 2 to 0.2 after epoch 3, 0.25 at epoch 2.75."""
    records = epoch_records([0.8, 0.4, 0.2, 0.3, 0.1])
    assert epochs_to(records, 0.25) == pytest.approx(2.75)
    assert epochs_to(records, 0.2) == 3.0
    assert epochs_to(records, 0.9) == 1.0
    assert epochs_to(records, 0.05) is None


def test_times_sooner_is_the_ratio_of_epochs() -> None:
    """Whatever the steps of an epoch; None where one never gets there."""
    fast = epoch_records([0.8, 0.4, 0.2])
    slow = epoch_records([0.9 - 0.05 * n for n in range(14)], steps=7)
    assert times_sooner(fast, slow, 0.25) == pytest.approx(14 / 2.75)
    assert times_sooner(slow, fast, 0.25) == pytest.approx(2.75 / 14)
    assert times_sooner(fast, slow, 0.22) is None
    assert times_sooner(slow, fast, 0.22) is None


def test_figure_of_two_runs_says_who_is_sooner_whatever_their_order() -> None:
    runs = {
        "relu": epoch_records([0.8, 0.4, 0.2]),
        "tanh": epoch_records([0.9 - 0.05 * n for n in range(14)]),
    }
    sentence = "relu reaches 25% training error 5.1 times sooner than tanh"
    assert describe_race(runs, 0.25) == sentence
    assert describe_race(dict(reversed(runs.items())), 0.25) == sentence
    text = text_of(render_race(runs, 0.25))
    for words in (sentence, "2.8 epochs", "14.0 epochs", "relu", "tanh"):
        assert words in text
    assert "tanh does not reach 22% training error" in text_of(render_race(runs, 0.22))


def test_what_cannot_be_compared_is_refused() -> None:
    some = epoch_records([0.5])
    with pytest.raises(TrainingError, match=r"1 run.s. to compare .expected 2"):
        render_race({"a": some}, 0.25)
    with pytest.raises(TrainingError, match=r"is 25 .expected a fraction"):
        render_race({"a": some, "b": some}, 25)
    old = [{"kind": "epoch", "step": 50, "epoch": 1, "minival_top1_error": 0.5}]
    with pytest.raises(TrainingError, match=r"no training error\nhint: .*imagetree train"):
        render_race({"a": some, "b": old}, 0.25)
