"""Scoring by the rules of the official kits, and kits that are damaged or wicked."""

from __future__ import annotations

import io
import tarfile
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from imagetree.challenge.metamat import render_meta
from imagetree.challenge.official import costs_of, load_official, score_official, score_text
from imagetree.errors import ChallengeError, ImagetreeError
from imagetree.sources.devkit import KINDS, KitSynset
from imagetree.sources.matfile import read_mat

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.challenge.official import OfficialKit


def synset(number: int, wnid: str, children: list[int], height: int, year: int = 2012) -> KitSynset:
    kind = KINDS[year]
    ids = tuple(map(kind, children))
    return KitSynset(kind(number), wnid, f"words {number}", "", ids, height, 10 * (not children))


def synsets(year: int = 2012) -> list[KitSynset]:
    """Two pets below carnivore (6), a plane beside them below entity (19)."""
    return [
        synset(1, "n02084071", [], 2, year),
        synset(2, "n02121808", [], 1, year),
        synset(3, "n02691156", [], 2, year),
        synset(4, "n00001740", [3, 5], 19, year),
        synset(5, "n02075296", [1, 2], 6, year),
    ]


def write_kit(folder: Path, truth: str = "1\n2\n3\n", year: int = 2012, **more: bytes) -> Path:
    data = folder / "data"
    data.mkdir(parents=True)
    (data / "meta.mat").write_bytes(more.get("meta", render_meta(year, synsets(year))))
    (data / f"ILSVRC{year}_validation_ground_truth.txt").write_text(truth)
    return folder


@pytest.fixture
def kit(tmp_path: Path) -> OfficialKit:
    return load_official(write_kit(tmp_path / "kit"))


def test_textbook_case(kit: OfficialKit) -> None:
    """Right at once, right at the second guess, never right: 0, a pet for a pet, a plane's cost."""
    score = score_text(kit, "1 2\n1 2\n1 2\n")
    assert score.flat == pytest.approx((2 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3))
    assert score.hierarchical == pytest.approx(((0 + 6 + 19) / 3, *[(0 + 0 + 19) / 3] * 4))


@pytest.mark.parametrize("year", [2010, 2011, 2012])
def test_every_year_is_read(tmp_path: Path, year: int) -> None:
    kit = load_official(write_kit(tmp_path / "kit", year=year))
    assert (kit.devkit.year, kit.truth.tolist()) == (year, [[1], [2], [3]])
    assert kit.devkit.synsets == tuple(synsets(year))
    assert score_text(kit, "1\n2\n3\n").flat == (0,) * 5


@pytest.mark.parametrize(
    ("text", "flat", "hierarchical"),
    [
        ("\n\n\n", 1, 19),
        ("0\n0\n0\n", 1, 19),
        ("1 0 0\r\n\r\n3\r\n", 1 / 3, 19 / 3),
        ("1\n2\n3", 0, 0),
    ],
)
def test_short_lines_are_filled_up_with_no_guess(
    kit: OfficialKit, text: str, flat: float, hierarchical: float
) -> None:
    """No guess costs 1, or the largest cost; an empty line and 0 are none."""
    score = score_text(kit, text)
    assert score.flat[4] == pytest.approx(flat)
    assert score.hierarchical[4] == pytest.approx(hierarchical)


def test_an_id_above_the_classes_is_refused(kit: OfficialKit) -> None:
    """4 is entity: a synset of the kit, but no class."""
    with pytest.raises(ChallengeError, match=r"submission:1: '4' is no id .expected 1 to 3."):
        score_text(kit, "1 4\n2\n3\n")


def test_labels_behind_the_kth_do_not_count(kit: OfficialKit) -> None:
    """Not at k, and not behind the fifth at all."""
    score = score_text(kit, "2 2 1\n1 1 1 1 1 2\n3\n")
    assert score.flat == pytest.approx((2 / 3, 2 / 3, 1 / 3, 1 / 3, 1 / 3))


def test_several_labels_of_an_image_are_averaged(tmp_path: Path) -> None:
    """The first shows a dog and a plane: one found is half an error, the levels are halved too."""
    kit = load_official(write_kit(tmp_path / "kit", truth="1 3\n2\n"))
    assert kit.truth.tolist() == [[1, 3], [2, 0]]
    score = score_text(kit, "1 3\n2\n")
    assert score.flat == pytest.approx((0.25, 0, 0, 0, 0))
    assert score.hierarchical[:2] == pytest.approx((19 / 2 / 2, 0))


def test_truth_of_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "test_truth.txt"
    path.write_text("3\n3\n")
    kit = load_official(write_kit(tmp_path / "kit"), truth=path)
    assert score_text(kit, "3\n3\n").num_images == 2
    path.write_text("3\n\n")
    with pytest.raises(ChallengeError, match=r"test_truth\.txt:2: an image without a label"):
        load_official(tmp_path / "kit", truth=path)


