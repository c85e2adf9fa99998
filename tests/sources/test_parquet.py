"""Tables in Parquet: tiny32, tables as Hugging Face writes them, and tables that mean harm."""

from __future__ import annotations

import io
import json
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imagetree.errors import DatabaseError
from imagetree.sources import parquet
from imagetree.sources.entries import FoundImage, SetAside
from imagetree.sources.parquet import ParquetImages, parquet_files, scan_parquet

from ..conftest import shared_path

DOG, CAT = "n02084071", "n02121808"
WORDS = {DOG: DOG, CAT: CAT, "dog": DOG, "domestic cat, house cat": CAT}


def resolve(label):
    return (WORDS[label], "") if label in WORDS else ("", f"{label!r} is no wnid")


def written(columns, metadata=None, **options):
    """The bytes of a table."""
    table = pa.table(columns)
    if metadata:
        table = table.replace_schema_metadata(metadata)
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def scan(data, name="train.parquet", **options):
    return list(scan_parquet([(name, lambda: io.BytesIO(data))], resolve, **options))


def reader(data, **options):
    return ParquetImages(lambda: io.BytesIO(data), "train.parquet", **options)


def reasons(items):
    return [item.reason for item in items if isinstance(item, SetAside)]


STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
LARGE_STRUCT = pa.struct([("bytes", pa.large_binary()), ("path", pa.large_string())])


def test_tiny32_has_a_hundred_thousand_images_of_two_hundred_synsets():
    path = shared_path("data", "tiny32", "train.parquet")
    found = list(
        scan_parquet(
            [(path.name, lambda: path.open("rb"))], lambda label: (label, ""), with_lengths=True
        )
    )
    assert len(found) == 100_000
    assert len({image.wnid for image in found}) == 200
    assert [image.offset for image in found] == list(range(100_000))
    assert found[99_999].name == f"{found[99_999].wnid}_train_99999"
    images = ParquetImages(lambda: path.open("rb"), path.name)
    for row in (0, 9_999, 10_000, 99_999):
        data = images.read(row)
        assert data.startswith(b"\xff\xd8")
        assert len(data) == found[row].length


@pytest.mark.parametrize("kind", [STRUCT, LARGE_STRUCT])
def test_hugging_face_struct_gives_names_and_bytes(kind):
    rows = [
        {"bytes": b"a", "path": f"x/{DOG}_7.JPEG"},
        {"bytes": b"bb", "path": "same.jpg"},
        {"bytes": b"ccc", "path": "same.jpg"},
        {"bytes": b"dddd", "path": None},
        {"bytes": b"e", "path": "evil\n.jpg"},
    ]
    data = written({"image": pa.array(rows, kind), "label": [DOG, "dog", "dog", DOG, DOG]})
    assert scan(data) == [
        FoundImage(f"{DOG}_7", DOG, 0, 1, None),
        FoundImage(f"{DOG}_train_1", DOG, 1, 2, None),
        FoundImage(f"{DOG}_train_2", DOG, 2, 3, None),
        FoundImage(f"{DOG}_train_3", DOG, 3, 4, None),
        FoundImage(f"{DOG}_train_4", DOG, 4, 1, None),
    ]
    images = reader(data)
    assert [images.read(row) for row in range(5)] == [b"a", b"bb", b"ccc", b"dddd", b"e"]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"row_group_size": 2}])
def test_plain_columns_however_they_are_written(kind, options):
    values = [b"a", b"bb", b"a", b"ccc", b"bb"]
    labels = pa.array([DOG, CAT, DOG, CAT, DOG]).dictionary_encode()
    data = written({"image": pa.array(values, kind), "wnid": labels}, **options)
    assert [image.length for image in scan(data)] == [1, 2, 1, 3, 2]
    assert [image.wnid for image in scan(data)] == [DOG, CAT, DOG, CAT, DOG]
    images = reader(data)
    assert [images.read(row) for row in (4, 3, 2, 1, 0)] == values[::-1]


def test_a_table_written_by_hugging_face_itself_is_read():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["dog", "domestic cat, house cat"]),
        }
    )
    rows = {"image": [{"bytes": b"x" * n, "path": f"{n}.jpg"} for n in (1, 2)], "label": [1, 0]}
    file = io.BytesIO()
    datasets.Dataset.from_dict(rows, features=features).to_parquet(file)
    found = scan(file.getvalue())
    assert [(image.name, image.length) for image in found] == [(f"{CAT}_1", 1), (f"{DOG}_2", 2)]


def test_numbers_without_names_are_refused_with_the_three_numberings():
    data = written({"image": [b"a"], "label": [3]})
    with pytest.raises(DatabaseError, match=r"from 1.*from 0.*LOC_synset_mapping"):
        scan(data)


