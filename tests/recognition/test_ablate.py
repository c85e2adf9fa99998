"""Ablations run on photographs: forms under the same settings, resumed, compared image by image."""

from __future__ import annotations

import json
import os
import signal
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from imagetree.alexnet.ablations import ABLATIONS
from imagetree.alexnet.architectures import ARCHITECTURES
from imagetree.alexnet.layers import FullyConnected
from imagetree.challenge.bootstrap import mean_interval
from imagetree.errors import TrainingError
from imagetree.recognition.ablate import (
    Setup,
    Splits,
    common_config,
    epochs_to_level,
    run_ablation,
)
from imagetree.recognition.ablation_result import (
    Trained,
    deltas_of,
    deltas_table,
    form_result,
    forms_table,
    notes_of,
)
from imagetree.recognition.recognizer import Recognizer
from imagetree.training.log import read_log
from imagetree.training.runs import load_run

pytestmark = pytest.mark.slow

WNIDS = (
    *("n01440764", "n02102040", "n02979186", "n03000684", "n03028079", "n03394916"),
    *("n03417042", "n03425413", "n03445777", "n03888257"),
)
GIVEN = {
    **{"input_size": 67, "start_size": 67, "test_size": 67, "epochs": 2, "batch_size": 8},
    **{"precision": "fp32", "device": "cpu", "workers": 0},
}
NORM, CROPS, COLOUR = (ABLATIONS[name] for name in ("norm", "crops", "colour"))


class Files:
    """Gives the files of images in memory."""

    def read(self, row: bytes) -> bytes:
        return row


class Photographs:
    """Some of Imagenette's photographs in memory."""

    reader = Files()

    def __init__(self, rows: list[tuple[str, int, bytes]]) -> None:
        self.names = tuple(name for name, _, _ in rows)
        self.labels = np.array([label for _, label, _ in rows], np.int64)
        self.rows = [data for _, _, data in rows]


@pytest.fixture(scope="module", autouse=True)
def _narrow():
    """64 units in fc6 and fc7: 4,096 take their time and prove nothing more here."""
    own = ARCHITECTURES["single_gpu"]
    layers = tuple(
        replace(layer, units=64) if isinstance(layer, FullyConnected) and layer.units else layer
        for layer in own.layers
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, own.name, replace(own, layers=layers))
        yield


@pytest.fixture(scope="module")
def splits(imagenette) -> Splits:
    """24 photographs to train on, 8 for minival, 40 to compare on, one of these damaged."""
    labels = (imagenette / "val_wnids.tsv").read_text().split()
    wnid_of = dict(zip(labels[::2], labels[1::2], strict=True))
    rows = []
    with tarfile.open(imagenette / "val.tar") as archive:
        for member in archive:
            data = archive.extractfile(member).read()
            rows.append((member.name, WNIDS.index(wnid_of[member.name]), data))
            if len(rows) == 72:
                break
    name, label, data = rows[40]
    rows[40] = (name, label, data[:200])
    parts = (Photographs(rows[start:end]) for start, end in ((0, 24), (24, 32), (32, 72)))
    return Splits(WNIDS, *parts, "val")


def quiet(_name: str, _epochs: int):
    return None, lambda: None


def setup_of(ablation, folder, **changes) -> Setup:
    config = common_config(ablation, "modern", GIVEN)
    values = {"challenge": folder / "challenge", "database": "sqlite:////images.db", **changes}
    return Setup(ablation, config, folder / "out", **values)


@pytest.fixture(scope="module")
def colour(splits, tmp_path_factory):
    """Colour noise on and off, two seeds each."""
    setup = setup_of(COLOUR, tmp_path_factory.mktemp("colour"), num_seeds=2, level=0.99)
    return setup, run_ablation(setup, splits, quiet)


def test_forms_are_trained_with_the_same_settings_and_seeds(colour) -> None:
    """Each run's folder says so; but for the noise and the seed they are alike."""
    setup, result = colour
    folder = setup.folder / "colour"
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {
        *("on-seed0", "on-seed1", "off-seed0", "off-seed1")
    }
    for path in (path for form in result.forms for path in form.runs):
        config = load_run(path).config
        assert config.colour_noise == (0.1 if path.name.startswith("on") else 0.0)
        assert config.seed == int(path.name[-1])
        assert config.architecture == "single_gpu"
        assert replace(config, colour_noise=0.0, seed=0) == setup.config


