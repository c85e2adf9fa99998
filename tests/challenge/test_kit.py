"""A challenge's development kit: read as ILSVRC's is, reproducible, and silent about the test."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest
from scipy.io import loadmat

from imagetree.challenge.definition import Entry, load_challenge, save_challenge
from imagetree.challenge.kit import KitConfig, build_synsets, export_kit
from imagetree.challenge.metamat import render_meta
from imagetree.challenge.official import load_official, score_official
from imagetree.errors import ChallengeError
from imagetree.sources.devkit import load_devkit
from imagetree.wordnet import glosses, load_nouns
from imagetree.wordnet.taxonomy import closure, hierarchical_cost

from ..conftest import need

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.challenge.definition import Challenge

WNIDS = ("n02084071", "n02121808", "n02691156")  # dog, domestic cat, airplane
FIELDS = (
    *("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height"),
    "num_train_images",
)


@pytest.fixture
def challenge(tmp_path: Path) -> Challenge:
    """20, 2 and 5 images of each class, and a sealed test of four."""
    splits = {
        split: [Entry(f"{wnid}_{split}{n}", wnid) for wnid in WNIDS for n in range(count)]
        for split, count in {"train": 20, "minival": 2, "val": 5}.items()
    }
    secret = [Entry(f"{WNIDS[n % 3]}_secret{n}", WNIDS[n % 3]) for n in (2, 0, 1, 5)]
    return save_challenge(tmp_path / "pets", WNIDS, {**splits, "test": secret})


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_kit_is_read_by_our_own_reader(challenge: Challenge, tmp_path: Path) -> None:
    """Classes, images, truth in the order of names, the whole hierarchy above."""
    export_kit(challenge, tmp_path / "kit")
    kit = load_devkit(tmp_path / "kit")
    assert kit.numbering.wnids == WNIDS
    assert {synset.wnid for synset in kit.synsets} == set(closure(WNIDS))
    assert kit.synsets[3].words == "entity"
    assert [synset.num_train_images for synset in kit.synsets[:4]] == [22, 22, 22, 0]
    names = (tmp_path / "kit/data/val.txt").read_text().split()
    assert names == sorted(entry.name for entry in challenge.read_split("val"))
    wnid_of = {entry.name: entry.wnid for entry in challenge.read_split("val")}
    assert [kit.numbering.wnid_of(id) for id in kit.ground_truth] == [wnid_of[n] for n in names]


def test_scipy_reads_the_fields_and_types_of_ilsvrc(challenge: Challenge, tmp_path: Path) -> None:
    export_kit(challenge, tmp_path / "kit")
    table = loadmat(tmp_path / "kit/data/meta.mat", mat_dtype=True)["synsets"]
    assert table.dtype.names == FIELDS
    assert table.shape == (len(closure(WNIDS)), 1)
    first, root = table[0, 0], table[3, 0]
    assert (first["WNID"].item(), first["children"].shape) == (WNIDS[0], (1, 0))
    assert {first[name].dtype.kind for name in ("ILSVRC2012_ID", "children")} == {"f"}
    assert root["num_children"].item() == root["children"].size == 1


TORCHVISION = """
import hashlib, json, pathlib, sys, torch
library = torch.library.Library("torchvision", "DEF")  # whose operators torch's CPU build has not
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from torchvision.datasets import imagenet
root = pathlib.Path(sys.argv[1])
name = "ILSVRC2012_devkit_t12.tar.gz"
imagenet.ARCHIVE_META["devkit"] = (name, hashlib.md5((root / name).read_bytes()).hexdigest())
imagenet.parse_devkit_archive(root)
print(json.dumps(imagenet.load_meta_file(root)))
"""


@pytest.mark.slow
def test_torchvision_takes_it_for_ilsvrc2012s(challenge: Challenge, tmp_path: Path) -> None:
    """Its own reader finds words by wnid, and the truth of val as wnids."""
    need(importlib.util.find_spec("torchvision"), "torchvision is not installed")
    export_kit(challenge, tmp_path / "ILSVRC2012_devkit_t12.tar.gz")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TORCHVISION, tmp_path],
        capture_output=True,
        check=True,
    )
    classes, truth = json.loads(done.stdout)
    assert classes[WNIDS[0]] == ["dog", "domestic dog", "Canis familiaris"]
    assert set(classes) == set(WNIDS)
    assert truth == [entry.wnid for entry in sorted(challenge.read_split("val"))]


def test_the_same_challenge_gives_the_same_bytes(challenge: Challenge, tmp_path: Path) -> None:
    """As a folder and as an archive; and the archive says nothing of when and where."""
    first = export_kit(challenge, tmp_path / "a" / "kit.tar.gz", KitConfig(year=2010))
    second = export_kit(challenge, tmp_path / "b" / "kit.tar.gz", KitConfig(year=2010))
    packed = first.path.read_bytes()
    assert packed == second.path.read_bytes()
    assert packed[3:8] == bytes(5), "no name, no time"
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        members = archive.getmembers()
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}
        assert {m.name.partition("/")[0] for m in members} == {"kit"}
        inside = {
            m.name.partition("/")[2]: archive.extractfile(m).read()  # type: ignore[union-attr]
            for m in members
        }
    folder = export_kit(challenge, tmp_path / "folder", KitConfig(year=2010))
    assert files_of(folder.path) == inside
    assert folder.sums_sha256 == first.sums_sha256
    assert str(tmp_path).encode() not in b"".join(inside.values())
    assert export_kit(challenge, tmp_path / "other", KitConfig(seed=1)).sums_sha256 != (
        folder.sums_sha256
    )


def test_sums_are_those_of_sha256sum(challenge: Challenge, tmp_path: Path) -> None:
    report = export_kit(challenge, tmp_path / "kit")
    done = subprocess.run(
        ["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"], cwd=tmp_path / "kit"
    )
    assert done.returncode == 0
    listed = {
        line.split("  ")[1] for line in (tmp_path / "kit/SHA256SUMS").read_text().split("\n")[:-1]
    }
    assert (
        listed
        == set(report.files) - {"SHA256SUMS"}
        == set(files_of(tmp_path / "kit")) - {"SHA256SUMS"}
    )


def test_no_label_or_name_of_the_sealed_test_is_in_the_kit(
    challenge: Challenge, tmp_path: Path
) -> None:
    """Not with the labels at hand, and made without them it has the same bytes."""
    export_kit(challenge, tmp_path / "kit", KitConfig(year=2010))
    for data in files_of(tmp_path / "kit").values():
        assert b"secret" not in data
    assert (tmp_path / "kit/data/test.txt").read_text().split() == [
        f"test_{n:08}" for n in range(1, 5)
    ]
    challenge.sealed_path.unlink()
    export_kit(load_challenge(challenge.folder), tmp_path / "again", KitConfig(year=2010))
    assert files_of(tmp_path / "kit") == files_of(tmp_path / "again")


def test_plain_text_says_what_meta_says(challenge: Challenge, tmp_path: Path) -> None:
    export_kit(challenge, tmp_path / "kit", KitConfig(year=2010))
    kit = load_devkit(tmp_path / "kit")
    header, *lines = (tmp_path / "kit/data/synsets.tsv").read_text().split("\n")[:-1]
    assert header.split("\t") == ["ILSVRC2010_ID", *FIELDS[1:]]
    for line, synset in zip(lines, kit.synsets, strict=True):
        children = " ".join(str(child.value) for child in synset.children)
        assert line.split("\t") == [
            *(str(synset.id.value), synset.wnid, synset.words, synset.gloss),
            *(str(len(synset.children)), children, str(synset.wordnet_height)),
            str(synset.num_train_images),
        ]
    rows = (tmp_path / "kit/data/cost_matrix.txt").read_text().split("\n")[:-1]
    costs = [[int(cost) for cost in row.split()] for row in rows]
    assert kit.cost_matrix is not None
    assert costs == kit.cost_matrix.tolist() == hierarchical_cost(WNIDS).tolist()


@pytest.mark.parametrize("year", [2010, 2011, 2012])
def test_the_demonstration_scores_what_it_says(
    challenge: Challenge, tmp_path: Path, year: int
) -> None:
    export_kit(challenge, tmp_path / "kit.tgz", KitConfig(year=year))
    export_kit(challenge, tmp_path / "kit", KitConfig(year=year))
    kit = load_official(tmp_path / "kit.tgz")
    score = score_official(kit, tmp_path / "kit/evaluation/demo.val.pred.txt")
    lines = (tmp_path / "kit/evaluation/demo.scores.txt").read_text().split("\n")[1:-1]
    assert [line.split() for line in lines] == [
        [str(k), f"{score.flat[k - 1]:.4f}", f"{score.hierarchical[k - 1]:.4f}"]
        for k in range(1, 6)
    ]
    assert score.flat[0] > score.flat[2] == 0, "three guesses of three classes cannot all miss"
    assert kit.costs.tolist() == hierarchical_cost(WNIDS).tolist()


def test_ids_of_another_kit_are_kept(challenge: Challenge, tmp_path: Path) -> None:
    """Of one whose classes are in another order; one with other classes is refused."""
    wnids = [WNIDS[2], WNIDS[0], WNIDS[1]]
    inner = sorted(set(closure(WNIDS)) - set(WNIDS), reverse=True)
    theirs = build_synsets(WNIDS, 2011, num_images={}, ids=[*wnids, *inner])
    (tmp_path / "meta.mat").write_bytes(render_meta(2011, theirs))
    report = export_kit(challenge, tmp_path / "kit", KitConfig(ids=tmp_path / "meta.mat"))
    kit = load_devkit(tmp_path / "kit")
    assert (report.year, kit.year) == (2011, 2011)
    assert [synset.wnid for synset in kit.synsets] == [*wnids, *inner]
    fewer = build_synsets(WNIDS[:2], 2012, num_images={})
    (tmp_path / "meta.mat").write_bytes(render_meta(2012, fewer))
    with pytest.raises(ChallengeError, match="other synsets"):
        export_kit(challenge, tmp_path / "other", KitConfig(ids=tmp_path / "meta.mat"))


def test_glosses_only_where_wordnet_is_installed(
    challenge: Challenge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without, they are empty, and the readme says so."""
    monkeypatch.setattr(glosses, "_list_folders", list)
    report = export_kit(challenge, tmp_path / "kit")
    assert report.num_glosses == 0
    assert all(synset.gloss == "" for synset in load_devkit(tmp_path / "kit").synsets)
    readme = (tmp_path / "kit/readme.txt").read_text()
    assert f"empty for {report.num_synsets}: no WordNet" in readme


