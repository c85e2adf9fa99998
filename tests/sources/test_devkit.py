"""Development kits: the published one of 2010, and ones of 2012 that are made here."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import tarfile
import zlib
from contextlib import suppress

import numpy as np
import pytest

from imagetree.errors import DatabaseError
from imagetree.sources import devkit as module
from imagetree.sources.devkit import is_devkit, load_devkit
from imagetree.sources.numbering import Ilsvrc2010Id, Ilsvrc2012Id
from imagetree.wordnet import load_nouns
from imagetree.wordnet.taxonomy import height

from .kits import CAT, DOG, FIELDS, FOLDER, SYNSETS, TENCH, kit_files, meta_mat, write_kit


@pytest.fixture
def kit_path(tmp_path):
    return write_kit(tmp_path / "ILSVRC2012_devkit_t12.tar.gz")


def changed_synset(number, **fields):
    """The synsets with some fields of one changed, by the positions in SYNSETS."""
    names = ("id", "wnid", "words", "gloss", "children", "height", "images")
    synsets = [dict(zip(names, synset, strict=True)) for synset in SYNSETS]
    synsets[number - 1].update(fields)
    return meta_mat([tuple(synset.values()) for synset in synsets])


def test_the_published_kit_of_2010(oracles):
    """1,676 synsets, 1,261,406 training images, the truth of 50,000 images: 50 of each class."""
    kit = load_devkit(oracles / "ilsvrc2010")
    assert (kit.year, len(kit.synsets), kit.numbering.last) == (2010, 1676, 1000)
    assert sum(synset.num_train_images for synset in kit.synsets) == 1_261_406
    assert min(synset.num_train_images for synset in kit.synsets[:1000]) == 668
    assert sum(len(synset.children) for synset in kit.synsets) == 1759
    assert kit.synsets[1000].words == "entity"
    assert kit.cost_matrix is not None
    assert (kit.cost_matrix.shape, int(kit.cost_matrix.max())) == ((1000, 1000), 18)
    ids = np.array([number.value for number in kit.ground_truth])
    assert (np.bincount(ids)[1:] == 50).all()
    assert kit.numbering.wnid_of(Ilsvrc2010Id(1)) == "n07711080"
    assert kit.blacklist == frozenset()
    truth = oracles / "ilsvrc2010" / "ILSVRC2010_validation_ground_truth.txt"
    assert kit.truth_sha256 == hashlib.sha256(truth.read_bytes()).hexdigest()
    names = list(kit.val_wnids())
    assert names[0] == "ILSVRC2010_val_00000001.JPEG"
    assert names[-1] == "ILSVRC2010_val_00050000.JPEG"
    assert names == sorted(names)


def test_synsets_of_2010_are_wordnets(oracles):
    """Words, heights and children are those of WordNet 3.0."""
    kit = load_devkit(oracles / "ilsvrc2010" / "meta.mat")
    nouns, heights = load_nouns(), height()
    wnids = [synset.wnid for synset in kit.synsets]
    for synset in kit.synsets:
        assert synset.words == nouns.synset(synset.wnid).words
        assert synset.wordnet_height == heights[nouns.index_of(synset.wnid)]
        children = {wnids[child.value - 1] for child in synset.children}
        hyponyms = set(nouns.hyponyms(synset.wnid)) if synset.children else set()
        assert children == hyponyms & set(wnids)


@pytest.mark.parametrize("form", ["archive", "folder", "data", "meta"])
def test_kit_of_2012_in_all_its_forms(tmp_path, kit_path, form):
    """The archive, the folder it was unpacked to, the folder above, and meta.mat alone."""
    for name, data in kit_files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    data = tmp_path / FOLDER / "data"
    path = {"archive": kit_path, "folder": tmp_path / FOLDER, "data": data}.get(form)
    kit = load_devkit(path or data / "meta.mat")
    assert (kit.year, kit.cost_matrix, kit.blacklist) == (2012, None, {4})
    assert kit.ground_truth == tuple(map(Ilsvrc2012Id, (2, 1, 3, 1)))
    assert list(kit.val_wnids().values()) == [CAT, DOG, TENCH, DOG]
    first, last = kit.synsets[0], kit.synsets[-1]
    assert (first.wnid, first.words, first.num_train_images) == (DOG, "dog, domestic dog", 1300)
    assert (last.children, last.wordnet_height) == ((Ilsvrc2012Id(3), Ilsvrc2012Id(4)), 18)
    assert load_devkit(tmp_path).synsets == kit.synsets


def test_what_is_taken_for_a_kit(tmp_path):
    assert [is_devkit(tmp_path / name) for name in ("", "a.tgz", "a.tar", "val.txt")] == [
        *(True, True),
        *(False, False),
    ]


def test_kit_without_ground_truth(tmp_path):
    (tmp_path / "meta.mat").write_bytes(meta_mat())
    kit = load_devkit(tmp_path / "meta.mat")
    assert (kit.ground_truth, kit.truth_sha256, kit.val_wnids()) == ((), "", {})


def test_ground_truth_of_another_year_is_not_taken(tmp_path):
    """ILSVRC2010_ID and ILSVRC2012_ID are other numbers."""
    (tmp_path / "meta.mat").write_bytes(meta_mat())
    (tmp_path / "ILSVRC2010_validation_ground_truth.txt").write_text("1\n")
    assert load_devkit(tmp_path).ground_truth == ()


@pytest.mark.parametrize(
    ("truth", "fault"),
    [
        ("1\n4\n", r"ground_truth\.txt:2: 4 is not in 1\.\.3 of ilsvrc2012-id"),
        ("0\n", "0 is not in .* looks like class-index"),
        (f"{DOG}\n", "'n02084071' is no number"),
    ],
)
def test_ground_truth_names_classes_alone(tmp_path, truth, fault):
    """The carnivore is a synset of the kit, and no answer."""
    path = write_kit(tmp_path / "kit.tar.gz", kit_files(truth=truth))
    with pytest.raises(DatabaseError, match=fault):
        load_devkit(path)


@pytest.mark.parametrize("blacklist", ["0\n", "5\n", "a\n"])
def test_blacklist_names_images(tmp_path, blacklist):
    path = write_kit(tmp_path / "kit.tar.gz", kit_files(blacklist=blacklist))
    with pytest.raises(DatabaseError, match=r"no image \(expected 1 to 4\)"):
        load_devkit(path)


@pytest.mark.parametrize(
    ("meta", "fault"),
    [
        (changed_synset(2, id=7), "ilsvrc2012-id 7 where 2 is expected"),
        (changed_synset(2, wnid="cat"), "'cat' is no wnid"),
        (changed_synset(2, wnid=DOG), "a wnid is there twice"),
        (changed_synset(4, children=[1, 6]), r"a child is not in 1\.\.5"),
        (changed_synset(5, children=[]), "a class behind the ancestors"),
        (changed_synset(1, children=[2]), "no class in it|a class behind the ancestors"),
        (changed_synset(1, height=float("nan")), "a field is not what it should be"),
        (meta_mat(fields=("ILSVRC2015_ID", *FIELDS[1:])), "expected ILSVRC2010_ID or"),
        (meta_mat(cost_matrix=np.zeros((2, 2), np.uint8)), r"is no matrix of \(3, 3\)"),
        (meta_mat(cost_matrix=np.full((3, 3), 256.0)), "cost_matrix holds other than 0 to 255"),
        (meta_mat(cost_matrix=np.full((3, 3), np.nan)), "cost_matrix holds other than 0 to 255"),
        (meta_mat(cost_matrix="costs"), r"is no matrix of \(3, 3\)"),
        (b"\0" * 200, "no MAT-file"),
        (b"", "no MAT-file"),
        (meta_mat()[:400], "damaged|an element of"),
    ],
)
def test_faulty_meta_is_refused(tmp_path, meta, fault):
    path = write_kit(tmp_path / "kit.tar.gz", kit_files(meta=meta))
    with pytest.raises(DatabaseError, match=fault):
        load_devkit(path)


def test_damaged_meta_ends_in_our_error_alone(tmp_path):
    """200 files with a few bytes changed inside of the compressed table."""
    rng, path = random.Random(0), tmp_path / "meta.mat"
    whole = plain_mat()
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(128, len(data))] = rng.randrange(256)
        path.write_bytes(data)
        with suppress(DatabaseError):
            load_devkit(path)


def plain_mat():
    """A `meta.mat` whose table is not compressed, so that changes reach SciPy."""
    data = meta_mat()
    return data[:128] + zlib.decompress(data[136:])


def test_archives_that_are_none(tmp_path, kit_path):
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(kit_path.read_bytes()[:500])
    text = tmp_path / "text.tar.gz"
    text.write_text("no archive")
    empty = write_kit(tmp_path / "empty.tar.gz", {"readme.txt": b"x"})
    for path, fault in (
        (cut, "cannot be read as a kit"),
        (text, "cannot be read as a kit"),
        (empty, r"no meta\.mat in it"),
        (tmp_path / "missing.tar.gz", "no development kit is there"),
    ):
        with pytest.raises(DatabaseError, match=fault):
            load_devkit(path)


def test_bombs_are_not_unpacked(tmp_path, monkeypatch):
    """Too long a member, too long an archive, too long a table inside of meta.mat, too many."""
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 1 << 20)
    monkeypatch.setattr(module, "MAX_KIT_BYTES", 4 << 20)
    monkeypatch.setattr(module, "MAX_MEMBERS", 20)
    table = meta_mat(cost_matrix=np.zeros((2000, 2000), np.uint8))
    assert len(table) < 1 << 20
    cases = (
        (kit_files(meta=bytes(2 << 20)), "more than 1048576 bytes"),
        (kit_files(meta=table), "more bytes in it than are allowed"),
        ({"a.txt": bytes(5 << 20), **kit_files()}, "more than 4194304 bytes in it"),
        ({f"{n}.txt": b"" for n in range(30)}, "more than 20 members"),
    )
    for files, fault in cases:
        path = write_kit(tmp_path / "kit.tar.gz", files)
        with pytest.raises(DatabaseError, match=fault):
            load_devkit(path)


def test_nothing_is_unpacked_and_no_link_followed(tmp_path):
    """Members with wicked names and links are no files of a kit; those that count still are."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        link = tarfile.TarInfo("data/meta.mat")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for name, data in {"../../evil.txt": b"x", **kit_files()}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    path = tmp_path / "kit" / "kit.tgz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(file.getvalue()))
    assert len(load_devkit(path).synsets) == 5
    assert [p.name for p in tmp_path.rglob("*")] == ["kit", "kit.tgz"]
