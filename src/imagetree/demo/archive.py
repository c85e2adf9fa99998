"""The drawn pictures as an archive laid out as ILSVRC2012_img_train.tar: a tar of a tar per wnid.

`n13878634.tar` holds `n13878634_1.JPEG`, `n13878634_2.JPEG` and so on. What the pictures show is
`scene`'s. The same seed and count give the same bytes, whatever the number of workers.
Source: the layout of ILSVRC2012_img_train.tar.
"""

from __future__ import annotations

import io
import os
import signal
import tarfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING

from imagetree.demo.tree import FIGURES
from imagetree.errors import ImagetreeError
from imagetree.files import atomic_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

JPEG_QUALITY = 90

_MODIFIED_SECONDS = 1_262_304_000  # 2010-01-01, the year of the first challenge
_IMAGES_PER_TASK = 25


@dataclass(frozen=True)
class DrawnArchive:
    """An archive that was drawn."""

    path: Path
    num_images: int
    num_synsets: int


@dataclass(frozen=True)
class _Task:
    """Pictures of one class that one process draws in one go."""

    wnid: str
    numbers: range
    seed: int


def draw_archive(
    path: Path,
    images_per_class: int = 250,
    *,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DrawnArchive:
    """Draw every class of `FIGURES` into one archive, whole or not at all.

    Args:
        path: tar file to write; a file of that name is replaced.
        images_per_class: pictures of each class, 1 or more.
        seed: of the drawings, 0 or more; the same seed gives the same bytes.
        workers: processes that draw; one for each core if None, 1 draws in this process.
        progress: called with the pictures done and their total.

    Raises:
        ImagetreeError: a number is out of range, or the file cannot be written.
    """
    _check_at_least("images_per_class", images_per_class, 1)
    _check_at_least("seed", seed, 0)
    _check_at_least("workers", 1 if workers is None else workers, 1)
    tasks = [
        _Task(figure.wnid, range(first, min(first + _IMAGES_PER_TASK, images_per_class + 1)), seed)
        for figure in FIGURES
        for first in range(1, images_per_class + 1, _IMAGES_PER_TASK)
    ]
    total = images_per_class * len(FIGURES)
    drawn = _draw_all(tasks, workers or os.cpu_count() or 1)
    with atomic_writer(path) as file, tarfile.open(fileobj=file, mode="w|") as archive:
        done = 0
        members: list[tuple[str, bytes]] = []
        for task, pictures in zip(tasks, drawn, strict=True):
            members += [
                (f"{task.wnid}_{number}.JPEG", picture)
                for number, picture in zip(task.numbers, pictures, strict=True)
            ]
            done += len(pictures)
            if task.numbers.stop > images_per_class:
                _add(archive, f"{task.wnid}.tar", _pack(members))
                members = []
            if progress is not None:
                progress(done, total)
    return DrawnArchive(path, total, len(FIGURES))


def _draw_all(tasks: list[_Task], workers: int) -> Iterator[list[bytes]]:
    """The JPEGs of each task, in order, drawn here or in other processes."""
    if workers == 1:
        yield from map(_draw_task, tasks)
        return
    # spawn: a fork of a process with threads (a progress bar's, torch's) may hang
    pool = ProcessPoolExecutor(
        min(workers, len(tasks)), mp_context=get_context("spawn"), initializer=_start_worker
    )
    try:
        yield from pool.map(_draw_task, tasks)
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and the other cores to the other workers."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _draw_task(task: _Task) -> list[bytes]:
    import simplejpeg

    from imagetree.demo.scene import draw_image

    return [
        simplejpeg.encode_jpeg(
            draw_image(task.wnid, number, task.seed),
            quality=JPEG_QUALITY,
            colorspace="RGB",
            colorsubsampling="420",
        )
        for number in task.numbers
    ]


def _pack(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A tar of files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as inner:
        for name, data in members:
            _add(inner, name, data)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add a file whose header says nothing of this machine or hour."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(data), _MODIFIED_SECONDS, 0o644
    archive.addfile(member, io.BytesIO(data))


def _check_at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ImagetreeError(
            f"demo: {name} is {value} (expected at least {least})",
            hint=f"give {name} a value of {least} or more",
        )