def test_readme_says_what_there_is(challenge: Challenge, tmp_path: Path) -> None:
    """Every file is named in it, every split with its images; no line is too long to read."""
    report = export_kit(challenge, tmp_path / "kit", KitConfig(year=2010))
    readme = (tmp_path / "kit/readme.txt").read_text()
    assert all(name in readme for name in report.files if name != "readme.txt")
    assert challenge.version in readme
    assert "$" not in readme
    for split, count in challenge.num_images.items():
        assert f"{split:10}{count:9,}" in readme
    assert max(map(len, readme.split("\n"))) <= 100


def test_a_folder_that_holds_something_is_left_alone(challenge: Challenge, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    export_kit(challenge, tmp_path / "empty")
    with pytest.raises(ChallengeError, match="something is there already"):
        export_kit(challenge, tmp_path / "empty")
    assert not list(tmp_path.glob(".*.part"))


def test_year_that_has_no_form() -> None:
    with pytest.raises(ChallengeError, match=r"year is 2013 .expected 2010, 2011, 2012."):
        KitConfig(year=2013)


def test_instances_are_below_what_they_are_instances_of() -> None:
    """Sun is an instance of star, without a hypernym of kind: the kit still hangs together."""
    sun, dog = load_nouns().resolve("n09450163").wnid, WNIDS[0]
    synsets = build_synsets([dog, sun], 2012, num_images={})
    children = {synset.wnid: synset.children for synset in synsets}
    named = {child.value for each in children.values() for child in each}
    assert named == set(range(1, len(synsets) + 1)) - {3}
