"""The ILSVRC2010 development kit's own demonstration, to every printed digit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.io import loadmat

from imagetree.challenge.answers import Form, Task
from imagetree.challenge.definition import Entry
from imagetree.challenge.metrics import flat_error, hierarchical_error
from imagetree.challenge.score import mark_answers, score_marked
from imagetree.challenge.submission import load_answers
from imagetree.errors import ChallengeError
from imagetree.sources.devkit import load_devkit

if TYPE_CHECKING:
    from pathlib import Path

FLAT = ["0.9101", "0.8716", "0.8422", "0.8191", "0.8003"]
HIERARCHICAL = ["10.3468", "8.7489", "7.8510", "7.2221", "6.7695"]


@pytest.fixture(scope="module")
def kit(oracles: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Guesses, truth (class indices from 0) and cost matrix of the kit's demonstration."""
    folder = oracles / "ilsvrc2010"
    truth = np.loadtxt(folder / "ILSVRC2010_validation_ground_truth.txt", dtype=np.int64)
    guesses = np.loadtxt(folder / "demo.val.pred.txt", dtype=np.int64)
    return guesses - 1, truth - 1, loadmat(folder / "meta.mat")["cost_matrix"].astype(np.int16)


def test_flat_errors(kit: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    guesses, truth, _ = kit
    assert [f"{flat_error(guesses, truth, k):.4f}" for k in range(1, 6)] == FLAT


def test_hierarchical_errors(kit: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    guesses, truth, cost = kit
    errors = [f"{hierarchical_error(guesses, truth, cost, k):.4f}" for k in range(1, 6)]
    assert errors == HIERARCHICAL


@pytest.mark.slow
def test_demonstration_through_the_parser(oracles: Path) -> None:
    """The kit's file as it is, ids and all, into our classes sorted by wnid: the same digits.

    The costs are WordNet's own and not the kit's; the truth is read as a submission is.
    """
    folder = oracles / "ilsvrc2010"
    wnids = tuple(sorted(load_devkit(folder).numbering.wnids))
    task = Task(wnids, 50_000)
    form = Form(kit=folder)
    answers = load_answers(folder / "demo.val.pred.txt", task, form)
    truth_path = folder / "ILSVRC2010_validation_ground_truth.txt"
    truth = load_answers(truth_path, task, form).guesses[:, 0]
    assert list(answers.labels[:1]) == [min(wnids)]
    marked = mark_answers(answers, task, [Entry("", wnids[index]) for index in truth.tolist()])
    score = score_marked(marked, (1, 2, 3, 4, 5))
    assert [f"{top.error:.4f}" for top in score.top] == FLAT
    assert [f"{top.hierarchical_error:.4f}" for top in score.top] == HIERARCHICAL


@pytest.mark.slow
def test_demonstration_in_another_numbering_is_refused(oracles: Path) -> None:
    """Its ids are no class indices, wnids, or ids of 2012, and nothing reads them as such."""
    folder = oracles / "ilsvrc2010"
    wnids = tuple(sorted(load_devkit(folder).numbering.wnids))
    task, path = Task(wnids, 50_000), folder / "demo.val.pred.txt"
    with pytest.raises(ChallengeError, match=r"1000 is not in 0\.\.999 of class-index: looks like"):
        load_answers(path, task, Form(labels="class-index"))
    with pytest.raises(ChallengeError, match=r"these look like kaggle-line or a kit's ids .1000 i"):
        load_answers(path, task)
    with pytest.raises(ChallengeError, match=r"labels: ilsvrc2012-id, and no development kit"):
        load_answers(path, task, Form(labels="ilsvrc2012-id", kit=folder))
