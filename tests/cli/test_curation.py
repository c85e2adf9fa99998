"""`imagetree curation`: what each command says, as text and as JSON, and what it leaves behind."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections import defaultdict

import pytest
from PIL import Image

from imagetree.database import import_source, open_database

from .conftest import CAT, CHIHUAHUA, DOG, DOGS


@pytest.fixture
def checked(pets, imagetree):
    """The same folder, its images checked."""
    assert imagetree("database", "check").status == 0
    return pets


def names_in(imagetree, *words: object) -> list[str]:
    """Names of the images that are listed for some synsets."""
    return [
        row["name"] for row in json.loads(imagetree("database", "images", *words, "--json").out)
    ]


def test_remove_and_restore(checked, imagetree) -> None:
    """A removed image takes its twin with it; no import brings them back, but `restore` does."""
    said = imagetree("curation", "remove", DOGS[0], "--reason", "asked for by its owner")
    assert (said.status, said.out) == (
        0,
        "2 images removed, those of the same bytes among them\n",
    )
    imagetree("database", "import", checked)
    assert names_in(imagetree, "dog") == [DOGS[1]]
    assert "removed: asked for by its owner" in imagetree("database", "problems").out
    said = imagetree("curation", "restore", DOGS[0], "dog", "--reason", "a mistake")
    assert (said.status, said.out) == (0, f"{DOGS[0]} of {DOG} restored\n")
    assert names_in(imagetree, "dog") == [DOGS[0], DOGS[1]]


def test_removal_of_an_unknown_name_removes_nothing(pets, imagetree) -> None:
    said = imagetree("curation", "remove", DOGS[0], "n02084071_9", "--reason", "r")
    assert said.status == 1
    assert "no image 'n02084071_9'" in said.err
    assert names_in(imagetree, "dog") == list(DOGS)


def test_removal_needs_a_name_and_a_reason(pets, imagetree) -> None:
    assert imagetree("curation", "remove", DOGS[0]).status == 2
    assert imagetree("curation", "remove", "--reason", "r").status == 2
    assert imagetree("curation", "remove", DOGS[0], "--reason", " ").status == 1


def test_what_is_there_cannot_be_restored(pets, imagetree) -> None:
    said = imagetree("curation", "restore", DOGS[0], "dog", "--reason", "r")
    assert said.status == 1
    assert f"no image {DOGS[0]!r} of {DOG} is removed or quarantined" in said.err


def test_hide_and_show(pets, imagetree) -> None:
    """A hidden synset takes what is below it along, unless that is not wanted."""
    said = imagetree("curation", "hide", "dog.n.01", "--reason", "no dogs today")
    assert (said.status, said.out) == (0, f"{DOG} hidden, with all below it\n")
    assert names_in(imagetree, "animal", "--subtree") == [f"{CAT}_1", f"{CAT}_2"]
    assert imagetree("curation", "show", "dog").out == f"{DOG} shown again\n"
    said = imagetree("curation", "hide", DOG, "--reason", "too wide", "--no-subtree")
    assert said.out == f"{DOG} hidden\n"
    assert names_in(imagetree, "dog", "--subtree") == [f"{CHIHUAHUA}_1", f"{CHIHUAHUA}_2"]


def test_hidden(pets, imagetree) -> None:
    imagetree("curation", "hide", "dog", "--reason", "no dogs")
    imagetree("curation", "hide", "domestic cat", "--reason", "no cats", "--no-subtree")
    lines = imagetree("curation", "hidden").out.splitlines()
    assert lines[0].startswith(f"{DOG}  dog and all below it: no dogs  (20")
    assert lines[-1] == "2 hidden"
    rows = json.loads(imagetree("curation", "hidden", "--json").out)
    assert [(row["reason"], row["subtree"]) for row in rows] == [
        ("no dogs", True),
        ("no cats", False),
    ]


def test_what_is_not_hidden_cannot_be_shown(pets, imagetree) -> None:
    said = imagetree("curation", "show", "dog")
    assert said.status == 1
    assert f"{DOG} is not hidden\nhint: hidden are: none" in said.err
    assert "'doog' is no noun" in imagetree("curation", "show", "doog").err


def test_releases_and_what_differs_between_them(pets, imagetree) -> None:
    """A release lists what was there; a later one lacks what was removed, and `diff` says so."""
    said = imagetree("curation", "release", "spring")
    assert said.status == 0
    assert said.out.splitlines()[0] == "spring: 7 images of 3 synsets"
    imagetree("curation", "remove", DOGS[0], DOGS[2], "--reason", "r")
    autumn = json.loads(imagetree("curation", "release", "autumn", "--json").out)
    assert (autumn["name"], autumn["num_images"], autumn["num_synsets"]) == ("autumn", 5, 3)
    listed = json.loads(imagetree("curation", "releases", "--json").out)
    assert listed[1] == autumn
    assert [row["name"] for row in listed] == ["spring", "autumn"]
    assert "spring" in imagetree("curation", "releases").out

    said = imagetree("curation", "diff", "spring", "autumn")
    assert said.status == 0
    assert [DOG, "dog", "0", "2"] in [line.split() for line in said.out.splitlines()]
    assert said.out.splitlines()[-1] == "0 added, 2 removed, in 1 synsets"
    said = imagetree("curation", "diff", "autumn", "spring", "--names")
    assert said.out.splitlines()[:2] == [f"+ {DOG}  {DOGS[0]}", f"+ {DOG}  {DOGS[2]}"]
    counted = json.loads(imagetree("curation", "diff", "spring", "autumn", "--json").out)
    assert counted == [{"wnid": DOG, "num_added": 0, "num_removed": 2}]
    said = imagetree("curation", "diff", "spring", "autumn", "--names", "--json")
    assert json.loads(said.out)[0]["removed"] == [DOGS[0], DOGS[2]]


def test_names_of_a_release(pets, imagetree, pictures) -> None:
    imagetree("curation", "release", "spring")
    lines = imagetree("curation", "names", "spring").out.splitlines()
    assert lines == sorted(f"{name.partition('_')[0]}  {name}" for name in pictures)
    listed = json.loads(imagetree("curation", "names", "spring", "--json").out)
    assert listed[CAT] == [f"{CAT}_1", f"{CAT}_2"]
    assert list(listed) == [DOG, CHIHUAHUA, CAT]


def test_releases_that_are_there_or_not(pets, imagetree) -> None:
    imagetree("curation", "release", "spring")
    said = imagetree("curation", "release", "spring")
    assert (said.status, said.out) == (1, "")
    assert "release 'spring' is there" in said.err
    assert imagetree("curation", "release", "../spring").status == 1
    for words in (["names", "winter"], ["diff", "spring", "winter"]):
        said = imagetree("curation", *words)
        assert said.status == 1
        assert "no release 'winter'\nhint: there are: spring" in said.err


def groups_of(imagetree, *words: object) -> list[set[str]]:
    """The names in each group of duplicates."""
    found = json.loads(imagetree("curation", "duplicates", *words, "--json").out)["groups"]
    return [{copy["name"] for copy in group["copies"]} for group in found]


def test_duplicates_need_checked_images(pets, imagetree) -> None:
    said = imagetree("curation", "duplicates")
    assert said.status == 1
    assert "7 images have not been checked" in said.err
    assert "imagetree database check" in said.err


def test_duplicates(checked, imagetree) -> None:
    """Two files of the same bytes, and a third picture that is near both and of another synset."""
    said = imagetree("curation", "duplicates")
    assert said.status == 0
    lines = said.out.splitlines()
    assert lines[0].startswith("3 images, at most ")
    assert lines[0].endswith(" bits apart, several synsets")
    assert lines[1] == f"  {DOG}  {DOGS[0]}  19,200 pixels  {checked}"
    assert lines[3] == f"  {CHIHUAHUA}  {CHIHUAHUA}_1  43,200 pixels  {checked}"
    assert lines[4] == "3 images in 1 groups, none set aside (--set-aside does)"
    assert len(names_in(imagetree, "animal", "--subtree")) == 7


def test_duplicates_as_json(checked, imagetree, pictures) -> None:
    found = json.loads(imagetree("curation", "duplicates", "--exact", "--json").out)
    assert found["num_set_aside"] == 0
    (group,) = found["groups"]
    assert (group["is_exact"], group["distance"]) == (True, 0)
    assert (group["crosses_synsets"], group["crosses_sources"]) == (False, False)
    assert [copy["name"] for copy in group["copies"]] == [DOGS[0], DOGS[2]]
    digest = hashlib.sha256(pictures[DOGS[0]]).hexdigest()
    assert {copy["sha256"] for copy in group["copies"]} == {digest}


def test_duplicates_within_synsets(checked, imagetree) -> None:
    """With `--subtree` a synset's own are compared with what lies below it."""
    for words, number in (([CHIHUAHUA], 0), (["dog"], 2), (["dog", "--subtree"], 3)):
        assert sum(map(len, groups_of(imagetree, *words))) == number


