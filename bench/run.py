"""Benchmarks: ours and the peer in turn in one run, medians, ratios, the physical limit beside.

    python bench/run.py                  all of them
    python bench/run.py start            some of them

Figures go into docs/log.md with the command, the versions and the machine.
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
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
IMAGENETTE = ROOT.parent / "shared" / "data" / "imagenette"
IMAGETREE = Path(sys.executable).with_name("imagetree")


def interleaved(rounds: int, **variants: Callable[[], object]) -> dict[str, list[float]]:
    """Seconds of each variant in each round, the variants in turn; one round before is not kept."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, run in variants.items():
            began = time.perf_counter()
            run()
            if number:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def show(title: str, seconds: dict[str, list[float]], ours: str, per: float = 1e3) -> None:
    """Medians with their range in milliseconds, and how many times each is slower than ours."""
    print(f"\n{title}")
    for name, each in seconds.items():
        ratio = statistics.median(b / a for a, b in zip(seconds[ours], each, strict=True))
        low, middle, high = (per * f(each) for f in (min, statistics.median, max))
        print(f"  {name:34} {middle:10.1f} ms  ({low:.1f} .. {high:.1f})  {ratio:6.2f} x")


def command(*words: str) -> Callable[[], object]:
    """A whole process as a variant; its output is thrown away."""
    return lambda: subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def bench_start() -> None:
    """Cold start of a command; the limit is Python itself with the library that reads flags."""
    seconds = interleaved(
        15,
        **{
            "imagetree synset show dog": command(str(IMAGETREE), "synset", "show", "dog"),
            "python -c 'import cyclopts'": command(sys.executable, "-c", "import cyclopts"),
            "python -c pass": command(sys.executable, "-c", "pass"),
        },
    )
    show("cold start (bar: 300 ms)", seconds, "imagetree synset show dog")
    code = (
        "import time; t = time.perf_counter(); from imagetree.wordnet import load_nouns;"
        "load_nouns(); print(time.perf_counter() - t)"
    )
    loads = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(9)
    ]
    print(
        f"  loading the nouns, imports too (bar: 150 ms): {1e3 * statistics.median(loads):.1f} ms"
    )


def bench_import() -> None:
    """Import of Imagenette's two archives, whole processes; the peer only lists the members."""

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            database = ["--database", f"{folder}/imagetree.db"]
            labels = ["--labels", str(IMAGENETTE / "val_wnids.tsv")]
            run = [str(IMAGETREE), "database", "import"]
            command(*run, str(IMAGENETTE / "train.tar"), *database)()
            command(*run, str(IMAGENETTE / "val.tar"), *labels, *database)()
            sizes.append(sum(f.stat().st_size for f in Path(folder).iterdir()))

    def headers_with_tarfile() -> None:
        with tarfile.open(IMAGENETTE / "train.tar") as outer:
            for member in outer:
                with tarfile.open(fileobj=outer.extractfile(member)) as inner:
                    inner.getmembers()
        with tarfile.open(IMAGENETTE / "val.tar") as flat:
            flat.getmembers()

    sizes: list[int] = []
    seconds = interleaved(7, imagetree=ours, **{"tarfile, headers only": headers_with_tarfile})
    show("import of 11,432 images (bar: 2,000 ms)", seconds, "imagetree")
    print(f"  database: {max(sizes) / 1e6:.2f} MB (bar: 3 MB)")


BENCHES = {"start": bench_start, "import": bench_import}


def main() -> None:
    """Run the benchmarks that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *BENCHES], help="which; all if none")
    names = parser.parse_args().names or list(BENCHES)
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in names:
        BENCHES[name]()


if __name__ == "__main__":
    main()
