"""Nearest neighbours among real features of fc7: by an index, and exhaustively.

    python bench/neighbours.py FEATURES.npy [--questions 300]
    python bench/neighbours.py INDEX [--questions 300]

FEATURES.npy is float16 (N, 4096), as `imagetree index build` writes it into its folder; or name
that folder. An index of them is made anew and timed; then questions, rows that are left out of
their own answers, are put to it and to the exhaustive search in turn, and the recall of the ten
nearest is that of the same questions. usearch's threads spin for a while behind their answer; the
next question waits until they have ended. The limit is the time of reading the codes once.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from imagetree.index.build import Contents, build_index
from imagetree.index.search import VectorIndex, scan
from imagetree.index.store import FEATURES
from imagetree.understanding.features import FeatureBatch

_BATCH = 256
_SPINNING = 0.02  # seconds


class Stored:
    """Features that were extracted before, in place of images."""

    layer = "fc7"
    reader = None

    def __init__(self, features: np.ndarray) -> None:
        self.features = features
        self.rows = range(len(features))
        self.names = tuple(map(str, self.rows))
        self.labels = np.zeros(len(features), np.int64)

    def iter_features(self, images, progress=None):
        """As `Extractor.iter_features`."""
        for start in range(0, len(images.rows), _BATCH):
            rows = images.rows[start : start + _BATCH]
            values = self.features[rows.start : rows.stop].astype(np.float32)
            yield FeatureBatch(np.arange(start, start + len(rows)), values)


def main() -> None:
    """Build, ask, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("features", type=Path)
    parser.add_argument("--questions", type=int, default=300)
    args = parser.parse_args()
    path = args.features / FEATURES if args.features.is_dir() else args.features
    stored = Stored(np.load(path, mmap_mode="r"))
    total, width = stored.features.shape
    with tempfile.TemporaryDirectory() as name:
        began = time.perf_counter()
        contents = Contents(stored, ("",) * total, str(path))
        info = build_index(Path(name), stored, contents, "0" * 64)
        print(f"{total:,} x {width:,}: index built in {time.perf_counter() - began:.1f} s")
        print(f"codes of {info.length}, {info.candidates} candidates; recall {info.recall:.3f}")
        ask(VectorIndex(Path(name)), args.questions)


def ask(index: VectorIndex, questions: int) -> None:
    """Times and recall of the same questions put to both."""
    in_memory = np.array(index.features)
    rows = np.random.default_rng(1).permutation(len(in_memory))[:questions]
    seconds: dict[str, list[float]] = {"index": [], "exhaustive, usearch f16": []}
    hits = 0
    for row in rows.tolist():
        query = in_memory[row : row + 1]
        began = time.perf_counter()
        found = index.search(query.astype(np.float32), 11)[0]
        between = time.perf_counter()
        truth = scan(in_memory, query, 11)[0]
        seconds["index"].append(between - began)
        seconds["exhaustive, usearch f16"].append(time.perf_counter() - between)
        time.sleep(_SPINNING)
        own = [each.row for each in found if each.row != row][:10]
        hits += len(set(own) & set([each for each in truth.tolist() if each != row][:10]))
    for name, each in seconds.items():
        ordered = sorted(each)
        middle, late = statistics.median(ordered), ordered[int(0.95 * len(ordered))]
        print(f"  {name:26} median {1e3 * middle:7.2f} ms   p95 {1e3 * late:7.2f} ms")
    ratio = statistics.median(b / a for a, b in zip(*seconds.values(), strict=True))
    codes = len(in_memory) * index.info.length * 4
    print(f"  {ratio:.1f} times as fast; recall@10 {hits / (10 * len(rows)):.4f}")
    print(f"  limit: {codes / 1e6:.1f} MB of codes at 30 GB/s: {codes / 30e6:.2f} ms")


if __name__ == "__main__":
    main()
