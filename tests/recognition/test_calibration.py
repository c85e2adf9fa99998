"""calibration.json: kept, read back, and refused where it is damaged or of another checkpoint."""

from __future__ import annotations

import json

import pytest

from imagetree.errors import TrainingError
from imagetree.files import sha256_of
from imagetree.recognition.calibration import (
    NAMES,
    Calibration,
    load_calibration,
    save_calibration,
)
from imagetree.training.runs import CHECKPOINT


@pytest.fixture
def kept(tmp_path) -> Calibration:
    """A calibration in a folder with the checkpoint that it is of."""
    (tmp_path / CHECKPOINT).write_bytes(b"weights")
    calibration = Calibration(
        sha256_of(tmp_path / CHECKPOINT), 1.25, 475, 0.72, 0.69, {0.9: 2.5, 1.0: float("inf")}
    )
    save_calibration(tmp_path, calibration)
    return calibration


def test_read_back_as_it_was(kept, tmp_path) -> None:
    """Infinity too, which JSON has not."""
    assert load_calibration(tmp_path) == kept
    assert "Infinity" not in (tmp_path / NAMES[1]).read_text()


def test_none_is_there(tmp_path) -> None:
    assert load_calibration(tmp_path) is None


def test_of_another_checkpoint(kept, tmp_path) -> None:
    """A network that was trained on is another one."""
    (tmp_path / CHECKPOINT).write_bytes(b"weights, further")
    with pytest.raises(TrainingError, match="another checkpoint") as caught:
        load_calibration(tmp_path)
    assert "imagetree hedge" in caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0},
        {"temperature": float("nan")},
        {"temperature": "1"},
        {"format": 2},
        {"multipliers": {}},
        {"multipliers": [{"accuracy": 0.9}]},
        {"multipliers": [{"accuracy": 0.9, "multiplier": -1}]},
        {"multipliers": [7]},
    ],
)
def test_damaged(kept, tmp_path, change) -> None:
    values = json.loads((tmp_path / NAMES[1]).read_text()) | change
    (tmp_path / NAMES[1]).write_text(json.dumps(values))
    with pytest.raises(TrainingError, match="damaged"):
        load_calibration(tmp_path)


def test_not_json(kept, tmp_path) -> None:
    for text in ("", "[]", "{", "null"):
        (tmp_path / NAMES[1]).write_text(text)
        with pytest.raises(TrainingError, match="damaged"):
            load_calibration(tmp_path)