def test_numbers_of_lines_must_agree(kit: OfficialKit) -> None:
    for text in ("1\n2\n", "1\n2\n3\n\n"):
        with pytest.raises(ChallengeError, match=r"\d lines .expected one for each of 3 images."):
            score_text(kit, text)


def test_faulty_submissions_are_refused_with_their_lines(kit: OfficialKit, tmp_path: Path) -> None:
    path = tmp_path / "entry.txt"
    with pytest.raises(ChallengeError, match=r"entry\.txt: cannot be read"):
        score_official(kit, path)
    path.write_text("n02084071\n" + "-1\n" * 29)
    with pytest.raises(ChallengeError, match=r"(?s)'n02084071' is no id.*:20: .*30 faults in all"):
        score_official(kit, path)
    path.write_bytes(b"1 " * 101 + b"\n\xff\xfe\n1e300\n")
    with pytest.raises(ChallengeError, match=r"(?s):1: 101 labels.*:2: .*:3: '1e300' is no id"):
        score_official(kit, path)


def test_a_kit_without_truth(tmp_path: Path) -> None:
    (tmp_path / "meta.mat").write_bytes(render_meta(2012, synsets()))
    with pytest.raises(ChallengeError, match=r"no ILSVRC2012_validation_ground_truth\.txt"):
        score_text(load_official(tmp_path), "1\n")


def test_costs_that_follow_from_the_synsets() -> None:
    assert costs_of(synsets()).tolist() == [[0, 6, 19], [6, 0, 19], [19, 19, 0]]


def test_hierarchies_that_are_none_are_refused() -> None:
    """Children that run in circles end; classes without a common synset have no cost."""
    circle = synsets()
    circle[4] = circle[4]._replace(children=(*circle[4].children, KINDS[2012](4)))
    assert costs_of(circle)[0, 2] == 6
    apart = synsets()
    apart[3] = apart[3]._replace(children=(KINDS[2012](3),))
    with pytest.raises(ChallengeError, match="n02084071 and n02691156 are below no common synset"):
        costs_of(apart)
    high = [*synsets()[:4], synsets()[4]._replace(wordnet_height=256)]
    with pytest.raises(ChallengeError, match=r"wordnet_height of the kit is not in 0\.\.255"):
        costs_of(high)


def compressed_meta(meta: bytes, more: int = 0) -> bytes:
    """A meta.mat whose synsets are compressed, with so many zeros behind them."""
    packed = zlib.compress(meta[128:] + bytes(more))
    return meta[:128] + np.array([15, len(packed)], "<u4").tobytes() + packed


META = render_meta(2012, synsets())


@pytest.mark.parametrize(
    ("meta", "fault"),
    [
        (compressed_meta(META, more=64 << 20), "more bytes in it than are allowed"),
        (META.replace(b"wordnet_height", b"wordnet_depths"), "the fields of a synset are"),
        (META.replace(b"ILSVRC2012_ID", b"ILSVRC2099_ID"), "the fields of a synset are"),
        (META[:700], "damaged|an element of"),
        (b"PK\x03\x04" + bytes(500), "no MAT-file"),
    ],
)
def test_a_damaged_or_wicked_meta_is_refused(tmp_path: Path, meta: bytes, fault: str) -> None:
    path = write_kit(tmp_path / "kit", meta=meta)
    with pytest.raises(ImagetreeError, match=fault):
        load_official(path)


def test_a_compressed_meta_is_read(tmp_path: Path) -> None:
    kit = load_official(write_kit(tmp_path / "kit", meta=compressed_meta(META)))
    assert kit.devkit.synsets == tuple(synsets())


@pytest.mark.parametrize("name", ["../../data/meta.mat", "/data/meta.mat", "kit/../../meta.mat"])
def test_a_kit_that_leads_out_of_its_archive_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "in" / "kit.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(META)
        archive.addfile(member, io.BytesIO(META))
    with pytest.raises(ImagetreeError, match="leads out of it"):
        load_official(path)
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "kit.tar.gz"]


def test_meta_is_read_back_as_it_was_written() -> None:
    """Empty glosses, no children, numbers of one, two, four and eight bytes."""
    rows = synsets()
    for place, count in enumerate((255, 256, 70_000)):
        rows[place] = rows[place]._replace(num_train_images=count)
    table = read_mat(render_meta(2012, rows), 1 << 20)["synsets"]
    assert isinstance(table, list)
    assert [int(np.asarray(row["num_train_images"]).item()) for row in table] == [
        *(255, 256, 70_000),
        *(0, 0),
    ]
    assert [row["words"] for row in table] == [f"words {n}" for n in range(1, 6)]
    assert [np.asarray(row["children"]).shape for row in table[2:]] == [(1, 0), (1, 2), (1, 2)]
