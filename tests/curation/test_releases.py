"""A release stays what it was, and two can be compared."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from imagetree.curation.releases import diff_releases, make_release, names_of_release, releases
from imagetree.curation.removal import hide_synset, remove_images
from imagetree.database import import_source, locate, open_database, schema
from imagetree.errors import DatabaseError

from .conftest import CAT, DOG


def test_release_does_not_change(filled):
    """Removals and hidden synsets after it are not in it; its names are those of its moment."""
    told = []
    first = make_release(filled, "spring", progress=lambda *numbers: told.append(numbers))
    assert (first.num_images, first.num_synsets, told) == (5, 2, [(1, 2), (2, 2)])
    before = [(row.wnid, row.name) for row in locate(filled)]
    remove_images(filled, [f"{DOG}_1"], "x")
    hide_synset(filled, CAT, "y")
    assert list(names_of_release(filled, "spring")) == before
    second = make_release(filled, "summer")
    assert (second.num_images, second.num_synsets) == (2, 1)
    assert releases(filled) == (first, second)
    assert list(diff_releases(filled, "spring", "summer")) == [
        (DOG, (), (f"{DOG}_1",)),
        (CAT, (), (f"{CAT}_3", f"{CAT}_4")),
    ]
    assert list(diff_releases(filled, "summer", "summer")) == []


def test_same_content_has_the_same_hash(filled, tmp_path, train_tar):
    """Also in another database, with other ids; and another hash once an image is added."""
    first = make_release(filled, "a")
    with open_database(tmp_path / "other.db", create=True) as other:
        folder = tmp_path / "more" / DOG
        folder.mkdir(parents=True)
        (folder / "new.jpg").write_bytes(b"x")
        import_source(other, train_tar)
        assert make_release(other, "b").sha256 == first.sha256
        import_source(other, tmp_path / "more")
        assert make_release(other, "c").sha256 != first.sha256
        assert list(diff_releases(other, "b", "c")) == [(DOG, (f"{DOG}_new",), ())]


def test_bad_names(filled, database):
    """A name is taken once; what is no name, no release, or empty, is said."""
    make_release(filled, "spring")
    for name, message in (("spring", "is there, and a release"), ("../x", "is no name")):
        with pytest.raises(DatabaseError, match=message):
            make_release(filled, name)
    with pytest.raises(DatabaseError, match=r"(?s)no release 'fall'.*there are: spring"):
        list(diff_releases(filled, "spring", "fall"))


def test_empty_database_has_nothing_to_release(database):
    """No release without images."""
    with pytest.raises(DatabaseError, match="no images to release"):
        make_release(database, "spring")


def test_damaged_list_is_found(filled):
    """A list that was changed behind the release's back is refused, not read."""
    make_release(filled, "spring")
    with filled.writing() as connection:
        damage = update(schema.release_synsets).values(sha256=bytes(32))
        connection.execute(damage)
    with pytest.raises(DatabaseError, match="not what it was"):
        list(names_of_release(filled, "spring"))
