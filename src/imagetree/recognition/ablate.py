"""Ablations run: each form trained, or shown its images, under the same settings and seeds.

A form's run lies in a folder of its own and is trained as any other: it can be interrupted, and the
same command goes on from there.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from imagetree.challenge.bootstrap import CONFIDENCE
from imagetree.challenge.metrics import NO_GUESS, flat_misses, guesses_from_scores
from imagetree.errors import TrainingError
from imagetree.files import write_atomic
from imagetree.recognition.ablation_result import (
    AblationResult,
    Trained,
    deltas_of,
    form_result,
    render_markdown,
)
from imagetree.recognition.recognizer import Recognizer
from imagetree.training.log import read_log
from imagetree.training.recipes import RECIPES, config_of
from imagetree.training.runs import load_run, open_run
from imagetree.training.train import train

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from imagetree.alexnet.ablations import Ablation, Form
    from imagetree.training.batches import Images
    from imagetree.training.config import TrainConfig
    from imagetree.training.runs import Run
    from imagetree.training.train import Progress

    Watch = Callable[[str, int], tuple[Callable[[Progress], None] | None, Callable[[], None]]]

_NETWORK = "single_gpu"
"""Without batch normalisation, as the paper's: where nothing else is asked for."""


@dataclass(frozen=True)
class Splits:
    """The images of a challenge.

    Args:
        wnids: wnid of each class, by class index.
        train: to train on.
        minival: for the error after each epoch.
        answered: on which the forms are compared.
        name: of the split that is answered.
    """

    wnids: tuple[str, ...]
    train: Images
    minival: Images
    answered: Images
    name: str


@dataclass(frozen=True)
class Setup:
    """How an ablation is run.

    Args:
        ablation: what is compared.
        config: settings of all forms.
        folder: results and runs go into a folder of the ablation's name in it.
        challenge: folder of the challenge.
        database: path or URL of the database.
        pack: folder of the challenge's pack; None to read from the archives.
        num_seeds: runs of each form, with the seeds from the config's on.
        crops: views of a test image, where the forms do not say.
        level: training error whose epochs are counted, a fraction.
        run: a trained run to take in the place of training, with its settings; for forms that
            train alike alone.

    Raises:
        TrainingError: a number is out of its range, or a run is given for forms that train
            otherwise than each other.
    """

    ablation: Ablation
    config: TrainConfig
    folder: Path
    challenge: Path
    database: str
    pack: Path | None = None
    num_seeds: int = 1
    crops: Literal[1, 10] = 1
    level: float = 0.25
    run: Path | None = None

    def __post_init__(self) -> None:
        if self.num_seeds < 1:
            raise TrainingError(f"seeds is {self.num_seeds} (expected at least 1)")
        if not 0 < self.level < 1:
            raise TrainingError(f"level is {self.level} (expected in (0, 1))")
        if self.run and any(form.settings for form in self.ablation.forms):
            raise TrainingError(
                f"the forms of {self.ablation.name!r} are trained each by itself, so that no run "
                "can take their place",
                hint="leave out --run",
            )

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the runs; one where a trained run is given."""
        first = self.config.seed
        return tuple(range(first, first + (1 if self.run else self.num_seeds)))


def common_config(ablation: Ablation, recipe: str, given: Mapping[str, Any]) -> TrainConfig:
    """The settings that all forms of an ablation share.

    Args:
        ablation: what is compared.
        recipe: settings to begin with; one that names no network has `single_gpu`.
        given: settings that are to be others.

    Raises:
        TrainingError: there is no such recipe, a value is out of its range, or a setting is the one
            that the forms differ in.
    """
    own = {name for form in ablation.forms for name in form.settings}
    if clash := sorted(own & given.keys()):
        raise TrainingError(
            f"{clash[0]} is what the forms of {ablation.name!r} differ in",
            hint=f"leave out --{clash[0].replace('_', '-')}",
        )
    config = config_of(recipe, {"architecture": _NETWORK, **RECIPES.get(recipe, {}), **given})
    if ablation.is_one_size:
        config = replace(config, start_size=config.input_size, test_size=config.input_size)
    return config


def run_ablation(setup: Setup, splits: Splits, watch: Watch) -> AblationResult | None:
    """Train and compare the forms of an ablation.

    Args:
        setup: what, how, and where.
        splits: the images.
        watch: called with the name of a run's folder and its epochs before it is trained; gives
            what is called after each step, or None, and what is called in the end.

    Returns:
        What was found, which also lies as `result.json` and `result.md` in the ablation's folder;
        None if a signal has interrupted it: the same call goes on.

    Raises:
        TrainingError: a folder holds a run with other settings, or a run cannot go on.
        ImagetreeError: the disk is full; what was trained stands.
    """
    if setup.run:
        setup = replace(setup, config=load_run(setup.run).config)
    trained: list[Trained] = []
    bad: dict[str, str] = {}
    for seed in setup.seeds:
        for form in setup.ablation.forms:
            run = _train(setup, form, seed, splits, watch)
            if run is None:
                return None
            trained.append(_answer(setup, form, run, splits, bad))
    result = _result(setup, splits, trained, bad)
    folder = setup.folder / setup.ablation.name
    write_atomic(folder / "result.json", json.dumps(result_to_json(result), indent=2) + "\n")
    write_atomic(folder / "result.md", render_markdown(result))
    return result


def result_to_json(result: AblationResult) -> dict[str, Any]:
    """The result as plain values."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(result), default=str))
    return plain


