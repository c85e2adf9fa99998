"""What is found in tars and folders, and what is refused."""

from __future__ import annotations

import os
import tarfile

import pytest

from imagetree.errors import DatabaseError
from imagetree.sources.layouts import Layout
from imagetree.sources.source import SourceOptions, find_source, scan_source

DOG, CAT, CHIHUAHUA, DOG_31 = "n02084071", "n02121808", "n02085620", "n02086723"


def scan(path, labels=None):
    batches = list(scan_source(find_source(path, SourceOptions(labels=labels))))
    images = [image for batch in batches for image in batch.images]
    return images, [item for batch in batches for item in batch.set_aside]


def test_tar_of_tars(train_tar, jpegs):
    """Every image of the inner archives is found where its bytes are, in the archive's order."""
    assert find_source(train_tar).layout is Layout.TARS
    images, others = scan(train_tar)
    assert [(image.wnid, image.name) for image in images] == [
        *((DOG, f"{DOG}_{n}") for n in range(3)),
        *((CAT, f"{CAT}_{n}") for n in (3, 4)),
    ]
    data = train_tar.read_bytes()
    assert [data[i.offset : i.offset + i.length] for i in images] == jpegs[:5]
    assert others == []


def test_flat_tar_with_names(val_tar, val_labels, jpegs):
    """Labels that name their images are matched by name, whatever their order."""
    images, others = scan(val_tar, val_labels)
    assert [(i.name, i.wnid) for i in images] == [
        ("val_2", CAT),
        ("val_0", DOG),
        ("val_1", CHIHUAHUA),
    ]
    assert images[0].length == len(jpegs[7])
    assert others == []


def test_flat_tar_in_order_of_names(val_tar, val_labels):
    """A wnid a line is dealt out in the order of the names, not of the archive."""
    val_labels.write_text(f"{DOG}\n{CHIHUAHUA}\n{CAT}\n\n")
    images, _ = scan(val_tar, val_labels)
    assert {i.name: i.wnid for i in images} == {"val_0": DOG, "val_1": CHIHUAHUA, "val_2": CAT}


def test_labels_without_folder_fit_members_in_one(tmp_path, write_tar, val_labels, jpegs):
    """`val/val_0.JPEG` and `./val_1.JPEG` are found under their bare names; spaces part fields."""
    names = ["val/val_0.JPEG", "./val_1.JPEG", "val_2.JPEG"]
    path = write_tar(tmp_path / "v.tar", [(name, jpegs[0]) for name in names])
    val_labels.write_text(val_labels.read_text().replace("\t", "  "))
    images, _ = scan(path, val_labels)
    assert [(i.name, i.wnid) for i in images] == [
        ("val_0", DOG),
        ("val_1", CHIHUAHUA),
        ("val_2", CAT),
    ]


def test_folder_per_class(class_folder):
    """Images of a folder come sorted by path, named as ImageNet names them."""
    images, others = scan(class_folder)
    assert [(i.wnid, i.name, i.path) for i in images] == [
        (DOG, f"{DOG}_b", f"{DOG}/b.jpg"),
        (DOG, f"{DOG}_a", f"{DOG}/{DOG}_a.JPEG"),
        (CAT, f"{CAT}_c", f"{CAT}/c.png"),
    ]
    assert others == []


def test_what_is_no_image_is_set_aside(tmp_path, write_tar, jpegs):
    """Each item that is no image is listed with its reason, its neighbours are found."""
    inner = [
        ("notes.txt", b"x"),
        ("._a.jpg", b"x"),
        (".DS_Store", b"x"),
        (".JPEG", b"x"),
        ("empty.jpg", b""),
        ("more.tar", b"x" * 512),
        ("ok.Png", jpegs[0]),
    ]
    path = write_tar(tmp_path / "t.tar", [(f"{DOG}.tar", write_tar(None, inner))])
    images, others = scan(path)
    assert [image.name for image in images] == [f"{DOG}_ok"]
    assert [(o.item.removeprefix(f"{DOG}.tar/"), o.reason) for o in others] == [
        ("notes.txt", "no image by its name"),
        ("._a.jpg", "left by a file manager, no image"),
        (".DS_Store", "left by a file manager, no image"),
        (".JPEG", "no image by its name"),
        ("empty.jpg", "empty: 0 bytes"),
        ("more.tar", "no image by its name"),
    ]


