"""Which engine is fastest here and answers as the reference does: measured once, and remembered.

`engine.json` in a run's folder has what was chosen on each machine, and the SHA-256 of the
checkpoint and of `int8.onnx` beside it: with others it says nothing.
"""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imagetree.alexnet.onnx_graph import make_onnx
from imagetree.engines.building import (
    FILE_ENGINE,
    NAMES,
    REFERENCE,
    build_engine,
    build_on,
    make_int8,
)
from imagetree.engines.comparing import Comparison, compare, fault_of
from imagetree.engines.compressing import answer
from imagetree.engines.engine import num_cores, precision_of
from imagetree.engines.images import load_squares
from imagetree.engines.measuring import measure
from imagetree.engines.model_file import load_model, save_model
from imagetree.errors import TrainingError
from imagetree.files import sha256_of, write_atomic
from imagetree.training.interchange import load_run_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagetree.engines.engine import Engine
    from imagetree.training.runs import Run

Goal = Literal["latency", "throughput"]
"""What an engine is chosen for: one image as soon as may be, or many in the least time."""

FORMAT = 1
NAME, INT8_NAME = "engine.json", "int8.onnx"
_LIBRARIES = ("onnxruntime", "openvino", "torch")


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


def machine() -> str:
    """What speeds depend on: processor, cores that may be used, versions of the libraries.

    A library that is not installed has no version here, so that one more asks for new measures.
    """
    found = []
    for library in _LIBRARIES:
        try:
            found.append(f"{library} {metadata.version(library)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join((_processor(), f"{num_cores()} cores", *found))


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
        found = Candidate(name, comparisons.get(name), latency, rate, faults[name])
        candidates.append(found)
    chosen = Chosen(
        min(speeds, key=lambda name: speeds[name].latency),
        max(speeds, key=lambda name: speeds[name].rate),
        tuple(candidates),
    )
    _remember(run, checkpoint, chosen)
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
            faults[name] = lines[0]
    return engines, faults


def remembered(run: Run) -> tuple[str, str] | None:
    """What was chosen for this checkpoint on this machine: for latency, for throughput; or None.

    Raises:
        TrainingError: the file is damaged.
    """
    kept = _read(run.folder / NAME)
    found = kept["machines"].get(machine())
    if found is None or kept["checkpoint"] != sha256_of(run.checkpoint_path):
        return None
    int8 = run.folder / INT8_NAME
    needs_int8 = "int8" in map(precision_of, found)
    if needs_int8 and not (int8.is_file() and sha256_of(int8) == kept["int8"]):
        return None
    return found[0], found[1]


def load_engine(run: Run, name: str, goal: Goal = "throughput") -> Engine:
    """An engine of a run by its name.

    Args:
        run: the run.
        name: one of `NAMES`; `auto`, what was chosen for it; or the path of a file that `imagetree
            compress` wrote.
        goal: what `auto` is chosen for.

    Raises:
        TrainingError: there is no such engine, its library is not installed, nothing has been
            chosen here yet, or the file is no network or one of other classes.
    """
    weights = load_run_weights(run.folder)
    if name.endswith(".onnx"):
        found = load_model(Path(name))
        for what in ("wnids", "image_size"):
            if getattr(found.description, what) != getattr(weights.description, what):
                raise TrainingError(
                    f"{name}: its {what} are not those of {run.folder}",
                    hint="name the run that it was made of",
                )
        return build_on(FILE_ENGINE, found.model)
    if name == "auto":
        chosen = remembered(run)
        if chosen is None:
            raise TrainingError(
                f"{run.folder}: no engine has been chosen on this machine for this checkpoint",
                hint=f"imagetree engines {run.folder}",
            )
        name = chosen[0 if goal == "latency" else 1]
    return build_engine(name, weights, _int8_of(run) if precision_of(name) == "int8" else None)


def _int8_of(run: Run) -> Any:
    """The run's int8 network, if it is of the checkpoint that is there."""
    path = run.folder / INT8_NAME
    kept = _read(run.folder / NAME)
    is_own = path.is_file() and kept["checkpoint"] == sha256_of(run.checkpoint_path)
    if not is_own or kept["int8"] != sha256_of(path):
        raise TrainingError(
            f"{run.folder}: no int8 network of this checkpoint is here",
            hint=f"calibrate it on minival: imagetree engines {run.folder}",
        )
    return load_model(path).model


def _remember(run: Run, checkpoint: str, chosen: Chosen) -> None:
    path, int8 = run.folder / NAME, run.folder / INT8_NAME
    try:
        kept = _read(path)
    except TrainingError:  # written anew
        kept = _NOTHING
    machines = kept["machines"] if kept["checkpoint"] == checkpoint else {}
    values = {
        "format": FORMAT,
        "checkpoint": checkpoint,
        "int8": sha256_of(int8) if int8.is_file() else None,
        "machines": {**machines, machine(): [chosen.latency, chosen.throughput]},
        "measured": [asdict(each) for each in chosen.candidates],
    }
    write_atomic(path, json.dumps(values, indent=2) + "\n")


_NOTHING: dict[str, Any] = {"checkpoint": None, "int8": None, "machines": {}}


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return _NOTHING
    try:
        values = json.loads(path.read_text())
        if values["format"] != FORMAT:
            raise ValueError(f"format {values['format']!r}, expected {FORMAT}")
        for pair in values["machines"].values():
            if len(pair) != 2 or not set(pair) <= set(NAMES):
                raise ValueError(f"{pair} are no two engines")
        return {key: values[key] for key in _NOTHING}
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise TrainingError(
            f"{path}: damaged ({error!r})", hint=f"measure again: imagetree engines {path.parent}"
        ) from error


def _processor() -> str:
    """Name of the processor, as the system has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