def test_errors_are_those_of_the_runs(colour, splits) -> None:
    """Answered once more and counted by hand; the damaged photograph is a miss of each."""
    _, result = colour
    wrong = {form.name: [] for form in result.forms}
    for form in result.forms:
        for path in form.runs:
            recognizer = Recognizer.load(load_run(path).checkpoint_path)
            answers = recognizer.predict(splits.answered)
            misses = answers.probabilities.argmax(1) != splits.answered.labels
            misses[8] = True
            wrong[form.name].append(misses)
        assert form.errors[1] == pytest.approx(np.mean(wrong[form.name]))
        assert form.errors[5] <= form.errors[1]
        assert form.intervals[1] == mean_interval(np.mean(wrong[form.name], axis=0))
    [delta] = result.deltas
    apart = np.mean(wrong["on"], axis=0) - np.mean(wrong["off"], axis=0)
    assert delta.differences[1] == pytest.approx(apart.mean())
    assert delta.intervals[1] == mean_interval(apart)
    seeds = [a.mean() - b.mean() for a, b in zip(wrong["on"], wrong["off"], strict=True)]
    assert delta.deviations[1] == pytest.approx(np.std(seeds, ddof=1))
    assert [name for name, _ in result.bad] == [splits.answered.names[8]]


def test_result_is_written(colour) -> None:
    """As JSON and as Markdown, with the figures that are returned and the published one."""
    setup, result = colour
    values = json.loads((setup.folder / "colour" / "result.json").read_text())
    assert values["seeds"] == [0, 1]
    assert values["settings"]["architecture"] == "single_gpu"
    [delta] = values["deltas"]
    assert delta["differences"]["1"] == result.deltas[0].differences[1]
    assert delta["reported"][0]["difference"] == [-0.01, None]
    text = (setup.folder / "colour" / "result.md").read_text()
    assert text.startswith("# colour\n\nnoise along the principal axes")
    assert "40 images of val, 10 classes, seeds 0, 1, crops 1" in text
    assert "| more than -1.00 |  | paper, section 4.1 | ILSVRC, the set is not said |" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows[:4]}) == len({r.count("|") for r in rows[4:]}) == 1


def test_epochs_are_counted_from_the_log(colour) -> None:
    setup, result = colour
    for form in result.forms:
        for path, epochs in zip(form.runs, form.epochs_to_level, strict=True):
            errors = [r["train_top1_error"] for r in read_log(path) if r["kind"] == "epoch"]
            below = [number for number, error in enumerate(errors, 1) if error <= setup.level]
            assert epochs == (below[0] if below else None)
    assert epochs_to_level([{"kind": "epoch", "epoch": 1}], 0.5) is None  # a log that did not count


def test_interrupted_ablation_goes_on(splits, tmp_path, colour) -> None:
    """Ctrl-C in the second run; the same call ends with the same result, and trains none twice."""
    setup, whole = colour
    here = replace(setup, folder=tmp_path)
    begun: list[str] = []

    def watch(name: str, _epochs: int):
        begun.append(name)

        def stop(now) -> None:
            if begun == ["on-seed0", "off-seed0"] and now.step == 2:
                os.kill(os.getpid(), signal.SIGINT)

        return stop, lambda: None

    assert run_ablation(here, splits, watch) is None
    assert not (tmp_path / "colour" / "result.json").exists()
    first = tmp_path / "colour" / "on-seed0" / "checkpoint.safetensors"
    written = first.stat().st_mtime_ns
    result = run_ablation(here, splits, quiet)
    assert first.stat().st_mtime_ns == written
    assert [form.errors for form in result.forms] == [form.errors for form in whole.forms]
    assert result.deltas[0].intervals == whole.deltas[0].intervals


def test_crops_are_two_views_of_one_run(splits, tmp_path, colour) -> None:
    """A trained run is shown its images in both ways; nothing is trained."""
    run = colour[1].forms[0].runs[1]
    setup = setup_of(CROPS, tmp_path, run=run, num_seeds=3)

    def refuse(_name: str, _epochs: int):
        raise AssertionError("training begins")

    result = run_ablation(setup, splits, refuse)
    assert result.seeds == (1,)
    assert result.settings == load_run(run).config.to_json()
    recognizer = Recognizer.load(load_run(run).checkpoint_path)
    for form, crops in zip(result.forms, (10, 1), strict=True):
        shown = replace(recognizer, view=replace(recognizer.view, crops=crops))
        answers = shown.predict(splits.answered)
        misses = answers.probabilities.argmax(1) != splits.answered.labels
        misses[8] = True
        assert form.errors[1] == pytest.approx(misses.mean())
        assert form.epochs_to_level == (None,)
        assert form.runs == (run,)
    assert [delta.reported for delta in result.deltas] == [CROPS.reported]
    assert "epochs" not in " ".join(forms_table(result)[0])


