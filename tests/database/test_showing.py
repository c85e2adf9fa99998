"""One image among those of its synset, on both engines; nothing that may not be shown."""

from __future__ import annotations

import pytest

from imagetree.curation.removal import hide_synset, remove_images
from imagetree.database import images_of, import_source
from imagetree.database.hierarchy import nodes_of, tree
from imagetree.database.showing import (
    count_before,
    images_named,
    place_of,
    shown_ids,
    shown_image,
)
from imagetree.sources.source import SourceOptions

DOG, CAT, CARNIVORE = "n02084071", "n02121808", "n02075296"


@pytest.fixture
def filled(database, train_tar):
    import_source(database, train_tar)
    return database


def test_an_image_is_found_by_synset_and_name(filled):
    found = shown_image(filled, DOG, f"{DOG}_1")
    assert found in images_of(filled, [DOG])
    assert shown_image(filled, CAT, f"{DOG}_1") is None
    assert shown_image(filled, "n99999999", "x") is None


def test_its_place_is_the_pages_order(filled):
    """First, middle and last image of three."""
    rows = images_of(filled, [DOG])
    for number, row in enumerate(rows):
        place = place_of(filled, row)
        assert (place.position, place.total) == (number + 1, 3)
        assert place.previous == (rows[number - 1] if number else None)
        assert place.next == (rows[number + 1] if number < 2 else None)


def test_removed_images_are_passed_over(filled):
    rows = images_of(filled, [DOG])
    remove_images(filled, [rows[1].name], "for the test")
    assert shown_image(filled, DOG, rows[1].name) is None
    assert place_of(filled, rows[0]).next == rows[2]
    assert place_of(filled, rows[2])[:3] == (2, 2, rows[0])
    assert shown_ids(filled, [row.id for row in rows]) == {rows[0].id, rows[2].id}
    assert count_before(filled, DOG, (DOG, rows[2].name)) == 2


def test_hidden_synsets_are_passed_over(filled):
    cat = images_of(filled, [CAT])[0]
    hide_synset(filled, CAT, "for the test")
    assert shown_image(filled, CAT, cat.name) is None
    assert images_named(filled, cat.name) == ()
    assert shown_ids(filled, [cat.id]) == set()
    assert count_before(filled, CARNIVORE, (CAT, cat.name), subtree=True) == 3


def test_a_page_begins_after_as_many_as_stand_before_it(filled):
    """Over a subtree too, and after an image that is not there."""
    rows = images_of(filled, [CARNIVORE], subtree=True)
    assert len(rows) == 5
    for number, row in enumerate(rows):
        after = (row.wnid, row.name)
        assert count_before(filled, CARNIVORE, after, subtree=True) == number + 1
    assert count_before(filled, CARNIVORE, (DOG, f"{DOG}_1x"), subtree=True) == 2
    assert count_before(filled, CARNIVORE, (DOG, f"{DOG}_1")) == 0


def test_images_of_a_name_are_found_whatever_their_synset(filled, val_tar, val_labels):
    import_source(filled, val_tar, SourceOptions(labels=val_labels))
    (found,) = images_named(filled, "val_1")
    assert found.name == "val_1"
    assert images_named(filled, "val_9") == ()


def test_nodes_are_those_of_the_tree(filled):
    """Those without images too, with zeros and without children."""
    nodes = tree(filled, CARNIVORE)
    assert list(nodes_of(filled, nodes)) == list(nodes.values())
    (streetcar,) = nodes_of(filled, ["n04335435"])
    assert (streetcar.num_subtree, streetcar.children) == (0, ())