def epochs_to_level(records: list[dict[str, Any]], level: float) -> int | None:
    """The first epoch, counted from 1, in which the training error was at a level or below it.

    Args:
        records: of a run's log.
        level: a fraction.

    >>> log = [{"kind": "epoch", "epoch": n, "train_top1_error": 0.5 / n} for n in (1, 2, 3)]
    >>> epochs_to_level(log, 0.25), epochs_to_level(log, 0.1)
    (2, None)
    """
    reached = (
        int(record["epoch"])
        for record in records
        if record["kind"] == "epoch" and record.get("train_top1_error", 1.0) <= level
    )
    return next(reached, None)


def _train(setup: Setup, form: Form, seed: int, splits: Splits, watch: Watch) -> Run | None:
    """The finished run of a form, which may be so already; None if a signal came."""
    if setup.run:
        return load_run(setup.run)
    config = replace(setup.config, seed=seed, **form.settings)
    name = f"{form.name if form.settings else 'network'}-seed{seed}"
    folder = setup.folder / setup.ablation.name / name
    run = open_run(folder, config, setup.challenge, setup.database, setup.pack)
    progress, finish = watch(name, config.epochs)
    try:
        result = train(run, splits.wnids, splits.train, splits.minival, progress)
    finally:
        finish()
    return run if result.is_finished else None


def _answer(setup: Setup, form: Form, run: Run, splits: Splits, bad: dict[str, str]) -> Trained:
    """What a run answers on the split; images that cannot be decoded are noted in `bad`."""
    recognizer = Recognizer.load(run.checkpoint_path, crops=form.crops or setup.crops)
    if recognizer.wnids != splits.wnids:
        raise TrainingError(
            f"{run.folder}: was trained on other classes than {setup.challenge}",
            hint=f"name its challenge: {run.challenge}",
        )
    answers = recognizer.predict(splits.answered)
    bad |= {splits.answered.names[each.index]: each.reason for each in answers.bad}
    ks = (1, 5) if len(splits.wnids) > 5 else (1,)  # of five classes top-5 misses none
    guesses = guesses_from_scores(answers.probabilities, max(ks))
    guesses[~answers.is_readable] = NO_GUESS
    return Trained(
        form.name,
        run.config.seed,
        run.folder,
        {k: flat_misses(guesses, splits.answered.labels, k) for k in ks},
        epochs_to_level(read_log(run.folder), setup.level) if form.settings else None,
    )


def _result(
    setup: Setup, splits: Splits, trained: list[Trained], bad: Mapping[str, str]
) -> AblationResult:
    ablation = setup.ablation
    return AblationResult(
        name=ablation.name,
        what=ablation.what,
        split=splits.name,
        num_images=len(splits.answered.labels),
        num_classes=len(splits.wnids),
        crops=setup.crops,
        seeds=setup.seeds,
        level=setup.level,
        confidence=CONFIDENCE,
        settings=setup.config.to_json(),
        forms=tuple(
            form_result(form.name, form.what, [each for each in trained if each.form == form.name])
            for form in ablation.forms
        ),
        deltas=deltas_of(ablation, trained),
        reported_speed=ablation.speed,
        remark=ablation.remark,
        bad=tuple(sorted(bad.items())),
    )