def test_crops_train_one_network_where_no_run_is_given(splits, tmp_path) -> None:
    setup = setup_of(CROPS, tmp_path)
    setup = replace(setup, config=replace(setup.config, epochs=1))
    result = run_ablation(setup, splits, quiet)
    runs = {path for form in result.forms for path in form.runs}
    assert runs == {tmp_path / "out" / "crops" / "network-seed0"}


def test_run_of_other_classes_is_refused(splits, tmp_path, colour) -> None:
    setup = setup_of(CROPS, tmp_path, run=colour[1].forms[0].runs[0])
    other = replace(splits, wnids=(*WNIDS[:-1], "n02085620"))
    with pytest.raises(TrainingError, match="was trained on other classes"):
        run_ablation(setup, other, quiet)


def test_what_cannot_be_compared_is_refused(tmp_path) -> None:
    with pytest.raises(TrainingError, match="norm is what the forms of 'norm' differ in"):
        common_config(NORM, "modern", {"norm": "own"})
    for changes, message in (
        ({"num_seeds": 0}, "seeds is 0"),
        ({"level": 1.0}, "level is 1.0"),
        ({"run": tmp_path}, "the forms of 'norm' are trained each by itself"),
    ):
        with pytest.raises(TrainingError, match=message):
            setup_of(NORM, tmp_path, **changes)


def test_settings_come_from_the_recipe_but_for_the_network() -> None:
    """Batch normalisation is none of the paper's; recipes that name a network keep theirs."""
    assert common_config(NORM, "modern", {}).architecture == "single_gpu"
    assert common_config(NORM, "paper", {}).architecture == "two_gpu"
    assert common_config(NORM, "modern", {"architecture": "caffenet"}).architecture == "caffenet"
    overlap = common_config(ABLATIONS["overlap"], "modern", {"input_size": 131})
    assert (overlap.start_size, overlap.test_size) == (131, 131)


def trained(form: str, misses: list[int], seed: int = 0, epochs: int | None = None) -> Trained:
    values = np.array(misses, np.bool_)
    return Trained(form, seed, None, {1: values, 5: values & False}, epochs)


def test_three_forms_are_compared_two_by_two() -> None:
    """Differences are the earlier form's error less the later one's."""
    found = [
        trained("lrn", [1, 0, 0, 0]),
        trained("batch", [0, 0, 0, 0]),
        trained("none", [1, 1, 1, 0]),
    ]
    deltas = {(each.first, each.second): each for each in deltas_of(NORM, found)}
    assert {pair: each.differences[1] for pair, each in deltas.items()} == {
        ("lrn", "batch"): 0.25,
        ("lrn", "none"): -0.5,
        ("batch", "none"): -0.75,
    }
    assert all(each.deviations == {1: None, 5: None} for each in deltas.values())
    assert len(deltas["lrn", "none"].reported) == 3
    assert sum(len(each.reported) for each in deltas.values()) == len(NORM.reported)


def test_relu_is_held_against_the_papers_speed(colour) -> None:
    """Epochs to the level, tanh's over ReLU's, the mean of the seeds; none where one did not."""
    relu = ABLATIONS["relu"]
    found = [
        *(trained("relu", [0, 1], seed, epochs) for seed, epochs in ((0, 2), (1, 4))),
        *(trained("tanh", [1, 1], seed, epochs) for seed, epochs in ((0, 9), (1, 12))),
    ]
    forms = tuple(
        form_result(form.name, form.what, [each for each in found if each.form == form.name])
        for form in relu.forms
    )
    result = replace(
        colour[1],
        level=0.25,
        forms=forms,
        deltas=deltas_of(relu, found),
        reported_speed=relu.speed,
    )
    assert result.deltas[0].speed == 3.5
    [note] = [note for note in notes_of(result) if note.startswith("training error of 25%")]
    assert "3.5 times sooner here; published 6 times for 25% (paper, section 3.1" in note
    head, rows = forms_table(result)
    assert head[-1] == "epochs to 25% training error"
    assert [row[-1] for row in rows] == ["2, 4", "9, 12"]
    never = [replace(each, epochs_to_level=None) if each.seed else each for each in found]
    late = replace(result, deltas=deltas_of(relu, never))
    assert late.deltas[0].speed is None
    assert any("not both forms reached it" in note for note in notes_of(late))
    assert deltas_table(result)[1][0][:2] == ("relu - tanh", "-50.00 +- 0.00")
