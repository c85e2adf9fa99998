"""`imagetree common`: what images have in common."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from imagetree.cli.output import DEFAULT_DATABASE, DatabaseOption, JsonOption, print_json
from imagetree.cli.recognize import PathsArgument
from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagetree.recognition.concept import Common, Concept

_SHARE_OF_LABELS = 1.0
_SHARE_OF_PHOTOS = 0.8


def common(
    *paths: PathsArgument,
    run: Path | None = None,
    names: Annotated[list[str] | None, Parameter(negative="")] = None,
    share: float | None = None,
    allow_urls: Annotated[bool, Parameter(negative="")] = False,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> int:
    """Say what images have in common: the deepest synsets that enough of them are kinds of.

    Photographs are looked at by the network of a run: a synset covers them by the expected share
    that shows it, the mean of its probability over the images. Images of the database are known by
    their labels.

    Example: imagetree common a.jpg b.jpg c.jpg --run demo/run

    Example: imagetree common --names n02085620_7 n02123045_3

    Args:
        paths: image files, folders, patterns, URLs or -, as for `imagetree recognize`.
        run: folder of a run, a checkpoint or an ONNX file that looks at the paths.
        names: in the place of paths, images of the database by their names.
        share: of the images that is enough, above 0; if not given 0.8 for paths and 1, all of them,
            for names.
        allow_urls: paths may be URLs (http, https, s3), which are fetched.
    """
    if bool(paths) == bool(names) or bool(paths) != (run is not None):
        raise TrainingError(
            "common: photographs need a run, and names of images in the database need none",
            hint="imagetree common a.jpg b.jpg --run RUN, or imagetree common --names n02084071_1",
        )
    bad: list[tuple[str, str]] = []
    if names:
        found = _of_names(names, database, _SHARE_OF_LABELS if share is None else share)
        shown = list(names)
    else:
        assert run is not None
        shown, bad, found = _of_photos(
            run, paths, _SHARE_OF_PHOTOS if share is None else share, allow_urls=allow_urls
        )
    for name, reason in bad:
        print(f"{name}: {reason}", file=sys.stderr)
    if json:
        print_json(
            {
                "images": shown,
                "concepts": [_as_json(each, shown) for each in found.concepts],
                "everything": found.everything,
                "num_classes": found.num_classes,
                "bad": [{"name": name, "reason": reason} for name, reason in bad],
            }
        )
    else:
        _print_common(found, shown)
    return 1 if bad else 0


def _of_names(names: Sequence[str], database: str, share: float) -> Common:
    from imagetree.database.queries import counts, find_image
    from imagetree.database.store import open_database
    from imagetree.recognition.concept import common_of_labels

    with open_database(database) as store:
        labels = [find_image(store, name).wnid for name in names]
        classes = tuple(counts(store))
    return common_of_labels(labels, share, classes)


def _of_photos(
    run: Path, paths: Sequence[str], share: float, *, allow_urls: bool
) -> tuple[list[str], list[tuple[str, str]], Common]:
    """Names of the images, the bad ones with their reasons, and what the former have in common."""
    import numpy as np

    from imagetree.recognition.concept import common_concepts
    from imagetree.recognition.inputs import iter_inputs
    from imagetree.sources.tarscan import printable

    inputs = iter_inputs(paths, allow_urls=allow_urls)
    from imagetree.engines.opening import open_classifier

    classifier = open_classifier(run, calibrated=True)
    shown, bad, rows = [], [], []
    for name, probabilities, reason in classifier.stream_probabilities(inputs):
        if reason is None:
            shown.append(printable(name))
            rows.append(probabilities)
        else:
            bad.append((printable(name), reason))
    if not rows:
        raise TrainingError(
            f"none of {len(bad)} images can be read" + (f", {': '.join(bad[0])}" if bad else ""),
            hint="name images, or folders that hold some",
        )
    return shown, bad, common_concepts(np.stack(rows), classifier.wnids, share)


def _as_json(concept: Concept, names: Sequence[str]) -> dict[str, object]:
    return {
        "wnid": concept.wnid,
        "words": concept.words,
        "information": concept.information,
        "coverage": concept.coverage,
        "outside": [names[index] for index in concept.outside],
    }


def _print_common(found: Common, names: Sequence[str]) -> None:
    everything = " and ".join(words.split(",")[0] for words in found.everything)
    if not found.concepts:
        known = f"the {found.num_classes:,} classes that are known"
        beside = f" but what all of {known} are: {everything}" if everything else ""
        print(f"nothing in common for {found.share:.0%} of the images{beside}")
        return
    for concept in found.concepts:
        fitting = len(names) - len(concept.outside)
        print(f"{concept.words}  {concept.wnid}")
        print(
            f"  {concept.information:.2f} bits, coverage {concept.coverage:.1%}, "
            f"{fitting:,} of {len(names):,} images"
        )
        for index in concept.outside:
            print(f"  not {names[index]}")
