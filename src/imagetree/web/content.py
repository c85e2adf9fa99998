"""What the pages say, as plain values: the JSON twins are these dicts, the templates show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagetree.database import counts, images_of
from imagetree.database.closure import hypernyms
from imagetree.database.figures import categories, shown_totals, synset_figures
from imagetree.database.hierarchy import nodes_of
from imagetree.database.showing import count_before
from imagetree.web.thumbnails import key_of
from imagetree.wordnet import gloss_of, load_nouns
from imagetree.wordnet.search import MatchKind
from imagetree.wordnet.search import search as search_nouns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imagetree.database import Database, ImageRow, TreeNode
    from imagetree.web.site import Site

_RESULTS = 40


def totals(database: Database) -> dict[str, int]:
    """Images and synsets that may be shown."""
    num_images, num_synsets = shown_totals(database)
    return {"num_images": num_images, "num_synsets": num_synsets}


def home(database: Database) -> dict[str, Any]:
    """The counters and ImageNet's categories."""
    return totals(database) | {"categories": [row._asdict() for row in categories(database)]}


def search(database: Database, text: str, *, with_images: bool = False) -> dict[str, Any]:
    """Synsets of some words, and what was meant where they are spelt otherwise.

    Args:
        database: whose images are counted.
        text: what was typed.
        with_images: find synsets with images alone.
    """
    within = frozenset(counts(database)) if with_images else None
    hits = search_nouns(text, limit=_RESULTS, within=within) if text.strip() else ()
    nodes = nodes_of(database, (hit.synset.wnid for hit in hits))
    return {
        "query": text,
        "with_images": with_images,
        "is_misspelt": bool(hits) and all(hit.kind == MatchKind.TYPO for hit in hits),
        "results": [
            {
                "wnid": node.wnid,
                "words": node.words,
                "lemma": hit.lemma,
                "sense": hit.sense,
                "found_by": hit.kind.value,
                "gloss": gloss_of(node.wnid),
                "parents": _all_named(node.parents),
                "num_images": node.num_own,
                "num_subtree": node.num_subtree,
            }
            for hit, node in zip(hits, nodes, strict=True)
        ],
    }


def synset(database: Database, wnid: str) -> dict[str, Any]:
    """A synset: its words, figures, ways to the root and what lies below it.

    Raises:
        WordnetError: the wnid is no noun of WordNet 3.0.
    """
    nouns = load_nouns()
    below = nodes_of(database, nouns.hyponyms(wnid, instances=True))
    return {
        **synset_figures(database, wnid)._asdict(),
        "words": nouns.synset(wnid).words,
        "lemma": nouns.synset(wnid).lemma,
        "gloss": gloss_of(wnid),
        "parents": _all_named(hypernyms(wnid)),
        "paths": ways(wnid),
        "children": by_size(node for node in below if node.num_subtree),
        "children_without_images": sorted(
            (named(node.wnid) for node in below if not node.num_subtree),
            key=lambda each: each["words"].lower(),
        ),
    }


def ways(wnid: str) -> list[list[dict[str, str]]]:
    """Every way from the root down to a synset."""
    return [_all_named(path) for path in load_nouns().paths_to_root(wnid, instances=True)]


def by_size(nodes: Iterable[TreeNode]) -> list[dict[str, Any]]:
    """Synsets with most images at or below them first, then by their words."""
    ordered = sorted(nodes, key=lambda node: (-node.num_subtree, node.words.lower(), node.wnid))
    return [
        {
            "wnid": node.wnid,
            "words": node.words,
            "lemma": node.lemma,
            "num_images": node.num_own,
            "num_subtree": node.num_subtree,
            "num_synsets": node.num_synsets,
            "num_children": len(node.children),
            "parents": _all_named(node.parents),
        }
        for node in ordered
    ]


def images(
    site: Site, wnid: str, after: tuple[str, str] | None, *, subtree: bool
) -> dict[str, Any]:
    """A page of a synset's images, the same whatever is added before it.

    Args:
        site: of the page.
        wnid: the synset.
        after: wnid and name of the last image of the page before; None for the first page.
        subtree: show those of its descendants too.
    """
    size, database = site.settings.page_size, site.database
    # One more than is shown tells whether another page follows.
    rows = images_of(database, [wnid], subtree=subtree, limit=size + 1, start=after or 0)
    first = count_before(database, wnid, after, subtree=subtree) if after else 0
    return {
        "subtree": subtree,
        "first": first,
        "images": site.thumbnails.describe(rows[:size]),
        "previous": _page_before(database, wnid, first - size, subtree) if first else None,
        "next": key_of(rows[size - 1]) if len(rows) > size else None,
    }


def _page_before(database: Database, wnid: str, start: int, subtree: bool) -> str:
    """What the page that begins so far in stands after; empty for the first page."""
    found: tuple[ImageRow, ...] = ()
    if start > 0:
        found = images_of(database, [wnid], subtree=subtree, limit=1, start=start - 1)
    return key_of(found[0]) if found else ""


def named(wnid: str) -> dict[str, str]:
    """A synset that is only named."""
    return {"wnid": wnid, "words": load_nouns().synset(wnid).words}


def _all_named(wnids: Iterable[str]) -> list[dict[str, str]]:
    return [named(wnid) for wnid in wnids]
