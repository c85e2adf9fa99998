"""`imagetree database`: look through what was imported, check its images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imagetree.cli.importing import app
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

__all__ = ["app"]

_MAX_LISTED = 20


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
            print_json(found) if json else print_table(("figure", "number"), list(found.items()))
            return
        whole, rows = figures.statistics(store)._asdict(), figures.categories(store)
    if json:
        print_json({"whole": whole, "categories": [row._asdict() for row in rows]})
        return
    print_table(("figure", "number"), list(whole.items()))
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
    found = report.formats | report.traits
    print(", ".join(f"{name} {number:,}" for name, number in found.items()))
    return 1 if report.bad else 0


@app.command
def image(
    name: str, *, database: DatabaseOption = DEFAULT_DATABASE, json: JsonOption = False
) -> None:
    """Show one image: its synset, where it lies, and what a check has found out of it.

    Example: imagetree database image n02102040_7490

    Args:
        name: of the image; with its synset, n02102040/NAME, where several have that name.
    """
    from imagetree.curation.check import facts_of
    from imagetree.database.journal import sources as read_sources
    from imagetree.database.queries import find_image
    from imagetree.wordnet import load_nouns

    with open_database(database) as store:
        row = find_image(store, name)
        places = {each.id: each.location for each in read_sources(store)}
        facts = facts_of(store, row.id)
    found = {"words": load_nouns().synset(row.wnid).words, "source": places[row.source_id]}
    found = row._asdict() | found | (facts or {})
    if json:
        print_json(found)
        return
    print_table(("", "image"), [(key, str(value)) for key, value in found.items()])


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
