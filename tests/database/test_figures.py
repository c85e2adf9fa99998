"""The figures of the statistics page, and those of a synset, held against ImageNet's own."""

from __future__ import annotations

import pytest

from imagetree.database import schema
from imagetree.database.counting import Changes, current_totals, write_changes
from imagetree.database.figures import CATEGORIES, categories, statistics, synset_figures
from imagetree.wordnet import load_nouns

from ..conftest import shared_path

# Source: ImageNet's statistics page, April 2010; in the order of CATEGORIES. Of fungus, plant and
# person the list of Fall 2011 has other numbers: 299, 3776, 2836.
PUBLISHED = {
    **{"amphibian": 94, "animal": 3822, "appliance": 51, "bird": 856, "covering": 946},
    **{"device": 2385, "fabric": 262, "fish": 566, "flower": 462, "food": 1495, "fruit": 309},
    **{"furniture": 187, "geological formation": 151, "invertebrate": 728, "mammal": 1138},
    **{"musical instrument": 157, "reptile": 268, "sport": 166, "structure": 1239, "tool": 316},
    **{"tree": 993, "utensil": 86, "vegetable": 176, "vehicle": 481},
}


@pytest.fixture
def fall2011(database):
    """A database whose counts are one image for each synset of Fall 2011, ten for one."""
    path = shared_path("facts", "imagenet_fall2011_wnids.txt")
    changes = Changes()
    for wnid in path.read_text().split():
        changes.add(schema.State.OK, schema.synset_of(wnid), 100)
    changes.add(schema.State.OK, schema.synset_of("n02084071"), 100, 9)
    with database.writing() as connection:
        write_changes(connection, changes)
    return database


def test_published_categories(fall2011):
    """24 of the 27 published numbers of synsets come out; the other three are those of 2011."""
    found = {row.lemma: row.num_synsets for row in categories(fall2011)}
    assert len(found) == len(CATEGORIES) == 27
    assert {lemma: found[lemma] for lemma in PUBLISHED} == PUBLISHED
    assert [found[lemma] for lemma in ("fungus", "plant", "person")] == [299, 3776, 2836]
    assert list(found) == sorted(found)


def test_whole_and_closure(fall2011):
    """21,841 synsets hang in a closure of 23,546; images are counted once each."""
    figures = statistics(fall2011)
    assert (figures.num_synsets, figures.num_images, figures.bytes) == (21841, 21850, 2185000)
    with fall2011.reading() as connection:
        totals = current_totals(fall2011, connection)
    assert int((totals.synsets > 0).sum()) == 23546
    assert (int(totals.synsets[0]), int(totals.images[0])) == (21841, 21850)


def test_figures_of_a_synset(fall2011):
    """Dog: counts of its own and its subtree, percentile, and its place in the hierarchy."""
    dog = synset_figures(fall2011, "n02084071")
    assert (dog.num_images, dog.min_depth, dog.max_depth, dog.height) == (10, 8, 13, 5)
    assert dog.num_subtree == dog.num_synsets + 9
    assert dog.popularity == pytest.approx(100 * 21840 / 21841)
    assert synset_figures(fall2011, "n00001740").popularity is None
    below = load_nouns().hyponyms("n02084071")
    assert all(synset_figures(fall2011, wnid).num_subtree < dog.num_subtree for wnid in below)


def test_counts_follow_every_write(fall2011):
    """What was computed before a write is not used after it, in any connection."""
    assert statistics(fall2011).num_images == 21850
    changes = Changes()
    changes.move(2084071, 100, schema.State.OK, schema.State.REMOVED)
    with fall2011.writing() as connection:
        write_changes(connection, changes)
    assert (statistics(fall2011).num_images, statistics(fall2011).num_removed) == (21849, 1)
