"""`imagetree recognize`: what images show."""

from __future__ import annotations

import dataclasses
import json as json_module
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from imagetree.cli.output import progress_bar
from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from imagetree.engines.loading import Goal
    from imagetree.recognition.classifier import Classifier, Guess, Recognition

PathsArgument = Annotated[str, Parameter(allow_leading_hyphen=True)]  # - is standard input
JsonLinesOption = Annotated[
    bool, Parameter(name="--json", negative="", help="Print a line of JSON for each image.")
]


def recognize(
    run: Path,
    *paths: PathsArgument,
    sample: int = 0,
    k: int | None = None,
    hedge: Annotated[bool, Parameter(negative="")] = False,
    accuracy: float = 0.95,
    crops: Literal[1, 10] = 1,
    calibration: bool = True,
    engine: str | None = None,
    page: Path | None = None,
    allow_urls: Annotated[bool, Parameter(negative="")] = False,
    json: JsonLinesOption = False,
) -> int:
    """Say what images show: the likeliest classes, with the way through the tree.

    What is no image, or a damaged one, is told on a line of its own, and the rest goes on; the exit
    status is 1 then.

    Example: imagetree recognize demo/run holiday --hedge --page holiday.html

    Args:
        run: folder of a run, or a checkpoint file, or an ONNX file of `imagetree compress` or
            `imagetree weights export`, which needs nothing else.
        paths: image files, folders, patterns in quotes ('photos/**/*.jpg'), or - for an image on
            standard input.
        sample: in the place of files, this many images drawn from the run's val.
        k: answers for each image; 5 if not given, or all classes where there are fewer.
        hedge: answer first at the level of the tree that keeps the promised accuracy; `imagetree
            hedge RUN` finds out how.
        accuracy: promised with --hedge.
        crops: views of an image: the centre alone, or ten whose probabilities are averaged, which
            takes ten times as long.
        calibration: soften probabilities as `imagetree hedge RUN` has found, for ten crops with
            --crops 10, or as the file says; without, as the network gives them.
        engine: what computes: openvino-int8 and the like, auto for what `imagetree engines RUN`
            chose, or a file of `imagetree compress`; if not given, what was chosen here, and the
            network itself where nothing was.
        page: write a page with thumbnails, too.
        allow_urls: paths may be URLs (http, https, s3), which are fetched.
    """
    from imagetree.recognition.inputs import iter_inputs

    _check_asked(run, paths, sample, hedges_uncalibrated=hedge and not calibration)
    inputs = iter_inputs(paths, allow_urls=allow_urls)  # refuses a URL before anything is loaded
    from imagetree.engines.opening import EngineClassifier, open_classifier

    goal: Goal = "latency" if len(paths) == 1 and Path(paths[0]).is_file() else "throughput"
    classifier = open_classifier(run, engine=engine, goal=goal, calibrated=calibration, crops=crops)
    if isinstance(classifier, EngineClassifier):
        print(f"engine: {classifier.engine.name}", file=sys.stderr)
    num_guesses = min(5, len(classifier.wnids)) if k is None else k
    promised = accuracy if hedge else None
    if sample:
        found = _iter_sample(run, classifier, sample, num_guesses, promised)
    else:
        found = classifier.stream(inputs, num_guesses, accuracy=promised, pictures=page is not None)
    total = 0 if sample or not sys.stderr.isatty() else _count(paths, allow_urls=allow_urls)
    show = _print_json_line if json else _print_recognition
    return _show_all(found, show, total=total, page=page)


def _check_asked(
    run: Path, paths: Sequence[str], sample: int, *, hedges_uncalibrated: bool
) -> None:
    if bool(paths) == bool(sample):
        raise TrainingError(
            "nothing to look at" if not paths else "files and --sample cannot go together",
            hint=f"imagetree recognize {run} photo.jpg, or imagetree recognize {run} --sample 6",
        )
    if sample and not run.is_dir():
        raise TrainingError(
            f"{run}: no folder of a run, whose val --sample draws from",
            hint=f"name files: imagetree recognize {run} photo.jpg",
        )
    if hedges_uncalibrated:
        raise TrainingError(
            "--hedge and --no-calibration cannot go together",
            hint="the promise rests on calibrated probabilities",
        )


def _count(paths: Sequence[str], *, allow_urls: bool) -> int:
    """How many there are; standard input cannot be looked at twice."""
    from imagetree.recognition.inputs import STANDARD_INPUT, iter_inputs

    listed = [path for path in paths if path != STANDARD_INPUT]
    num_listed = sum(1 for _ in iter_inputs(listed, allow_urls=allow_urls))
    return num_listed + len(paths) - len(listed)


def _show_all(
    found: Iterable[Recognition],
    show: Callable[[Recognition], None],
    *,
    total: int,
    page: Path | None,
) -> int:
    """Print each answer as it comes; the exit status."""
    done = num_bad = 0
    with ExitStack() as stack:
        # answers that scroll by on the same screen are progress enough
        is_watched = total > 1 and not sys.stdout.isatty()
        progress = stack.enter_context(progress_bar("recognizing")) if is_watched else None
        add = None
        if page is not None:
            from imagetree.recognition.page import page_writer

            add = stack.enter_context(page_writer(page, "What these images show"))
        for each in found:
            done += 1
            num_bad += each.reason is not None
            show(each)
            if add:
                add(each)
            if progress:
                progress(done, total)
    if done > 1 and num_bad:
        print(f"{num_bad:,} of {done:,} could not be recognised", file=sys.stderr)
    if page is not None:
        print(f"{page}: {done - num_bad:,} images", file=sys.stderr)
    return 1 if num_bad else 0


def _iter_sample(
    run: Path, classifier: Classifier, count: int, k: int, accuracy: float | None
) -> Iterator[Recognition]:
    from imagetree.challenge.definition import load_challenge
    from imagetree.challenge.images import locate_split
    from imagetree.database.reading import ImageReader
    from imagetree.database.store import open_database
    from imagetree.training.randomness import permutation
    from imagetree.training.runs import load_run

    loaded = load_run(run)
    with open_database(loaded.database) as store, ImageReader(store) as reader:
        images = locate_split(load_challenge(loaded.challenge), "val", store, reader)
        chosen = permutation(len(images.labels), loaded.config.seed)[:count]
        yield from classifier.recognize(images.select(chosen.tolist()), k, accuracy=accuracy)


def _print_json_line(found: Recognition) -> None:
    values = dataclasses.asdict(found)
    del values["picture"]
    print(json_module.dumps(values, ensure_ascii=False), flush=True)


def _print_recognition(found: Recognition) -> None:
    from imagetree.sources.tarscan import printable

    name = printable(found.name)
    if found.reason is not None:
        print(f"{name}: {found.reason}", file=sys.stderr)
        return
    print(name)
    best: Guess = found.guesses[0]
    if found.hedged:
        best = found.hedged.answer
        # the root is always right, and no answer
        mark = "answer" if found.hedged.answer.information else "not sure of more"
        print(f"  {best.probability:6.1%}  {best.words}  {best.wnid}  <- {mark}")
    for guess in found.guesses:
        if guess.wnid != best.wnid or not found.hedged:
            print(f"  {guess.probability:6.1%}  {guess.words}  {guess.wnid}")
    print("          " + " > ".join(best.path), flush=True)
