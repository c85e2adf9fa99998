"""`imagetree challenge`: cut a challenge, answer it, score the answers."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from imagetree.challenge.cut import CutConfig, cut_challenge, find_copies_across
from imagetree.challenge.definition import load_challenge
from imagetree.cli.output import (
    DEFAULT_DATABASE,
    DatabaseOption,
    JsonOption,
    print_json,
    print_table,
    progress_bar,
)
from imagetree.database.store import open_database
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from imagetree.challenge.definition import Challenge
    from imagetree.challenge.score import Score

app = App(name="challenge", help="Cut a challenge, answer it, score the answers.")


@app.command
def cut(
    folder: Path,
    *,
    database: DatabaseOption = DEFAULT_DATABASE,
    config: Annotated[CutConfig, Parameter(name="*")] = CutConfig(),  # noqa: B008 (frozen)
) -> None:
    """Choose classes and deal their images out to train, minival, val and, where asked for, test.

    The labels of test go to FOLDER.sealed.tsv beside the folder, which only you can read; the
    folder, and kits made of it, can be given to others.

    Example: imagetree challenge cut dogs --classes beagle boxer collie --database imagetree.db

    Args:
        folder: of the challenge; made if it is missing.
        config: classes and shares.
    """
    with open_database(database) as store:
        challenge = cut_challenge(store, folder, config)
        is_asked = config.duplicates == "report"
        leaks = find_copies_across(store, challenge) if is_asked else ()
    _print_challenge(challenge)
    for leak in leaks:
        copies = ", ".join(f"{entry.name} ({split})" for split, entry in leak.copies)
        print(f"copies of one picture in several splits: {copies}")
    if is_asked:
        print(f"{len(leaks):,} pictures are in several splits")


@app.command
def show(folder: Path, *, json: JsonOption = False) -> None:
    """Show a challenge's version, its classes, and how many images each has in every split.

    Example: imagetree challenge show demo/challenge

    Args:
        folder: of the challenge.
    """
    challenge = load_challenge(folder)
    if json:
        print_json(challenge)
        return
    _print_challenge(challenge)
    print(f"version {challenge.version}")
    splits = [s for s in challenge.num_images if s != "test" or challenge.sealed_path.is_file()]
    counts = [Counter(entry.wnid for entry in challenge.read_split(split)) for split in splits]
    nouns = load_nouns()
    print_table(
        ("class index", "wnid", "words", *splits),
        [
            (index, wnid, nouns.synset(wnid).words, *(count[wnid] for count in counts))
            for index, wnid in enumerate(challenge.wnids)
        ],
    )


@app.command
def verify(folder: Path, *, json: JsonOption = False) -> int:
    """Hold a challenge to the sums it was written with, and its splits to what they must be.

    Every file is as it was; the classes are nouns of WordNet, none above another; the splits have
    the images that they should, of these classes, and none in common. The exit status is 1 where
    something is wrong.

    Example: imagetree challenge verify demo/challenge

    Args:
        folder: of the challenge.
    """
    from imagetree.challenge.verify import verify_challenge

    checks = verify_challenge(folder)
    if json:
        print_json([check._asdict() for check in checks])
    else:
        print_table(("checked", "result"), [(each.what, each.fault or "ok") for each in checks])
    return 1 if any(check.fault for check in checks) else 0


@app.command(name="test-images")
def write_test(folder: Path, output: Path, *, database: DatabaseOption = DEFAULT_DATABASE) -> None:
    """Write the images of test as a tar, under the names that participants know.

    Example: imagetree challenge test-images dogs dogs-test.tar

    Args:
        folder: of the challenge, with its sealed labels beside it.
        output: the tar to write.
    """
    from imagetree.challenge.images import write_test_images
    from imagetree.database.reading import ImageReader

    challenge = load_challenge(folder)
    with (
        open_database(database) as store,
        ImageReader(store) as reader,
        progress_bar("test") as bar,
    ):
        number = write_test_images(challenge, store, reader, output, bar)
    print(f"{output}: {number:,} images")


def _print_challenge(challenge: Challenge) -> None:
    sizes = ", ".join(f"{count:,} {split}" for split, count in challenge.num_images.items())
    print(f"{challenge.folder}: {len(challenge.wnids):,} classes; images: {sizes}")


@app.command
def run(
    run: Path,
    *,
    split: str = "val",
    output: Path | None = None,
    database: str | None = None,
) -> int:
    """Answer a split with a trained network: write a submission.

    Example: imagetree challenge run demo/run

    Args:
        run: folder of the run.
        split: train, minival or val.
        output: file to write; RUN/SPLIT.txt if not given.
        database: where the images are; the run's own if not given.
    """
    from imagetree.challenge.images import locate_split
    from imagetree.database.reading import ImageReader
    from imagetree.recognition.recognizer import Recognizer
    from imagetree.recognition.submit import write_submission
    from imagetree.training.runs import load_run

    loaded = load_run(run)
    recognizer = Recognizer.load(loaded.checkpoint_path)
    challenge = load_challenge(loaded.challenge)
    path = output or run / f"{split}.txt"
    with (
        open_database(database or loaded.database) as store,
        ImageReader(store) as reader,
        progress_bar(split) as bar,
    ):
        images = locate_split(challenge, split, store, reader)
        bad = write_submission(recognizer, images, path, bar)
    for name, reason in bad:
        print(f"{name}: no answer, {reason}")
    print(f"{path}: answers for {len(images.labels):,} images of {split}")
    return 1 if bad else 0


@app.command
def score(
    challenge: Path,
    submission: Path,
    *,
    split: str = "val",
    k: tuple[int, ...] = (),
    json: JsonOption = False,
) -> None:
    """Score a submission: flat and hierarchical error.

    Example: imagetree challenge score demo/challenge demo/run/val.txt

    Args:
        challenge: folder of the challenge.
        submission: file with up to five wnids a line, best first.
        split: train, minival or val.
        k: guesses that count; 1 and, from five classes on, 5 if not given.
    """
    from imagetree.challenge.score import score_submission

    result = score_submission(load_challenge(challenge), submission, split=split, ks=k or None)
    if json:
        print_json(dataclasses.asdict(result))
        return
    _print_score(result)


def _print_score(result: Score) -> None:
    from imagetree.wordnet import load_nouns

    nouns = load_nouns()
    print_table(
        ("guesses", "error", "misses", "hierarchical error (levels)"),
        [
            (f"top {t.k}", f"{t.error:.2%}", t.num_misses, f"{t.hierarchical_error:.3f}")
            for t in result.top
        ],
        title=f"{result.split}: {result.num_images:,} images of {result.num_classes:,} classes",
    )
    worst = sorted(result.classes, key=lambda each: -each.num_misses / each.num_images)[:10]
    print_table(
        ("class", "top-1 error", "misses", "most often taken for"),
        [
            (
                nouns.synset(each.wnid).lemma,
                f"{each.num_misses / each.num_images:.1%}",
                f"{each.num_misses} of {each.num_images}",
                nouns.synset(each.mistaken_for).lemma if each.mistaken_for else "",
            )
            for each in worst
        ],
        title="hardest classes",
    )
