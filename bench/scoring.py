"""Scoring 100,000 lines on ILSVRC's thousand classes: the whole, its parts, and reading the file.

    OMP_NUM_THREADS=1 python bench/scoring.py [--lines 100000] [--rounds 7]

The answers are random, five a line: right for a third of the images, else of any class. The parts
run in turn; what they share, the hierarchy of the classes, is built once, and measured by itself.
The limit is what reading the bytes takes. The peer is a plain loop over lines and a dictionary,
with no check but that the label is a class.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from imagetree.challenge.answers import task_of
from imagetree.challenge.bootstrap import mean_interval
from imagetree.challenge.comparison import compare_entries
from imagetree.challenge.definition import Entry, save_challenge
from imagetree.challenge.hierarchy import hierarchy_of
from imagetree.challenge.score import mark_submission, score_marked, score_submission
from imagetree.challenge.submission import load_answers, render_submission
from imagetree.sources.numbering import ilsvrc2012_wnids
from run import interleaved, show

if TYPE_CHECKING:
    from imagetree.challenge.definition import Challenge

BAR_SECONDS = 3.0


def main() -> None:
    """Write a challenge and a submission to it, and show all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, Python {sys.version.split()[0]}, ", end=""
    )
    print(f"NumPy {np.__version__}, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}")
    with tempfile.TemporaryDirectory() as folder:
        bench(Path(folder), args.lines, args.rounds)


def bench(folder: Path, num_lines: int, rounds: int) -> None:
    """Show the parts of scoring and the whole."""
    challenge = write_challenge(folder, num_lines)
    text, table = write_entries(folder, challenge)
    task, wnids = task_of(challenge, "val"), challenge.wnids
    marked = mark_submission(challenge, text)
    costs = marked.costs(1)
    hierarchy = hierarchy_of.__wrapped__  # as for the first entry of a process

    def errors() -> None:
        for k in (1, 5):
            marked.misses(k)
            marked.costs(k)

    def intervals() -> None:
        for values in (marked.misses(1), marked.misses(5), costs, marked.costs(5)):
            mean_interval(values)

    seconds = interleaved(
        rounds,
        **{
            "score a file, whole": partial(score_submission, challenge, text),
            "  classes of the truth": partial(challenge.read_split, "val"),
            "  parse, text": partial(load_answers, text, task),
            "  flat and hierarchical errors": errors,
            "  these with 4 intervals": intervals,
            "  all figures, parsed": partial(score_marked, marked),
            "hierarchy of 1,000 classes": lambda: hierarchy(wnids).cost,
            "parse, csv": partial(load_answers, table, task),
            "compare two entries": partial(compare_entries, marked, marked),
            "peer: dictionary, no checks": partial(parse_plainly, text, wnids),
            "limit: read the file": text.read_bytes,
        },
    )
    show(f"{num_lines:,} lines, {text.stat().st_size / 1e6:.1f} MB", seconds, "score a file, whole")
    whole = statistics.median(seconds["score a file, whole"])
    first = whole + statistics.median(seconds["hierarchy of 1,000 classes"])
    print(f"  first file of a process: {first:.2f} s (bar: {BAR_SECONDS:.0f} s on one core)")


def write_challenge(folder: Path, num_images: int) -> Challenge:
    """A challenge of ILSVRC2012's classes whose val has so many images."""
    wnids = ilsvrc2012_wnids()
    val = [
        Entry(f"ILSVRC2012_val_{number:08}", wnids[number * len(wnids) // num_images])
        for number in range(num_images)
    ]
    one = [Entry(f"{wnid}_1", wnid) for wnid in wnids]
    return save_challenge(folder / "challenge", wnids, {"train": one, "minival": one, "val": val})


def write_entries(folder: Path, challenge: Challenge) -> tuple[Path, Path]:
    """The same answers as text and as a table."""
    random = np.random.default_rng(0)
    images = challenge.read_split("val")
    first = random.integers(0, 1000, len(images))
    is_right = random.random(len(images)) < 1 / 3
    index = {wnid: place for place, wnid in enumerate(challenge.wnids)}
    first[is_right] = np.array([index[image.wnid] for image in images])[is_right]
    steps = np.cumsum(random.integers(1, 200, (len(images), 4)), axis=1)
    guesses = np.column_stack([first, (first[:, None] + steps) % 1000])
    text = render_submission(guesses, challenge.wnids)
    (folder / "entry.txt").write_text(text)
    rows = (f"{image.name},{line}" for image, line in zip(images, text.splitlines(), strict=True))
    (folder / "entry.csv").write_text("\n".join(["ImageId,PredictionString", *rows]))
    return folder / "entry.txt", folder / "entry.csv"


def parse_plainly(path: Path, wnids: tuple[str, ...]) -> np.ndarray:
    """What one would write down: five known labels on every line."""
    index = {wnid: place for place, wnid in enumerate(wnids)}
    with path.open() as file:
        return np.array([[index[word] for word in line.split()] for line in file])


if __name__ == "__main__":
    main()
