"""`imagetree export`: every form is written, said, and read again; what is missing is listed."""

from __future__ import annotations

import hashlib
import json
import tarfile
import xml.etree.ElementTree as ET

import pyarrow.parquet as pq
import pytest
from PIL import Image

from imagetree.cli.export import ReleaseFlags
from imagetree.export.structure import BRANCHES, Release

from .conftest import CAT, CHIHUAHUA, DOG, DOGS

NESTED_DOGS = (*DOGS, f"{CHIHUAHUA}_1", f"{CHIHUAHUA}_2")


@pytest.fixture
def damaged(pets):
    """The same folder, but the first dog has gone."""
    (pets / DOG / f"{DOGS[0]}.JPEG").unlink()
    return pets


def test_tar_of_a_synset(pets, imagetree, pictures, tmp_path) -> None:
    """Its own images alone, byte for byte; what is said of the file is true; it can be imported."""
    path = tmp_path / f"{DOG}.tar"
    said = imagetree("export", "tar", path, "dog")
    assert said.status == 0
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    assert said.out == f"{path}: 3 images, {len(data):,} bytes\n  sha256 {digest}\n"
    with tarfile.open(path) as archive:
        found = {each.name: archive.extractfile(each).read() for each in archive}
    assert found == {f"{dog}.JPEG": pictures[dog] for dog in DOGS}
    again = ["--database", tmp_path / "again.db"]
    assert "3 added" in imagetree("database", "import", path, *again).out


def test_tar_of_a_subtree_is_imported_again(pets, imagetree, tmp_path, monkeypatch) -> None:
    """A tar of tars; a synset that is named twice is there once."""
    path = tmp_path / "dogs.tar"
    said = imagetree("export", "tar", path, "dog", DOG, "--subtree", "--json")
    report = json.loads(said.out)
    assert (report["num_images"], report["set_aside"]) == (5, [])
    assert report["num_bytes"] == path.stat().st_size
    with tarfile.open(path) as archive:
        assert archive.getnames() == [f"{DOG}.tar", f"{CHIHUAHUA}.tar"]
    monkeypatch.setenv("IMAGETREE_DATABASE", str(tmp_path / "again.db"))
    assert imagetree("database", "import", path).status == 0
    rows = json.loads(imagetree("database", "images", "dog", "--subtree", "--json").out)
    assert [row["name"] for row in rows] == list(NESTED_DOGS)


def test_one_synset_named_twice_is_one(pets, imagetree, tmp_path) -> None:
    imagetree("export", "tar", tmp_path / "once.tar", "dog")
    imagetree("export", "tar", tmp_path / "twice.tar", "dog", "dog.n.01")
    assert (tmp_path / "once.tar").read_bytes() == (tmp_path / "twice.tar").read_bytes()


def test_shards(pets, imagetree, tmp_path) -> None:
    """All images where no synset is named; the limits reach the shards; a second run keeps all."""
    folder = tmp_path / "shards"
    words = ["export", "shards", folder, "--name", "pets", "--max-images", 4]
    said = imagetree(*words)
    assert said.status == 0
    assert said.out.startswith(f"{folder}: 7 images, ")
    assert [path.name for path in sorted(folder.iterdir())] == [
        "pets-000000.tar",
        "pets-000001.tar",
    ]
    with tarfile.open(folder / "pets-000001.tar") as archive:
        assert len(archive.getnames()) == 3 * 3
    assert ", 2 files kept from before\n" in imagetree(*words).out


def test_shards_by_size(pets, imagetree, tmp_path) -> None:
    report = json.loads(
        imagetree("export", "shards", tmp_path / "s", CAT, "--max-bytes", 1, "--json").out
    )
    assert report["num_images"] == 2
    assert len(list((tmp_path / "s").iterdir())) == 2
    said = imagetree("export", "shards", tmp_path / "t", "--max-images", 0)
    assert said.status == 1
    assert "no shard has at most 0 images" in said.err


def test_parquet(pets, imagetree, pictures, tmp_path) -> None:
    said = imagetree("export", "parquet", tmp_path / "p", "animal", "--subtree")
    assert said.status == 0
    (path,) = (tmp_path / "p").iterdir()
    assert path.name == "train-00000-of-00001.parquet"
    rows = pq.read_table(path).to_pylist()
    assert [row["image"]["bytes"] for row in rows] == [pictures[name] for name in sorted(pictures)]
    assert [row["label"] for row in rows] == [0, 0, 0, 1, 1, 2, 2]


