"""The figures of the database: of all of it, by category, of one synset.

Source of the categories: the statistics page of ImageNet (April 2010), whose 27 rows are these
synsets; they overlap, so the rows do not add up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sqlalchemy import func, select

from imagetree.database import schema
from imagetree.database.counting import current_counts, current_totals
from imagetree.database.schema import synset_counts
from imagetree.wordnet import load_nouns, taxonomy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagetree.database.store import Database

CATEGORIES = (
    *("n01627424", "n00015388", "n02729837", "n01503061", "n03122748", "n03183080", "n03309808"),
    *("n02512053", "n11669921", "n00021265", "n13134947", "n12992868", "n03405725", "n09287968"),
    *("n01905661", "n01861778", "n03800933", "n00007846", "n00017222", "n01661091", "n00523513"),
    *("n04341686", "n04451818", "n13104059", "n04516672", "n07707451", "n04524313"),
)
"""Amphibian, animal, appliance, bird, ..., vehicle: ImageNet's, in the order of their words."""


class Statistics(NamedTuple):
    """Figures of the whole database; `num_images`, `num_synsets` and `bytes` are of state ok."""

    num_images: int
    num_synsets: int
    num_sources: int
    num_quarantined: int
    num_removed: int
    num_problems: int
    bytes: int
    num_sealed: int


class Category(NamedTuple):
    """A row of the statistics by category.

    Args:
        wnid: the category.
        lemma: its first word.
        num_synsets: with images, at or below it.
        mean_images: of these synsets.
        num_images: at or below it, each once.
    """

    wnid: str
    lemma: str
    num_synsets: int
    mean_images: float
    num_images: int


class SynsetFigures(NamedTuple):
    """What can be counted of a synset.

    Args:
        wnid: the synset.
        num_images: of its own.
        num_subtree: at or below it, each image once.
        num_synsets: with images, at or below it.
        popularity: percent of the synsets with images that have fewer images of their own;
            None without images.
        min_depth: edges of the shortest way up to entity.
        max_depth: edges of the longest.
        height: edges of the longest way down to a leaf of WordNet.
    """

    wnid: str
    num_images: int
    num_subtree: int
    num_synsets: int
    popularity: float | None
    min_depth: int
    max_depth: int
    height: int


def shown_totals(database: Database) -> tuple[int, int]:
    """Images and synsets that may be shown: two of `statistics`, at no cost."""
    with database.reading() as connection:
        counts = current_counts(database, connection)
    return int(counts.num_images.sum()), len(counts.synsets)


def statistics(database: Database) -> Statistics:
    """Figures of the whole database, hidden synsets left out."""
    states = select(
        func.coalesce(func.sum(synset_counts.c.num_quarantined), 0),
        func.coalesce(func.sum(synset_counts.c.num_removed), 0),
        func.coalesce(func.sum(synset_counts.c.num_sealed), 0),
    )
    with database.reading() as connection:
        counts = current_counts(database, connection)
        num_quarantined, num_removed, num_sealed = connection.execute(states).one()
        return Statistics(
            num_images=int(counts.num_images.sum()),
            num_synsets=len(counts.synsets),
            num_sources=connection.scalar(select(func.count()).select_from(schema.sources)) or 0,
            num_quarantined=int(num_quarantined),
            num_removed=int(num_removed),
            num_sealed=int(num_sealed),
            num_problems=connection.scalar(select(func.count()).select_from(schema.problems)) or 0,
            bytes=int(counts.bytes.sum()),
        )


def categories(database: Database, wnids: Sequence[str] = CATEGORIES) -> tuple[Category, ...]:
    """The table of ImageNet's statistics page over this database; empty categories have zeros.

    Raises:
        WordnetError: one of the wnids is no noun of WordNet 3.0.
    """
    nouns = load_nouns()
    with database.reading() as connection:
        totals = current_totals(database, connection)
    rows = []
    for wnid in wnids:
        index = nouns.index_of(wnid)
        num_images, num_synsets = int(totals.images[index]), int(totals.synsets[index])
        mean = num_images / num_synsets if num_synsets else 0.0
        rows.append(Category(wnid, nouns.synset(wnid).lemma, num_synsets, mean, num_images))
    return tuple(rows)


def synset_figures(database: Database, wnid: str) -> SynsetFigures:
    """What can be counted of a synset, instances hanging below what they are an instance of.

    Raises:
        WordnetError: the wnid is no noun of WordNet 3.0.
    """
    index = load_nouns().index_of(wnid)
    with database.reading() as connection:
        totals = current_totals(database, connection)
    own = totals.own[index]
    num_fewer = int(np.searchsorted(totals.ranked, own))
    depths = (taxonomy.min_depth(instances=True), taxonomy.max_depth(instances=True))
    return SynsetFigures(
        wnid=wnid,
        num_images=int(own),
        num_subtree=int(totals.images[index]),
        num_synsets=int(totals.synsets[index]),
        popularity=100 * num_fewer / len(totals.ranked) if own else None,
        min_depth=int(depths[0][index]),
        max_depth=int(depths[1][index]),
        height=int(taxonomy.height(instances=True)[index]),
    )