def test_duplicates_set_aside(checked, imagetree) -> None:
    """One stays in each synset; the reason names it."""
    said = imagetree("curation", "duplicates", "--set-aside")
    assert said.status == 0
    assert said.out.splitlines()[-1] == "3 images in 1 groups, 1 set aside"
    assert names_in(imagetree, "dog", "--subtree") == [
        DOGS[0],
        DOGS[1],
        f"{CHIHUAHUA}_1",
        f"{CHIHUAHUA}_2",
    ]
    problems = imagetree("database", "problems").out
    assert f"{DOGS[2]}.JPEG: duplicate of {DOG}/{DOGS[0]}: the same bytes" in problems


def test_the_largest_is_kept_across_synsets(checked, imagetree) -> None:
    words = ["--set-aside", "--keep", "largest", "--across-synsets", "--json"]
    found = json.loads(imagetree("curation", "duplicates", *words).out)
    assert found["num_set_aside"] == 2
    assert names_in(imagetree, "dog", "--subtree") == [
        DOGS[1],
        f"{CHIHUAHUA}_1",
        f"{CHIHUAHUA}_2",
    ]


def test_images_of_a_protected_source_stay(checked, imagetree, pictures, tmp_path) -> None:
    """The archive of val keeps its copy, though it comes later; it is named as a path."""
    other = tmp_path / "val"
    (other / DOG).mkdir(parents=True)
    (other / DOG / f"{DOG}_7.JPEG").write_bytes(pictures[DOGS[1]])
    imagetree("database", "import", other)
    imagetree("database", "check")
    words = ["--exact", "--set-aside", "--protect", f"{other}/../val"]
    said = imagetree("curation", "duplicates", *words)
    assert said.out.splitlines()[-1] == "4 images in 2 groups, 2 set aside"
    assert names_in(imagetree, "dog") == [DOGS[0], f"{DOG}_7"]