def test_folder(pets, imagetree, pictures, tmp_path) -> None:
    """As they are; with `--plain` the inked one is RGB, and a plain one is still as it was."""
    said = imagetree("export", "folder", tmp_path / "as_is", "chihuahua.n.03", CAT)
    assert said.status == 0
    files = {path.stem: path for path in (tmp_path / "as_is").rglob("*.*")}
    assert files[f"{CAT}_1"].suffix == ".png"
    assert {name: path.read_bytes() for name, path in files.items()} == {
        name: data for name, data in pictures.items() if name[:9] in {CAT, CHIHUAHUA}
    }
    report = json.loads(imagetree("export", "folder", tmp_path / "p", "--plain", "--json").out)
    assert report["num_images"] == 7
    plain = tmp_path / "p" / CHIHUAHUA
    assert (plain / f"{CHIHUAHUA}_1.JPEG").read_bytes() == pictures[f"{CHIHUAHUA}_1"]
    with Image.open(plain / f"{CHIHUAHUA}_2.JPEG") as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")


@pytest.mark.slow
def test_lists(pets, imagetree, tmp_path) -> None:
    """The files are printed, and the names of the release are those that were given."""
    words = ["--release-name", "mine2026", "--root", "mine26", "--title", "My Release"]
    said = imagetree("export", "lists", tmp_path / "lists", "dog", "--subtree", *words)
    assert said.status == 0
    names = [line.removeprefix(f"{tmp_path}/lists/") for line in said.out.splitlines()]
    assert names == sorted(path.name for path in (tmp_path / "lists").iterdir())
    assert (tmp_path / "lists" / "synset_list.txt").read_text() == f"{DOG}\n{CHIHUAHUA}\n"
    status = ET.parse(tmp_path / "lists" / "ReleaseStatus.xml").getroot()
    assert status.findtext("releaseData") == "mine2026"
    assert [each.get("numImages") for each in status.iter("synset")] == ["3", "2"]
    top = ET.parse(tmp_path / "lists" / "structure_released.xml").getroot().find("synset")
    assert (top.get("wnid"), top.get("words")) == ("mine26", "My Release")


@pytest.mark.slow
def test_structure(pets, imagetree) -> None:
    """The way down to the synset alone; with `--whole` all of ImageNet's eight branches."""
    said = imagetree("export", "structure", "domestic cat")
    assert said.status == 0
    wnids = [each.get("wnid") for each in ET.fromstring(said.out).iter("synset")]
    assert wnids[:2] == ["fall11", "n00015388"]
    assert wnids[-1] == CAT
    assert DOG not in wnids
    top = ET.fromstring(imagetree("export", "structure", "--whole").out).find("synset")
    assert [each.get("wnid") for each in top] == list(BRANCHES)
    assert len(list(top.iter("synset"))) > 30_000


@pytest.mark.parametrize("kind", ["tar", "shards", "parquet", "folder"])
def test_what_cannot_be_read_is_listed(damaged, imagetree, tmp_path, kind) -> None:
    """The rest is written, and the exit status is 1; as JSON too."""
    said = imagetree("export", kind, tmp_path / "first", "dog")
    assert said.status == 1
    lines = said.out.splitlines()
    assert lines[0].startswith(f"{tmp_path}/first: 2 images, ")
    assert lines[2] == "1 set aside:"
    assert lines[3].startswith(f"  {DOG}/{DOGS[0]}: ")
    said = imagetree("export", kind, tmp_path / "second", "dog", "--json")
    assert said.status == 1
    assert json.loads(said.out)["set_aside"][0]["item"] == f"{DOG}/{DOGS[0]}"


@pytest.mark.parametrize("kind", ["tar", "shards", "parquet", "folder", "lists"])
def test_bad_input(pets, imagetree, tmp_path, kind) -> None:
    """No such word, no images of it, no database; nothing is written."""
    target = tmp_path / "target"
    assert "'doog' is no noun" in imagetree("export", kind, target, "doog").err
    said = imagetree("export", kind, target, "airplane")
    assert said.status == 1
    assert "no images of n02691156" in said.err
    said = imagetree("export", kind, target, "--database", tmp_path / "none.db")
    assert said.status == 1
    assert "there is no database" in said.err
    assert imagetree("export", kind).status == 2
    assert not target.exists()


def test_flags_of_a_release_are_its_names() -> None:
    """Each in its place; without flags the names are those of Fall 2011."""
    flags = ReleaseFlags(release_name="a", root="b", misc="c", title="d")
    assert flags.release() == Release(name="a", root="b", misc="c", title="d")
    assert ReleaseFlags().release() == Release()


def test_structure_of_nothing(pets, imagetree) -> None:
    said = imagetree("export", "structure", "airplane")
    assert (said.status, said.out) == (1, "")
    assert "no images of n02691156" in said.err


@pytest.mark.parametrize("kind", ["shards", "parquet", "folder"])
def test_folders_of_somebody_else_are_left_alone(pets, imagetree, tmp_path, kind) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    said = imagetree("export", kind, tmp_path / "mine")
    assert said.status == 1
    assert "is no export that was broken off" in said.err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]
