"""An engine of a run by its name, or the one that was chosen for it on this machine.

`engine.json` in the run's folder has what was chosen on each machine, and the SHA-256 of the
checkpoint and of `int8.onnx` beside it: with others it says nothing. Nothing here imports torch
before an engine that needs it is asked for: int8 answers in less time than torch takes to start.
"""

from __future__ import annotations

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from imagetree.engines.engine import NAMES, num_cores, precision_of
from imagetree.engines.model_file import load_model
from imagetree.engines.runtimes import FILE_ENGINE, build_on
from imagetree.errors import TrainingError
from imagetree.files import sha256_of, write_atomic

if TYPE_CHECKING:
    from imagetree.alexnet.weights import Description
    from imagetree.engines.engine import Engine
    from imagetree.engines.model_file import ModelFile
    from imagetree.recognition.calibration import Calibration
    from imagetree.training.runs import Run

Goal = Literal["latency", "throughput"]
"""What an engine is chosen for: one image as soon as may be, or many in the least time."""

FORMAT = 1
NAME, INT8_NAME = "engine.json", "int8.onnx"
_LIBRARIES = ("onnxruntime", "openvino", "torch")


class Loaded(NamedTuple):
    """An engine that is ready.

    Args:
        engine: what computes.
        description: of its network: classes, and the side of an image.
        calibration: how its probabilities are to be read, where a file says so.
    """

    engine: Engine
    description: Description
    calibration: Calibration | None = None


class Remembered(NamedTuple):
    """Names of the engines that were chosen for a checkpoint on this machine.

    Args:
        latency: of the one that answers one image soonest.
        throughput: of the one that answers most images a second.
    """

    latency: str
    throughput: str


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


def remembered(run: Run) -> Remembered | None:
    """What was chosen for this checkpoint on this machine; None if nothing was.

    Raises:
        TrainingError: the file is damaged.
    """
    kept = _read(run.folder / NAME)
    found = kept["machines"].get(machine())
    if found is None or not _is(run.checkpoint_path, kept["checkpoint"]):
        return None
    needs_int8 = "int8" in map(precision_of, found)
    if needs_int8 and not _is(run.folder / INT8_NAME, kept["int8"]):
        return None
    return Remembered(*found)


def remember(run: Run, checkpoint: str, found: Remembered, measured: list[dict[str, Any]]) -> None:
    """Keep what was chosen here, beside what was chosen on other machines.

    Args:
        run: the run.
        checkpoint: SHA-256 of the checkpoint that was measured.
        found: the engines.
        measured: what is told of each that was tried.

    Raises:
        ImagetreeError: it cannot be written.
    """
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
        "machines": {**machines, machine(): list(found)},
        "measured": measured,
    }
    write_atomic(path, json.dumps(values, indent=2) + "\n")


def load_chosen(run: Run, goal: Goal) -> Loaded | None:
    """The engine that was chosen for a goal on this machine; None if none was.

    Raises:
        TrainingError: what is kept is damaged, or the engine's library is not installed.
    """
    name = _chosen_name(run, goal)
    if name is None:
        return None
    if precision_of(name) == "int8":
        return _on_file(name, load_model(run.folder / INT8_NAME))
    return load_engine(run, name)


def load_engine(run: Run, name: str, goal: Goal = "throughput") -> Loaded:
    """An engine of a run by its name.

    Args:
        run: the run.
        name: one of `NAMES`; `auto`, what was chosen for it; or the path of a file that `imagetree
            compress` wrote, which runs on the library that was chosen where that is one of int8.
        goal: what `auto` and the library are chosen for.

    Raises:
        TrainingError: there is no such engine, its library is not installed, nothing has been
            chosen here yet, or the file is no network or one of other classes.
    """
    if name == "auto":
        found = load_chosen(run, goal)
        if found is None:
            raise TrainingError(
                f"{run.folder}: no engine has been chosen on this machine for this checkpoint",
                hint=f"imagetree engines {run.folder}",
            )
        return found
    if name in NAMES and precision_of(name) == "int8":
        return _on_file(name, _int8_of(run))
    from imagetree.engines.building import build_engine
    from imagetree.training.interchange import load_run_weights

    weights = load_run_weights(run.folder)
    if not name.endswith(".onnx"):
        return Loaded(build_engine(name, weights), weights.description)
    file = load_model(Path(name))
    for what in ("wnids", "image_size"):
        if getattr(file.description, what) != getattr(weights.description, what):
            raise TrainingError(
                f"{name}: its {what} are not those of {run.folder}",
                hint="name the run that it was made of",
            )
    chosen = _chosen_name(run, goal)
    is_int8 = chosen is not None and precision_of(chosen) == "int8"
    return _on_file(chosen if chosen and is_int8 else FILE_ENGINE, file)


def load_file(path: Path) -> Loaded:
    """A network from a file alone: of `imagetree compress`, or an ONNX one of `weights export`.

    Raises:
        TrainingError: a library is not installed, or the file is damaged or no network of ours.
    """
    file = load_model(path)
    is_int8 = any(node.op_type == "DequantizeLinear" for node in file.model.graph.node)
    return _on_file(FILE_ENGINE if is_int8 else "openvino-fp32", file)


def _chosen_name(run: Run, goal: Goal) -> str | None:
    """Name of the engine that was chosen for a goal on this machine; None if none was."""
    chosen = remembered(run)
    if chosen is None:
        return None
    return chosen.latency if goal == "latency" else chosen.throughput


def _on_file(name: str, file: ModelFile) -> Loaded:
    return Loaded(build_on(name, file.model), file.description, file.calibration)


def _int8_of(run: Run) -> ModelFile:
    """The run's int8 network, if it is of the checkpoint that is there."""
    path = run.folder / INT8_NAME
    kept = _read(run.folder / NAME)
    if not (_is(run.checkpoint_path, kept["checkpoint"]) and _is(path, kept["int8"])):
        raise TrainingError(
            f"{run.folder}: no int8 network of this checkpoint is here",
            hint=f"calibrate it on minival: imagetree engines {run.folder}",
        )
    return load_model(path)


def _is(path: Path, digest: str | None) -> bool:
    """Whether a file is there and has this SHA-256."""
    return path.is_file() and sha256_of(path) == digest


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
