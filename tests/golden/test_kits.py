"""Development kits held against the published one of 2010, and made for ILSVRC2012's archives."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.io import loadmat

from imagetree.challenge.cut import CutConfig, cut_challenge
from imagetree.challenge.kit import KitConfig, build_synsets, export_kit
from imagetree.challenge.metamat import render_meta
from imagetree.challenge.official import costs_of, load_official, score_official
from imagetree.cli.main import main
from imagetree.database import import_source, open_database
from imagetree.sources.devkit import load_devkit
from imagetree.sources.source import SourceOptions
from imagetree.wordnet.glosses import gloss_of

from ..conftest import need, shared_path

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.challenge.official import OfficialKit

FLAT = ["0.9101", "0.8716", "0.8422", "0.8191", "0.8003"]
HIERARCHICAL = ["10.3468", "8.7489", "7.8510", "7.2221", "6.7695"]


@pytest.fixture(scope="module")
def official(oracles: Path) -> OfficialKit:
    return load_official(oracles / "ilsvrc2010")


def rebuilt(kit: OfficialKit) -> tuple[Any, ...]:
    """The kit's synsets out of our WordNet: given are its ids and numbers of images alone."""
    synsets = kit.devkit.synsets
    return build_synsets(
        kit.devkit.numbering.wnids,
        2010,
        num_images={synset.wnid: synset.num_train_images for synset in synsets},
        ids=[synset.wnid for synset in synsets],
    )


def test_hierarchy_of_2010_is_rebuilt_from_wordnet(official: OfficialKit) -> None:
    """1,676 synsets: words, heights, images and 1,759 children; the order of children is ours."""
    for ours, theirs in zip(rebuilt(official), official.devkit.synsets, strict=True):
        children = tuple(sorted(theirs.children))
        assert ours._replace(gloss="") == theirs._replace(gloss="", children=children)


def test_glosses_of_2010_are_wordnets(official: OfficialKit) -> None:
    need(gloss_of("n00001740"), "no WordNet 3.0 is installed (Debian's package wordnet-base)")
    theirs = [synset.gloss for synset in official.devkit.synsets]
    assert [synset.gloss for synset in rebuilt(official)] == theirs


def test_cost_matrix_of_2010_follows_from_its_synsets(official: OfficialKit) -> None:
    """All million entries, from the kit's own synsets and from those rebuilt."""
    assert np.array_equal(costs_of(official.devkit.synsets), official.costs)
    assert np.array_equal(costs_of(rebuilt(official)), official.costs)


@pytest.mark.parametrize("mat_dtype", [False, True])
def test_meta_mat_is_read_as_the_official_one(
    oracles: Path, official: OfficialKit, mat_dtype: bool
) -> None:
    """Variables, fields and their order, and of every field the type, the shape and the values.

    Once as stored, once as MATLAB shows them.
    """
    theirs = loadmat(oracles / "ilsvrc2010" / "meta.mat", mat_dtype=mat_dtype)
    data = render_meta(2010, official.devkit.synsets, official.devkit.cost_matrix)
    ours = loadmat(io.BytesIO(data), mat_dtype=mat_dtype)
    assert list(ours) == list(theirs)
    assert ours["cost_matrix"].dtype == theirs["cost_matrix"].dtype
    assert np.array_equal(ours["cost_matrix"], theirs["cost_matrix"])
    assert ours["synsets"].dtype == theirs["synsets"].dtype
    assert ours["synsets"].shape == theirs["synsets"].shape == (1676, 1)
    for row, other in zip(ours["synsets"][:, 0], theirs["synsets"][:, 0], strict=True):
        for name in ours["synsets"].dtype.names:
            assert row[name].dtype == other[name].dtype
            assert row[name].shape == other[name].shape
            assert np.array_equal(row[name], other[name])


def test_demonstration_of_2010_to_every_digit(oracles: Path, official: OfficialKit) -> None:
    score = score_official(official, oracles / "ilsvrc2010" / "demo.val.pred.txt")
    assert [f"{error:.4f}" for error in score.flat] == FLAT
    assert [f"{error:.4f}" for error in score.hierarchical] == HIERARCHICAL


