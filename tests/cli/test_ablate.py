"""`imagetree alexnet ablate`: on photographs in a database, from cutting to the printed tables."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace

import pytest

from imagetree.alexnet.architectures import ARCHITECTURES
from imagetree.alexnet.layers import FullyConnected
from imagetree.cli.main import main

pytestmark = pytest.mark.slow

WNIDS = ("n01440764", "n02102040", "n03028079")  # tench, English springer, church
PER_CLASS = 12
SETTINGS = (
    *("--input-size", "67", "--start-size", "67", "--test-size", "67", "--epochs", "1"),
    *("--batch-size", "8", "--precision", "fp32", "--workers", "0"),
)


@pytest.fixture(scope="module")
def here(imagenette, tmp_path_factory):
    """A folder with a challenge of 36 photographs; networks have 64 units in fc6 and fc7."""
    folder = tmp_path_factory.mktemp("ablate")
    labels = (imagenette / "val_wnids.tsv").read_text().split()
    wnid_of = dict(zip(labels[::2], labels[1::2], strict=True))
    counts = dict.fromkeys(WNIDS, 0)
    with tarfile.open(imagenette / "val.tar") as archive:
        for member in archive:
            wnid = wnid_of[member.name]
            if counts.get(wnid, PER_CLASS) < PER_CLASS:
                counts[wnid] += 1
                path = folder / "images" / wnid / f"{wnid}_{counts[wnid]}.JPEG"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.extractfile(member).read())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMAGETREE_DATABASE", str(folder / "imagetree.db"))
        patch.setenv("NO_COLOR", "1")
        for own in (ARCHITECTURES["single_gpu"], ARCHITECTURES["batch_norm"]):
            layers = tuple(
                replace(layer, units=64)
                if isinstance(layer, FullyConnected) and layer.units
                else layer
                for layer in own.layers
            )
            patch.setitem(ARCHITECTURES, own.name, replace(own, layers=layers))
        assert main(["database", "import", str(folder / "images")]) == 0
        assert main(["challenge", "cut", str(folder / "challenge"), "--val-share", "0.3"]) == 0
        yield folder


def test_an_ablation_from_the_command_line(here, imagetree) -> None:
    """Both forms with two seeds; the tables have both errors, and published beside measured."""
    words = ("alexnet", "ablate", "dropout", here / "challenge", here / "out", "--seeds", 2)
    said = imagetree(*words, *SETTINGS)
    assert said.status == 0, said.err
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines[0] == "dropout: dropout of fc6 and fc7: one half or none"
    assert any(line.startswith("half rate 0.5 ") and "% to " in line for line in lines)
    assert any(line.startswith("none rate 0 ") for line in lines)
    [delta] = [line for line in lines if line.startswith("half - none")]
    assert " +- " in delta
    assert delta.endswith(
        "+1.40 caffenet-benchmark, batchnorm.md ILSVRC-2012 val, 128 pixels, 1 crop"
    )
    assert lines[-1] == str(here / "out" / "dropout" / "result.md")
    assert said.err.split("\n")[0] == "half-seed0"
    again = imagetree(*words, *SETTINGS, "--json")
    values = json.loads(again.out)
    assert values == json.loads((here / "out" / "dropout" / "result.json").read_text())
    assert [form["name"] for form in values["forms"]] == ["half", "none"]
    assert values["num_images"] == len((here / "challenge" / "val.tsv").read_text().splitlines())


def test_crops_of_a_trained_run(here, imagetree) -> None:
    """Also from a run with batch normalisation; and a submission with ten crops is another."""
    run = here / "run"
    assert imagetree("train", here / "challenge", run, *SETTINGS).status == 0
    said = imagetree("alexnet", "ablate", "crops", here / "challenge", here / "out", "--run", run)
    assert said.status == 0
    assert "ten - one" in said.out
    answers = []
    for crops in (1, 10):
        path = here / f"{crops}.txt"
        assert imagetree("challenge", "run", run, "--crops", crops, "--output", path).status == 0
        scored = imagetree("challenge", "score", here / "challenge", path, "--json")
        answers.append(json.loads(scored.out)["top"][0]["error"])
    values = json.loads((here / "out" / "crops" / "result.json").read_text())
    assert [form["errors"]["1"] for form in values["forms"]] == answers[::-1]
    assert values["settings"]["architecture"] == "batch_norm"


def test_other_settings_in_the_same_folder_are_refused(here, imagetree) -> None:
    words = ("alexnet", "ablate", "colour", here / "challenge", here / "other")
    assert imagetree(*words, *SETTINGS).status == 0
    said = imagetree(*words, *SETTINGS, "--lr", 0.5)
    assert said.status == 1
    assert "another run is here (lr 0.012 there, 0.5 here)" in said.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lrn", "CH"), "no ablation is called 'lrn'"),
        (("norm", "CH", "--norm", "lrn"), "norm is what the forms of 'norm' differ in"),
        (("crops", "CH", "--run", "run", "--lr", "1"), "--run and settings of training (lr)"),
        (("relu", "CH", "--run", "run"), "the forms of 'relu' are trained each by itself"),
    ],
)
def test_what_makes_no_sense_is_refused(here, imagetree, words, message) -> None:
    name, _, *options = words
    said = imagetree("alexnet", "ablate", name, here / "challenge", here / "none", *options)
    assert said.status == 1
    assert message in said.err
    assert not (here / "none").exists()


def test_ablations_are_listed(imagetree) -> None:
    """All seven, each with what is published of it."""
    said = imagetree("alexnet", "ablations")
    for name in ("relu", "norm", "overlap", "dropout", "groups", "colour", "crops"):
        assert f"\n  {name} " in said.out
    assert "released code, runs 145 and 148" in said.out
    listed = json.loads(imagetree("alexnet", "ablations", "--json").out)
    assert [each["name"] for each in listed][:2] == ["relu", "norm"]
    assert listed[0]["speed"]["factor"] == 6.0
