"""Opening, counting, paging, sampling, finding, and the tree of what has images."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest
from sqlalchemy import text

from imagetree.database import (
    counts,
    find_image,
    images_of,
    import_source,
    interesting_root,
    journal,
    locate,
    open_database,
    sample,
    set_aside,
    statistics,
    tree,
)
from imagetree.errors import DatabaseError, WordnetError
from imagetree.sources.source import SourceOptions

ENTITY, ANIMAL, CARNIVORE, DOMESTIC = "n00001740", "n00015388", "n02075296", "n01317541"
DOG, CAT, CHIHUAHUA, SUN = "n02084071", "n02121808", "n02085620", "n09450163"


@pytest.fixture
def filled(database, train_tar, val_tar, val_labels):
    """4 dogs, 3 cats, 1 Chihuahua."""
    import_source(database, train_tar)
    import_source(database, val_tar, SourceOptions(labels=val_labels))
    return database


def test_missing_database(tmp_path):
    """A database that is not there is an error whose hint is the import."""
    with pytest.raises(DatabaseError, match="hint: make one: imagetree database import ARCHIVE"):
        open_database(tmp_path / "none.db")


def test_folder_of_a_new_database(tmp_path):
    """It is made; where a file stands in its place, the error says so."""
    open_database(tmp_path / "a" / "b" / "x.db", create=True).close()
    assert (tmp_path / "a" / "b" / "x.db").is_file()
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseError, match=r"cannot be opened .Not a directory."):
        open_database(tmp_path / "file" / "x.db", create=True)


def test_what_is_no_image_database(tmp_path):
    """Other files, other SQLite databases and empty ones are refused; URLs must make sense."""
    (tmp_path / "a.db").write_text("no database at all")
    with sqlite3.connect(tmp_path / "b.db") as other:
        other.execute("CREATE TABLE dogs (name)")
    other.close()
    (tmp_path / "c.db").touch()
    for name, create, message in (
        ("a.db", True, "is no imagetree database"),
        ("b.db", True, "is no imagetree database"),
        ("c.db", False, "the database is empty"),
    ):
        with pytest.raises(DatabaseError, match=message):
            open_database(tmp_path / name, create=create)
    for url, message in (("sqlite://", "in memory"), ("nosuch://x", "no driver")):
        with pytest.raises(DatabaseError, match=message):
            open_database(url, create=True)


def test_newer_schema_is_refused(tmp_path):
    """A database of a later imagetree is not touched."""
    path = tmp_path / "images.db"
    with open_database(path, create=True) as database, database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match=r"(?s)schema 9999 .*hint: upgrade imagetree"):
        open_database(path)


def test_settings_and_url(tmp_path):
    """Commits are flushed to the disk, references are enforced; a URL opens the same file."""
    path = tmp_path / "images.db"
    open_database(path, create=True).close()
    with open_database(f"sqlite:///{path}") as same, same.reading() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    assert values == ["wal", 2, 1, 60_000]


def test_two_makers_of_one_database(tmp_path):
    """Two processes that make the same database at once both end with it open."""
    code = "import sys, imagetree.database as d; d.open_database(sys.argv[1], create=True).close()"
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "images.db")]
    makers = [subprocess.Popen(command) for _ in range(2)]
    assert [maker.wait() for maker in makers] == [0, 0]


def test_no_synset_is_used_of_an_empty_database(database):
    """Every question has an answer where there are no images."""
    assert counts(database) == {}
    assert tree(database) == {}
    assert interesting_root(database) == ENTITY
    assert sample(database, [DOG], 3, 0) == images_of(database, [DOG]) == ()
    assert statistics(database) == (0,) * 8
    assert list(locate(database)) == []


def test_pages_in_stable_order(filled):
    """Pages join without gap or repetition, in the order of synset and name."""
    whole = images_of(filled, [CAT, DOG, DOG])
    assert [(row.wnid, row.name) for row in whole] == [
        *((DOG, f"{DOG}_{n}") for n in range(3)),
        (DOG, "val_0"),
        *((CAT, f"{CAT}_{n}") for n in (3, 4)),
        (CAT, "val_2"),
    ]
    pages, start = [], 0
    while page := images_of(filled, [CAT, DOG], limit=2, start=start):
        pages += page
        start = page[-1].wnid, page[-1].name
    for number in range(9):
        assert images_of(filled, [CAT, DOG], limit=3, start=number) == whole[number : number + 3]
    assert tuple(pages) == whole
    assert tuple(locate(filled, [DOG, CAT])) == whole


def test_subtree(filled):
    """The images of a subtree are those of its synsets, each once."""
    assert {row.wnid for row in images_of(filled, [DOG], subtree=True)} == {DOG, CHIHUAHUA}
    assert len(images_of(filled, [ANIMAL, DOG], subtree=True)) == 8
    assert images_of(filled, [ANIMAL]) == ()
    assert len(list(locate(filled, [DOG], subtree=True))) == 5


def test_sample(filled):
    """A sample repeats for its seed, has no image twice, and reaches every image."""
    first = sample(filled, [ANIMAL], 3, 1, subtree=True)
    assert first == sample(filled, [ANIMAL], 3, 1, subtree=True)
    assert len({row.id for row in first}) == 3
    drawn = {row.id for seed in range(60) for row in sample(filled, [DOG, CAT], 2, seed)}
    assert drawn == {row.id for row in locate(filled, [DOG, CAT])}
    assert len(sample(filled, [CAT], 99, 0)) == 3


def test_find_image(filled):
    """An image is found by its name; several or none are errors that help."""
    assert find_image(filled, f"{DOG}_1").wnid == DOG
    assert find_image(filled, "val_1").wnid == CHIHUAHUA
    with pytest.raises(DatabaseError, match="no image 'val_1' in n02084071"):
        find_image(filled, "val_1", DOG)
    with filled.writing() as connection:
        connection.execute(text("UPDATE images SET name = 'val_0' WHERE name = 'val_1'"))
    with pytest.raises(
        DatabaseError, match=f"(?s)2 images are named.*{DOG}/val_0, {CHIHUAHUA}/val_0"
    ):
        find_image(filled, "val_0")
    assert find_image(filled, "val_0", CHIHUAHUA).wnid == CHIHUAHUA
    assert find_image(filled, f"{CHIHUAHUA}/val_0").wnid == CHIHUAHUA


def test_set_aside(filled):
    """A quarantined image is not counted, shown, drawn or found, and is listed with the reason."""
    row = find_image(filled, "val_1")
    for _ in range(2):
        set_aside(filled, row.id, "damaged: cut off")
    assert counts(filled) == {DOG: 4, CAT: 3}
    assert images_of(filled, [CHIHUAHUA]) == sample(filled, [CHIHUAHUA], 1, 0) == ()
    with pytest.raises(DatabaseError, match="no image 'val_1'"):
        find_image(filled, "val_1")
    (problem,) = journal.problems(filled)
    assert (problem.item, problem.reason, problem.image_id) == ("val_1", "damaged: cut off", row.id)
    figures = statistics(filled)
    assert (figures.num_images, figures.num_synsets, figures.num_quarantined) == (7, 2, 1)
    with pytest.raises(DatabaseError, match="no image has the id 99"):
        set_aside(filled, 99, "x")


def test_sources(filled, train_tar, val_tar, val_labels):
    """Sources are listed with what identifies them."""
    first, second = journal.sources(filled)
    assert (first.location, first.layout, first.labels_path) == (
        str(train_tar),
        "tar per class",
        None,
    )
    assert (second.location, second.labels_path) == (str(val_tar), str(val_labels))
    assert (first.size_bytes, first.version) == (
        train_tar.stat().st_size,
        str(train_tar.stat().st_mtime_ns),
    )


def test_tree_counts_sets(filled):
    """A dog is a canine and a domestic animal: it counts once in each, and once in animal."""
    nodes = tree(filled)
    assert next(iter(nodes)) == ENTITY
    dog = nodes[DOG]
    assert (dog.num_own, dog.num_subtree, dog.num_synsets) == (4, 5, 2)
    assert dog.parents == ("n02083346", DOMESTIC)
    assert DOG in nodes[DOMESTIC].children
    assert (nodes[ANIMAL].num_subtree, nodes[ANIMAL].num_synsets) == (8, 3)
    assert nodes[ENTITY].num_own == 0
    assert nodes[ENTITY].num_subtree == 8
    for node in nodes.values():
        assert all(parent in nodes for parent in node.parents)
        assert all(node.wnid in nodes[child].parents for child in node.children)


def test_tree_from_a_root_to_a_depth(filled):
    """A root and a depth cut the tree; a node at the edge still names its children."""
    nodes = tree(filled, root=CARNIVORE, depth=1)
    assert next(iter(nodes)) == CARNIVORE
    assert len(nodes) == 3
    assert nodes["n02083346"].children == (DOG,)
    assert list(tree(filled, root=CHIHUAHUA)) == [CHIHUAHUA]
    with pytest.raises(DatabaseError, match="no images of n07739125"):
        tree(filled, root="n07739125")  # apple
    with pytest.raises(WordnetError, match="is no wnid"):
        tree(filled, root="dog")


def test_interesting_root(filled, tmp_path, write_tar, jpegs):
    """The lowest synset above all images; of one synset, itself."""
    assert interesting_root(filled) == CARNIVORE
    inner = write_tar(None, [("a.jpg", jpegs[0])])
    with open_database(tmp_path / "one.db", create=True) as one:
        import_source(one, write_tar(tmp_path / "one.tar", [(f"{DOG}.tar", inner)]))
        assert interesting_root(one) == DOG


def test_instances_hang_below_entity(database, tmp_path, write_tar, jpegs):
    """The sun is an instance, without hypernyms of its own; its images are in the tree."""
    inner = write_tar(None, [("a.jpg", jpegs[0])])
    import_source(database, write_tar(tmp_path / "t.tar", [(f"{SUN}.tar", inner)]))
    assert tree(database)[ENTITY].num_subtree == 1
    assert len(images_of(database, [ENTITY], subtree=True)) == 1


def test_names_are_what_the_package_says():
    """Every public name can be had from the package, and no other."""
    import imagetree.database as package

    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = package.nothing
