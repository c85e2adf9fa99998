"""`imagetree challenge`: cut a challenge, answer it, score the answers."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from imagetree.challenge.answers import Form
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
    from imagetree.challenge.leakage import Leakage

app = App(name="challenge", help="Cut a challenge, answer it, score the answers.")
app.command("imagetree.cli.challenge_run:run", name="run")


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


@app.command
def seal(folder: Path, *, undo: bool = False, database: DatabaseOption = DEFAULT_DATABASE) -> None:
    """Take the images of a sealed test out of everything that a database shows.

    Below their synsets the site's pages, lists and archives would tell their classes. Opening a
    leaderboard for a test seals them too, where the database has them.

    Example: imagetree challenge seal dogs

    Args:
        folder: of the challenge, with its sealed labels beside it.
        undo: show them again, as when the challenge is over.
    """
    from imagetree.challenge.sealing import seal_test, unseal_test

    challenge = load_challenge(folder)
    with open_database(database) as store:
        number = (unseal_test if undo else seal_test)(challenge, store)
    total = challenge.num_images.get("test", 0)
    print(f"{folder}: {number:,} of {total:,} images of test {'shown again' if undo else 'sealed'}")


def _print_challenge(challenge: Challenge) -> None:
    sizes = ", ".join(f"{count:,} {split}" for split, count in challenge.num_images.items())
    print(f"{challenge.folder}: {len(challenge.wnids):,} classes; images: {sizes}")


@app.command
def score(
    challenge: Path,
    submission: Path,
    *,
    split: str = "val",
    k: tuple[int, ...] = (),
    form: Annotated[Form, Parameter(name="*")] = Form(),  # noqa: B008 (frozen)
    real: Path | None = None,
    database: str | None = None,
    json: JsonOption = False,
) -> None:
    """Score a submission: flat and hierarchical error with intervals, by level and by class.

    Example: imagetree challenge score demo/challenge demo/run/val.txt

    Args:
        challenge: folder of the challenge.
        submission: file of answers; see imagetree challenge formats.
        split: train, minival, val or, where its labels are, test.
        k: guesses that count; 1 and, from five classes on, 5 if not given.
        form: how the file is written, where it does not say itself.
        real: file of ReaL's labels, to score ILSVRC2012's val by these too.
        database: where the images are, checked: scores them without those whose copies were learnt
            from, too.
    """
    from imagetree.challenge.leakage import leaked_entries, score_leakage
    from imagetree.challenge.real_labels import RealScore, load_real_labels, score_real
    from imagetree.challenge.score import check_ks, mark_submission, score_marked
    from imagetree.cli.scores import print_leakage, print_real, print_score

    loaded = load_challenge(challenge)
    check_ks(k, len(loaded.wnids))
    marked = mark_submission(loaded, submission, split=split, form=form)
    result = score_marked(marked, k or None)
    more: dict[str, RealScore | Leakage] = {}
    if real is not None:
        names = [entry.name for entry in marked.entries]
        labels = load_real_labels(real)
        more["real"] = score_real(marked.answers.guesses, names, loaded.wnids, labels)
    if database is not None:
        with open_database(database) as store:
            leaked = leaked_entries(store, loaded, split)
        more["leakage"] = score_leakage(marked.misses(), marked.entries, leaked)
    if json:
        print_json(dataclasses.asdict(result) | more)
        return
    print_score(result)
    for each in more.values():
        print_real(each) if isinstance(each, RealScore) else print_leakage(each)


@app.command
def compare(
    challenge: Path,
    first: Path,
    second: Path,
    *,
    split: str = "val",
    k: tuple[int, ...] = (),
    form: Annotated[Form, Parameter(name="*")] = Form(),  # noqa: B008 (frozen)
    json: JsonOption = False,
) -> None:
    """Compare two submissions image by image: is one better by more than chance?

    McNemar's exact test on the images that one alone has right, and the paired bootstrap of the
    difference of the errors.

    Example: imagetree challenge compare demo/challenge demo/run/val.txt other/val.txt

    Args:
        challenge: folder of the challenge.
        first: file of answers, A.
        second: file of answers, B.
        split: train, minival, val or, where its labels are, test.
        k: guesses that count; 1 and, from five classes on, 5 if not given.
        form: how the files are written, where they do not say themselves.
    """
    from imagetree.challenge.comparison import compare_entries
    from imagetree.challenge.score import check_ks, mark_submission
    from imagetree.cli.scores import print_differences

    loaded = load_challenge(challenge)
    check_ks(k, len(loaded.wnids))
    a, b = (mark_submission(loaded, path, split=split, form=form) for path in (first, second))
    found = compare_entries(a, b, k or None)
    if json:
        print_json([dataclasses.asdict(d) | {"is_significant": d.is_significant} for d in found])
        return
    print_differences((str(first), str(second)), len(a.truth), found)


@app.command
def formats(*, json: JsonOption = False) -> None:
    """List the formats of submissions, with an example of each, and what a file may state.

    Example: imagetree challenge formats
    """
    from imagetree.challenge.formats import FORMATS
    from imagetree.challenge.label_space import LABEL_KINDS
    from imagetree.challenge.submission import STATEMENTS

    if json:
        fields = ("name", "endings", "what", "labels", "example")
        shown = [{name: getattr(each, name) for name in fields} for each in FORMATS.values()]
        print_json({"formats": shown, "labels": LABEL_KINDS, "statements": STATEMENTS})
        return
    for each in FORMATS.values():
        endings = f" ({', '.join(each.endings)})" if each.endings else ""
        print(f"{each.name}{endings}: {each.what}; labels are {each.labels} unless stated")
        print("".join(f"    {line}\n" for line in each.example.splitlines()))
    print(f"labels: {', '.join(LABEL_KINDS)}; ids need --kit. class-index and kaggle-line count")
    print("the challenge's own classes, sorted by wnid, from 0 and from 1.")
    print("Before its first answer a file may state what it is; what does not fit is refused:")
    print("    # labels: kaggle-line")
    print("    # challenge: VERSION, as imagetree challenge show prints it")
    print("    # split: val")
    print('or, in jsonl, {"labels": "wnid", "challenge": "VERSION", "split": "val"}')
    print("Text is UTF-8 without a byte order mark, its lines ended by LF.")
