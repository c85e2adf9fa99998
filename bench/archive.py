"""The scan of an archive of ImageNet's size, of which only the headers are on the disk.

    python bench/archive.py                     1,281,167 members in 1,000 tars: 147.9 GB, 5 GB used
    python bench/archive.py --members 60000     a quick look
    python bench/archive.py --cold              its pages are thrown out of memory before each run

The archive is sparse and laid out as ILSVRC2012_img_train.tar: a tar of one tar for each wnid, with
names such as n01440764_10026.JPEG. It is built once for each size and kept. Measured in turn are
Python's tarfile, `scan_tar` in one process, `scan_windows`, and the limit: the bare reads of
headers whose places are known.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tarfile
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imagetree.sources.tarpool import PROCESSES, scan_windows
from imagetree.sources.tarscan import Member, scan_tar
from run import ROOT, interleaved, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

BLOCK, RECORD = tarfile.BLOCKSIZE, tarfile.RECORDSIZE
NUM_MEMBERS, NUM_TARS = 1_281_167, 1000
MEAN_LENGTH = 114_668
"""Of an image in bytes: with it the archive of all members has ImageNet's 147.9 GB."""
WNIDS = ROOT.parent / "shared" / "facts" / "ilsvrc2012_wnids.txt"


def build_archive(path: Path, members: int, tars: int) -> NDArray[np.int64]:
    """Make a sparse tar of tars at `path`, unless it is there already.

    Args:
        path: of the archive.
        members: in all inner archives together.
        tars: inner archives, at most 1,000; each named by its wnid.

    Returns:
        Offsets of all headers, outer and inner, ascending, int64 (members + tars,).
    """
    parts = [_tar_of_class(number, members, tars) for number in range(tars)]
    sizes = np.array([BLOCK + end for _, _, end in parts])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    total = _round_up(int(starts[-1]) + 2 * BLOCK, RECORD)
    if not (path.exists() and path.stat().st_size == total):
        part = path.with_suffix(".part")
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            os.ftruncate(fd, total)
            wnids = WNIDS.read_text().split()[:tars]
            for wnid, start, (offsets, lengths, end) in zip(wnids, starts, parts, strict=False):
                _write_class(fd, wnid, int(start), (offsets.tolist(), lengths.tolist(), end))
            os.fsync(fd)  # so that throwing its pages out of memory works
        finally:
            os.close(fd)
        part.replace(path)
    return np.concatenate(
        [
            np.concatenate([[start], start + BLOCK + offsets])
            for start, (offsets, _, _) in zip(starts, parts, strict=False)
        ]
    )


