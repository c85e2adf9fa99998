"""Recognition of a folder of full-size photographs, from disk to words.

    python bench/recognizing.py [openvino-int8 ...] [--repeats 10] [--rounds 3]

`single_gpu` at 227 pixels, 1,000 classes, its first weights (speed does not depend on them), on
ImageNet's originals (104 KB), each named as often as `--repeats` says. Three in turn: whole
recognition, as `imagetree recognize FOLDER` does it; the engine alone on squares that are in
memory; and decoding alone, as recognition does it. All share the same cores, so the limit of the
whole is what both take one after the other on all of them: 1 / (1 / engine + 1 / decoding). Workers
import this module, as Python's processes do; torch is left to `main`, as it is in `imagetree`.
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from imagetree.recognition.inputs import iter_inputs
from run import IMAGENETTE, interleaved

if TYPE_CHECKING:
    from imagetree.engines.opening import EngineClassifier

ORIGINALS = IMAGENETTE.parent / "ilsvrc1000" / "original100.tar"
BATCH = 32  # of a stream


def measure(classifier: EngineClassifier, folder: Path, repeats: int, rounds: int) -> None:
    """One engine: images a second of the whole, of itself, of decoding."""
    paths = [str(folder)] * repeats
    count = repeats * sum(1 for _ in folder.iterdir())
    shape = (BATCH, classifier.view.side, classifier.view.side, 3)
    squares = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    def whole() -> None:
        found = list(classifier.stream(iter_inputs(paths)))
        assert len(found) == count
        assert all(each.reason is None for each in found)

    def engine() -> None:
        for _ in range(count // BATCH):
            classifier.engine.logits(squares)

    def decoding() -> None:
        assert sum(len(taken) for taken, _ in classifier._filled(iter_inputs(paths))) == count

    seconds = interleaved(rounds, whole=whole, engine=engine, decoding=decoding)
    times = {name: median(each) for name, each in seconds.items()}
    rates = {name: count / each for name, each in times.items()}
    rates["engine"] = count // BATCH * BATCH / times["engine"]
    limit = 1 / (1 / rates["engine"] + 1 / rates["decoding"])
    print(
        f"{classifier.engine.name}: {rates['whole']:.0f} images/s; the engine alone "
        f"{rates['engine']:.0f}, decoding alone {rates['decoding']:.0f}, both in turn {limit:.0f}: "
        f"{rates['whole'] / rates['engine']:.0%} of the engine, {rates['whole'] / limit:.0%} of "
        "the limit"
    )


def main() -> None:
    """Each engine that is named."""
    from engines import PRECISIONS, SIDE, drawn, network
    from imagetree.alexnet.onnx_graph import make_onnx
    from imagetree.engines.building import build_engine, make_int8
    from imagetree.engines.opening import EngineClassifier
    from imagetree.training.evaluate import View

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [f"openvino-{precision}" for precision in PRECISIONS]
    parser.add_argument("names", nargs="*", default=names)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    weights = network()
    described = weights.description
    view = View(SIDE, described.mean, described.std)
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(ORIGINALS) as tar:
            tar.extractall(folder, filter="data")
        for name in args.names:
            is_int8 = name.endswith("int8")
            int8 = make_int8(make_onnx(weights), drawn(16)) if is_int8 else None
            engine = build_engine(name, weights, int8)
            classifier = EngineClassifier(engine, described.wnids, view)
            measure(classifier, Path(folder), args.repeats, args.rounds)


if __name__ == "__main__":
    main()