def test_the_command_prints_them(
    oracles: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    kit = oracles / "ilsvrc2010"
    assert main(["kit", "score", str(kit), str(kit / "demo.val.pred.txt")]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    for k, (flat, levels) in enumerate(zip(FLAT, HIERARCHICAL, strict=True), 1):
        assert [str(k), flat, levels] in rows


def test_hierarchy_of_2012(official: OfficialKit) -> None:
    """1,860 synsets as its readme says: 1,000 classes, then 860 ancestors, entity before all."""
    wnids = shared_path("facts", "ilsvrc2012_wnids.txt").read_text().split()
    synsets = build_synsets(wnids, 2012, num_images=dict.fromkeys(wnids, 1))
    assert (len(synsets), sum(bool(synset.children) for synset in synsets)) == (1860, 860)
    assert [synset.wnid for synset in synsets[:1000]] == sorted(wnids)
    assert (synsets[1000].words, synsets[1000].wordnet_height) == ("entity", 19)
    assert sum(len(synset.children) for synset in synsets) == 1937
    named = {child.value for synset in synsets for child in synset.children}
    assert named == set(range(1, 1861)) - {1001}, "entity alone is no one's child"


TRUTH = "ILSVRC2012_validation_ground_truth.txt"


def write_val(imagenette: Path, folder: Path) -> list[str]:
    """150 real images as ILSVRC2012_img_val.tar has them; the wnid of each in their order."""
    lines = (imagenette / "val_wnids.tsv").read_text().splitlines()
    wnid_of = dict(line.split("\t") for line in lines)
    wnids = []
    with (
        tarfile.open(imagenette / "val.tar") as source,
        tarfile.open(folder / "ILSVRC2012_img_val.tar", "w") as out,
    ):
        for member in source.getmembers()[::13][:150]:
            wnids.append(wnid_of[member.name])
            content = source.extractfile(member)
            member.name = f"ILSVRC2012_val_{len(wnids):08}.JPEG"
            out.addfile(member, content)
    return wnids


def write_devkit(folder: Path, truth: list[str]) -> Path:
    """A kit whose ids, as ILSVRC2012's, are not in the order of the wnids."""
    wnids = sorted(set(truth), key=lambda wnid: wnid[::-1])
    images = dict.fromkeys(wnids, 900)
    inner = [s.wnid for s in build_synsets(wnids, 2012, num_images=images)][len(wnids) :]
    synsets = build_synsets(wnids, 2012, num_images=images, ids=[*wnids, *inner])
    data = folder / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    (data / "meta.mat").write_bytes(render_meta(2012, synsets))
    (data / TRUTH).write_text("".join(f"{wnids.index(wnid) + 1}\n" for wnid in truth))
    return data.parent


def test_ilsvrc2012_from_its_archives(imagenette: Path, tmp_path: Path) -> None:
    """Train and val archives and the kit give the official splits, and a kit with the same ids."""
    truth = write_val(imagenette, tmp_path)
    devkit, val = write_devkit(tmp_path, truth), tmp_path / "ILSVRC2012_img_val.tar"
    with open_database(tmp_path / "x.db", create=True) as database:
        import_source(database, imagenette / "train.tar")
        import_source(database, val, SourceOptions(labels=devkit))
        challenge = cut_challenge(database, tmp_path / "ilsvrc", CutConfig(val_source=str(val)))
    assert len(challenge.wnids) == 10
    assert challenge.num_images["train"] + challenge.num_images["minival"] == 9469
    found = sorted(challenge.read_split("val"))
    assert [name for name, _ in found] == [f"ILSVRC2012_val_{n:08}" for n in range(1, 151)]
    assert [wnid for _, wnid in found] == truth
    export_kit(challenge, tmp_path / "kit", KitConfig(ids=devkit))
    ours, theirs = load_devkit(tmp_path / "kit"), load_devkit(devkit)
    assert [s.wnid for s in ours.synsets] == [s.wnid for s in theirs.synsets]
    assert [s.wnid for s in ours.synsets[:10]] != list(challenge.wnids)
    assert sum(synset.num_train_images for synset in ours.synsets) == 9469
    assert (tmp_path / "kit/data" / TRUTH).read_bytes() == (devkit / "data" / TRUTH).read_bytes()
