"""`imagetree database import` and its neighbours: what brings images into a database."""

from __future__ import annotations

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
from imagetree.sources.source import SourceOptions

if TYPE_CHECKING:
    from imagetree.database.ingest import ImportReport

_MAX_LISTED = 20


@Parameter(name="*")
@dataclass(frozen=True)
class SourceFlags:
    """What a source does not say of itself.

    Args:
        labels: for a flat tar, zip or folder: lines of file name and wnid, one wnid or number a
            line in name order, or ILSVRC's development kit.
        mapping: wnids of classes that are named by words: imagetree database mapping writes one.
        numbering: of labels that are numbers: ilsvrc2012-id, class-index or kaggle-line.
        classes: a label on each line, for numbers from 0 that are of no such numbering.
    """

    labels: Path | None = None
    mapping: Path | None = None
    numbering: str | None = None
    classes: Path | None = None


_NO_FLAGS = SourceFlags()

app = App(name="database", help="Import archives, look through them, check their images.")


@app.command(name="import")
def import_(
    source: str,
    *,
    options: SourceFlags = _NO_FLAGS,
    md5: bool = False,
    database: DatabaseOption = DEFAULT_DATABASE,
    dry_run: bool = False,
    json: JsonOption = False,
) -> int:
    """Note which image lies where in an archive, a folder, a table or a list.

    Nothing is extracted or copied. The kinds: a tar of one tar per wnid (ILSVRC2012_img_train.tar),
    a flat tar, zip or folder with labels (ILSVRC2012_img_val.tar), the tar of one class, a folder
    of such tars, class folders in a folder, tar or zip, Kaggle's and Tiny ImageNet's layouts,
    WebDataset, Parquet as Hugging Face has it, and lists of paths or URLs; as a path or a URL of
    http, https or S3. What cannot be used is set aside and listed, and the exit status is 1; the
    rest is imported. A broken off import goes on where it was; importing a source twice changes
    nothing.

    Example: imagetree database import ILSVRC2012_img_train.tar --database imagetree.db

    Args:
        source: a path or URL.
        md5: first hold the archive to the sum that was published for its name.
        dry_run: only say what would be imported.
    """
    from imagetree.database.ingest import import_source

    if md5:
        _check_md5(source)
    with open_database(database, create=True) as store, progress_bar(source, "bytes") as bar:
        report = import_source(
            store,
            source,
            _source_options(options),
            progress=lambda done, total, _images: bar(done, total),
            dry_run=dry_run,
        )
    return _print_import(report, dry_run=dry_run, json=json)


@app.command
def relink(
    old: str,
    new: str,
    *,
    options: SourceFlags = _NO_FLAGS,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> int:
    """Say where a source lies now that has been moved or packed anew.

    Its images are found again by their names, and keep what is known of them; another archive is
    refused.

    Example: imagetree database relink /old/train.tar /new/train.tar

    Args:
        old: where it lay, as `imagetree database sources` lists it.
        new: where it lies now.
    """
    from imagetree.database.ingest import relink_source

    with open_database(database) as store, progress_bar(new, "bytes") as bar:
        report = relink_source(
            store,
            old,
            new,
            _source_options(options),
            progress=lambda done, total, _images: bar(done, total),
        )
    return _print_import(report, dry_run=False, json=json)


@app.command
def mapping(source: str, output: Path, *, options: SourceFlags = _NO_FLAGS) -> int:
    """Propose wnids for a source whose classes are named by words, for you to review.

    Words with one sense are filled in; below each other word its senses are listed, the likeliest
    first. Then: imagetree database import SOURCE --mapping FILE.

    Example: imagetree database mapping cifar10 mapping.tsv

    Args:
        source: as for import.
        output: file to write.
    """
    from imagetree.sources.mapping import write_mapping
    from imagetree.sources.source import find_labels

    with progress_bar(source, "labels") as bar:
        labels = find_labels(source, _source_options(options), lambda n: bar(n, n))
    proposal = write_mapping(output, labels)
    print(f"{output}: {proposal.num_filled:,} labels filled in, {proposal.num_open:,} to decide")
    return 1 if proposal.num_open else 0


def _source_options(flags: SourceFlags) -> SourceOptions:
    return SourceOptions(flags.labels, flags.mapping, flags.numbering, flags.classes)


def _check_md5(source: str) -> None:
    from imagetree.sources.places import open_place
    from imagetree.sources.published import verify_md5

    with open_place(source) as place, progress_bar("md5", "bytes") as bar:
        verify_md5(place, bar)


def _print_import(report: ImportReport, *, dry_run: bool, json: bool) -> int:
    if json:
        print_json(report)
        return 1 if report.num_faults else 0
    print(
        f"{report.source}: {report.container}, {report.layout}: {report.num_found:,} images of "
        f"{report.num_synsets:,} synsets; {report.num_added:,} "
        f"{'would be added' if dry_run else 'added'}, {report.num_known:,} known before"
        + (f", {report.num_gone:,} gone" if report.num_gone else "")
    )
    if report.set_aside:
        print(f"{len(report.set_aside):,} set aside (imagetree database problems lists all):")
    for item in report.set_aside[:_MAX_LISTED]:
        print(f"  {item.item}: {item.reason}")
    return 1 if report.num_faults else 0


@app.command
def upgrade(*, database: DatabaseOption = DEFAULT_DATABASE) -> None:
    """Bring a database that an older imagetree made up to date.

    Example: imagetree database upgrade
    """
    from imagetree.database.store import upgrade as upgrade_database

    before, now = upgrade_database(database)
    print(f"schema {now}, as before" if before == now else f"schema {before} -> {now}")
