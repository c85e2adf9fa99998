"""WebDataset shards, written by the `webdataset` library itself and by hand."""

from __future__ import annotations

import json

import pytest

from imagetree.errors import DatabaseError
from imagetree.sources.entries import FoundImage, SetAside
from imagetree.sources.webdataset import (
    MAX_LABEL_BYTES,
    is_webdataset,
    scan_shard,
    shard_files,
    split_key,
)

DOG, CAT = "n02084071", "n02121808"
WORDS = {DOG: DOG, CAT: CAT, "dog": DOG, "cat": CAT}


def resolve(label):
    return (WORDS[label], "") if label in WORDS else ("", f"{label!r} is no wnid")


def scan(data, **options):
    def read(length, offset):
        return data[offset : offset + length]

    return list(scan_shard(read, len(data), resolve, **options))


@pytest.fixture
def shard(write_tar):
    """Scans a shard of some members."""
    return lambda *members, **options: scan(write_tar(None, members), **options)


def images(items):
    return [(item.name, item.wnid) for item in items if isinstance(item, FoundImage)]


def aside(items):
    return {item.item: item.reason for item in items if isinstance(item, SetAside)}


@pytest.fixture
def write_shard(tmp_path):
    """Writes samples with the library."""
    webdataset = pytest.importorskip("webdataset")

    def write(samples):
        path = tmp_path / "train-000000.tar"
        with webdataset.TarWriter(str(path)) as writer:
            for sample in samples:
                writer.write(sample)
        return path.read_bytes()

    return write


def test_shards_of_the_library_are_read(write_shard, jpegs):
    """Numbers with class names, as the library's own examples have it."""
    samples = [{"__key__": f"a/{n:04d}", "jpg": jpegs[n], "cls": n % 2} for n in range(4)]
    data = write_shard(samples)
    found = scan(data, classes=[DOG, CAT])
    assert images(found) == [
        (f"{DOG}_0000", DOG),
        (f"{CAT}_0001", CAT),
        (f"{DOG}_0002", DOG),
        (f"{CAT}_0003", CAT),
    ]
    assert [data[i.offset : i.offset + i.length] for i in found] == jpegs[:4]
    assert {image.path for image in found} == {None}


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the library leaves its file open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_our_samples_are_those_of_the_library(write_shard, jpegs, tmp_path):
    """The library reads the same images under the same keys."""
    webdataset = pytest.importorskip("webdataset")
    keys = ["b.c/x", "b.c/y", f"{DOG}_17"]
    data = write_shard(
        [{"__key__": k, "jpg": jpegs[n], "json": {"wnid": DOG}} for n, k in enumerate(keys)]
    )
    theirs = webdataset.WebDataset(str(tmp_path / "train-000000.tar"), shardshuffle=False)
    samples = [(sample["__key__"], sample["jpg"]) for sample in theirs]
    found = scan(data)
    assert [key for key, _ in samples] == keys
    assert [data[i.offset : i.offset + i.length] for i in found] == [jpeg for _, jpeg in samples]
    assert [image.name for image in found] == [f"{DOG}_x", f"{DOG}_y", f"{DOG}_17"]


@pytest.mark.parametrize(
    "label",
    [
        ("a.cls", DOG.encode()),
        ("a.cls", b" dog\n"),
        ("a.CLS", b"\xef\xbb\xbfdog"),
        ("a.txt", b"dog\n"),
        ("a.json", json.dumps({"wnid": DOG}).encode()),
        ("a.json", b'{"synset": "dog"}'),
        ("a.json", b'{"label": 5, "class_name": "dog"}'),
    ],
)
def test_a_label_is_found_wherever_it_is(shard, label):
    assert images(shard(label, ("a.jpg", b"x"))) == [(f"{DOG}_a", DOG)]
    assert images(shard(("a.jpg", b"x"), label)) == [(f"{DOG}_a", DOG)]


def test_label_key_names_the_key(shard):
    members = [("a.jpg", b"x"), ("a.json", b'{"label": "cat", "kind": "dog"}')]
    assert images(shard(*members, label_key="kind")) == [(f"{DOG}_a", DOG)]


def test_a_caption_is_no_label_where_there_is_one(shard):
    found = shard(("a.cls", b"dog"), ("a.jpg", b"x"), ("a.txt", b"cat"))
    assert found == [FoundImage(f"{DOG}_a", DOG, found[0].offset, 1, None)]


