"""Removed images stay away and hidden synsets are left out everywhere."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import insert

from imagetree.curation.removal import (
    hidden_synsets,
    hide_synset,
    remove_images,
    restore_image,
    show_synset,
)
from imagetree.database import (
    ImageReader,
    counts,
    find_image,
    images_of,
    import_source,
    journal,
    locate,
    sample,
    schema,
    statistics,
)
from imagetree.database.hierarchy import tree
from imagetree.errors import DatabaseError, WordnetError

ENTITY, CARNIVORE, DOG, CAT = "n00001740", "n02075296", "n02084071", "n02121808"


def test_removed_image_survives_every_import(filled, train_tar):
    """It is gone from counts, pages, samples and the tree, and no import brings it back."""
    assert remove_images(filled, [f"{DOG}_1"], "asked for by its owner") == 1
    for _ in range(2):
        assert counts(filled) == {DOG: 2, CAT: 2}
        names = {row.name for row in images_of(filled, [DOG])}
        assert names == {f"{DOG}_0", f"{DOG}_2"} == {r.name for r in sample(filled, [DOG], 9, 0)}
        assert tree(filled)[DOG].num_own == 2
        with pytest.raises(DatabaseError, match="no image"):
            find_image(filled, f"{DOG}_1")
        assert import_source(filled, train_tar).num_added == 0
    train_tar.write_bytes(train_tar.read_bytes() + bytes(10240))  # a changed source
    import_source(filled, train_tar)
    assert (counts(filled)[DOG], statistics(filled).num_removed) == (2, 1)
    assert "removed: asked for by its owner" in {p.reason for p in journal.problems(filled)}


def test_same_bytes_are_removed_too(filled):
    """Where hashes are known, another image of the same bytes goes with the one that is named."""
    rows = list(locate(filled))
    with ImageReader(filled) as reader, filled.writing() as connection:
        for row in rows:
            facts = {"format": "JPEG", "width": 1, "height": 1, "traits": 0, "phash": None}
            digest = hashlib.sha256(reader.read(row)).digest()
            connection.execute(
                insert(schema.image_facts), facts | {"image_id": row.id, "sha256": digest}
            )
    assert remove_images(filled, [f"{DOG}_1"], "private") == 2
    assert counts(filled) == {DOG: 2, CAT: 1}
    reasons = {p.item: p.reason for p in journal.problems(filled)}
    assert reasons[f"{CAT}_3"] == f"removed: private (same bytes as {DOG}_1)"


def test_restored(filled):
    """A removal can be undone, once."""
    remove_images(filled, [f"{DOG}_1"], "by mistake")
    restore_image(filled, f"{DOG}_1", DOG, "it was no mistake to have it")
    assert counts(filled) == {DOG: 3, CAT: 2}
    with pytest.raises(DatabaseError, match="is removed or quarantined"):
        restore_image(filled, f"{DOG}_1", DOG, "again")


def test_bad_removals(filled):
    """An unknown name among several removes none; a removal says why."""
    with pytest.raises(DatabaseError, match="no image 'n02084071_9'"):
        remove_images(filled, [f"{DOG}_1", f"{DOG}_9"], "x")
    with pytest.raises(DatabaseError, match="needs a reason"):
        remove_images(filled, [f"{DOG}_1"], " ")
    assert counts(filled) == {DOG: 3, CAT: 2}


def test_hidden_subtree(filled, train_tar):
    """Carnivores hidden, nothing is left to be seen; imports go on; shown again, all are back."""
    hide_synset(filled, CARNIVORE, "under review")
    assert counts(filled) == {} == tree(filled)
    assert images_of(filled, [ENTITY], subtree=True) == () == sample(filled, [DOG], 1, 0)
    assert list(locate(filled)) == []
    with pytest.raises(DatabaseError, match="no image"):
        find_image(filled, f"{DOG}_1")
    assert import_source(filled, train_tar).num_known == 5
    (hidden,) = hidden_synsets(filled)
    assert hidden[:3] == (CARNIVORE, True, "under review")
    show_synset(filled, CARNIVORE)
    assert counts(filled) == {DOG: 3, CAT: 2}


def test_hidden_synset_alone(filled):
    """Without its subtree, only the synset's own images are hidden."""
    hide_synset(filled, CARNIVORE, "x", subtree=False)
    assert counts(filled) == {DOG: 3, CAT: 2}
    hide_synset(filled, DOG, "x", subtree=False)
    assert counts(filled) == {CAT: 2}
    with pytest.raises(DatabaseError, match=r"(?s)is not hidden.*n02075296, n02084071"):
        show_synset(filled, CAT)
    with pytest.raises(WordnetError):
        hide_synset(filled, "n99999999", "x")
