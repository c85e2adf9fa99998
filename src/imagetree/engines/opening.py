"""What answers for a run: its network, or an engine, which may start long before torch has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetree.engines.loading import load_chosen, load_engine, load_file
from imagetree.errors import TrainingError
from imagetree.recognition.calibration import load_calibration
from imagetree.recognition.classifier import Classifier
from imagetree.training.evaluate import View
from imagetree.training.runs import load_run

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.engines.engine import Engine
    from imagetree.engines.loading import Goal, Loaded
    from imagetree.recognition.calibration import Calibration, Crops
    from imagetree.training.evaluate import Logits
    from imagetree.training.runs import Run


@dataclass(frozen=True)
class EngineClassifier(Classifier):
    """An engine that is ready to answer, from any number of threads.

    Args:
        engine: what computes.
        wnids: wnid of each class.
        view: how images are shown to it.
        calibration: how its probabilities are to be read; None takes them as they are.
    """

    engine: Engine
    wnids: tuple[str, ...]
    view: View
    calibration: Calibration | None = None

    @property
    def logits(self) -> Logits:
        """See `Classifier`."""
        return self.engine.logits


def open_classifier(
    path: Path,
    *,
    engine: str | None = None,
    goal: Goal = "throughput",
    calibrated: bool = False,
    crops: Crops = 1,
) -> Classifier:
    """What answers for a run, a checkpoint file or an ONNX file.

    Args:
        path: a run's folder, or the file.
        engine: see `load_engine`; if None, what was chosen on this machine, and the network where
            nothing was.
        goal: what it was chosen for.
        calibrated: see `Recognizer.load`.
        crops: views of an image; the answer is the mean over them.

    Raises:
        TrainingError: as `load_engine` and `Recognizer.load`; or an engine of a file is asked for.
    """
    run = load_run(path) if path.is_dir() else None
    if run is None and engine is not None:
        raise TrainingError(
            f"{path}: no folder of a run, which --engine needs",
            hint="name the run's folder in the place of the file",
        )
    if run is None and path.suffix == ".onnx":
        return _classifier(load_file(path), crops, calibrated=calibrated)
    loaded = None
    if run is not None:
        loaded = load_chosen(run, goal) if engine is None else load_engine(run, engine, goal)
    if run is None or loaded is None:
        from imagetree.recognition.recognizer import Recognizer

        return Recognizer.load(path, calibrated=calibrated, crops=crops)
    return _classifier(loaded, crops, run, calibrated=calibrated)


def _classifier(
    loaded: Loaded, crops: Crops, run: Run | None = None, *, calibrated: bool
) -> EngineClassifier:
    """A classifier of an engine; a file's own calibration, of one crop, goes before a run's."""
    calibration = None
    if calibrated:
        calibration = loaded.calibration if crops == 1 else None
        if calibration is None and run is not None:
            calibration = load_calibration(run.folder, crops)
    described = loaded.description
    workers = 2 if run is None else run.config.workers
    view = View(described.image_size, described.mean, described.std, workers=workers, crops=crops)
    return EngineClassifier(loaded.engine, described.wnids, view, calibration)