def test_numbers_with_names_of_the_caller():
    data = written({"image": [b"a", b"b", b"c", b"d"], "label": [1, 0, 2, -1]})
    found = scan(data, classes=[DOG, CAT])
    assert [item.wnid for item in found[:2]] == [CAT, DOG]
    assert [reason[:22] for reason in reasons(found)] == [
        "label 2 is not in 0..1",
        "label -1 is not in 0..",
    ]


@pytest.mark.parametrize("names", [None, "dog", {"a": 1}, 3])
def test_class_names_that_are_none_are_not_taken(names):
    facts = {"info": {"features": {"label": {"names": names}}}}
    for text in (json.dumps(facts), "[1", "[]"):
        data = written({"image": [b"a"], "label": [0]}, {"huggingface": text})
        with pytest.raises(DatabaseError, match="the labels are numbers"):
            scan(data)


def test_rows_that_cannot_be_used_are_set_aside_and_the_rest_goes_on():
    rows = [None, {"bytes": None, "path": "/etc/passwd"}, {"bytes": b"", "path": None}]
    rows += [{"bytes": b"a", "path": None}] * 3
    labels = [DOG, DOG, DOG, "unicorn", None, DOG]
    found = scan(written({"image": pa.array(rows, STRUCT), "label": labels}))
    assert reasons(found) == [
        "no image",
        "the path of a file without its bytes",
        "empty: 0 bytes",
        "'unicorn' is no wnid",
        "no label",
    ]
    assert found[-1] == FoundImage(f"{DOG}_train_5", DOG, 5, 1, None)
    assert found[0] == SetAside("train.parquet: row 0", 0, "no image")


def test_without_lengths_the_image_column_is_not_read():
    columns = {"wnid": [DOG] * 3, "image": [b"x" * 1000, b"", b"y"]}
    data = written(columns, compression="none", write_page_checksum=True)
    damaged = data.replace(b"x" * 1000, b"x" * 999 + b"z")
    found = scan(damaged, with_lengths=False)
    assert [(image.offset, image.length) for image in found] == [(0, 0), (1, 0), (2, 0)]
    assert len(reasons(scan(damaged))) == 1


def test_labels_are_resolved_once_for_each_distinct_one():
    asked = []
    data = written({"image": [b"a"] * 100, "wnid": [DOG, CAT] * 50})
    list(
        scan_parquet(
            [("a", lambda: io.BytesIO(data))], lambda label: (asked.append(label), (label, ""))[1]
        )
    )
    assert sorted(asked) == [DOG, CAT]


def test_a_folder_of_shards_is_one_source(tmp_path):
    (tmp_path / "data").mkdir()
    for number in (1, 0):
        path = tmp_path / "data" / f"train-0000{number}-of-00002.parquet"
        path.write_bytes(written({"image": [b"a"], "wnid": [DOG]}))
    (tmp_path / "README.md").write_text("no table")
    paths = parquet_files(tmp_path)
    files = [(str(path.relative_to(tmp_path)), lambda path=path: path.open("rb")) for path in paths]
    found = list(scan_parquet(files, resolve))
    assert [(image.name, image.path) for image in found] == [
        (f"{DOG}_data-train-0000{n}-of-00002_0", f"data/train-0000{n}-of-00002.parquet")
        for n in (0, 1)
    ]


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(DatabaseError, match="no Parquet file"):
        parquet_files(tmp_path)


def test_a_bad_shard_is_set_aside_and_a_single_bad_file_is_refused(tmp_path):
    good = written({"image": [b"a"], "wnid": [DOG]})
    files = [
        ("a.parquet", lambda: io.BytesIO(b"PAR1 no table")),
        ("b.parquet", lambda: io.BytesIO(good)),
        ("c.parquet", lambda: (tmp_path / "missing").open("rb")),
    ]
    found = list(scan_parquet(files, resolve))
    assert [type(item) for item in found] == [SetAside, FoundImage, SetAside]
    with pytest.raises(DatabaseError, match=r"a\.parquet: not a Parquet file"):
        list(scan_parquet(files[:1], resolve))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": [b"a"]}, "no column of labels"),
        ({"wnid": [DOG]}, "no column of images"),
        ({"image": ["a.jpg"], "wnid": [DOG]}, "no column of images"),
        ({"front": [b"a"], "back": [b"b"], "wnid": [DOG]}, "several columns of images"),
        ({"image": [b"a"], "label": [1.5]}, "expected words or numbers"),
        ({"image": [b"a"], "label": [[1]]}, "expected words or numbers"),
        ({"image": [b"a"], "label": [True]}, "expected words or numbers"),
        ({}, "not a Parquet file"),
    ],
)
def test_tables_of_other_columns_are_refused(columns, message):
    with pytest.raises(DatabaseError, match=message):
        scan(written(columns))


def test_an_image_column_of_any_name_is_found_where_it_is_the_only_one():
    assert len(scan(written({"pixels": [b"a"], "wnid": [DOG]}))) == 1