def test_unknown_synsets_are_set_aside_whole(tmp_path, write_tar, train_tar, jpegs):
    """An inner archive of no noun of 3.0 is one item; an offset of WordNet 3.1 is told as such."""
    dogs = write_tar(None, [("a.jpg", jpegs[0])])
    members = [(f"{DOG_31}.tar", dogs), ("dgos.tar", dogs), ("x.txt", b"x"), (f"{DOG}.tar", dogs)]
    images, others = scan(write_tar(tmp_path / "t.tar", members))
    assert [image.wnid for image in images] == [DOG]
    assert [other.item for other in others] == [f"{DOG_31}.tar", "dgos.tar", "x.txt"]
    assert (
        "is an offset of WordNet 3.1; in WordNet 3.0 this synset is n02084071" in others[0].reason
    )
    assert "'dgos' is no noun" in others[1].reason
    assert others[2].reason == "no archive WNID.tar"


def test_odd_things_in_a_folder_are_set_aside(class_folder, jpegs):
    """Links, folders in folders, foreign folders and files are listed and not followed."""
    (class_folder / DOG_31).mkdir()
    (class_folder / "readme.txt").write_text("x")
    (class_folder / "n02123045").symlink_to(class_folder / DOG)
    (class_folder / DOG / "deeper").mkdir()
    (class_folder / DOG / "link.jpg").symlink_to("/etc/passwd")
    os.mkfifo(class_folder / DOG / "pipe.jpg")
    (class_folder / DOG / "zero.jpg").touch()
    images, others = scan(class_folder)
    (class_folder / DOG / "deeper" / "x.jpg").write_bytes(jpegs[0])
    (class_folder / DOG_31 / "x.jpg").write_bytes(jpegs[0])
    images, others = scan(class_folder)
    assert len(images) == 3
    assert {other.item: other.reason.split(";")[0].split(" (")[0] for other in others} == {
        DOG_31: f"1 images: {DOG_31} is an offset of WordNet 3.1",
        "readme.txt": "no image by its name",
        "n02123045": "link, no regular file",
        f"{DOG}/deeper": "1 images: 'deeper' is no noun of WordNet 3.0",
        f"{DOG}/link.jpg": "link, no regular file",
        f"{DOG}/pipe.jpg": "device or pipe, no regular file",
        f"{DOG}/zero.jpg": "empty: 0 bytes",
    }


def test_truncated_outer_archive_keeps_whole_images(train_tar):
    """An archive cut off inside an inner one still gives the images that are whole."""
    whole, _ = scan(train_tar)
    cut = whole[4].offset + 10
    train_tar.write_bytes(train_tar.read_bytes()[:cut])
    images, others = scan(train_tar)
    assert images == whole[:4]
    assert [other.item for other in others] == [f"{CAT}.tar", f"{CAT}.tar/{CAT}_4.JPEG"]
    assert all(f"the archive ends at {cut}" in other.reason for other in others)


def test_truncated_flat_archive(val_tar, val_labels):
    """Labels of images that were cut off are counted, not taken for faults."""
    val_tar.write_bytes(val_tar.read_bytes()[: 512 + 1024 + 100])
    images, others = scan(val_tar, val_labels)
    assert [image.name for image in images] == ["val_2"]
    assert others[0].reason == "2 labelled images are not in what is left of the archive"
    val_labels.write_text(f"{DOG}\n{CHIHUAHUA}\n{CAT}\n")
    with pytest.raises(
        DatabaseError, match="3 labels for 1 images of the archive, which is cut off"
    ):
        scan(val_tar, val_labels)


