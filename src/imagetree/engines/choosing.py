"""Which engine is fastest here and answers as the reference does: measured once, and remembered."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from imagetree.alexnet.onnx_graph import make_onnx
from imagetree.engines.building import build_engine, make_int8
from imagetree.engines.comparing import Comparison, compare, fault_of
from imagetree.engines.compressing import answer
from imagetree.engines.engine import NAMES, REFERENCE, precision_of
from imagetree.engines.images import load_squares
from imagetree.engines.loading import INT8_NAME, Remembered, remember
from imagetree.engines.measuring import measure
from imagetree.engines.model_file import save_model
from imagetree.engines.runtimes import build_on
from imagetree.errors import TrainingError
from imagetree.files import sha256_of
from imagetree.training.interchange import load_run_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagetree.engines.engine import Engine
    from imagetree.training.runs import Run


@dataclass(frozen=True)
class Candidate:
    """An engine that was tried.

    Args:
        name: of the engine.
        comparison: with the reference; None where it could not be built.
        latency: seconds for one image; None where it was not measured.
        rate: images a second, a batch at a time; None likewise.
        fault: why it is refused; None if it is not.
    """

    name: str
    comparison: Comparison | None
    latency: float | None
    rate: float | None
    fault: str | None


@dataclass(frozen=True)
class Chosen:
    """The engines that a run answers with on a machine.

    Args:
        latency: name of the one that answers one image soonest.
        throughput: name of the one that answers most images a second.
        candidates: all that were tried.
    """

    latency: str
    throughput: str
    candidates: tuple[Candidate, ...]


def choose_engines(run: Run, progress: Callable[[int, int], None] | None = None) -> Chosen:
    """Build all engines, compare them with the reference on minival, measure, choose, remember.

    The int8 network is written to the run's folder, calibrated on minival.

    Args:
        run: whose newest checkpoint is taken.
        progress: called with (rounds done, rounds in all).

    Raises:
        ChallengeError: images are missing.
        TrainingError: there is no checkpoint, or no image of minival.
    """
    checkpoint = sha256_of(run.checkpoint_path)
    weights = load_run_weights(run.folder)
    squares = load_squares(run, weights.description, "minival")
    reference = build_engine(REFERENCE, weights)
    logits = answer(reference, squares.pixels)
    engines, faults = _build_all(run, weights, squares.pixels, reference)
    comparisons = {
        name: compare(answer(engine, squares.pixels), logits, squares.labels)
        for name, engine in engines.items()
    }
    faults |= {name: fault_of(name, found) for name, found in comparisons.items()}
    good = {name: engine for name, engine in engines.items() if faults[name] is None}
    speeds = measure(good, squares.pixels, progress)
    candidates = []
    for name in NAMES:
        speed = speeds.get(name)
        latency, rate = (speed.latency, speed.rate) if speed else (None, None)
        candidates.append(Candidate(name, comparisons.get(name), latency, rate, faults[name]))
    chosen = Chosen(
        min(speeds, key=lambda name: speeds[name].latency),
        max(speeds, key=lambda name: speeds[name].rate),
        tuple(candidates),
    )
    found = Remembered(chosen.latency, chosen.throughput)
    remember(run, checkpoint, found, [asdict(each) for each in candidates])
    return chosen


def _build_all(
    run: Run, weights: Any, pixels: Any, reference: Engine
) -> tuple[dict[str, Engine], dict[str, str | None]]:
    """The engines that can be built here, and why the others cannot."""
    engines: dict[str, Engine] = {REFERENCE: reference}
    faults: dict[str, str | None] = {}
    models: dict[str, Any] = {}
    for name in NAMES[1:]:
        try:
            if name.startswith("pytorch"):
                engines[name] = build_engine(name, weights)
                continue
            if not models:
                models["float"] = make_onnx(weights)
            kind = "int8" if precision_of(name) == "int8" else "float"
            if kind not in models:
                models[kind] = make_int8(models["float"], pixels)
                save_model(run.folder / INT8_NAME, models[kind])
            engines[name] = build_on(name, models[kind])
        except (TrainingError, RuntimeError) as error:  # what the libraries raise is one of these
            lines = str(error).splitlines() or [type(error).__name__]
            faults[name] = lines[0].removeprefix(f"{name}: ")
    return engines, faults
