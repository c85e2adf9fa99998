"""`imagetree alexnet ablate`: the paper's ablations, measured beside what is published of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from imagetree.alexnet.ablations import ABLATIONS, ablation_named
from imagetree.cli.output import (
    DEFAULT_DATABASE,
    DatabaseOption,
    JsonOption,
    print_json,
    print_table,
)
from imagetree.cli.train import NOTHING_GIVEN, Settings, given_settings, shown_progress
from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagetree.recognition.ablate import Setup
    from imagetree.recognition.ablation_result import AblationResult
    from imagetree.training.batches import Images
    from imagetree.training.train import Progress


def ablations(*, json: JsonOption = False) -> None:
    """List the ablations: what each compares, and what is published of it.

    Example: imagetree alexnet ablations
    """
    if json:
        print_json(list(ABLATIONS.values()))
        return
    from imagetree.recognition.ablation_result import reported_cells

    rows = []
    for ablation in ABLATIONS.values():
        own = (ablation.name, ablation.what)
        for number, each in enumerate(ablation.reported):
            shown = own if number == 0 else ("", "")
            rows.append((*shown, f"{each.first} - {each.second}", *reported_cells(each)))
    head = ("name", "what is compared", "difference", "top-1 published", "top-5 published", "by")
    print_table((*head, "of"), rows, title="differences of errors in points of percent")


def ablate(
    name: str,
    challenge: Path,
    output: Path,
    /,
    *,
    seeds: int = 1,
    split: str = "val",
    crops: Literal[1, 10] = 1,
    level: float = 0.25,
    run: Path | None = None,
    recipe: Literal["modern", "paper", "chm"] = "modern",
    pack: Path | None = None,
    database: DatabaseOption = DEFAULT_DATABASE,
    settings: Annotated[Settings, Parameter(name="*")] = NOTHING_GIVEN,
    json: JsonOption = False,
) -> int:
    """Train all forms of an ablation under the same settings and seeds, and compare their errors.

    Each form's run is trained in OUTPUT/NAME/FORM-seedN; Ctrl-C ends, and the same command goes on.
    OUTPUT/NAME/result.json and result.md hold what is printed. Networks without batch normalisation
    are taken where no recipe or --architecture names another.

    Example: imagetree alexnet ablate norm demo/challenge demo/ablations --seeds 3

    Args:
        name: of the ablation; imagetree alexnet ablations lists them.
        challenge: folder of the challenge.
        output: folder for runs and results; made if it is missing.
        seeds: runs of each form.
        split: that the forms are compared on: train, minival or val.
        crops: views of a test image, where the forms do not say.
        level: training error whose epochs are counted, a fraction.
        run: for crops alone, a trained run to take instead of training one.
        recipe: settings to begin with: of today, of the paper, or of the code that won in 2012.
        pack: folder of the challenge's pack, to train from in place of the archives.
        settings: what is to be other than in the recipe, in all forms alike.
    """
    from imagetree.recognition.ablate import Setup, common_config, result_to_json

    ablation, given = ablation_named(name), given_settings(settings)
    if run and given:
        raise TrainingError(
            f"--run and settings of training ({', '.join(given)}) cannot go together",
            hint="leave out one of them",
        )
    config = common_config(ablation, recipe, given)
    sources = (output, challenge, database, pack)
    result = _measure(Setup(ablation, config, *sources, seeds, crops, level, run), split)
    if result is None:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    if json:
        print_json(result_to_json(result))
    else:
        _print_result(result)
        print(output / name / "result.md")
    return 1 if result.bad else 0


def _measure(setup: Setup, split: str) -> AblationResult | None:
    """Train and compare the forms; None where a signal has interrupted it."""
    from imagetree.challenge.definition import load_challenge
    from imagetree.challenge.images import locate_split
    from imagetree.database.reading import ImageReader
    from imagetree.database.store import open_database
    from imagetree.recognition.ablate import Splits, run_ablation
    from imagetree.training.pack import PackedImages

    definition, pack = load_challenge(setup.challenge), setup.pack
    with open_database(setup.database) as store, ImageReader(store) as reader:
        located = {
            each: locate_split(definition, each, store, reader)
            for each in sorted({"train", "minival", split})
        }
        images: list[Images] = [
            PackedImages(located[each], pack / each) if pack else located[each]
            for each in ("train", "minival")
        ]
        splits = Splits(definition.wnids, images[0], images[1], located[split], split)
        return run_ablation(setup, splits, _watch)


def _watch(name: str, epochs: int) -> tuple[Callable[[Progress], None], Callable[[], None]]:
    print(name, file=sys.stderr, flush=True)
    return shown_progress(epochs)


def _print_result(result: AblationResult) -> None:
    from imagetree.recognition.ablation_result import deltas_table, forms_table, notes_of

    for table, title in (
        (forms_table(result), f"{result.name}: {result.what}"),
        (deltas_table(result), "differences in points of percent, the first less the second"),
    ):
        print_table(*table, title=title)
    for name, reason in result.bad:
        print(f"{name}: no answer, {reason}")
    for note in notes_of(result):
        print(f"- {note}")
