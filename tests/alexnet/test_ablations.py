"""The ablations as data: forms that differ in one thing, and published figures as they stand."""

from __future__ import annotations

import pytest

from imagetree.alexnet.ablations import ABLATIONS, Ablation, ablation_named
from imagetree.errors import TrainingError
from imagetree.training.config import TrainConfig

EACH = pytest.mark.parametrize("ablation", ABLATIONS.values(), ids=lambda each: each.name)


@EACH
def test_forms_differ_in_one_setting(ablation: Ablation) -> None:
    """Each is a valid setting of a run, and no two are alike."""
    names = {name for form in ablation.forms for name in form.settings}
    if ablation.name == "crops":
        assert names == set()
        assert [form.crops for form in ablation.forms] == [10, 1]
        return
    assert len(names) == 1
    configs = [TrainConfig(architecture="single_gpu", **form.settings) for form in ablation.forms]
    assert len({config.network for config in configs}) == (
        1 if ablation.name == "colour" else len(configs)
    )
    assert len({str(config.to_json()) for config in configs}) == len(configs)


@EACH
def test_reports_are_of_its_forms(ablation: Ablation) -> None:
    """Each compares an earlier form with a later one, says who reports it and of which images."""
    assert ablation.reported
    for each in ablation.reported:
        assert (each.first, each.second) in ablation.pairs
        assert each.delta(1) is not None
        assert each.source.split(",")[0] in {"paper", "released code", "caffenet-benchmark"}
        assert each.images.startswith("ILSVRC")


def test_three_forms_make_three_pairs() -> None:
    assert ABLATIONS["norm"].pairs == (("lrn", "batch"), ("lrn", "none"), ("batch", "none"))


@pytest.mark.parametrize(
    ("name", "source", "top1", "top5"),
    [
        ("norm", "paper, section 3.3", -0.014, -0.012),
        ("norm", "released code, runs 145 and 148", -0.0137, -0.0115),
        ("overlap", "paper, section 3.4", -0.004, -0.003),
        ("overlap", "released code, runs 145 and 147", -0.004, -0.003),
        ("groups", "paper, section 3.2", -0.017, -0.012),
        ("groups", "released code, runs 145-2010 and 145-half", -0.017, -0.0123),
        ("crops", "released code, run 155", -0.0191, -0.0145),
        ("colour", "paper, section 4.1", -0.01, None),
        ("relu", "caffenet-benchmark, Activations.md", -0.07, None),
        ("dropout", "caffenet-benchmark, batchnorm.md", 0.014, None),
    ],
)
def test_published_differences(name: str, source: str, top1: float, top5: float | None) -> None:
    """The paper's own and those of the runs in the released code, which agree with it."""
    [reported] = [each for each in ABLATIONS[name].reported if each.source == source]
    assert reported.delta(1) == pytest.approx(top1)
    assert reported.delta(5) == (None if top5 is None else pytest.approx(top5))


def test_relu_learns_six_times_sooner_in_the_paper() -> None:
    speed = ABLATIONS["relu"].speed
    assert speed is not None
    assert (speed.first, speed.second, speed.factor, speed.level) == ("relu", "tanh", 6.0, 0.25)


def test_unknown_ablation() -> None:
    with pytest.raises(TrainingError, match=r"no ablation is called 'lrn' .expected one of relu,"):
        ablation_named("lrn")