def test_labels_that_differ_are_not_chosen_from(shard):
    """A number in the wrong numbering shows itself where the wnid is beside it."""
    members = [("a.cls", b"1"), ("a.jpg", b"x"), ("a.json", json.dumps({"wnid": DOG}).encode())]
    assert aside(shard(*members, classes=[DOG, CAT])) == {
        "a.jpg": f"its labels differ: {CAT} in .cls, {DOG} in .json"
    }
    assert images(shard(*members)) == [(f"{DOG}_a", DOG)]  # without classes a number says nothing


def test_shards_of_numbers_alone_are_refused_with_the_three_numberings(shard):
    with pytest.raises(DatabaseError, match=r"from 1.*from 0.*LOC_synset_mapping"):
        shard(("a.cls", b"5"), ("a.jpg", b"x"))
    many = [member for n in range(200) for member in ((f"{n}.cls", b"5"), (f"{n}.jpg", b"x"))]
    with pytest.raises(DatabaseError, match="the labels are numbers"):
        shard(*many, ("z.cls", b"dog"), ("z.jpg", b"x"))


def test_a_number_among_words_is_set_aside_alone(shard):
    found = shard(("a.cls", b"5"), ("a.jpg", b"x"), ("b.cls", b"dog"), ("b.jpg", b"x"))
    assert images(found) == [(f"{DOG}_b", DOG)]
    assert "is a number" in aside(found)["a.jpg"]


@pytest.mark.parametrize("number", [b"2", b"99999"])
def test_numbers_without_class_are_set_aside(shard, number):
    found = shard(("a.cls", number), ("a.jpg", b"x"), classes=[DOG, CAT])
    assert "is not in 0..1" in aside(found)["a.jpg"]


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (("a.cls", b"unicorn"), ".cls: 'unicorn' is no wnid"),
        (("a.cls", b""), ".cls: label of 0 characters (expected 1 to 256)"),
        (("a.cls", b"x" * 300), ".cls: label of 300 characters (expected 1 to 256)"),
        (("a.cls", b"x" * (MAX_LABEL_BYTES + 1)), ".cls: 65537 bytes (expected at most 65536)"),
        (("a.cls", b"\xff\xfe"), ".cls: no UTF-8 text"),
        (("a.cls", b"d\0g"), ".cls: label holds control characters or is not UTF-8"),
        (("a.json", b"{"), ".json: no JSON"),
        (("a.json", b"[" * 60_000), ".json: no JSON"),
        (("a.json", b'["dog"]'), ".json: label of 0 characters (expected 1 to 256)"),
        (("a.json", b'{"wnid": null}'), ".json: label of 0 characters (expected 1 to 256)"),
        (("a.json", b'{"label": true}'), ".json: label of 0 characters (expected 1 to 256)"),
        (("a.json", b'{"label": ' + b"9" * 5000 + b"}"), ".json: no JSON"),
    ],
)
def test_bad_labels_are_set_aside_with_their_reason(shard, label, reason):
    found = shard(label, ("a.jpg", b"x"), ("b.cls", b"dog"), ("b.jpg", b"x"))
    assert images(found) == [(f"{DOG}_b", DOG)]
    assert aside(found) == {"a.jpg": reason}


def test_what_is_no_sample_is_set_aside(shard):
    found = shard(
        ("a.jpg", b"x"),
        ("b.cls", b"dog"),
        (".DS_Store", b"x"),
        ("README", b"x"),
        ("c.cls", b"dog"),
        ("c.jpg", b""),
        ("../d.cls", b"dog"),
    )
    reasons = aside(found)
    assert images(found) == []
    assert reasons["a.jpg"].startswith("no label beside it")
    assert reasons["b"] == "a label without image"
    assert reasons[".DS_Store"] == "left by a file manager, no image"
    assert reasons["README"] == "no image by its name"
    assert reasons["c.jpg"] == "empty: 0 bytes"
    assert "'..'" in reasons["../d.cls"]


