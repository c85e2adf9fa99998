"""`imagetree database`: what each command prints, and how it ends."""

from __future__ import annotations

import json

import pytest

from imagetree.database import open_database

from .conftest import CAT, CHIHUAHUA, DOG, DOGS


def test_images_are_listed_in_pages_and_samples(imagetree, pets):
    """A page by number, a sample by seed, with what is below or without."""
    assert imagetree("database", "images", "dog", "--limit", "2").out.split() == [
        *(DOG, DOGS[0]),
        *(DOG, DOGS[1]),
    ]
    said = imagetree("database", "images", "dog", "--subtree", "--start", "3", "--json")
    assert [row["name"] for row in json.loads(said.out)] == [f"{CHIHUAHUA}_1", f"{CHIHUAHUA}_2"]
    draw = ["database", "images", "dog", "--subtree", "--sample", "--limit", "2", "--seed", "3"]
    assert imagetree(*draw).out == imagetree(*draw).out
    assert len(imagetree(*draw).out.splitlines()) == 2


def test_image_tells_what_is_known(imagetree, pets):
    """Before a check its place; after it format, size, hash and traits."""
    name = f"{CHIHUAHUA}_2"
    before = json.loads(imagetree("database", "image", name, "--json").out)
    assert (before["wnid"], before["words"]) == (CHIHUAHUA, "Chihuahua")
    assert "format" not in before
    assert imagetree("database", "check").status == 0
    after = json.loads(imagetree("database", "image", name, "--json").out)
    assert (after["format"], after["width"], after["traits"]) == ("JPEG", 160, ["cmyk"])
    assert len(after["sha256"]) == 64
    assert "cmyk" in imagetree("database", "image", name).out
    assert imagetree("database", "image", "n02084071_99").status == 1


def test_check_counts_what_is_unusual(imagetree, pets):
    """Formats and traits of all; a second check has nothing to do."""
    assert (
        "7 images checked, 0 set aside\nJPEG 6, PNG 1, grey 1, cmyk 1"
        in imagetree("database", "check").out
    )
    report = json.loads(imagetree("database", "check", "--json").out)
    assert (report["num_checked"], report["num_known"]) == (0, 7)
    assert report["traits"] == {"grey": 1, "cmyk": 1}


def test_statistics(imagetree, pets):
    """The whole, ImageNet's categories, and one synset."""
    found = json.loads(imagetree("database", "statistics", "--json").out)
    assert found["whole"]["num_images"] == 7
    mammals = next(row for row in found["categories"] if row["lemma"] == "mammal")
    assert (mammals["num_synsets"], mammals["num_images"]) == (3, 7)
    table = imagetree("database", "statistics").out
    assert "mammal" in table
    assert "vehicle" in table
    dog = json.loads(imagetree("database", "statistics", "--synset", "dog", "--json").out)
    assert (dog["num_images"], dog["num_subtree"], dog["num_synsets"]) == (3, 5, 2)


def test_mapping_is_written_reviewed_and_used(imagetree, tmp_path, pictures, monkeypatch):
    """Words with several senses are refused, proposed, decided, and then imported."""
    root = tmp_path / "birds"
    for label in ("crane", "flamingo"):
        (root / label).mkdir(parents=True)
        (root / label / "1.jpg").write_bytes(pictures[DOGS[0]])
    monkeypatch.setenv("IMAGETREE_DATABASE", str(tmp_path / "birds.db"))
    said = imagetree("database", "import", root)
    assert said.status == 1
    assert "imagetree database mapping" in said.out
    table = tmp_path / "mapping.tsv"
    said = imagetree("database", "mapping", root, table)
    assert (said.status, said.out) == (1, f"{table}: 1 labels filled in, 1 to decide\n")
    assert imagetree("database", "import", root, "--mapping", table).status == 1
    text = table.read_text().replace("crane\t?", "crane\tn02012849")
    table.write_text(text)
    said = imagetree("database", "import", root, "--mapping", table)
    assert (said.status, "2 images of 2 synsets" in said.out) == (0, True)


def test_relink_follows_a_moved_archive(imagetree, pets, tmp_path):
    """Reading names the command, and the command repairs it."""
    with open_database(str(tmp_path / "pets.db")) as database:
        place = database.place
    moved = pets.rename(tmp_path / "moved")
    said = imagetree("database", "read", DOGS[0], tmp_path / "dog.jpg")
    assert f"imagetree database relink {pets} NEW" in said.err
    said = imagetree("database", "relink", pets, moved)
    assert (said.status, "7 known before" in said.out) == (0, True)
    assert imagetree("database", "read", DOGS[0], tmp_path / "dog.jpg").status == 0
    assert place.endswith("pets.db")


def test_upgrade_of_a_new_database(imagetree, pets):
    """There is nothing to do, and it says so."""
    said = imagetree("database", "upgrade")
    assert (said.status, "as before" in said.out) == (0, True)


@pytest.mark.parametrize("word", ["wolfhond", "retreiver"])
def test_search_forgives(imagetree, word):
    """A misspelt word is found, and the line says so."""
    said = imagetree("synset", "search", word)
    assert (said.status, "(typo)" in said.out) == (0, True)


def test_md5_of_an_unknown_archive(imagetree, tmp_path):
    """An archive for which nothing was published is not called good."""
    (tmp_path / "mine.tar").write_bytes(bytes(10240))
    said = imagetree("database", "import", tmp_path / "mine.tar", "--md5")
    assert said.status == 1
    assert "mine.tar" in said.err


def test_cat_is_there(imagetree, pets):
    """The tree of the pets has all three synsets."""
    said = imagetree("database", "tree")
    assert all(wnid in said.out for wnid in (DOG, CAT, CHIHUAHUA))
