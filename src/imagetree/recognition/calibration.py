"""How a run's probabilities are to be read: what was found on minival, kept beside its checkpoint.

`calibration.json` has the temperature, the multipliers of promised accuracies, and the SHA-256 of
the checkpoint that they were found for: with any other they would promise what nothing keeps, so
they are refused. The mean over ten crops is less sure than one crop is, so it has a temperature and
multipliers of its own, in `calibration_10.json`. A file of `imagetree compress` has its own within.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from imagetree.errors import TrainingError
from imagetree.files import sha256_of, write_atomic
from imagetree.training.runs import CHECKPOINT

if TYPE_CHECKING:
    from pathlib import Path

Crops = Literal[1, 10]
"""Views of an image that an answer is the mean of."""

NAMES: dict[Crops, str] = {1: "calibration.json", 10: "calibration_10.json"}
FORMAT = 1


@dataclass(frozen=True)
class Calibration:
    """How to read a network's probabilities.

    Args:
        checkpoint: SHA-256 of its file.
        temperature: that its probabilities are softened with.
        num_images: of minival that it was found on.
        log_loss_before: mean -ln of the class's probability there, in nats.
        log_loss_after: likewise at the temperature.
        multipliers: least multiplier in bits for each promised accuracy; infinity where only the
            root keeps it.
    """

    checkpoint: str
    temperature: float
    num_images: int
    log_loss_before: float
    log_loss_after: float
    multipliers: dict[float, float]

    def to_json(self) -> dict[str, object]:
        """What the file says."""
        return {
            "format": FORMAT,
            "checkpoint": self.checkpoint,
            "temperature": self.temperature,
            "num_images": self.num_images,
            "log_loss_before": self.log_loss_before,
            "log_loss_after": self.log_loss_after,
            "multipliers": [
                # JSON has no infinity: null is the root alone
                {"accuracy": accuracy, "multiplier": value if math.isfinite(value) else None}
                for accuracy, value in self.multipliers.items()
            ],
        }

    def to_text(self) -> str:
        """The file."""
        return json.dumps(self.to_json(), indent=2) + "\n"


def save_calibration(folder: Path, calibration: Calibration, crops: Crops = 1) -> None:
    """Write a run's calibration for so many crops, whole or not at all.

    Raises:
        ImagetreeError: it cannot be written.
    """
    write_atomic(folder / NAMES[crops], calibration.to_text())


def load_calibration(folder: Path, crops: Crops = 1) -> Calibration | None:
    """A run's calibration for so many crops; None if there is none.

    Raises:
        TrainingError: it is damaged, or was found for another checkpoint than is there now.
    """
    path = folder / NAMES[crops]
    if not path.exists():
        return None
    command = f"imagetree hedge {folder}" + ("" if crops == 1 else f" --crops {crops}")
    hint = f"find it again: {command}; or recognize with --no-calibration"
    try:
        calibration = parse_calibration(path.read_text())
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: damaged ({error!r})", hint=hint) from error
    if calibration.checkpoint != sha256_of(folder / CHECKPOINT):
        raise TrainingError(
            f"{path}: found for another checkpoint than {CHECKPOINT} is now", hint=hint
        )
    return calibration


def parse_calibration(text: str) -> Calibration:
    """What `Calibration.to_text` gave.

    Raises:
        ValueError: it is damaged.
    """
    try:
        return _parse(json.loads(text))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(repr(error)) from error


def _parse(values: dict[str, object]) -> Calibration:
    if values["format"] != FORMAT:
        raise ValueError(f"format {values['format']!r}, expected {FORMAT}")
    rows = values["multipliers"]
    if not isinstance(rows, list):
        raise TypeError("multipliers is no list")
    calibration = Calibration(
        checkpoint=str(values["checkpoint"]),
        temperature=_number(values["temperature"]),
        num_images=int(_number(values["num_images"])),
        log_loss_before=_number(values["log_loss_before"]),
        log_loss_after=_number(values["log_loss_after"]),
        multipliers={
            _number(row["accuracy"]): (
                math.inf if row["multiplier"] is None else _number(row["multiplier"])
            )
            for row in rows
        },
    )
    if calibration.temperature <= 0 or any(m < 0 for m in calibration.multipliers.values()):
        raise ValueError("a temperature or multiplier is out of range")
    return calibration


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return value
