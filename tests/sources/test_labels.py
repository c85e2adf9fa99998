"""Labels of flat archives: wnids, numbers of a named numbering, and development kits."""

from __future__ import annotations

import hashlib

import pytest

from imagetree.errors import DatabaseError
from imagetree.sources.devkit import load_devkit
from imagetree.sources.labels import (
    UNLABELLED,
    Archive,
    assign_labels,
    is_test_image,
    load_labels,
    val_labels,
)
from imagetree.sources.numbering import ClassIndex, Numbering, class_indices
from imagetree.wordnet import load_nouns

from .kits import CAT, DOG, FOLDER, TENCH, kit_files, meta_mat, write_kit


@pytest.fixture
def kit_path(tmp_path):
    return write_kit(tmp_path / "ILSVRC2012_devkit_t12.tar.gz")


def val_name(number):
    return f"ILSVRC2012_val_{number:08}.JPEG"


def fault_of_wnid(wnid):
    return "" if wnid in load_nouns() else f"{wnid!r} is no noun"


def assign(labels, images, *, others=(), is_cut=False):
    return assign_labels(labels, Archive(images, others, is_cut), fault_of_wnid)


@pytest.mark.parametrize("text", ["0\n999\n", "b.JPEG\t999\na.JPEG 0\n"])
def test_numbers_become_wnids(tmp_path, text):
    """Alone in the order of the names, or with names."""
    path = tmp_path / "val.txt"
    path.write_text(text)
    labels = load_labels(path, "class-index")
    assert labels.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert assign(labels, ["b.JPEG", "a.JPEG"]) == (["n15075141", "n01440764"], [])


def test_the_same_numbers_are_other_classes_by_another_numbering(tmp_path):
    path = tmp_path / "val.txt"
    path.write_text("1\n2\n")
    wnids = {
        name: [label.wnid for label in load_labels(path, name).lines]
        for name in ("class-index", "kaggle-line")
    }
    assert wnids["class-index"] == ["n01443537", "n01484850"]
    assert wnids["kaggle-line"] == ["n01440764", "n01443537"]


def test_numbering_of_own_classes(tmp_path):
    """In whatever order they are counted."""
    path = tmp_path / "val.txt"
    path.write_text("0\n1\n")
    for numbering, wnids in (
        (class_indices([CAT, DOG]), [DOG, CAT]),
        (Numbering(ClassIndex, (CAT, DOG)), [CAT, DOG]),
    ):
        assert [label.wnid for label in load_labels(path, numbering).lines] == wnids


def test_numbers_without_a_numbering_are_refused_with_an_explanation(tmp_path):
    path = tmp_path / "val.txt"
    for text in ("490\n361\n", "a.JPEG 490\n", f"a.JPEG 490\nb.JPEG {DOG}\n"):
        path.write_text(text)
        with pytest.raises(DatabaseError, match="nothing says of which numbering") as error:
            load_labels(path)
        for name in ("ilsvrc2012-id", "class-index", "kaggle-line"):
            assert name in error.value.message


@pytest.mark.parametrize(
    ("numbering", "text", "fault"),
    [
        ("kaggle-line", "1\n0\n", r"val\.txt:2: 0 is not in .*looks like class-index"),
        ("class-index", "1000\n", r"val\.txt:1: 1000 is not in .*looks like ilsvrc2012-id or"),
        ("class-index", f"{DOG}\n", r"val\.txt:1: 'n02084071' is no number"),
        ("torch", "1\n", "'torch' is no numbering"),
        ("ilsvrc2012-id", "1\n", r"no meta\.mat of that year lies beside"),
    ],
)
def test_numbers_that_are_none_of_the_numbering(tmp_path, numbering, text, fault):
    path = tmp_path / "val.txt"
    path.write_text(text)
    with pytest.raises(DatabaseError, match=fault):
        load_labels(path, numbering)


