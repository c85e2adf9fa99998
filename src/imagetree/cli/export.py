"""`imagetree export`: images and lists of a database in the forms that others read."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App, Parameter

from imagetree.cli.output import (
    DEFAULT_DATABASE,
    DatabaseOption,
    JsonOption,
    print_json,
    progress_bar,
)
from imagetree.database.store import open_database
from imagetree.export.selection import Running, Selection
from imagetree.export.structure import Release
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from imagetree.export.selection import ExportReport
    from imagetree.export.sharding import Sharding

app = App(name="export", help="Write images and lists in the forms that others read.")


@Parameter(name="*")
@dataclass(frozen=True)
class ReleaseFlags:
    """What the release is called in the lists.

    Args:
        release_name: in releaseData.
        root: in place of a wnid at the root.
        misc: in place of a wnid at "Misc".
        title: words of the root.
    """

    release_name: str = Release.name
    root: str = Release.root
    misc: str = Release.misc
    title: str = Release.title

    def release(self) -> Release:
        """The names of the release."""
        return Release(self.release_name, self.root, self.misc, self.title)


@Parameter(name="*")
@dataclass(frozen=True)
class ShardFlags:
    """How the files are called, and when one is full.

    Args:
        name: that their names begin with, the split's: train if not given.
        max_images: most images of a file.
        max_bytes: about the most bytes of a file.
    """

    name: str | None = None
    max_images: int | None = None
    max_bytes: int | None = None

    def over(self, default: Sharding) -> Sharding:
        """The names and limits of a format, with those in their place that were given."""
        given = {key: value for key, value in vars(self).items() if value is not None}
        return dataclasses.replace(default, **given)


_DEFAULT_RELEASE = ReleaseFlags()
_DEFAULT_SHARDS = ShardFlags()


@app.command
def lists(
    folder: Path,
    *synsets: str,
    subtree: bool = False,
    flags: ReleaseFlags = _DEFAULT_RELEASE,
    database: DatabaseOption = DEFAULT_DATABASE,
) -> None:
    """Write ImageNet's lists: words, hypernyms, structure, release status, class index, URLs.

    Example: imagetree export lists lists --release-name fall2026 --title "My 2026 Fall Release"

    Args:
        folder: to write into.
        synsets: words, names or wnids; all that have images if none is given.
        subtree: take all that is below them too.
    """
    from imagetree.export.formats import write_lists

    selection = _selection(synsets, subtree)
    with open_database(database) as store:
        written = write_lists(store, folder, selection, flags.release())
    for path in written:
        print(path)


@app.command
def tar(
    output: Path,
    *synsets: str,
    subtree: bool = False,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> int:
    """Write a tar of one synset, or a tar of one tar for each, as ILSVRC2012_img_train.tar.

    OUTPUT.sha256 beside it has the hashes. Images that cannot be read are left out and listed, and
    the exit status is 1. imagetree database import reads the archive again; that of one synset it
    knows by its name, WNID.tar.

    Example: imagetree export tar dogs.tar dog --subtree

    Args:
        output: file to write.
        synsets: words, names or wnids; all that have images if none is given.
        subtree: take all that is below them too.
    """
    from imagetree.export.archive import write_tar

    selection = _selection(synsets, subtree)
    with open_database(database) as store, progress_bar(output.name) as bar:
        report = write_tar(store, output, selection, Running(bar))
    return _print_report(output, report, json=json)


@app.command
def shards(
    folder: Path,
    *synsets: str,
    subtree: bool = False,
    flags: ShardFlags = _DEFAULT_SHARDS,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> int:
    """Write WebDataset shards of at most 10,000 images and 1 GiB; run again, it goes on.

    FOLDER.manifest.jsonl beside it lists the files with their hashes. Images that cannot be read
    are left out and listed, and the exit status is 1.

    Example: imagetree export shards shards --max-images 1000

    Args:
        folder: to write into.
        synsets: words, names or wnids; all that have images if none is given.
        subtree: take all that is below them too.
    """
    from imagetree.export.shards import SHARDING, write_shards

    selection, sharding = _selection(synsets, subtree), flags.over(SHARDING)
    with open_database(database) as store, progress_bar(folder.name) as bar:
        report = write_shards(store, folder, selection, sharding, Running(bar))
    return _print_report(folder, report, json=json)


@app.command
def parquet(
    folder: Path,
    *synsets: str,
    subtree: bool = False,
    flags: ShardFlags = _DEFAULT_SHARDS,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> int:
    """Write parquet as Hugging Face's datasets reads it, 500 MiB a file; run again, it goes on.

    FOLDER.manifest.jsonl beside it lists the files with their hashes. Images that cannot be read
    are left out and listed, and the exit status is 1.

    Example: imagetree export parquet dogs dog --subtree

    Args:
        folder: to write into.
        synsets: words, names or wnids; all that have images if none is given.
        subtree: take all that is below them too.
    """
    from imagetree.export.parquet import SHARDING, write_parquet

    selection, sharding = _selection(synsets, subtree), flags.over(SHARDING)
    with open_database(database) as store, progress_bar(folder.name) as bar:
        report = write_parquet(store, folder, selection, sharding, Running(bar))
    return _print_report(folder, report, json=json)


@app.command
def folder(
    folder: Path,
    *synsets: str,
    subtree: bool = False,
    plain: bool = False,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> int:
    """Write a folder for each class, as torchvision's ImageFolder has it; run again, it goes on.

    FOLDER.manifest.jsonl beside it lists the files with their hashes. Images that cannot be read
    are left out and listed, and the exit status is 1.

    Example: imagetree export folder dogs dog --subtree --plain

    Args:
        folder: to write into.
        synsets: words, names or wnids; all that have images if none is given.
        subtree: take all that is below them too.
        plain: make plain upright RGB JPEGs of images that are something else.
    """
    from imagetree.export.folder import write_folder

    selection = _selection(synsets, subtree)
    with open_database(database) as store, progress_bar(folder.name) as bar:
        report = write_folder(store, folder, selection, plain=plain, running=Running(bar))
    return _print_report(folder, report, json=json)


@app.command
def structure(
    *synsets: str,
    subtree: bool = False,
    whole: bool = False,
    flags: ReleaseFlags = _DEFAULT_RELEASE,
    database: DatabaseOption = DEFAULT_DATABASE,
) -> None:
    """Print ImageNet's structure_released.xml: the hierarchy unfolded to a tree.

    Example: imagetree export structure --whole

    Args:
        synsets: words, names or wnids; all that have images if none is given.
        subtree: take all that is below them too.
        whole: all that WordNet has below ImageNet's eight branches, down to level 12, as
            published; else only what has images at or below it.
    """
    from imagetree.export.structure import iter_structure

    selection = _selection(synsets, subtree)
    with open_database(database) as store:
        wnids = selection.counts(store)
    for piece in iter_structure(wnids, flags.release(), whole=whole):
        print(piece, end="")


def _selection(synsets: tuple[str, ...], subtree: bool) -> Selection:
    """The images of some synsets; of all where none is named."""
    wnids = tuple(dict.fromkeys(load_nouns().resolve(text).wnid for text in synsets))
    return Selection(wnids or None, subtree)


def _print_report(output: Path, report: ExportReport, *, json: bool) -> int:
    status = 1 if report.set_aside else 0
    if json:
        listed = [each._asdict() for each in report.set_aside]
        print_json({**vars(report), "set_aside": listed})
        return status
    kept = f", {report.num_kept:,} files kept from before" if report.num_kept else ""
    print(f"{output}: {report.num_images:,} images, {report.num_bytes:,} bytes{kept}")
    print(f"  sha256 {report.sha256}")
    if report.set_aside:
        print(f"{len(report.set_aside):,} set aside:")
    for each in report.set_aside:
        print(f"  {each.item}: {each.reason}")
    return status