def _tar_of_class(
    number: int, members: int, tars: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Offsets of the headers in an inner archive, lengths of its members, and its own length."""
    first, last = members * number // tars, members * (number + 1) // tars
    lengths = _lengths(first, last)
    ends = np.cumsum(BLOCK + -(-lengths // BLOCK) * BLOCK)
    offsets = np.concatenate([[0], ends])[:-1]
    return offsets, lengths, _round_up(int(ends[-1] if len(ends) else 0) + 2 * BLOCK, RECORD)


def _lengths(first: int, last: int) -> NDArray[np.int64]:
    """Lengths of the members with these numbers: SplitMix64 of the number, evenly around the mean.

    The generator is Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014.
    """
    x = np.arange(first + 1, last + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return MEAN_LENGTH // 4 + (x % np.uint64(MEAN_LENGTH * 3 // 2)).astype(np.int64)


def _write_class(fd: int, wnid: str, start: int, tar: tuple[list[int], list[int], int]) -> None:
    """The header of an inner archive, and those in it."""
    offsets, lengths, end = tar
    os.pwrite(fd, _header(f"{wnid}.tar", end), start)
    template = bytearray(_header("", 0))
    for number, (offset, length) in enumerate(zip(offsets, lengths, strict=True)):
        name = f"{wnid}_{number + 1}.JPEG".encode()
        template[:100] = name.ljust(100, b"\0")
        template[124:136] = b"%011o\0" % length
        template[148:156] = b" " * 8
        template[148:156] = b"%06o\0 " % sum(template)
        os.pwrite(fd, template, start + BLOCK + offset)


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.uname, entry.gname = size, 1_340_000_000, "image", "net"
    return entry.tobuf(tarfile.USTAR_FORMAT)


def _round_up(number: int, unit: int) -> int:
    return -(-number // unit) * unit


def windows_of(path: Path) -> Iterator[tuple[int, int]]:
    """Where the inner archives lie."""
    with path.open("rb") as file:
        for found in scan_tar(partial(os.pread, file.fileno()), 0, path.stat().st_size):
            if isinstance(found, Member):
                yield found.offset, found.offset + found.length


def with_tarfile(path: Path) -> int:
    """Members by Python's tarfile: the outer archive, and each inner one where it begins."""
    number = 0
    with tarfile.open(path, "r:") as outer, path.open("rb") as file:
        for entry in outer:
            file.seek(entry.offset_data)
            with tarfile.open(fileobj=file, mode="r:") as inner:
                number += sum(1 for _ in inner)
    return number


def with_scan_tar(path: Path) -> int:
    """Members by our scan in this process."""
    with path.open("rb") as file:
        read = partial(os.pread, file.fileno())
        return sum(sum(1 for _ in scan_tar(read, *window)) for window in windows_of(path))


def with_workers(path: Path) -> int:
    """Members by our scan in worker processes."""
    return sum(map(len, scan_windows(str(path), windows_of(path))))


def with_bare_reads(path: Path, offsets: list[int]) -> int:
    """The limit: what any scan has to read, from known places."""
    with path.open("rb") as file:
        fd = file.fileno()
        for offset in offsets:
            os.pread(fd, BLOCK, offset)
    return len(offsets)


def whole_import(path: Path) -> list[float]:
    """Seconds and peak memory in MB (processes summed) of an import into a new database."""
    code = (
        "import sys, tempfile, time; t = time.perf_counter()\n"
        f"sys.path.append({str(ROOT / 'bench')!r}); from archive import peaks\n"
        "from imagetree.database import import_source, open_database\n"
        "most = [0.0]\n"
        "def watch(*_): most[0] = max(most[0], sum(peaks()))\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    with open_database(folder + '/images.db', create=True) as database:\n"
        f"        report = import_source(database, {str(path)!r}, progress=watch)\n"
        "        print(time.perf_counter() - t, most[0], report.num_added, len(report.set_aside))"
    )
    words = [sys.executable, "-c", code]
    return [float(x) for x in subprocess.run(words, check=True, capture_output=True).stdout.split()]


def evict(path: Path) -> None:
    """Throw the archive's pages out of memory."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def peak_memory(path: Path) -> list[float]:
    """Peaks of a scanning process and of each of its workers in MB; pages shared count for each."""
    code = (
        "import sys; from imagetree.sources import tarpool; tarpool.START_SECONDS = 0.0\n"
        f"sys.path.append({str(ROOT / 'bench')!r}); from archive import Path, peaks, windows_of\n"
        f"path = Path({str(path)!r}); windows = list(windows_of(path))\n"
        "for number, _ in enumerate(tarpool.scan_windows(str(path), windows), 1):\n"
        "    if number == len(windows): print(*peaks())"
    )
    words = [sys.executable, "-c", code]
    return [float(x) for x in subprocess.run(words, check=True, capture_output=True).stdout.split()]


def peaks() -> list[float]:
    """Most memory that this process and each of its children ever had, in MB."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in ("self", *children)]
    return [int(text.split("VmHWM:")[1].split()[0]) / 1024 for text in texts]


def main() -> None:
    """Build the archive if it is not there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=NUM_MEMBERS)
    parser.add_argument("--tars", type=int, default=NUM_TARS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold", action="store_true", help="from the disk, not from memory")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    given = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    path = given.folder / f"archive_{given.members}_{given.tars}.tar"
    offsets = build_archive(path, given.members, given.tars).tolist()
    facts = path.stat()
    print(f"{path}: {facts.st_size:,} bytes, {facts.st_blocks * 512 / 1e9:.2f} GB on the disk")

    def checked(run: Callable[[], int], expected: int) -> None:
        if given.cold:
            evict(path)
        found = run()
        assert found == expected, f"{found} members (expected {expected})"

    def variant(function: Callable[[Path], int]) -> Callable[[], object]:
        return lambda: checked(partial(function, path), given.members)

    seconds = interleaved(
        given.rounds,
        **{
            "tarfile": variant(with_tarfile),
            "scan_tar, one process": variant(with_scan_tar),
            f"scan_windows, {PROCESSES} workers": variant(with_workers),
            "limit: bare reads": lambda: checked(
                partial(with_bare_reads, path, offsets), len(offsets)
            ),
        },
    )
    where = "from the disk" if given.cold else "from memory"
    show(
        f"scan of {given.members:,} members, {where}", seconds, f"scan_windows, {PROCESSES} workers"
    )
    imports = [whole_import(path) for _ in range(given.rounds)]
    assert all(each[2:] == [given.members, 0] for each in imports), imports
    print(f"  whole import, {statistics.median(each[0] for each in imports):.1f} s ", end="")
    print(f"({', '.join(f'{each[0]:.1f}' for each in imports)}; bar: 20 s), ", end="")
    print(f"at most {max(each[1] for each in imports):.0f} MB (bar: 400 MB)")
    ours, *workers = peak_memory(path)
    largest = max(workers, default=0)
    print(f"  peak: {ours:.0f} MB and {len(workers)} workers of at most {largest:.0f} MB, ", end="")
    print(f"together {ours + sum(workers):.0f} MB")


if __name__ == "__main__":
    main()
