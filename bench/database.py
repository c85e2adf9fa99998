"""The database at ImageNet's size: 14,197,122 images over the 21,841 synsets of Fall 2011.

    python bench/database.py --folder build/bench          list, import, queries, reading
    python bench/database.py --folder build/bench queries  some of them

The list and the database are made once in the folder (2 GB) and used again.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import func, select

from imagetree.database import ImageReader, import_source, locate, open_database, schema
from imagetree.database.counting import current_totals, subtree_of
from imagetree.database.queries import images_of, sample
from run import IMAGENETTE, ROOT, interleaved, show

if TYPE_CHECKING:
    from collections.abc import Callable

NUM_IMAGES = 14_197_122
ANIMAL, ENTITY = "n00015388", "n00001740"
WNIDS = ROOT.parent / "shared" / "facts" / "imagenet_fall2011_wnids.txt"


def write_list(path: Path, num_images: int) -> None:
    """A list of paths and wnids: of each synset some hundreds, as ImageNet has them."""
    wnids = sorted(WNIDS.read_text().split())
    weights = np.random.default_rng(0).lognormal(0, 0.8, len(wnids))
    ends = np.round(np.cumsum(weights) / weights.sum() * num_images).astype(int)
    with path.open("w") as file:
        file.write("path,label\n")
        for wnid, number in zip(wnids, np.diff(ends, prepend=0), strict=True):
            numbers = random.Random(wnid).sample(range(40_000), int(number))
            file.writelines(f"{wnid}/{wnid}_{n}.JPEG,{wnid}\n" for n in sorted(numbers))


def bench_import(folder: Path) -> None:
    """Import of the whole list in a process of its own; the limit is a copy of its bytes."""
    path, database = folder / "images.csv", folder / "images.db"
    if not path.exists():
        write_list(path, NUM_IMAGES)
    for leftover in folder.glob("images.db*"):
        leftover.unlink()
    code = (
        "import resource, sys, time; t = time.perf_counter();"
        "from imagetree.database import import_source, open_database\n"
        "with open_database(sys.argv[2], create=True) as d: r = import_source(d, sys.argv[1])\n"
        "assert not r.set_aside, r.set_aside[:3]\n"
        "print(r.num_added, time.perf_counter() - t,"
        " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    run = [sys.executable, "-c", code, str(path), str(database)]
    added, seconds, memory = subprocess.run(
        run, capture_output=True, check=True, text=True
    ).stdout.split()
    began = time.perf_counter()
    with path.open("rb") as source, (folder / "copy").open("wb") as target:
        while block := source.read(1 << 20):
            target.write(block)
        os.fsync(target.fileno())
    copied = time.perf_counter() - began
    (folder / "copy").unlink()
    print(f"\nimport of a list of {int(added):,} images (bars: 180 s, 1,600 MB, 600 MB)")
    print(f"  {float(seconds):.1f} s, {1e6 * float(seconds) / int(added):.1f} us an image")
    print(f"  database {database.stat().st_size / 1e6:,.0f} MB, memory {int(memory) / 1e3:,.0f} MB")
    print(f"  limit: copying the list, {path.stat().st_size / 1e6:,.0f} MB, takes {copied:.1f} s")


def percentile(run: Callable[[], object], times: int) -> str:
    """Median, 95th percentile and maximum of so many runs, in milliseconds."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        seconds.append(1e3 * (time.perf_counter() - began))
    seconds.sort()
    p95 = seconds[int(0.95 * times)]
    return f"{statistics.median(seconds):8.2f} ms  p95 {p95:8.2f}  max {seconds[-1]:8.2f}"


def bench_queries(folder: Path) -> None:
    """Pages and samples in the middle of millions; peers are the queries one would write down."""
    place = str(folder / "images.db")
    first = []
    for _ in range(5):
        code = (
            "import sys, time; t = time.perf_counter();"
            "from imagetree.database import images_of, open_database\n"
            "with open_database(sys.argv[1]) as d:\n"
            f"    images_of(d, ['{ANIMAL}'], subtree=True)\n"
            "print(time.perf_counter() - t)"
        )
        run = [sys.executable, "-c", code, place]
        first.append(float(subprocess.run(run, capture_output=True, check=True).stdout))
    print(f"\nqueries, {place}")
    print(f"  open and first page, imports too (bar: 500 ms): {1e3 * statistics.median(first):.0f}")
    with open_database(place) as database:
        _time_queries(database)


def _time_queries(database: object) -> None:
    rng = random.Random(1)
    with database.reading() as connection:
        kept = current_totals(database, connection)
        own = subtree_of(ANIMAL)
        total = int(kept.images[np.searchsorted(subtree_of(ENTITY), 15388)])
        rows = connection.scalar(select(func.sum(schema.synset_counts.c.num_images)))

    def totals_anew() -> None:
        database.kept.clear()
        with database.reading() as connection:
            current_totals(database, connection)

    images = schema.images.c
    mine = select(schema.images).where(images.synset.in_(own.tolist()), images.state == 0)

    def ask(query: object) -> None:
        with database.reading() as connection:
            connection.execute(query).all()

    def plain_page() -> None:
        ask(mine.order_by(images.synset, images.name).limit(60).offset(rng.randrange(total - 60)))

    print(f"  {rows:,} images, {total:,} of animal")
    for title, run, times in (
        (
            "page of 60 at a random place (bar: p95 20 ms)",
            lambda: images_of(database, [ANIMAL], subtree=True, start=rng.randrange(total - 60)),
            300,
        ),
        ("  the same by IN and OFFSET", plain_page, 5),
        (
            "sample of 100 (bar: p95 20 ms)",
            lambda: sample(database, [ANIMAL], 100, rng.randrange(10**9), subtree=True),
            200,
        ),
        (
            "  the same by ORDER BY RANDOM()",
            lambda: ask(mine.order_by(func.random()).limit(100)),
            3,
        ),
        ("counts of the whole closure, as sets (bar: 100 ms)", totals_anew, 20),
        ("  limit: one indexed page", lambda: images_of(database, ["n02084071"]), 300),
    ):
        print(f"  {title:52} {percentile(run, times)}")


def bench_reading(_folder: Path) -> None:
    """32 threads that read images at random from one archive, against bare pread."""
    with open_database(_folder / "imagenette.db", create=True) as database:
        import_source(database, IMAGENETTE / "train.tar")
        rows = list(locate(database))
        random.Random(0).shuffle(rows)
        fd = os.open(IMAGENETTE / "train.tar", os.O_RDONLY)
        parts = [rows[k::32] for k in range(32)]

        def in_threads(read: Callable[[object], bytes]) -> None:
            def work(part: list[object]) -> None:
                for row in part:
                    assert len(read(row)) == row.length

            threads = [threading.Thread(target=work, args=(part,)) for part in parts]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        with ImageReader(database) as reader:
            seconds = interleaved(
                9,
                ImageReader=lambda: in_threads(reader.read),
                **{"os.pread": lambda: in_threads(lambda r: os.pread(fd, r.length, r.offset))},
            )
        os.close(fd)
    show("32 threads, 9,469 images at random, warm (bar: 0.8)", seconds, "ImageReader")


BENCHES = {"import": bench_import, "queries": bench_queries, "reading": bench_reading}


def main() -> None:
    """Run the benchmarks that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *BENCHES], help="which; all if none")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "bench")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or BENCHES:
        BENCHES[name](arguments.folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"peak memory of this process {peak:.0f} MB")


if __name__ == "__main__":
    main()
