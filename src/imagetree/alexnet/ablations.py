"""The ablations of the paper as data: what is changed, and what others report of it. No torch here.

An ablation has two forms or more of one thing. A form is a few settings of a training run, which
change either the network, by a function of `changes`, or what it is fed. `recognition.ablate`
trains the forms; here stand the published errors to hold the measured ones against.

Sources, cited below by their names:

paper: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural
    networks" (2012).
released code: the code of 2012, published by the Computer History Museum in 2025: the comments in
    its `layers/layer-params-*.cfg`, where each run has a number and its errors.
caffenet-benchmark: github.com/ducha-aiki/caffenet-benchmark, CaffeNet at 128 pixels with 2,048
    units in fc6 and fc7, a centre crop of ILSVRC-2012's val; its accuracies are errors here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Form:
    """One of the things that an ablation compares.

    Args:
        name: in one word; run folders are called by it.
        what: it is.
        settings: of `TrainConfig`, that make it.
        crops: views of an image at the test; None where the command decides.
    """

    name: str
    what: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    crops: Literal[1, 10] | None = None


@dataclass(frozen=True)
class Reported:
    """What somebody reports of two forms. Differences are those of the first less the second.

    Args:
        first: name of a form.
        second: name of the other.
        source: who reports it, and where.
        images: that the errors are of.
        crops: views of an image; None where the source does not say, or compares them.
        errors: of the first and of the second, top-1 and top-5 each, as fractions; None where the
            source has the difference alone. A top-5 error is None where it has none.
        difference: top-1 and top-5, where the source has it alone.
        is_bound: the source says that the difference is larger than that.
        remark: what is otherwise there than here.
    """

    first: str
    second: str
    source: str
    images: str
    crops: int | None
    errors: tuple[tuple[float, float | None], tuple[float, float | None]] | None = None
    difference: tuple[float, float | None] | None = None
    is_bound: bool = False
    remark: str = ""

    def delta(self, k: int) -> float | None:
        """Difference of the top-k errors, k 1 or 5; None where the source does not say.

        >>> ABLATIONS["overlap"].reported[1].delta(5)
        -0.003
        """
        place = 0 if k == 1 else 1
        if self.errors is None:
            return self.difference[place] if self.difference else None
        first, second = (errors[place] for errors in self.errors)
        return None if first is None or second is None else round(first - second, 6)


@dataclass(frozen=True)
class ReportedSpeed:
    """How much sooner one form is said to reach a training error.

    Args:
        first: the faster form.
        second: the slower one.
        factor: epochs of the second over those of the first.
        level: the training error, a fraction.
        source: who reports it.
        remark: what is otherwise there than here.
    """

    first: str
    second: str
    factor: float
    level: float
    source: str
    remark: str


@dataclass(frozen=True)
class Ablation:
    """A comparison of forms under the same settings and seeds.

    Args:
        name: that it is called by.
        what: is compared.
        forms: two or more; a difference is that of an earlier one less a later one.
        reported: published figures.
        speed: published speed of learning; None where there is no such figure.
        is_one_size: trained and tested at the network's own size alone, as at others the last
            pooling is not the form's but fits its windows to the grid of fc6.
        remark: what has to be known beside the figures.
    """

    name: str
    what: str
    forms: tuple[Form, ...]
    reported: tuple[Reported, ...]
    speed: ReportedSpeed | None = None
    is_one_size: bool = False
    remark: str = ""

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Names of each two forms, the earlier one first."""
        names = [form.name for form in self.forms]
        return tuple(
            (first, second) for place, first in enumerate(names) for second in names[place + 1 :]
        )


_VAL = "ILSVRC-2012 val"
_TEST_2010 = "ILSVRC-2010 test"
_UNSAID = "ILSVRC, the set is not said"
_BENCHMARK = "caffenet-benchmark"


def _benchmark(
    first: str, second: str, accuracies: tuple[float, float], table: str, remark: str = ""
) -> Reported:
    """A row of caffenet-benchmark against another; it prints accuracies, top-1 alone."""
    errors = tuple((round(1 - accuracy, 3), None) for accuracy in accuracies)
    return Reported(
        first,
        second,
        f"{_BENCHMARK}, {table}",
        f"{_VAL}, 128 pixels",
        1,
        errors=(errors[0], errors[1]),
        remark=remark,
    )


