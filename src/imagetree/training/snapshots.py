"""The filters of the first layer at moments of a run, kept so that one can see them form.

They change most in the first steps: kept are the filters before the first step, after 1, 2, 5, 10,
20, 50, ... steps, and after each epoch. Each moment is a small file of its own in `filters/` of the
run (139 KB for 96 filters of 11 x 11 x 3), with the tensor under the name that it has in
checkpoints and the float32 values that the run computed with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from imagetree.errors import TrainingError
from imagetree.files import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FOLDER = "filters"
TENSOR = "conv1.weight"
"""The first layer's weights; each architecture calls them so."""

_NAME = re.compile(r"step_(\d{8,18})\.safetensors")
_MAX_BYTES = 64 << 20  # a first layer of 96 filters has 0.14 MB


@dataclass(frozen=True)
class Snapshot:
    """The first layer's filters at one moment of a run.

    Args:
        step: optimiser updates done.
        filters: float32 (F, 3, h, w), the channels R, G, B.
    """

    step: int
    filters: NDArray[np.float32] = field(repr=False)


def is_due(step: int, steps_per_epoch: int) -> bool:
    """Whether the filters are kept after this many steps.

    >>> [step for step in range(60) if is_due(step, steps_per_epoch=24)]
    [0, 1, 2, 5, 10, 20, 24, 48, 50]
    """
    digits = str(step)
    is_round = digits[0] in "125" and not digits[1:].strip("0")
    return step % steps_per_epoch == 0 or is_round


def save_snapshot(run_folder: Path, snapshot: Snapshot) -> None:
    """Write a snapshot into a run's folder, whole or not at all.

    Raises:
        ImagetreeError: it cannot be written.
    """
    filters = np.ascontiguousarray(snapshot.filters, np.float32)
    path = run_folder / FOLDER / f"step_{snapshot.step:08}.safetensors"
    write_atomic(path, save({TENSOR: filters}))


def drop_snapshots_after(run_folder: Path, step: int) -> None:
    """Remove what was kept after `step`, as the log does: the run goes on from there."""
    for number, path in _paths(run_folder):
        if number > step:
            path.unlink()


def load_snapshots(run_folder: Path) -> tuple[Snapshot, ...]:
    """All snapshots of a run, oldest first; none if it has none.

    Raises:
        TrainingError: one is damaged, holds other tensors, or filters of another shape than the
            first.
    """
    snapshots: list[Snapshot] = []
    for step, path in _paths(run_folder):
        filters = _read(path)
        if snapshots and filters.shape != snapshots[0].filters.shape:
            raise _refused(
                path,
                f"filters have shape {filters.shape} (expected {snapshots[0].filters.shape}, as at "
                f"step {snapshots[0].step})",
            )
        snapshots.append(Snapshot(step, filters))
    return tuple(snapshots)


def _paths(run_folder: Path) -> list[tuple[int, Path]]:
    """Step and path of each snapshot, in the order of the steps."""
    found = [
        (int(match[1]), path)
        for path in (run_folder / FOLDER).glob("step_*.safetensors")
        if (match := _NAME.fullmatch(path.name))
    ]
    return sorted(found)


def _read(path: Path) -> NDArray[np.float32]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _refused(path, f"larger than {_MAX_BYTES} bytes")
        tensors = load(path.read_bytes())
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise _refused(path, f"not a whole snapshot ({type(error).__name__}: {error})") from error
    if tensors.keys() != {TENSOR}:
        raise _refused(path, f"holds the tensors {sorted(tensors)[:5]} (expected {[TENSOR]})")
    filters: NDArray[np.float32] = tensors[TENSOR]
    if filters.dtype != np.float32 or filters.ndim != 4 or filters.shape[1] != 3:
        raise _refused(
            path,
            f"filters are {filters.dtype} of shape {filters.shape} (expected float32 (F, 3, h, w))",
        )
    if filters.size == 0 or not np.isfinite(filters).all():
        raise _refused(path, "no filters, or one with a weight that is no finite number")
    return filters


def _refused(path: Path, what: str) -> TrainingError:
    return TrainingError(
        f"{path}: {what}", hint="delete the file; the moments that are left are drawn without it"
    )