def test_ground_truth_beside_its_kit(tmp_path):
    """In an unpacked kit, meta.mat says what the ids are; that of another year does not."""
    (tmp_path / "meta.mat").write_bytes(meta_mat())
    path = tmp_path / "ILSVRC2012_validation_ground_truth.txt"
    path.write_text("2\n3\n")
    assert assign(load_labels(path, "ilsvrc2012-id"), ["b", "a"]) == ([TENCH, CAT], [])
    with pytest.raises(DatabaseError, match=r"no meta\.mat of that year"):
        load_labels(path, "ilsvrc2010-id")


def test_kit_labels_val_by_name(kit_path):
    """Wherever the images lie in the archive, and in whatever order."""
    labels = load_labels(kit_path)
    assert labels.path == kit_path
    assert labels.sha256 == hashlib.sha256(b"2\n1\n3\n1\n").hexdigest()
    images = [f"val/{val_name(n)}" for n in (3, 1, 4, 2)]
    assert assign(labels, images) == ([TENCH, CAT, DOG, DOG], [])


def test_kit_labels_a_part_of_val(kit_path):
    """An archive may hold some of the images; no other is labelled by its place."""
    labels = load_labels(kit_path, "ilsvrc2012-id")
    assert assign(labels, [val_name(3)]) == ([TENCH], [])
    wnids, missing = assign(labels, [val_name(3)], is_cut=True)
    assert (wnids, len(missing)) == ([TENCH], 3)


def test_kit_does_not_label_what_is_not_val(kit_path):
    with pytest.raises(DatabaseError, match=r"'ILSVRC2010_val_00000001\.JPEG' of the archive has"):
        assign(load_labels(kit_path), ["ILSVRC2010_val_00000001.JPEG"])
    with pytest.raises(DatabaseError, match=r"'ILSVRC2012_val_00000005\.JPEG' of the archive has"):
        assign(load_labels(kit_path), [val_name(5)])


def test_kit_leaves_test_images_unlabelled(kit_path, tmp_path):
    """Their labels were never published; another labels file must name them all the same."""
    images = ["test/ILSVRC2012_test_00000002.JPEG", "ILSVRC2012_test_00000001.JPEG"]
    assert all(map(is_test_image, images))
    assert assign(load_labels(kit_path), images) == ([UNLABELLED] * 2, [])
    path = tmp_path / "test.tsv"
    path.write_text(f"ILSVRC2012_test_00000001.JPEG\t{DOG}\n")
    with pytest.raises(DatabaseError, match="of the archive has no label"):
        assign(load_labels(path), images)


@pytest.mark.parametrize(
    "name", [val_name(1), "xILSVRC2012_test_00000001.JPEG", "ILSVRC2012_test_1.JPEG"]
)
def test_what_is_no_test_image(name):
    assert not is_test_image(name)


def test_kit_of_another_numbering_than_named(kit_path):
    with pytest.raises(DatabaseError, match=r"numbering is ilsvrc2012-id \(expected class-"):
        load_labels(kit_path, "class-index")


def test_kit_without_ground_truth(tmp_path):
    files = {name: data for name, data in kit_files().items() if "ground_truth" not in name}
    path = write_kit(tmp_path / "kit.tar.gz", files)
    with pytest.raises(DatabaseError, match=r"no ILSVRC2012_validation_ground_truth\.txt"):
        val_labels(load_devkit(path))


def test_unpacked_kit(tmp_path):
    for name, data in kit_files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert len(load_labels(tmp_path / FOLDER).lines) == 4


def test_published_kit_of_2010(oracles):
    """50,000 labels, and each a noun of WordNet 3.0."""
    labels = load_labels(oracles / "ilsvrc2010")
    names = [label.name for label in labels.lines]
    wnids, missing = assign(labels, names[::-1])
    assert (len(wnids), missing) == (50_000, [])
    assert wnids[-1] == labels.lines[0].wnid == "n09428293"
