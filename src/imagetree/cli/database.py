"""`imagetree database`: import archives, look through them, check their images."""

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
from imagetree.database.store import open_database

if TYPE_CHECKING:
    from imagetree.database.hierarchy import Branch
    from imagetree.database.ingest import ImportReport

app = App(name="database", help="Import archives, look through them, check their images.")

_MAX_LISTED = 20


@app.command(name="import")
def import_(
    source: Path,
    *,
    labels: Path | None = None,
    database: DatabaseOption = DEFAULT_DATABASE,
    dry_run: bool = False,
    json: JsonOption = False,
) -> int:
    """Note which image lies where in an archive or folder; nothing is extracted or copied.

    The kinds: a tar of one tar per wnid (ILSVRC2012_img_train.tar), a flat tar with a labels file
    (ILSVRC2012_img_val.tar), a folder with a folder per wnid. What cannot be used is set aside and
    listed, and the exit status is 1; the rest is imported. Importing a source twice changes
    nothing.

    Example: imagetree database import ILSVRC2012_img_train.tar --database imagetree.db

    Args:
        source: the archive or folder.
        labels: for a flat tar: lines of file name and wnid, or one wnid a line in name order.
        dry_run: only say what would be imported.
    """
    from imagetree.database.ingest import import_source
    from imagetree.sources.source import SourceOptions

    with open_database(database, create=True) as store, progress_bar(source.name, "bytes") as bar:
        report = import_source(
            store,
            source,
            SourceOptions(labels=labels),
            progress=lambda done, total, _images: bar(done, total),
            dry_run=dry_run,
        )
    if json:
        print_json(report)
    else:
        _print_import(report, dry_run=dry_run)
    return 1 if report.set_aside else 0


def _print_import(report: ImportReport, *, dry_run: bool) -> None:
    print(
        f"{report.source}: {report.container}, {report.layout}, {report.num_found:,} images of {report.num_synsets:,} "
        f"synsets; {report.num_added:,} {'would be added' if dry_run else 'added'}, "
        f"{report.num_known:,} known before"
    )
    if report.set_aside:
        print(f"{len(report.set_aside):,} set aside (imagetree database problems lists all):")
    for item in report.set_aside[:_MAX_LISTED]:
        print(f"  {item.item}: {item.reason}")


@app.command
def tree(
    *,
    root: str | None = None,
    all_nodes: bool = False,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> None:
    """Show the tree of the synsets that have images, with counts.

    A node's count is of the set of images at or below it: a synset with two hypernyms stands below
    both and counts once in every node above.

    Example: imagetree database tree --root animal

    Args:
        root: where to begin; the lowest common hypernym of all images if not given.
        all_nodes: show nodes with a single child and no images too.
    """
    from imagetree.database.hierarchy import tree as read_tree
    from imagetree.database.hierarchy import unfold
    from imagetree.wordnet import load_nouns

    start = load_nouns().resolve(root).wnid if root else None
    with open_database(database) as store:
        nodes = read_tree(store, root=start)
    if json:
        print_json(list(nodes.values()))
        return
    if not nodes:
        print("no images yet; imagetree database import ARCHIVE adds some")
        return
    _print_branch(unfold(nodes, all_nodes=all_nodes), 0)


def _print_branch(branch: Branch, depth: int) -> None:
    node = branch.node
    kinds = f"  ({' and '.join(node.parent_lemmas)})" if len(node.parents) > 1 else ""
    again = "  (also above)" if branch.is_again else ""
    print(f"{'  ' * depth}{node.lemma}  {node.num_subtree:,}  {node.wnid}{kinds}{again}")
    for each in branch.branches:
        _print_branch(each, depth + 1)


@app.command
def sources(*, database: DatabaseOption = DEFAULT_DATABASE, json: JsonOption = False) -> None:
    """List what was imported.

    Example: imagetree database sources
    """
    from imagetree.database.journal import sources as read_sources

    with open_database(database) as store:
        rows = read_sources(store)
    if json:
        print_json(rows)
        return
    print_table(
        ("source", "container", "layout", "bytes", "imported"),
        [
            (row.location, row.container, row.layout, row.size_bytes, row.imported_at)
            for row in rows
        ],
    )


@app.command
def problems(*, database: DatabaseOption = DEFAULT_DATABASE, json: JsonOption = False) -> None:
    """List what was set aside, with the reason.

    Example: imagetree database problems
    """
    from imagetree.database.journal import problems as read_problems

    with open_database(database) as store:
        rows = read_problems(store)
    if json:
        print_json(rows)
        return
    for row in rows:
        print(f"{row.source}: {row.item}: {row.reason}")
    print(f"{len(rows):,} set aside")


@app.command
def check(
    *,
    threads: int = 2,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> int:
    """Read and decode every image; set aside those that cannot be decoded.

    Example: imagetree database check

    Args:
        threads: images decoded at a time.
    """
    from imagetree.database.verify import check_images

    with open_database(database) as store, progress_bar("checking") as bar:
        report = check_images(
            store, progress=lambda done, total, _bad: bar(done, total), threads=threads
        )
    if json:
        print_json(report)
    else:
        print(f"{report.num_checked:,} images checked, {len(report.bad):,} set aside")
        for item in report.bad[:_MAX_LISTED]:
            print(f"  {item.image.name}: {item.reason}")
    return 1 if report.bad else 0


@app.command
def read(name: str, output: Path, *, database: DatabaseOption = DEFAULT_DATABASE) -> None:
    """Copy one image out of its archive.

    Example: imagetree database read n02102040_7490 dog.jpeg

    Args:
        name: of the image.
        output: file to write.
    """
    from imagetree.database.queries import find_image
    from imagetree.database.reading import ImageReader
    from imagetree.files import write_atomic

    with open_database(database) as store, ImageReader(store) as reader:
        write_atomic(output, reader.read(find_image(store, name)))
