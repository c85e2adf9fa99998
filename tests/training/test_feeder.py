"""The workers: what they cost, how they end, and that nothing of them stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from imagetree.errors import TrainingError
from imagetree.training.crops import CentreCrop
from imagetree.training.feeder import Feeder

from .conftest import FileImages, MemoryImages

PARENT = """
import sys, time
from pathlib import Path
import numpy as np
from imagetree.recognition.inputs import FileReader
from imagetree.training.crops import CentreCrop
from imagetree.training.feeder import Feeder

if __name__ == "__main__":
    rows = [Path(name) for name in sys.argv[1:]]
    feeder = Feeder(FileReader(), 2, 10 * 67 * 67 * 3)
    batches = feeder.iter_filled(rows, (np.arange(10) for _ in range(100)), CentreCrop(), 67)
    next(batches)
    print(*feeder._pool._processes, flush=True)
    time.sleep(600)
"""


def is_running(pid: int) -> bool:
    """Does the process exist, not counting one that only waits to be collected?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it ended between opening and reading
        return False


def wait_until(is_so, seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.05)
    return is_so()


@pytest.fixture
def files(tmp_path: Path) -> FileImages:
    return FileImages(tmp_path, MemoryImages(10))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_die_with_their_parent(
    tmp_path: Path, files: FileImages, number: signal.Signals
) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, str(script), *map(str, files.rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        assert all(map(is_running, workers))
        parent.send_signal(number)
    assert wait_until(lambda: not any(map(is_running, workers)))


def test_killed_worker_is_told(files: FileImages) -> None:
    """The kernel may kill a worker for memory: an error with advice, no hang."""
    batch = np.arange(10)
    with Feeder(files.reader, 1, 10 * 67 * 67 * 3) as feeder:
        batches = feeder.iter_filled(files.rows, [batch] * 100, CentreCrop(), 67)
        next(batches)
        assert feeder._pool is not None
        [worker] = feeder._pool._processes
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(TrainingError, match="was killed") as caught:
            list(batches)
    assert "imagetree database check" in (caught.value.hint or "")


def test_workers_import_no_torch() -> None:
    """It would cost each of them 300 MB and two seconds."""
    code = "import sys, imagetree.training.feeder, imagetree.database.reading; "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_batch_too_large_for_the_memory_is_refused(files: FileImages) -> None:
    with (
        Feeder(files.reader, 0, 1000) as feeder,
        pytest.raises(ValueError, match="does not fit 1000 bytes"),
    ):
        list(feeder.iter_filled(files.rows, [np.arange(1)], CentreCrop(), 67))