def test_bad_input_of_duplicates(checked, imagetree, tmp_path) -> None:
    said = imagetree("curation", "duplicates", "--set-aside", "--protect", tmp_path / "none")
    assert said.status == 1
    assert f"{tmp_path}/none: not imported into this database" in said.err
    assert len(names_in(imagetree, "dog")) == 3
    said = imagetree("curation", "duplicates", "--distance", "13")
    assert said.status == 1
    assert "distance 13 (expected 0 to 12)" in said.err
    assert imagetree("curation", "duplicates", "--exact", "--distance", "3").status == 2


def test_traits(checked, imagetree) -> None:
    found = json.loads(imagetree("curation", "traits", "--json").out)
    assert found == {"formats": {"JPEG": 6, "PNG": 1}, "traits": {"grey": 1, "cmyk": 1}}
    text = imagetree("curation", "traits").out
    assert [line.split() for line in text.splitlines() if "cmyk" in line] == [["cmyk", "1"]]


def test_plain(pets, imagetree, tmp_path) -> None:
    """A CMYK picture comes out in RGB, of the same size."""
    said = imagetree("curation", "plain", f"{CHIHUAHUA}_2", tmp_path / "plain.jpg")
    assert said.status == 0
    data = (tmp_path / "plain.jpg").read_bytes()
    assert said.out == f"{tmp_path}/plain.jpg: {len(data):,} bytes\n"
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (160, 120))
    said = imagetree("curation", "plain", "n02085620_9", tmp_path / "none.jpg")
    assert said.status == 1
    assert not (tmp_path / "none.jpg").exists()


@pytest.mark.slow
def test_imagenette_is_checked_searched_and_handed_on(
    imagenette, imagetree, tmp_path, monkeypatch
) -> None:
    """Same bytes are found as hashes of all files say; a synset's tar is imported as it was."""
    place = tmp_path / "imagenette.db"
    monkeypatch.setenv("IMAGETREE_DATABASE", str(place))
    with open_database(place, create=True) as database:
        assert import_source(database, imagenette / "train.tar").num_added == 9469
    said = imagetree("database", "check", "--json")
    assert json.loads(said.out)["num_checked"] == 9469
    assert said.status == 0

    files = read_tar_of_tars(imagenette / "train.tar")
    by_hash = defaultdict(set)
    for name, data in files.items():
        by_hash[hashlib.sha256(data).digest()].add(name)
    twins = [names for names in by_hash.values() if len(names) > 1]
    exact, near = groups_of(imagetree, "--exact"), groups_of(imagetree)
    assert sorted(map(sorted, exact)) == sorted(map(sorted, twins))
    assert all(any(group <= other for other in near) for group in exact)
    assert len(near) > len(exact)

    said = imagetree("export", "tar", tmp_path / "n01440764.tar", "tench")
    assert said.status == 0
    monkeypatch.setenv("IMAGETREE_DATABASE", str(tmp_path / "tench.db"))
    assert imagetree("database", "import", tmp_path / "n01440764.tar").status == 0
    listed = json.loads(imagetree("database", "images", "tench", "--limit", 2000, "--json").out)
    tench = {name: data for name, data in files.items() if name.startswith("n01440764")}
    data = (tmp_path / "n01440764.tar").read_bytes()
    places = {row["name"]: (row["offset"], row["offset"] + row["length"]) for row in listed}
    assert {name: data[start:stop] for name, (start, stop) in places.items()} == tench


def read_tar_of_tars(path) -> dict[str, bytes]:
    """All images by name, the wnid in front, as Python's own module reads them."""
    found = {}
    with tarfile.open(path) as outer:
        for each in outer:
            wnid = each.name.removesuffix(".tar")
            with tarfile.open(fileobj=outer.extractfile(each)) as inner:
                for member in inner:
                    name = member.name.partition(".")[0].removeprefix(f"{wnid}_")
                    found[f"{wnid}_{name}"] = inner.extractfile(member).read()
    return found