def test_faults_of_labels_come_in_one_error(val_tar, val_labels):
    """Unknown names and wnids, second labels and images without one are listed with their lines."""
    val_labels.write_text(
        f"val_0.JPEG\t{DOG}\nval_0.JPEG\t{CAT}\nval_9.JPEG\t{CAT}\nval_1.JPEG\t{DOG_31}\n"
    )
    with pytest.raises(DatabaseError, match="4 faults in the labels") as caught:
        scan(val_tar, val_labels)
    lines = [line.strip() for line in caught.value.message.splitlines()[1:]]
    assert lines[0].startswith(f"val.tsv:4: {DOG_31} is an offset of WordNet 3.1")
    assert lines[1:] == [
        "val.tsv:2: 'val_0.JPEG' has a label on line 1",
        "val.tsv:3: 'val_9.JPEG' is not in the archive",
        "'val_2.JPEG' of the archive has no label",
    ]


def test_first_twenty_faults_and_the_total(val_tar, val_labels):
    """Of many faults the first twenty are shown, and how many there are."""
    val_labels.write_text("".join(f"x{n}.jpg\t{DOG}\n" for n in range(40)))
    with pytest.raises(
        DatabaseError, match="43 faults in the labels, the first 20 of them"
    ) as caught:
        scan(val_tar, val_labels)
    assert len(caught.value.message.splitlines()) == 21


def test_wrong_number_of_labels(val_tar, val_labels):
    """Too few lines without names are an error with both numbers."""
    val_labels.write_text(f"{DOG}\n{CAT}\n")
    with pytest.raises(DatabaseError, match="2 labels for 3 images"):
        scan(val_tar, val_labels)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\xff\xfe", "no UTF-8"),
        (f"{DOG}\na.jpg\t{DOG}\n".encode(), "val.tsv:2: expected a label alone, as on line 1"),
    ],
)
def test_labels_that_are_none(val_tar, val_labels, data, message):
    """An empty, binary or mixed labels file is refused."""
    val_labels.write_bytes(data)
    with pytest.raises(DatabaseError, match=message):
        scan(val_tar, val_labels)


def test_flat_tar_wants_labels(val_tar):
    """Without labels a flat tar is refused, and the hint names the option."""
    with pytest.raises(DatabaseError, match=r"hint: .*--labels FILE"):
        find_source(val_tar)


def test_labels_are_not_ignored(train_tar, class_folder, val_labels, val_tar):
    """Labels for a source that names its synsets are refused, and missing ones named."""
    with pytest.raises(DatabaseError, match="labels are for a flat container"):
        find_source(train_tar, SourceOptions(labels=val_labels))
    with pytest.raises(DatabaseError, match="6 faults in the labels"):
        scan(class_folder, val_labels)
    with pytest.raises(DatabaseError, match=r"none\.tsv: the labels cannot be read"):
        find_source(val_tar, SourceOptions(labels=val_labels.with_name("none.tsv")))


def test_what_is_no_source(tmp_path, write_tar):
    """Nothing there, no tar, a compressed or an empty one, an empty folder: an error each."""
    (tmp_path / "a.tar").write_bytes(b"no archive" * 100)
    (tmp_path / "b.tar").write_bytes(b"\x1f\x8b" + bytes(1000))
    write_tar(tmp_path / "c.tar", [])
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "e")
    for name, message in (
        ("missing.tar", "No such file"),
        ("a.tar", "not an archive or folder with images"),
        ("b.tar", r"is compressed \(gzip\)"),
        ("c.tar", "no file is in it"),
        ("d", "no file is in it"),
        ("e", "no regular file"),
    ):
        with pytest.raises(DatabaseError, match=message):
            scan(tmp_path / name)


def test_long_names_and_pax(tmp_path, write_tar, jpegs):
    """Images under long names are found in GNU's and in PAX's way of writing them."""
    name = "d" * 120 + "/" + "é" * 60 + ".jpg"
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        inner = write_tar(None, [(name, jpegs[0])], form)
        path = write_tar(tmp_path / "t.tar", [(f"{DOG}.tar", inner)], form)
        images, others = scan(path)
        assert [image.name for image in images] == [f"{DOG}_" + "é" * 60]
        assert others == []


def test_archive_that_changes_under_the_scan(train_tar):
    """An archive that grows while it is scanned is refused."""
    found = scan_source(find_source(train_tar))
    next(found)
    with train_tar.open("ab") as file:
        file.write(bytes(512))
    with pytest.raises(DatabaseError, match="changed while it was imported"):
        list(found)
