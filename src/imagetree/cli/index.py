"""`imagetree index`: images that a network finds alike, among any number."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from imagetree.cli.output import JsonOption, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagetree.training.batches import Images

app = App(name="index", help="Find images by what a network makes of them.")


@app.command
def build(
    run: Path,
    output: Path,
    *,
    split: str = "train",
    folder: Path | None = None,
    layer: str = "fc7",
    database: str | None = None,
) -> int:
    """Make an index of a challenge's split, or of a folder of photographs.

    It may be interrupted: the same command goes on where it was.

    Example: imagetree index build demo/run demo/index

    Args:
        run: folder of the run whose network looks at the images.
        output: folder of the index.
        split: of the run's challenge: train, minival or val.
        folder: photographs, in folders of any depth, in place of the split.
        layer: fully connected layer whose values, after its ReLU, are compared.
        database: where the images are; the run's own if not given.
    """
    from imagetree.files import sha256_of
    from imagetree.index.build import Contents, build_index
    from imagetree.recognition.recognizer import Recognizer
    from imagetree.training.runs import load_run
    from imagetree.understanding.features import Extractor

    checkpoint = load_run(run).checkpoint_path
    extractor = Extractor(Recognizer.load(checkpoint), layer)
    with ExitStack() as opened, progress_bar(folder.name if folder else split) as bar:
        if folder:
            images, wnids = _photographs(folder)
        else:
            images, wnids = _split(run, split, database, opened)
        source = str(folder.resolve()) if folder else f"{split} of {load_run(run).challenge}"
        contents = Contents(images, wnids, source)
        info = build_index(output, extractor, contents, sha256_of(checkpoint), bar)
    for name, reason in info.bad:
        print(f"{name}: left out, {reason}")
    print(
        f"{output}: {info.num_rows:,} images, {info.width:,} values of {layer} in codes of "
        f"{info.length}; {info.candidates:,} candidates find {info.recall:.1%} of the ten nearest"
    )
    return 1 if info.bad else 0


@app.command
def search(run: Path, index: Path, *images: Path, count: int = 10, json: JsonOption = False) -> int:
    """Find the images of an index that are nearest to some others.

    Example: imagetree index search demo/run demo/index photo.jpg

    Args:
        run: folder of the run that the index was made with.
        index: its folder.
        images: image files.
        count: how many for each.
    """
    from imagetree.errors import ImagetreeError
    from imagetree.index.search import VectorIndex
    from imagetree.recognition.inputs import ImageFiles
    from imagetree.recognition.recognizer import Recognizer
    from imagetree.training.runs import load_run
    from imagetree.understanding.features import Extractor

    if not images:
        raise ImagetreeError("no image is given", hint="imagetree index search RUN INDEX IMAGE")
    checkpoint = load_run(run).checkpoint_path
    opened = VectorIndex(index, checkpoint)
    extractor = Extractor(Recognizer.load(checkpoint), opened.info.identity.layer)
    looked = extractor.extract(ImageFiles(images))
    answers = iter(opened.search(looked.values[looked.is_readable], count))
    found = {
        str(path): [each._asdict() for each in next(answers)] if is_readable else None
        for path, is_readable in zip(images, looked.is_readable, strict=True)
    }
    if json:
        print_json(found)
    else:
        for path, rows in found.items():
            if rows is not None:
                print(path)
                print_table(
                    ("distance", "wnid", "image"),
                    [(f"{row['distance']:.2f}", row["wnid"], row["name"]) for row in rows],
                )
    for bad in looked.bad:
        print(f"{images[bad.index]}: {bad.reason}")
    return 1 if looked.bad else 0


@app.command
def duplicates(index: Path, *, count: int = 20, json: JsonOption = False) -> None:
    """List the images of an index that are nearest to each other: duplicates by meaning.

    What is the same picture byte by byte, or but for its size, is found by
    imagetree curation duplicates.

    Example: imagetree index duplicates demo/index --count 50

    Args:
        index: its folder.
        count: pairs to list, the nearest first.
    """
    from imagetree.index.search import VectorIndex

    with progress_bar("pairs") as bar:
        pairs = sorted(
            VectorIndex(index).iter_pairs(bar), key=lambda pair: (pair.second.distance, pair.first)
        )
    nearest = list(itertools.islice(pairs, count))
    if json:
        print_json(
            [
                {
                    "distance": second.distance,
                    "images": [{"name": each.name, "wnid": each.wnid} for each in (first, second)],
                }
                for first, second in nearest
            ]
        )
        return
    print_table(
        ("distance", "image", "nearest"),
        [(f"{second.distance:.2f}", first.name, second.name) for first, second in nearest],
    )


def _split(
    run: Path, split: str, database: str | None, opened: ExitStack
) -> tuple[Images, Sequence[str]]:
    from imagetree.challenge.definition import load_challenge
    from imagetree.challenge.images import locate_split
    from imagetree.database.reading import ImageReader
    from imagetree.database.store import open_database
    from imagetree.training.runs import load_run

    loaded = load_run(run)
    store = opened.enter_context(open_database(database or loaded.database))
    reader = opened.enter_context(ImageReader(store))
    challenge = load_challenge(loaded.challenge)
    images = locate_split(challenge, split, store, reader)
    return images, [challenge.wnids[label] for label in images.labels]


def _photographs(folder: Path) -> tuple[Images, Sequence[str]]:
    from imagetree.errors import ImagetreeError
    from imagetree.recognition.inputs import ImageFiles

    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if not paths:
        raise ImagetreeError(f"{folder}: no files are here (expected photographs)")
    return ImageFiles(paths), [""] * len(paths)
