"""`imagetree weights`: networks of others in, our own out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from imagetree.cli.output import (
    DEFAULT_DATABASE,
    DatabaseOption,
    JsonOption,
    print_json,
    print_table,
    progress_bar,
)
from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from imagetree.recognition.card import CardError

app = App(name="weights", help="Import networks of others, export our own.")


@app.command(name="import")
def import_(
    file: Path,
    run: Path,
    *,
    architecture: str | None = None,
    mean: tuple[str, ...] = (),
    std: tuple[str, ...] = (),
    wnids: Path | None = None,
    input_size: int | None = None,
    challenge: Path | None = None,
    database: DatabaseOption = DEFAULT_DATABASE,
) -> None:
    """Make a finished run of a network that was trained elsewhere.

    Reads safetensors, torch's .pth (torchvision's names or ours), Caffe's .caffemodel, and ONNX
    with the same names. No code in them is run. What a file says about itself need not be said.

    Example: imagetree weights import bvlc_reference_caffenet.caffemodel runs/caffenet
    --architecture caffenet --mean imagenet_mean.binaryproto

    Args:
        file: with the weights.
        run: folder of the run to make.
        architecture: a name of `imagetree alexnet list`.
        mean: of R, G, B in 0..255, three numbers, or Caffe's mean image as .binaryproto.
        std: likewise, three numbers.
        wnids: file with the wnid of each output, one on each line; ILSVRC2012's thousand classes,
            sorted, where torchvision or Caffe made the file.
        input_size: side of the images that the network is made for; the architecture's own if not
            given.
        challenge: folder of the challenge that the run answers: of the network's outputs only those
            of its classes are kept.
        database: where the challenge's images are.
    """
    from imagetree.alexnet.weights_in import Told, load_weights
    from imagetree.challenge.definition import load_challenge
    from imagetree.training.interchange import for_classes, load_classes, save_as_run

    told = Told(
        architecture=architecture,
        wnids=None if wnids is None else load_classes(wnids),
        mean=_mean(mean),
        std=_three("--std", std) if std else None,
        input_size=input_size,
    )
    weights = load_weights(file, told)
    if challenge is not None:
        weights = for_classes(weights, load_challenge(challenge).wnids)
    save_as_run(run, weights, challenge or run / "challenge", database)
    described = weights.description
    print(
        f"{run}: {described.architecture}, {len(described.wnids):,} classes, "
        f"images of {described.image_size} pixels, mean {_shown(described.mean)}, "
        f"std {_shown(described.std)}"
    )


@app.command
def export(run: Path, output: Path, *, evaluate: bool = False, licence: str = "") -> None:
    """Write a run's network for other programs, and beside it its model card; the ending says how.

    .safetensors and .pth hold the tensors (.pth of one_weird_trick by torchvision's names); .onnx
    and .pt2 (torch.export) the whole network, from uint8 pixels (N, S, S, 3) to logits.

    Example: imagetree weights export demo/run demo/run/network.onnx

    Args:
        run: folder of the run.
        output: file to write; the card is OUTPUT.card.md.
        evaluate: answer val now, so that the card says how often the network is wrong.
        licence: of the weights, for the card.
    """
    from imagetree.alexnet.weights_out import save_weights
    from imagetree.files import write_atomic
    from imagetree.recognition.card import measure_errors, render_card
    from imagetree.recognition.recognizer import Recognizer
    from imagetree.training.interchange import load_run_weights
    from imagetree.training.runs import load_run

    weights = load_run_weights(run)
    save_weights(output, weights)
    described = weights.description
    print(f"{output}: {described.architecture}, {output.stat().st_size:,} bytes")
    loaded = load_run(run)
    errors: tuple[CardError, ...] = ()
    if evaluate:
        with progress_bar("val") as bar:
            errors = measure_errors(loaded, Recognizer.load(loaded.checkpoint_path), "val", bar)
    card = output.with_name(f"{output.name}.card.md")
    write_atomic(card, render_card(loaded, errors, licence))
    print(f"{card}: its card" + ("" if errors else "; --evaluate puts its error on val into it"))
    if output.suffix == ".pth":
        print(
            f"not in the file: mean {_shown(described.mean)} and std {_shown(described.std)} "
            f"of the pixels, the {len(described.wnids):,} classes"
        )


@app.command
def show(file: Path, *, json: JsonOption = False) -> None:
    """Show what is in a file of weights: tensors, shapes, sizes, and which networks fit.

    Example: imagetree weights show alexnet-owt-7be5be79.pth

    Args:
        file: with the weights.
    """
    from math import prod

    from imagetree.alexnet.weight_files import open_weight_file
    from imagetree.alexnet.weights_in import fitting

    found = open_weight_file(file)
    fits = fitting(found)
    rows = [
        (name[:80], " x ".join(map(str, each.shape)), each.dtype, prod(each.shape))
        for name, each in found.tensors.items()
    ]
    if json:
        tensors = [
            {"name": name, "shape": each.shape, "dtype": each.dtype}
            for name, each in found.tensors.items()
        ]
        fit = [{"architecture": name, "classes": count} for name, count in fits]
        print_json({"kind": found.kind, "tensors": tensors, "fits": fit})
        return
    print_table(("tensor", "shape", "type", "values"), rows, title=f"{file}: {found.kind}")
    print(f"{sum(row[3] for row in rows):,} values in {len(rows)} tensors")
    names = ", ".join(f"{name} ({count:,} classes)" for name, count in fits)
    print(f"fits {names}" if names else "fits no architecture at its own input size")


def _mean(words: tuple[str, ...]) -> tuple[float, float, float] | None:
    """The option --mean: a file of Caffe's, or three numbers."""
    from imagetree.alexnet.caffe_files import read_mean

    if len(words) == 1:
        return read_mean(Path(words[0]))
    return _three("--mean", words) if words else None


def _three(option: str, words: tuple[str, ...]) -> tuple[float, float, float]:
    try:
        red, green, blue = map(float, words)
    except ValueError:
        raise TrainingError(
            f"{option} {' '.join(words)} (expected three numbers, for R, G, B)"
        ) from None
    return red, green, blue


def _shown(values: tuple[float, float, float]) -> str:
    return " ".join(f"{value:g}" for value in values)
