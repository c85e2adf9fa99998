"""A run on the disk: a folder that says what was trained on what, with which settings.

`run.json` has the settings, the challenge, the database and the versions; beside it lie the
checkpoint, the log, and what later commands add. docs/formats.md describes it.
"""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import imagetree
from imagetree.errors import TrainingError
from imagetree.files import write_atomic
from imagetree.training.config import TrainConfig, config_from_json

CHECKPOINT = "checkpoint.safetensors"
_NAME = "run.json"
_MAY_CHANGE = ("workers", "checkpoint_minutes")
"""Settings that change no weight, so that a run may go on with others."""


@dataclass(frozen=True)
class Run:
    """A run: its folder, its settings, and where its images are.

    Args:
        folder: of the run.
        config: settings.
        challenge: folder of the challenge.
        database: path or URL of the database.
        pack: folder of the pack that it is trained from; None if from the archives.
    """

    folder: Path
    config: TrainConfig
    challenge: Path
    database: str
    pack: Path | None = None

    @property
    def checkpoint_path(self) -> Path:
        """Where the newest checkpoint is."""
        return self.folder / CHECKPOINT


def open_run(
    folder: Path,
    config: TrainConfig,
    challenge: Path,
    database: str,
    pack: Path | None = None,
) -> Run:
    """Begin a run in a folder, or go on with the one that is there.

    The places of challenge and database are kept absolute, so that later commands find them from
    wherever they are called.

    Raises:
        TrainingError: the folder holds a run with other settings or another challenge.
    """
    place = database if "://" in database else str(Path(database).absolute())
    run = Run(folder, config, challenge.absolute(), place, pack.absolute() if pack else None)
    if (folder / _NAME).exists():
        found = load_run(folder)
        asked, there = _identity(run), _identity(found)
        differing = {key: (there[key], asked[key]) for key in asked if asked[key] != there[key]}
        if differing:
            listed = ", ".join(
                f"{key} {a!r} there, {b!r} here" for key, (a, b) in differing.items()
            )
            raise TrainingError(
                f"{folder}: another run is here ({listed})",
                hint="name another folder, or repeat the settings that run.json shows",
            )
    values = {
        "config": config.to_json(),
        "challenge": str(run.challenge),
        "database": run.database,
        "pack": str(run.pack) if run.pack else None,
        "versions": {
            "imagetree": imagetree.__version__,
            "torch": metadata.version("torch"),
            "python": platform.python_version(),
        },
        "machine": platform.platform(),
    }
    write_atomic(folder / _NAME, json.dumps(values, indent=2) + "\n")
    return run


def load_run(folder: Path) -> Run:
    """The run in a folder.

    Raises:
        TrainingError: there is none, or run.json is damaged.
    """
    path = folder / _NAME
    try:
        values = json.loads(path.read_text())
        config = config_from_json(values["config"])
        pack = Path(values["pack"]) if values.get("pack") else None
        return Run(folder, config, Path(values["challenge"]), values["database"], pack)
    except FileNotFoundError:
        raise TrainingError(
            f"{folder}: no run is here ({_NAME} is missing)",
            hint="train a network: imagetree train CHALLENGE RUN",
        ) from None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"{path}: damaged ({error!r})") from error


def _identity(run: Run) -> dict[str, object]:
    """What must agree for a run to go on."""
    settings = {k: v for k, v in run.config.to_json().items() if k not in _MAY_CHANGE}
    settings["dropout"] = run.config.dropout_rate  # named or the architecture's own, it is the same
    return {**settings, "challenge": str(run.challenge), "pack": str(run.pack)}