def test_a_damaged_row_group_is_set_aside_and_the_others_are_read():
    values = [bytes([65 + n]) * 500 for n in range(3)]
    data = written(
        {"image": values, "wnid": [DOG] * 3},
        row_group_size=1,
        compression="none",
        write_page_checksum=True,
    )
    data = data.replace(b"B" * 500, b"B" * 400 + b"X" * 100)
    found = scan(data)
    assert [item.offset for item in found if isinstance(item, FoundImage)] == [0, 2]
    assert [item.item for item in found if isinstance(item, SetAside)] == [
        "train.parquet: rows 1 to 1"
    ]
    images = reader(data)
    assert images.read(2) == values[2]
    with pytest.raises(DatabaseError, match="row group 1 cannot be read"):
        images.read(1)


def test_a_truncated_table_is_refused():
    data = written({"image": [b"a"], "wnid": [DOG]})
    for length in range(len(data)):
        with pytest.raises(DatabaseError, match="not a Parquet file"):
            scan(data[:length])
        with pytest.raises(DatabaseError, match="not a Parquet file"):
            reader(data[:length])


def test_damage_anywhere_never_ends_in_another_error():
    """Each byte of a small table is changed in turn: images, set aside, or a DatabaseError."""
    data = written({"image": [b"a" * 9, b"b"], "label": [DOG, CAT]}, compression="snappy")
    for at in range(4, len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x41
        try:
            items = scan(bytes(damaged))
            images = reader(bytes(damaged))
        except DatabaseError:
            continue
        for item in items:
            if isinstance(item, FoundImage):
                assert len(images.read(item.offset)) == item.length


def test_a_row_group_over_the_limit_is_set_aside(monkeypatch):
    monkeypatch.setattr(parquet, "MAX_GROUP_BYTES", 1000)
    values = [b"a", b"x" * 2000, b"c"]
    data = written({"image": values, "wnid": [DOG] * 3}, row_group_size=1, use_dictionary=False)
    found = scan(data)
    assert [item.offset for item in found if isinstance(item, FoundImage)] == [0, 2]
    assert "expected at most 1000" in reasons(found)[0]
    with pytest.raises(DatabaseError, match="expected at most 1000"):
        reader(data).read(1)


def test_a_value_repeated_a_million_times_is_in_memory_once():
    """A 1 MB file that would be 200 GB as a plain column."""
    value = bytes(1 << 20)
    images = pa.DictionaryArray.from_arrays(pa.array([0] * 200_000, pa.int32()), [value])
    data = written({"image": images, "wnid": [DOG] * 200_000}, compression="none")
    before = pa.total_allocated_bytes()
    opened = reader(data)
    assert opened.read(199_999) == value
    assert pa.total_allocated_bytes() - before < 20 << 20


def test_another_file_that_a_table_names_is_not_read(tmp_path):
    """A column chunk may say that its bytes lie in another file."""
    collected = []
    data = written({"image": [b"a"], "wnid": [DOG]}, metadata_collector=collected)
    (tmp_path / "secret").write_bytes(data)
    collected[0].set_file_path(str(tmp_path / "secret"))
    footer = io.BytesIO()
    collected[0].write_metadata_file(footer)
    assert "row group 0 cannot be read" in reasons(scan(footer.getvalue()))[0]
    with pytest.raises(DatabaseError, match="row group 0 cannot be read"):
        reader(footer.getvalue()).read(0)


def test_rows_outside_of_the_table_are_refused():
    images = reader(written({"image": [b"a", None], "wnid": [DOG, DOG]}))
    for row in (-1, 2):
        with pytest.raises(DatabaseError, match=rf"no row {row} \(expected 0 to 1\)"):
            images.read(row)
    with pytest.raises(DatabaseError, match="row 1 has no image"):
        images.read(1)


def opened_counting(data, **options):
    """A reader, and a list that grows each time it opens the file."""
    opened = []

    def open_file():
        opened.append(threading.get_ident())
        return io.BytesIO(data)

    return ParquetImages(open_file, "a.parquet", **options), opened


def test_row_groups_are_kept_within_the_budget():
    values = [bytes([n]) * 10_000 for n in range(4)]
    data = written({"image": values, "wnid": [DOG] * 4}, row_group_size=1)
    images, opened = opened_counting(data, cache_bytes=25_000)
    for row in (0, 1, 0, 1, 0):
        assert images.read(row) == values[row]
    assert len(opened) == 1 + 2  # the footer, then two row groups once each
    images.read(2)  # 1 is the one not used for longest
    images.read(0)
    assert len(opened) == 1 + 3
    images.read(1)
    assert len(opened) == 1 + 4


def test_many_threads_decode_a_row_group_once():
    values = [bytes([n % 256]) * (1 + n) for n in range(400)]
    data = written({"image": values, "wnid": [DOG] * 400}, row_group_size=100)
    images, opened = opened_counting(data)
    wrong = []

    def work(start):
        for step in range(400):
            row = (start + 7 * step) % 400
            if images.read(row) != values[row]:
                wrong.append(row)

    threads = [threading.Thread(target=work, args=(50 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(opened) == 1 + 4
