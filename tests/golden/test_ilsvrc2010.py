"""The ILSVRC2010 development kit's own demonstration, to every printed digit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.io import loadmat

from imagetree.challenge.metrics import flat_error, hierarchical_error

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
