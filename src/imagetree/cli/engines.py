"""`imagetree engines` and `imagetree compress`: a trained network fast, and small."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imagetree.cli.output import JsonOption, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from imagetree.engines.choosing import Candidate
    from imagetree.engines.compressing import Tried


def engines(run: Path, *, json: JsonOption = False) -> None:
    """Measure which library runs a network fastest here, and remember it.

    PyTorch, ONNX Runtime and OpenVINO, in float32, bfloat16 and int8, each held against PyTorch in
    float32 on the images of minival: one whose answers differ more than its precision may is
    refused. What was chosen goes into RUN/engine.json, the int8 network into RUN/int8.onnx;
    `imagetree recognize RUN --engine auto` takes it.

    Example: imagetree engines demo/run

    Args:
        run: folder of a run.
    """
    from imagetree.engines.choosing import choose_engines
    from imagetree.engines.loading import machine
    from imagetree.training.runs import load_run

    with progress_bar("measuring", "rounds") as progress:
        chosen = choose_engines(load_run(run), progress)
    if json:
        print_json({"machine": machine(), **vars(chosen)})
        return
    print(machine())
    header = ("engine", "1 image, ms", "images a second", "top-1 error", "differ", "logits", "")
    rows = [_engine_row(each, chosen.latency, chosen.throughput) for each in chosen.candidates]
    print_table(header, rows)
    print(f"one image: {chosen.latency}; many images: {chosen.throughput}")
    print(f"{run / 'engine.json'}: written")


def compress(
    run: Path,
    output: Path,
    *,
    points: float = 0.5,
    units: tuple[float, ...] = (1.0, 0.75),
    variance: tuple[float, ...] = (1.0, 0.99, 0.98, 0.97, 0.95),
    val: bool = False,
    json: JsonOption = False,
) -> None:
    """Write a network as one small file: int8, thin fully connected layers, fewer units.

    Every pair of --units and --variance is fitted to images of train and tried on minival, and the
    smallest that loses no more than --points is written: an ONNX model from uint8 pixels to
    logits, which holds its classes and its calibration and runs anywhere. `imagetree recognize
    FILE` answers with it.

    Example: imagetree compress demo/run small.onnx --val

    Args:
        run: folder of a run.
        output: file to write, ending in .onnx.
        points: of top-1 error, percent, that may be lost.
        units: shares of the units of fc6 and fc7 to keep.
        variance: shares to keep of the variance of what the fully connected layers give.
        val: measure the whole network and the file on val, too.
    """
    from imagetree.engines.compressing import MOST_JUDGED, choose, every_choice, try_choices
    from imagetree.engines.images import load_squares
    from imagetree.engines.model_file import save_model
    from imagetree.errors import TrainingError
    from imagetree.recognition.calibrating import find_calibration
    from imagetree.training.evaluate import softmax
    from imagetree.training.interchange import load_run_weights
    from imagetree.training.runs import load_run

    if output.suffix != ".onnx":
        raise TrainingError(f"{output}: an ending that is not known (expected .onnx)")
    loaded, weights = load_run(run), load_run_weights(run)
    squares = load_squares(loaded, weights.description, "minival", MOST_JUDGED)
    others = load_squares(loaded, weights.description, "train").pixels
    with progress_bar("compressing", "choices") as progress:
        choices = every_choice(units, variance)
        tried = try_choices(weights, squares, others, choices, progress)
    if not json:
        _print_tried(tried, len(squares.labels))
    chosen = choose(tried, points)
    wnids, probabilities = weights.description.wnids, softmax(chosen.logits)
    calibration = find_calibration(loaded, wnids, probabilities, squares.labels)
    size = save_model(output, chosen.model, calibration)
    errors = _errors_on_val(run, output) if val else None
    if json:
        values = [{k: v for k, v in vars(t).items() if k not in {"model", "logits"}} for t in tried]
        print_json({"tried": values, "chosen": chosen.name, "size": size, "val": errors})
        return
    print(f"{output}: {chosen.name}, {size:,} bytes, {tried[0].size / size:.1f} times smaller")
    if errors:
        print(
            f"top-1 error on val: {errors['whole']:.2%} whole, {errors['file']:.2%} from the file"
        )


def _errors_on_val(run: Path, output: Path) -> dict[str, float]:
    """Top-1 errors of the whole network and of the file that was written."""
    from imagetree.engines.engine import REFERENCE
    from imagetree.engines.images import iter_squares
    from imagetree.engines.loading import load_engine
    from imagetree.training.interchange import load_run_weights
    from imagetree.training.runs import load_run

    loaded = load_run(run)
    both = {"whole": load_engine(loaded, REFERENCE), "file": load_engine(loaded, str(output))}
    wrong, total = dict.fromkeys(both, 0), 0
    for squares in iter_squares(loaded, load_run_weights(run).description, "val"):
        total += len(squares.labels)
        for name, found in both.items():
            answers = found.engine.logits(squares.pixels).argmax(1)
            wrong[name] += int((answers != squares.labels).sum())
    return {name: count / max(1, total) for name, count in wrong.items()}


def _engine_row(each: Candidate, soonest: str, most: str) -> tuple[str, ...]:
    found = each.comparison
    compared = ("", "", "")
    if found:
        compared = (f"{found.error:.2%}", f"{found.differing:.2%}", f"{found.relative_error:.2%}")
    marks = [word for word, name in (("soonest", soonest), ("most", most)) if name == each.name]
    return (
        each.name,
        "" if each.latency is None else f"{1e3 * each.latency:.2f}",
        "" if each.rate is None else f"{each.rate:.0f}",
        *compared,
        f"refused: {each.fault}" if each.fault else ", ".join(marks),
    )


def _print_tried(tried: tuple[Tried, ...], num_images: int) -> None:
    header = ("network", "bytes", "of fp32", "top-1 error", "expected loss", "ms", "images/s")
    rows = [
        (
            each.name,
            each.size,
            f"1/{tried[0].size / each.size:.1f}",
            f"{each.error:.2%}",
            f"{each.excess:.2%}",
            f"{1e3 * each.latency:.2f}",
            f"{each.rate:.0f}",
        )
        for each in tried
    ]
    print_table(header, rows, title=f"on {num_images:,} images of minival")
