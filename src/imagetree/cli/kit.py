"""`imagetree kit`: development kits as ILSVRC's, made, shown, and scored by their rules."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import App

from imagetree.cli.output import JsonOption, print_json, print_table

if TYPE_CHECKING:
    from imagetree.challenge.official import OfficialKit

app = App(
    name="kit", help="Development kits as ILSVRC's: make one, look at one, score by its rules."
)


@app.command
def export(
    challenge: Path,
    output: Path,
    *,
    year: Literal[2010, 2011, 2012] | None = None,
    ids: Path | None = None,
    seed: int = 0,
    json: JsonOption = False,
) -> None:
    """Make a challenge's development kit: meta.mat, truth of val, lists, a demonstration.

    Programs that read ILSVRC's kits read it. The labels of a sealed test are not in it, and no
    images. The same challenge gives the same bytes.

    Example: imagetree kit export demo/challenge ILSVRC2012_devkit_t12.tar.gz

    Args:
        challenge: folder of the challenge.
        output: a new folder, or a file that ends with .tar.gz.
        year: whose form it has; that of 2010 has a cost matrix. That of --ids, or 2012, which most
            programs read, if not given.
        ids: a kit of the same classes whose ids are kept, such as ILSVRC2012's own.
        seed: of the demonstration's random answers.
    """
    from imagetree.challenge.definition import load_challenge
    from imagetree.challenge.kit import KitConfig, export_kit

    config = KitConfig(year=year, ids=ids, seed=seed)
    report = export_kit(load_challenge(challenge), output, config)
    if json:
        print_json(report)
        return
    print(
        f"{report.path}: {len(report.files)} files in the form of ILSVRC{report.year}; "
        f"{report.num_classes:,} classes of {report.num_synsets:,} synsets"
    )
    print(f"SHA256SUMS {report.sums_sha256}")
    if report.num_glosses < report.num_synsets:
        missing = report.num_synsets - report.num_glosses
        print(f"{missing:,} glosses are empty: install WordNet 3.0 (Debian's wordnet-base)")


@app.command
def show(kit: Path, *, json: JsonOption = False) -> None:
    """Show what a development kit holds: synsets, images, costs, truth.

    Example: imagetree kit show ILSVRC2012_devkit_t12.tar.gz

    Args:
        kit: a .tar.gz, its folder, or its meta.mat; of 2010, 2011 or 2012.
    """
    from imagetree.challenge.official import load_official

    figures = _figures_of(load_official(kit))
    if json:
        print_json(figures)
        return
    print_table(("figure", "value"), [(name, _shown(value)) for name, value in figures.items()])


@app.command
def score(
    kit: Path, submission: Path, *, truth: Path | None = None, json: JsonOption = False
) -> None:
    """Score a submission in a kit's numbering by the kit's own rules: flat and hierarchical error.

    Labels behind the k-th do not count, a short line is filled up with no guess, and a line of the
    truth may hold several labels.

    Example: imagetree kit score ILSVRC2010_devkit-1.0.tar.gz demo.val.pred.txt

    Args:
        kit: a .tar.gz, its folder, or its meta.mat; of 2010, 2011 or 2012.
        submission: ids of classes, best first, a line for each image in the order of names.
        truth: file with the ids of each image; that of the kit if not given.
    """
    from imagetree.challenge.official import load_official, score_official

    result = score_official(load_official(kit, truth=truth), submission)
    if json:
        print_json(dataclasses.asdict(result))
        return
    print_table(
        ("guesses", "flat error", "hierarchical error (levels)"),
        [
            (k, f"{flat:.4f}", f"{levels:.4f}")
            for k, (flat, levels) in enumerate(
                zip(result.flat, result.hierarchical, strict=True), 1
            )
        ],
        title=f"ILSVRC{result.year} kit: {result.num_images:,} images",
    )


def _figures_of(kit: OfficialKit) -> dict[str, int | str]:
    synsets, last = kit.devkit.synsets, kit.devkit.numbering.last
    images = [synset.num_train_images for synset in synsets[:last]]
    return {
        "year": kit.devkit.year,
        "classes": last,
        "ancestors of classes": len(synsets) - last,
        "edges": sum(len(synset.children) for synset in synsets),
        "synsets with a gloss": sum(bool(synset.gloss) for synset in synsets),
        "greatest height": max(synset.wordnet_height for synset in synsets),
        "training images": sum(images),
        "training images of a class, least": min(images),
        "training images of a class, most": max(images),
        "validation images": len(kit.truth),
        "labels of validation images": int((kit.truth > 0).sum()),
        "cost matrix": "in the kit" if kit.devkit.cost_matrix is not None else "from its synsets",
        "greatest cost": int(kit.costs.max()),
    }


def _shown(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) and value > 9999 else str(value)