def test_members_that_are_neither_are_counted_in_a_note(shard):
    members = [("a.cls", b"dog"), ("a.jpg", b"x"), ("a.seg.png", b"y"), ("a.depth.npy", b"z")]
    found = shard(*members)
    assert [type(item) for item in found] == [FoundImage, SetAside]
    assert found[1].reason == ("note: 2 members are neither image nor label, a.seg.png the first")
    assert (
        images(shard(("a.cls", b"dog"), ("a.seg.png", b"y"), ("a.jpg", b"x")))[0][0] == f"{DOG}_a"
    )


def test_a_second_image_or_label_is_set_aside(shard):
    found = shard(("a.cls", b"dog"), ("a.jpg", b"x"), ("a.png", b"y"), ("a.cls", b"cat"))
    assert images(found) == [(f"{DOG}_a", DOG)]
    assert aside(found) == {
        "a.png": "a second image of the sample",
        "a.cls": "a second .cls of the sample",
    }


def test_an_image_with_a_kind_of_two_parts_will_do(shard):
    assert images(shard(("a.cls", b"dog"), ("a.rgb.png", b"x"))) == [(f"{DOG}_a", DOG)]


def test_same_base_in_other_folders_are_other_samples(shard):
    found = shard(("a/1.cls", b"dog"), ("a/1.jpg", b"x"), ("b/1.cls", b"cat"), ("b/1.jpg", b"x"))
    assert images(found) == [(f"{DOG}_1", DOG), (f"{CAT}_1", CAT)]


def test_members_out_of_order_do_not_find_each_other(shard):
    found = shard(("a.jpg", b"x"), ("b.jpg", b"x"), ("a.cls", b"dog"), ("b.cls", b"dog"))
    assert images(found) == []
    assert "tar --sort=name" in aside(found)["a.jpg"]


def test_a_shard_that_is_cut_off_gives_what_is_whole(write_tar, jpegs):
    members = [
        (f"{n}.{kind}", data)
        for n in range(3)
        for kind, data in (("cls", b"dog"), ("jpg", jpegs[n]))
    ]
    data = write_tar(None, members)
    found = scan(data[: data.rindex(jpegs[2]) + 10])
    assert images(found) == [(f"{DOG}_0", DOG), (f"{DOG}_1", DOG)]
    assert any(reason.startswith("truncated") for reason in aside(found).values())


def test_no_more_is_read_than_headers_and_labels(write_tar, jpegs):
    data = write_tar(None, [("a.cls", b"dog"), ("a.jpg", jpegs[0])])
    at, spans = data.index(jpegs[0]), []

    def read(length, offset):
        spans.append((offset, offset + length))
        return data[offset : offset + length]

    assert len(list(scan_shard(read, len(data), resolve))) == 1
    assert all(end <= at or start >= at + len(jpegs[0]) for start, end in spans)


def test_keys_are_cut_as_the_library_cuts_them():
    tariterators = pytest.importorskip("webdataset.tariterators")
    for name in ("a.jpg", "a.b.jpg", "x.y/a.b.c", "x/y/0.cls", "noending", "x.y/noending"):
        theirs = tariterators.base_plus_ext(name)
        assert split_key(name) == (theirs if theirs[0] else ("", ""))


def test_a_flat_archive_is_no_webdataset():
    assert is_webdataset(["1.jpg", "1.json"])
    assert not is_webdataset(["n01440764_1.JPEG", "n01440764_2.JPEG", "labels.txt"])


def test_shards_of_a_folder_a_range_and_a_pattern(tmp_path):
    for number in (2, 0, 1):
        (tmp_path / f"train-{number:06d}.tar").write_bytes(b"")
    (tmp_path / "notes.txt").write_bytes(b"")
    names = [f"train-{number:06d}.tar" for number in range(3)]
    for place in ("", "train-{000000..000002}.tar", "train-*.tar"):
        assert [path.name for path in shard_files(tmp_path / place)] == names
    assert [path.name for path in shard_files(tmp_path / names[1])] == [names[1]]
    with pytest.raises(DatabaseError, match=r"1 of 4 shards are missing, train-000003\.tar"):
        shard_files(tmp_path / "train-{000000..000003}.tar")
    for place in ("none", "none-*.tar"):
        with pytest.raises(DatabaseError, match="no shards"):
            shard_files(tmp_path / place)
    for place in ("x-{5..2}.tar", "x-{0..99999999}.tar"):
        with pytest.raises(DatabaseError, match="is no range of shards"):
            shard_files(tmp_path / place)