ABLATIONS = {
    ablation.name: ablation
    for ablation in (
        Ablation(
            "relu",
            "the activation: rectified linear units or tanh",
            (
                Form("relu", "max(x, 0)", {"activation": "relu"}),
                Form("tanh", "tanh(x)", {"activation": "tanh"}),
            ),
            (_benchmark("relu", "tanh", (0.471, 0.401), "Activations.md", "without norms"),),
            speed=ReportedSpeed(
                "relu",
                "tanh",
                6.0,
                0.25,
                "paper, section 3.1 and figure 1",
                "CIFAR-10, four layers of convolution, no regularisation, the best learning rate "
                "for each",
            ),
            remark="both forms have the same learning rate and initial weights here",
        ),
        Ablation(
            "norm",
            "the norm: local response, batch, or none",
            (
                Form("lrn", "local response normalisation", {"norm": "lrn"}),
                Form("batch", "batch normalisation", {"norm": "batch"}),
                Form("none", "no norm", {"norm": "none"}),
            ),
            (
                Reported(
                    "lrn", "none", "paper, section 3.3", _UNSAID, None, difference=(-0.014, -0.012)
                ),
                Reported(
                    "lrn",
                    "none",
                    "released code, runs 145 and 148",
                    _VAL,
                    10,
                    errors=((0.4066, 0.1821), (0.4203, 0.1936)),
                ),
                _benchmark("lrn", "none", (0.470, 0.471), "Activations.md"),
                _benchmark("lrn", "batch", (0.470, 0.478), "batchnorm.md"),
                _benchmark("batch", "none", (0.478, 0.471), "batchnorm.md"),
            ),
            remark="pixels of unit variance leave the paper's norm nothing to do: it is a constant "
            "within 0.2 % there (docs/log.md); --recipe paper has them in 0..255. The benchmark "
            "begins with weights that give each layer a variance of 1",
        ),
        Ablation(
            "overlap",
            "the pooling windows: 3 x 3 or 2 x 2, both 2 apart",
            (
                Form("overlapping", "3 x 3, 2 apart", {"overlapping_pool": True}),
                Form("apart", "2 x 2, 2 apart", {"overlapping_pool": False}),
            ),
            (
                Reported(
                    "overlapping",
                    "apart",
                    "paper, section 3.4",
                    _UNSAID,
                    None,
                    difference=(-0.004, -0.003),
                ),
                Reported(
                    "overlapping",
                    "apart",
                    "released code, runs 145 and 147",
                    _VAL,
                    10,
                    errors=((0.4066, 0.1821), (0.4106, 0.1851)),
                ),
                _benchmark(
                    "overlapping",
                    "apart",
                    (0.470, 0.484),
                    "Pooling.md",
                    "2 x 2 leaves larger maps there, pool5 4 x 4 in the place of 3 x 3",
                ),
            ),
            is_one_size=True,
        ),
        Ablation(
            "dropout",
            "dropout of fc6 and fc7: one half or none",
            (
                Form("half", "rate 0.5", {"dropout": 0.5}),
                Form("none", "rate 0", {"dropout": 0.0}),
            ),
            (
                _benchmark(
                    "half",
                    "none",
                    (0.499, 0.513),
                    "batchnorm.md",
                    "with batch normalisation behind each ReLU; 0.2 is best, 47.3 %",
                ),
            ),
            remark="the paper (section 4.2) has no figure: substantial overfitting without it, "
            "about twice the iterations with it",
        ),
        Ablation(
            "groups",
            "the towers: two that meet at conv3 and the dense layers, or one",
            (
                Form("two", "two towers, the same filters", {"groups": 2}),
                Form("one", "one tower", {"groups": 1}),
            ),
            (
                _benchmark("two", "one", (0.471, 0.487), "README.md"),
                Reported(
                    "two",
                    "one",
                    "paper, section 3.2",
                    _UNSAID,
                    None,
                    difference=(-0.017, -0.012),
                    remark="its one tower has half the filters of conv1 to conv4",
                ),
                Reported(
                    "two",
                    "one",
                    "released code, runs 145-2010 and 145-half",
                    _TEST_2010,
                    10,
                    errors=((0.3747, 0.1700), (0.3917, 0.1823)),
                    remark="its one tower is one of the two",
                ),
            ),
        ),
        Ablation(
            "colour",
            "noise along the principal axes of the colours in training: on or off",
            (
                Form("on", "standard deviation 0.1", {"colour_noise": 0.1}),
                Form("off", "no noise", {"colour_noise": 0.0}),
            ),
            (
                Reported(
                    "on",
                    "off",
                    "paper, section 4.1",
                    _UNSAID,
                    None,
                    difference=(-0.01, None),
                    is_bound=True,
                ),
            ),
        ),
        Ablation(
            "crops",
            "the views of a test image: ten, their probabilities averaged, or the centre alone",
            (
                Form("ten", "corners and centre, and their mirror images", crops=10),
                Form("one", "the centre", crops=1),
            ),
            (
                Reported(
                    "ten",
                    "one",
                    "released code, run 155",
                    _VAL,
                    None,
                    errors=((0.4074, 0.1852), (0.4265, 0.1997)),
                ),
                Reported(
                    "ten",
                    "one",
                    "released code, run 170",
                    _VAL,
                    None,
                    errors=((0.4053, 0.1805), (0.4234, 0.1958)),
                ),
                Reported(
                    "ten",
                    "one",
                    "released code, run 145-2010",
                    _TEST_2010,
                    None,
                    errors=((0.3747, 0.1700), (0.3902, 0.1830)),
                ),
            ),
            remark="one network, shown its images in two ways",
        ),
    )
}


def ablation_named(name: str) -> Ablation:
    """The ablation of that name.

    Raises:
        TrainingError: there is none; the message lists those there are.
    """
    try:
        return ABLATIONS[name]
    except KeyError:
        known = ", ".join(ABLATIONS)
        raise TrainingError(
            f"no ablation is called {name!r} (expected one of {known})",
            hint="see what each compares: imagetree alexnet ablations",
        ) from None
