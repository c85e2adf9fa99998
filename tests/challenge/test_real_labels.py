"""ReaL: the published labels are read as they are, and scored by their rules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from imagetree.challenge.metrics import NO_GUESS
from imagetree.challenge.real_labels import load_real_labels, score_real
from imagetree.errors import ChallengeError
from imagetree.sources.numbering import ilsvrc2012_wnids

if TYPE_CHECKING:
    from pathlib import Path

NAMES = tuple(f"ILSVRC2012_val_{number:08}" for number in range(1, 50_001))


@pytest.fixture(scope="module")
def published(oracles: Path) -> tuple[frozenset[str], ...]:
    return load_real_labels(oracles / "imagenet" / "imagenet_real_labels.json")


def test_published_labels_in_numbers(published: tuple[frozenset[str], ...]) -> None:
    """46,837 images are scored, 7,443 of them have several labels; any of these is right."""
    wnids = ilsvrc2012_wnids()
    for pick in (min, max):
        guesses = np.array([[wnids.index(pick(each)) if each else 0] for each in published])
        score = score_real(guesses, NAMES, wnids, published)
        assert (score.num_images, score.num_scored, score.num_several) == (50_000, 46_837, 7_443)
        assert (score.num_unlabelled, score.num_elsewhere, score.error) == (3_163, 0, 0)


def test_the_first_guess_alone_counts(published: tuple[frozenset[str], ...]) -> None:
    """Images 2 and 3 are 970 or 795 and 230 or 231; image 1 has no label."""
    guesses = np.array([[0, 1], [795, 970], [5, 230], [NO_GUESS, 809]])
    score = score_real(guesses, NAMES[:4], ilsvrc2012_wnids(), published)
    assert (score.num_scored, score.num_unlabelled) == (3, 1)
    assert score.error == 2 / 3
    assert score.interval.low < 2 / 3 < score.interval.high


def test_the_order_of_a_split_is_not_that_of_the_names(
    published: tuple[frozenset[str], ...],
) -> None:
    """Names say which image it is; our splits are sorted by class."""
    wnids = ilsvrc2012_wnids()
    guesses = np.array([[809], [230]])
    assert score_real(guesses, (NAMES[3], NAMES[2]), wnids, published).error == 0
    assert score_real(guesses, (NAMES[2], NAMES[3]), wnids, published).error == 1


def test_images_all_of_whose_labels_are_of_other_classes_are_left_out(
    published: tuple[frozenset[str], ...],
) -> None:
    """A challenge of classes 230 and 809: image 2 is of neither; image 3 has one label here."""
    wnids = [ilsvrc2012_wnids()[index] for index in (230, 809)]
    score = score_real(np.array([[0], [0], [0], [0]]), NAMES[:4], wnids, published)
    assert (score.num_scored, score.num_elsewhere, score.num_several) == (2, 1, 0)
    assert score.error == 0.5
    with pytest.raises(ChallengeError, match="none of the images has a reassessed label"):
        score_real(np.array([[0], [0]]), NAMES[:2], wnids, published)


@pytest.mark.parametrize(
    "name",
    ["n01440764_1", "ILSVRC2012_val_00050001", "ILSVRC2012_val_00000000", "xILSVRC2012_val_1"],
)
def test_other_images_have_no_such_labels(published: tuple[frozenset[str], ...], name: str) -> None:
    with pytest.raises(ChallengeError, match="is no image of ILSVRC2012's val with a reassessed"):
        score_real(np.array([[0]]), (name,), ilsvrc2012_wnids(), published)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "no JSON list of lists"),
        ("[[0], [1000]]", r"image 2 has no list of class indices in 0\.\.999"),
        ("[[-1]]", "image 1 has no list"),
        ("[[true]]", "image 1 has no list"),
        ("[0]", "image 1 has no list"),
        ('[["n01440764"]]', "image 1 has no list"),
        ("[[0]", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("\xff", "cannot be read|no JSON"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "real.json"
    path.write_text(content, "latin-1")
    with pytest.raises(ChallengeError, match=message):
        load_real_labels(path)


def test_a_file_too_long_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "real.json"
    path.write_text(json.dumps([[0]]) + " " * (17 << 20))
    with pytest.raises(ChallengeError, match="no JSON list of lists"):
        load_real_labels(path)
    with pytest.raises(ChallengeError, match="cannot be read"):
        load_real_labels(tmp_path / "none.json")
