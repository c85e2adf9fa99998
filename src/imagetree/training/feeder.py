"""Worker processes that fill batches in memory that all of them share.

Threads would wait for each other: decoding a small JPEG takes 0.15 ms, in which the interpreter's
lock changes hands six times; two of them reach 60 % of what two processes do (docs/log.md). Nothing
but lists of images and of faults goes through a pipe. All workers fill a part of each batch: the
threads of a step wait for the slowest of them, so that time taken from all cores alike costs least.

A script that makes a feeder guards its beginning by `if __name__ == "__main__":`, as for all of
Python's processes.
"""

from __future__ import annotations

import ctypes
import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from imagetree.errors import TrainingError
from imagetree.files import Closable
from imagetree.training.filling import Draw, Reader, fill
from imagetree.training.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from numpy.typing import NDArray

    from imagetree.training.crops import Crop

_NUM_CHANNELS = 3
_Faults = Future[list[str | None]]
"""Of one part of a batch: for each image None, or why it could not be decoded."""


class Filled(NamedTuple):
    """A batch as the workers left it.

    Args:
        pixels: uint8 (N, S, S, 3), RGB; blank where an image could not be decoded. It is written
            anew once the next batch is asked for.
        indices: the images that were to fill it; int64 (N,).
        faults: for each image None, or why it could not be decoded.
    """

    pixels: NDArray[np.uint8]
    indices: NDArray[np.int64]
    faults: list[str | None]


class Feeder(Closable):
    """Fills batches ahead of whoever takes them; the same ones for any number of workers.

    Args:
        reader: gives the files of images.
        workers: processes; with 0 the caller's own does the work when a batch is asked for.
        batch_bytes: of the largest batch, N x S x S x 3.
    """

    def __init__(self, reader: Reader, workers: int, batch_bytes: int) -> None:
        self._reader = reader
        self._batch_bytes = batch_bytes
        self._num_workers = workers
        self._num_slots = workers + 2 if workers else 1  # being filled, ready, and handed out
        self._pool: ProcessPoolExecutor | None = None
        size = self._num_slots * batch_bytes
        if not workers:
            self._memory = np.zeros(size, np.uint8)
            return
        context = _context()
        shared = context.RawArray(ctypes.c_uint8, size)
        self._memory = np.frombuffer(shared, np.uint8)
        self._pool = ProcessPoolExecutor(
            workers, mp_context=context, initializer=_begin_work, initargs=(shared, reader)
        )

    def close(self) -> None:
        """End the workers."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def iter_filled(
        self, rows: Sequence[Any], batches: Iterable[NDArray[np.int64]], crop: Crop, size: int
    ) -> Generator[Filled]:
        """Fill batch after batch; one iterator at a time.

        Args:
            rows: what the reader reads, for each image.
            batches: indices of the images of each batch.
            crop: which part of each image.
            size: side of a batch's images in pixels.

        Raises:
            ValueError: a batch is larger than `batch_bytes`.
            TrainingError: a worker was killed.
        """
        slots = itertools.cycle(range(0, self._num_slots * self._batch_bytes, self._batch_bytes))
        ahead: deque[tuple[NDArray[np.uint8], NDArray[np.int64], list[_Faults]]] = deque()
        try:
            for offset, indices in zip(slots, batches, strict=False):
                shape = (len(indices), size, size, _NUM_CHANNELS)
                if num_bytes(len(indices), size) > self._batch_bytes:
                    raise ValueError(f"a batch of {shape} does not fit {self._batch_bytes} bytes")
                draws = [Draw(int(index), rows[index]) for index in indices]
                ahead.append(
                    (self._at(offset, shape), indices, self._fill(offset, shape, draws, crop))
                )
                if len(ahead) == self._num_slots - 1 or self._pool is None:
                    yield _done(*ahead.popleft())
            while ahead:
                yield _done(*ahead.popleft())
        finally:
            for future in itertools.chain.from_iterable(parts for _, _, parts in ahead):
                if not future.cancel():  # the next iterator's batches must not be overwritten
                    future.exception()

    def refill(self, filled: Filled, place: int, draw: Draw, crop: Crop) -> str | None:
        """Put another image into one place of the batch that is handed out, in this process."""
        target = filled.pixels[place : place + 1]
        return fill(target, [draw], crop, self._reader)[0]

    def _at(self, offset: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        return _view(self._memory, offset, shape)

    def _fill(
        self, offset: int, shape: tuple[int, ...], draws: list[Draw], crop: Crop
    ) -> list[_Faults]:
        if self._pool is None:
            done: _Faults = Future()
            done.set_result(fill(self._at(offset, shape), draws, crop, self._reader))
            return [done]
        bounds = np.linspace(0, len(draws), self._num_workers + 1).astype(int)
        try:
            return [
                self._pool.submit(
                    _work,
                    offset + num_bytes(int(first), shape[1]),
                    (int(end - first), *shape[1:]),
                    draws[first:end],
                    crop,
                )
                for first, end in itertools.pairwise(bounds)
                if end > first
            ]
        except BrokenProcessPool as error:
            raise _killed() from error


def _done(pixels: NDArray[np.uint8], indices: NDArray[np.int64], parts: list[_Faults]) -> Filled:
    try:
        faults = itertools.chain.from_iterable(part.result() for part in parts)
        return Filled(pixels, indices, list(faults))
    except BrokenProcessPool as error:
        raise _killed() from error


def _killed() -> TrainingError:
    return TrainingError(
        "a process that decodes images was killed (out of memory, or an image that its decoder "
        "cannot bear)",
        hint="find such an image: imagetree database check --database PATH; or use fewer workers",
    )


def num_bytes(num_images: int, size: int) -> int:
    """Bytes of a batch of uint8 (num_images, size, size, 3)."""
    return num_images * size * size * _NUM_CHANNELS


def _view(memory: NDArray[np.uint8], offset: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return memory[offset : offset + int(np.prod(shape))].reshape(shape)


def _context() -> Any:
    """Workers that are forked from a small clean process, which has imported what they need.

    Forked from this one they would inherit locks that torch's threads hold at that moment.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["imagetree.training.feeder", "imagetree.database.reading"])
    return context


class _Worker(NamedTuple):
    """What a worker process was given at its beginning."""

    memory: NDArray[np.uint8]
    reader: Reader


_WORKER: list[_Worker] = []
"""In a worker process, its one; empty everywhere else."""


def _begin_work(memory: ctypes.Array[ctypes.c_uint8], reader: Reader) -> None:
    """In a worker: Ctrl-C is the parent's business, and so is the worker's end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _WORKER.append(_Worker(np.frombuffer(memory, np.uint8), reader))  # type: ignore[call-overload]


def _die_with_parent() -> None:
    """A parent that is killed says nothing; its workers would wait for a next batch forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _work(offset: int, shape: tuple[int, ...], draws: list[Draw], crop: Crop) -> list[str | None]:
    [worker] = _WORKER
    return fill(_view(worker.memory, offset, shape), draws, crop, worker.reader)
