"""What the pages say, as plain values: the JSON twins are these dicts, the templates show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagetree.database import images_of
from imagetree.database.figures import categories, statistics, synset_figures
from imagetree.wordnet import gloss_of, load_nouns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imagetree.database import Database


def totals(database: Database) -> dict[str, int]:
    """Images and synsets that may be shown."""
    found = statistics(database)
    return {"num_images": found.num_images, "num_synsets": found.num_synsets}


def home(database: Database) -> dict[str, Any]:
    """The counters and ImageNet's categories."""
    return totals(database) | {"categories": [row._asdict() for row in categories(database)]}


def search(text: str) -> dict[str, Any]:
    """Synsets of some words."""
    found = load_nouns().search(text) if text.strip() else ()
    return {"query": text, "results": [_named(each.wnid) for each in found]}


def synset(database: Database, wnid: str, *, after: str, limit: int) -> dict[str, Any] | None:
    """A synset, its figures and a page of its own images.

    Args:
        database: where to look.
        wnid: the synset.
        after: name of the last image of the page before; empty for the first page.
        limit: most images of a page.

    Returns:
        None where the wnid is no noun of WordNet 3.0.
    """
    nouns = load_nouns()
    if wnid not in nouns:
        return None
    # One more than is shown tells whether another page follows.
    rows = images_of(database, [wnid], limit=limit + 1, start=(wnid, after) if after else 0)
    names = [row.name for row in rows[:limit]]
    return {
        **synset_figures(database, wnid)._asdict(),
        "words": nouns.synset(wnid).words,
        "gloss": gloss_of(wnid),
        "paths": [_all_named(path) for path in nouns.paths_to_root(wnid, instances=True)],
        "children": _all_named(nouns.hyponyms(wnid, instances=True)),
        "images": names,
        "next": names[-1] if len(rows) > limit else None,
    }


def _all_named(wnids: Iterable[str]) -> list[dict[str, str]]:
    return [_named(wnid) for wnid in wnids]


def _named(wnid: str) -> dict[str, str]:
    return {"wnid": wnid, "words": load_nouns().synset(wnid).words}
