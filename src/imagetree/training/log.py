"""What happened in a run, as JSON lines and for TensorBoard.

A record has a `kind` (`step`, `epoch` or `bad image`) and the `step` after which it was written. A
run that goes on from a checkpoint drops what was logged after it, so that no step stands twice.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from torch.utils.tensorboard import SummaryWriter

from imagetree.files import write_atomic

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

NAME = "log.jsonl"


class RunLog:
    """The open log of a run.

    Args:
        folder: of the run; the log is `log.jsonl`, TensorBoard's files are in `tensorboard/`.
        step: steps done when it is opened; later records are dropped.
        writes: False in the processes of a run that are not the main one: they write nothing.
    """

    def __init__(self, folder: Path, step: int, *, writes: bool = True) -> None:
        self._writes = writes
        if not writes:
            return
        path = folder / NAME
        kept = [record for record in read_log(folder) if record["step"] <= step]
        write_atomic(path, "".join(json.dumps(record) + "\n" for record in kept))
        self._file = path.open("a", buffering=1)
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writes:
            self._file.close()
            self._board.close()

    def write(self, kind: str, step: int, **values: float | str) -> None:
        """Add a record; its numbers become TensorBoard's scalars `kind/name`."""
        if not self._writes:
            return
        self._file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        for name, value in values.items():
            if not isinstance(value, str):
                self._board.add_scalar(f"{kind}/{name}", value, step)


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The records of a run, oldest first; none if there is no log.

    A last line that a killed process left half written is left out.
    """
    path = folder / NAME
    if not path.exists():
        return []
    records = []
    for line in path.read_text().splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records
