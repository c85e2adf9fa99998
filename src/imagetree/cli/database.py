"""`imagetree database`: import archives, look through them, check their images."""

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
    print_table,
    progress_bar,
)
from imagetree.database.store import open_database
from imagetree.sources.source import SourceOptions

if TYPE_CHECKING:
    from imagetree.database.hierarchy import Branch
    from imagetree.database.ingest import ImportReport


@Parameter(name="*")
@dataclass(frozen=True)
class SourceFlags:
    """What a source does not say of itself.

    Args:
        labels: for a flat tar, zip or folder: lines of file name and wnid, one wnid or number a
            line in name order, or ILSVRC's development kit.
        mapping: wnids of classes that are named by words: imagetree database mapping writes one.
        numbering: of labels that are numbers: ilsvrc2012-id, class-index or kaggle-line.
    """

    labels: Path | None = None
    mapping: Path | None = None
    numbering: str | None = None


_NO_FLAGS = SourceFlags()

app = App(name="database", help="Import archives, look through them, check their images.")

_MAX_LISTED = 20


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
    return SourceOptions(flags.labels, flags.mapping, flags.numbering)


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


@app.command
def statistics(
    *,
    synset: str | None = None,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> None:
    """Show the figures of the database, by ImageNet's high-level categories, or of one synset.

    Example: imagetree database statistics

    Args:
        synset: a word, name or wnid.
    """
    from imagetree.database import figures
    from imagetree.wordnet import load_nouns

    with open_database(database) as store:
        if synset is not None:
            found = figures.synset_figures(store, load_nouns().resolve(synset).wnid)._asdict()
            print_json(found) if json else print_table(("", ""), list(found.items()))
            return
        whole, rows = figures.statistics(store)._asdict(), figures.categories(store)
    if json:
        print_json({"whole": whole, "categories": [row._asdict() for row in rows]})
        return
    print_table(("", ""), list(whole.items()))
    print_table(
        ("category", "synsets", "images a synset", "images"),
        [(row.lemma, row.num_synsets, round(row.mean_images), row.num_images) for row in rows],
    )


@app.command
def images(
    *synsets: str,
    subtree: bool = False,
    limit: int = 60,
    start: int = 0,
    sample: bool = False,
    seed: int = 0,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> None:
    """List images of some synsets: a page of them, or a random sample.

    Example: imagetree database images animal --subtree --sample --limit 100

    Args:
        synsets: words, names or wnids.
        subtree: take all that is below them too.
        limit: how many images to list.
        start: how many to leave out first.
        sample: draw them at random.
        seed: of the draw.
    """
    from imagetree.database import queries
    from imagetree.wordnet import load_nouns

    wnids = [load_nouns().resolve(text).wnid for text in synsets]
    with open_database(database) as store:
        if sample:
            rows = queries.sample(store, wnids, limit, seed, subtree=subtree)
        else:
            rows = queries.images_of(store, wnids, subtree=subtree, limit=limit, start=start)
    if json:
        print_json([row._asdict() for row in rows])
        return
    for row in rows:
        print(f"{row.wnid}  {row.name}")


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
    again: bool = False,
    database: DatabaseOption = DEFAULT_DATABASE,
    json: JsonOption = False,
) -> int:
    """Read and decode every image; note its facts, and set aside those that cannot be decoded.

    What an earlier check has seen is left out, so that a broken off one goes on where it was.

    Example: imagetree database check

    Args:
        threads: images decoded at a time.
        again: look at all images anew.
    """
    from imagetree.curation.check import check_images

    with open_database(database) as store, progress_bar("checking") as bar:
        report = check_images(
            store,
            progress=lambda done, total, _bad: bar(done, total),
            threads=threads,
            again=again,
        )
    if json:
        print_json(report)
        return 1 if report.bad else 0
    known = f" ({report.num_known:,} known before)" if report.num_known else ""
    print(f"{report.num_checked:,} images checked{known}, {len(report.bad):,} set aside")
    for item in report.bad[:_MAX_LISTED]:
        print(f"  {item.image.name}: {item.reason}")
    unusual = [*report.formats.items(), *report.traits.items()]
    print(", ".join(f"{name} {number:,}" for name, number in unusual))
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
