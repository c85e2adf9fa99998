"""The learning curves: every point of the log is drawn, and the same log gives the same text."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from imagetree.errors import TrainingError
from imagetree.pictures.curves import render_curves

RECORDS = [
    *({"kind": "step", "step": step, "loss": 3 / step, "lr": 0.1} for step in range(10, 100, 10)),
    {"kind": "epoch", "step": 50, "minival_top1_error": 0.5},
    {"kind": "epoch", "step": 100, "minival_top1_error": 0.25},
    {"kind": "bad image", "step": 20, "name": "x", "reason": "damaged"},
]


def test_curves_are_drawn() -> None:
    """Three panels with their titles; the loss has one point for each record."""
    svg = render_curves(RECORDS)
    root = ElementTree.fromstring(svg)
    text = "".join(root.itertext())
    for title in ("training loss (nats)", "top-1 error on minival (%)", "learning rate"):
        assert title in text
    paths = [e.get("d") for e in root.iter("{http://www.w3.org/2000/svg}path")]
    assert max(path.count("L ") + path.count("M ") for path in paths if path) >= 9


def test_same_log_same_text() -> None:
    assert render_curves(RECORDS) == render_curves(RECORDS)


def test_no_epoch_yet() -> None:
    assert "<svg" in render_curves(RECORDS[:3])


def test_empty_log_is_refused() -> None:
    with pytest.raises(TrainingError, match="no step yet\nhint: train first"):
        render_curves([])
