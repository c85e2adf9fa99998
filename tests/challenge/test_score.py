"""Scores of files: by hand, by every format, and with every figure where it belongs."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from imagetree.challenge.answers import Form
from imagetree.challenge.bootstrap import mean_interval
from imagetree.challenge.definition import save_challenge
from imagetree.challenge.score import mark_submission, score_marked, score_submission
from imagetree.errors import ChallengeError

from .samples import CAR, CAT, DOG, ORANGE, PLANE, WNIDS, in_turn, write_challenge, write_entry

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.challenge.definition import Challenge


@pytest.fixture
def challenge(tmp_path: Path) -> Challenge:
    return write_challenge(tmp_path / "challenge")


@pytest.fixture
def entry(tmp_path: Path, challenge: Challenge) -> Path:
    """All right but: two dogs taken for cats, a plane for a car, an orange without an answer."""
    rows = [in_turn(each.wnid) for each in challenge.read_split("val")]
    rows[0] = rows[1] = [CAT, DOG]
    rows[8] = [CAR]
    rows[19] = []
    return write_entry(tmp_path / "entry.txt", rows)


def test_figures_by_hand(challenge: Challenge, entry: Path) -> None:
    score = score_submission(challenge, entry)
    top1, top5 = score.top
    assert (score.num_images, score.num_classes, score.split) == (20, 5, "val")
    assert (top1.k, top1.num_misses, top1.error) == (1, 4, 0.2)
    assert (top5.k, top5.num_misses, top5.error) == (5, 2, 0.1)
    marked = mark_submission(challenge, entry)
    cost = marked.hierarchy.cost
    most = marked.hierarchy.max_cost
    assert top1.hierarchical_error == (cost[0, 1] * 2 + cost[2, 3] + most) / 20
    assert top5.hierarchical_error == (cost[2, 3] + most) / 20
    assert cost[0, 1] < cost[2, 3] < most
    assert score.severity.num_mistakes == 4
    assert score.severity.mean_height == (cost[0, 1] * 2 + cost[2, 3] + most) / 4
    heights = (0, cost[0, 1], cost[2, 3], most)
    assert [score.levels[height].num_misses for height in heights] == [4, 2, 1, 0]
    assert score.levels[0].error == top1.error
    assert score.synsets is None
    assert score.calibration is None


def test_intervals_are_of_the_images_misses_and_costs(challenge: Challenge, entry: Path) -> None:
    score, marked = score_submission(challenge, entry), mark_submission(challenge, entry)
    for top in score.top:
        assert top.interval == mean_interval(marked.misses(top.k))
        assert top.hierarchical_interval == mean_interval(marked.costs(top.k))
        assert top.interval.low <= top.error <= top.interval.high
        assert top.hierarchical_interval.low < top.hierarchical_error


def test_classes_in_their_order_with_what_they_were_taken_for(
    challenge: Challenge, entry: Path
) -> None:
    """No answer is a miss, but takes an image for nothing."""
    classes = score_submission(challenge, entry).classes
    assert [(c.wnid, c.num_images, c.num_misses, c.mistaken_for) for c in classes] == [
        (DOG, 4, 2, CAT),
        (CAT, 4, 0, None),
        (PLANE, 4, 1, CAR),
        (CAR, 4, 0, None),
        (ORANGE, 4, 1, None),
    ]


def test_every_format_gives_the_same_score(
    challenge: Challenge, entry: Path, tmp_path: Path
) -> None:
    names = challenge.read_names("val")
    rows = [line.split() for line in entry.read_text().split("\n")[:-1]]
    number = {wnid: str(n) for n, wnid in enumerate(WNIDS, 1)}
    (tmp_path / "a.csv").write_text(
        "ImageId,PredictionString\n"
        + "".join(f"{n},{' '.join(r)}\n" for n, r in zip(names, rows, strict=True))
    )
    (tmp_path / "kaggle.csv").write_text(
        "ImageId,PredictionString\n"
        + "".join(
            f"{name},{' '.join(f'{number[wnid]} 0 0 9 9' for wnid in row)}\n"
            for name, row in zip(names, rows, strict=True)
        )
    )
    (tmp_path / "a.jsonl").write_text(
        "".join(
            json.dumps({"image": n, "labels": r}) + "\n" for n, r in zip(names, rows, strict=True)
        )
    )
    expected = score_submission(challenge, entry)
    assert score_submission(challenge, tmp_path / "a.csv") == expected
    kaggle = tmp_path / "kaggle.csv"
    assert score_submission(challenge, kaggle, form=Form(format="kaggle")) == expected
    assert score_submission(challenge, tmp_path / "a.jsonl") == expected


def test_probabilities_are_calibrated(challenge: Challenge, tmp_path: Path) -> None:
    """Always 60 % sure and always right: 40 % off."""
    rows = []
    for name, wnid in challenge.read_split("val"):
        scores = {each: 0.6 if each == wnid else 0.1 for each in WNIDS}
        rows.append(json.dumps({"image": name, "scores": scores}))
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    found = score_submission(challenge, tmp_path / "a.jsonl")
    assert found.top[0].error == 0
    assert found.calibration is not None
    assert found.calibration.error == pytest.approx(0.4)
    assert found.calibration.log_loss == pytest.approx(-np.log(0.6))


def test_hierarchical_answers(challenge: Challenge, tmp_path: Path) -> None:
    """Carnivore for dogs and cats, the class itself for others: all true, a fifth of it vague."""
    above = {DOG: "n02075296", CAT: "n02075296"}
    rows = [[above.get(each.wnid, each.wnid)] for each in challenge.read_split("val")]
    path = write_entry(tmp_path / "a.txt", rows)
    found = score_submission(challenge, path, form=Form(format="synsets"))
    assert found.synsets is not None
    assert found.synsets.accuracy == 1
    assert found.synsets.information == pytest.approx(1 - 0.4 / np.log2(5))
    (top,) = found.top
    assert (top.k, top.error) == (1, 0.4)
    assert top.hierarchical_error == pytest.approx(0.4 * 7)  # the height of carnivore
    assert found.sets.precision == 1 > found.sets.recall
    assert found.classes[0].mistaken_for == "n02075296"
    with pytest.raises(ChallengeError, match="top-5 needs 5 guesses an image, there are 1"):
        score_submission(challenge, path, ks=(5,), form=Form(format="synsets"))


def test_ks_that_have_no_meaning_are_refused_before_the_file_is_read(
    challenge: Challenge, tmp_path: Path
) -> None:
    with pytest.raises(ChallengeError, match="top-6 has no meaning with 5 classes"):
        score_submission(challenge, tmp_path / "none.txt", ks=(1, 6))
    with pytest.raises(ChallengeError, match=r"k must be in 1\.\.5"):
        score_submission(challenge, tmp_path / "none.txt", ks=(0,))


def test_fewer_than_five_classes_have_no_top5(tmp_path: Path) -> None:
    wnids = WNIDS[:3]
    small = write_challenge(tmp_path / "five")
    images = [each for each in small.read_split("val") if each.wnid in wnids]
    splits = {"train": images, "minival": images, "val": images}
    challenge = save_challenge(tmp_path / "three", wnids, splits)
    path = write_entry(tmp_path / "a.txt", [[each.wnid] for each in images])
    assert [top.k for top in score_submission(challenge, path).top] == [1]


def test_a_score_is_plain_data(challenge: Challenge, entry: Path) -> None:
    """As JSON it holds no infinity, and all of it."""
    score = score_marked(mark_submission(challenge, entry))
    text = json.dumps(dataclasses.asdict(score), allow_nan=False)
    assert set(json.loads(text)) >= {"top", "classes", "levels", "sets", "severity", "synsets"}


def test_a_file_that_is_not_there(challenge: Challenge, tmp_path: Path) -> None:
    with pytest.raises(ChallengeError, match=r"none\.txt: cannot be read .No such file"):
        score_submission(challenge, tmp_path / "none.txt")
