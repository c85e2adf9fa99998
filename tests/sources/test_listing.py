"""Lists of paths or URLs with labels: every form of them, and every kind of bad line."""

from __future__ import annotations

import csv
import io
import json
import re
import tracemalloc
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetree.errors import DatabaseError
from imagetree.sources import listing
from imagetree.sources.entries import FoundImage, SetAside
from imagetree.sources.listing import judge_place, scan_listing, scan_listing_batches

DOG, CAT = "n02084071", "n02121808"
URL = "http://farm3.static.flickr.com/2/17_ab.jpg"


def resolve(label):
    if label == "dog":
        return DOG, ""
    return (label, "") if re.fullmatch(r"n\d{8}", label) else ("", f"{label!r} is no wnid")


@pytest.fixture
def scan(tmp_path):
    """Scans a list with some content."""

    def scan(content, **options):
        path = tmp_path / "list.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return list(scan_listing(path, resolve, **options))

    return scan


def found(items):
    return [(item.name, item.wnid, item.path) for item in items if isinstance(item, FoundImage)]


def aside(items):
    return {item.item: item.reason for item in items if isinstance(item, SetAside)}


ONE = [(f"{DOG}_17", DOG, "dogs/17.jpg")]


@pytest.mark.parametrize(
    "content",
    [
        f"path,wnid\ndogs/17.jpg,{DOG}\n",
        "label,other,File\ndog,1,dogs/17.jpg\n",
        f"\ufeffpath,wnid\r\ndogs/17.jpg,{DOG}\r\n",
        f'"path","wnid"\n"dogs/17.jpg","{DOG}"',
        "filename\tclass\ndogs/17.jpg\tdog",
        f"dogs/17.jpg,{DOG}\n",
        f"{DOG},x,dogs/17.jpg\n",
        f"\n\ndogs/17.jpg\t{DOG}\n   \n\n",
        f" ./dogs//17.jpg , {DOG} \n",
        json.dumps({"image": "dogs/17.jpg", "label": "dog", "width": 3}),
        f'\n{{"Path": "dogs/17.jpg", "Synset": "{DOG}"}}\r\n\n',
    ],
)
def test_one_image_in_every_form(scan, content):
    items = scan(content)
    assert found(items) == ONE
    assert items == [FoundImage(f"{DOG}_17", DOG, 0, 0, "dogs/17.jpg")]


def test_lists_of_imagenet_have_the_wnid_in_the_name(scan):
    """The form of the fall 2011 list: quotes are no quotes there, and some bytes are no UTF-8."""
    lines = [f"{DOG}_{n}\t{URL}?{n}".encode() for n in range(3)]
    lines += [f'{CAT}_4\t"{URL}'.encode(), f"{CAT}_5\thttp://a.b/\xe9.jpg".encode("latin-1")]
    lines += [f"{CAT}_6\thttp://a.b/\xe9, 'x'.jpg".encode()]
    items = scan(b"\n".join(lines))
    assert found(items)[:3] == [(f"{DOG}_{n}", DOG, f"{URL}?{n}") for n in range(3)]
    assert found(items)[3:] == [(f"{CAT}_6", CAT, "http://a.b/\xe9, 'x'.jpg")]
    assert list(aside(items)) == ["list.csv:4", "list.csv:5"]
    assert aside(items)["list.csv:5"] == "URL holds control characters or is not UTF-8"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"{DOG}_10026", f"{DOG}_10026"),
        ("ILSVRC2012_val_00000293.JPEG", "ILSVRC2012_val_00000293"),
        ("", f"{DOG}_17"),
        ("_5", f"{DOG}__5"),
        ("caf\u00e9", "caf\u00e9"),
    ],
)
def test_names_of_a_column(scan, name, expected):
    assert found(scan(f"path,wnid,name\ndogs/17.jpg,{DOG},{name}\n"))[0][0] == expected


@pytest.mark.parametrize("name", ["a/b", "a\\b", "..", "x" * 300, "a\x07b", "/"])
def test_names_that_are_no_names(scan, name):
    assert list(aside(scan(f"path,wnid,name\ndogs/17.jpg,{DOG},{name}\n"))) == ["list.csv:2"]


def test_names_of_urls(scan):
    urls = [
        URL,
        f"http://a.b/{DOG}_5.JPEG",
        "https://a.b:8080/photo.php?id=3",
        "https://a.b:8080/photo.php?id=4",
        "s3://bucket/dogs/1.png",
        "http://a.b",
        "HTTP://a.b/x y.jpg",
    ]
    names = [name for name, _, _ in found(scan("".join(f"{url},{DOG}\n" for url in urls)))]
    assert names[:2] == [f"{DOG}_17_ab", f"{DOG}_5"]
    assert re.fullmatch(rf"{DOG}_[0-9a-f]{{16}}", names[2])
    assert names[2] != names[3]
    assert names[4] == f"{DOG}_1"
    assert re.fullmatch(rf"{DOG}_[0-9a-f]{{16}}", names[5])
    assert names[6] == f"{DOG}_x y"


def scheme(name):
    return f"scheme '{name}:' or no host (expected a path, or http, https or s3)"


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("", "no path"),
        ("../17.jpg", "name leads out of the archive by '..'"),
        ("a/../../17.jpg", "name leads out of the archive by '..'"),
        ("/etc/17.jpg", "absolute path outside of the list's folder"),
        ("a/17.txt", "no image by its name"),
        ("a/.jpg", "no image by its name"),
        ("a/._17.jpg", "left by a file manager, no image"),
        ("a\x0017.jpg", "name holds control characters"),
        ("a\x1b[2J.jpg", "name holds control characters"),
        ("a/" * 600 + "17.jpg", "name of 1206 characters (expected 1 to 1024)"),
        ("a" * 300 + ".jpg", "name of 304 characters (expected at most 200)"),
        ("file:///etc/17.jpg", scheme("file")),
        ("ftp://a.b/17.jpg", scheme("ftp")),
        ("data:image/x.jpg", scheme("data")),
        ("c:\\dogs\\17.jpg", scheme("c")),
        ("x http://a.b/17.jpg", scheme("x http")),
        ("http:///17.jpg", scheme("http")),
        ("http:17.jpg", scheme("http")),
        (
            "zip://x::http://a.b/17.jpg",
            scheme("zip"),
        ),
        ("http://a.b/x::file:///etc/17.jpg", "URL holds '::', which chains file systems"),
        ("http://user:secret@a.b/17.jpg", "URL holds credentials"),
        (
            "http://a.b\\@c.d/17.jpg",
            scheme("http"),
        ),
        ("http://a.b/\x7f.jpg", "URL holds control characters or is not UTF-8"),
        ("http://a.b/" + "x" * 2048 + ".jpg", "URL of 2063 characters (expected at most 2048)"),
    ],
)
def test_places_that_are_refused(scan, place, reason):
    good = f"dogs/17.jpg,{DOG}\n"
    items = scan(f"path,wnid\n{good}{place},{DOG}\n{good}")
    assert found(items) == ONE * 2
    assert aside(items) == {"list.csv:3": reason}
    assert "secret" not in repr(aside(items))


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("", "no label"),
        ("  ", "no label"),
        ("unicorn", "'unicorn' is no wnid"),
        ("x" * 300, "label of 300 characters (expected 1 to 256)"),
        ("d\x07g", "label holds control characters or is not UTF-8"),
        ("17", "label 17 is a number, and the names of the classes are not given"),
    ],
)
def test_labels_that_are_refused(scan, label, reason):
    for _ in range(2):  # also where the label was met before
        items = scan(f"path,wnid\ndogs/17.jpg,{DOG}\n1.jpg,{label}\n2.jpg,{label}\n")
        assert found(items) == ONE
        assert aside(items) == {"list.csv:3": reason, "list.csv:4": reason}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("17", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ("{", "no JSON object"),
        ("{} {}", "no JSON object"),
        ("[" * 5000, "no JSON object"),
        ('{"path": "1.jpg"}', "no label"),
        ('{"path": "1.jpg", "label": true}', "no label"),
        ('{"path": ["1.jpg"], "label": "dog"}', "no path"),
        ('{"path": "1.jpg", "label": "a\\nb"}', "label holds control characters or is not UTF-8"),
        ('{"path": "\\ud800.jpg", "label": "dog"}', "name is not UTF-8"),
        (
            '{"path": "1.jpg", "label": 7}',
            "label 7 is a number, and the names of the classes are not given",
        ),
    ],
)
def test_json_lines_that_are_refused(scan, line, reason):
    good = '{"path": "dogs/17.jpg", "label": "dog"}'
    items = scan(f"{good}\n\n{line}\n{good}\n")
    assert found(items) == ONE * 2
    assert aside(items) == {"list.csv:3": reason}


def test_absolute_paths_below_the_folder_are_made_relative(scan, tmp_path):
    assert found(scan(f"{tmp_path}/dogs/17.jpg,{DOG}\n")) == ONE
    assert found(scan(f"/srv/images/dogs/17.jpg,{DOG}\n", root=tmp_path / "x")) == []


def test_lines_with_another_number_of_columns_are_set_aside(scan):
    good = f"dogs/17.jpg,{DOG}\n"
    items = scan(f"path,wnid\n{good}one\na,b,c\n{good}")
    assert found(items) == ONE * 2
    assert aside(items) == {
        "list.csv:3": "1 columns (expected 2)",
        "list.csv:4": "3 columns (expected 2)",
    }


def test_newlines_in_quotes_keep_the_number_of_lines(scan):
    text = f'path,wnid,note\n1.jpg,{DOG},"two\nlines"\n"3\n.jpg",{DOG},\n4.jpg,unicorn,\n'
    items = scan(text)
    assert found(items) == [(f"{DOG}_1", DOG, "1.jpg")]
    assert list(aside(items)) == ["list.csv:4", "list.csv:6"]


def test_a_quote_that_is_not_closed_takes_no_more_than_it_must(scan):
    good = f"dogs/17.jpg,{DOG}\n"
    items = scan(f'path,wnid\n{good}"1.jpg,{DOG}\n' + good * 20_000)
    assert len(found(items)) > 12_000
    [(item, reason)] = aside(items).items()
    assert item == "list.csv:3"
    assert "field larger than field limit" in reason


@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8"), max_size=20), st.booleans()), max_size=20
    )
)
def test_what_csv_writes_is_read(tmp_path_factory, notes):
    """Every text may stand in a column that is not ours, in quotes, and every line is accounted."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["note", "path", "wnid"])
    for number, (note, is_good) in enumerate(notes):
        writer.writerow([note, f"{number}.jpg", DOG if is_good else "unicorn"])
    path = tmp_path_factory.mktemp("lists") / "list.csv"
    path.write_bytes(text.getvalue().encode())
    items = list(scan_listing(path, resolve))
    good = [f"{number}.jpg" for number, (_, is_good) in enumerate(notes) if is_good]
    assert [place for _, _, place in found(items)] == good
    assert len(items) == len(notes)


@given(st.text(max_size=60))
def test_no_place_leads_out(place):
    """Whatever a list names: it is refused, or a path below the folder, or a URL of ours."""
    stored, name, fault = judge_place(place, ["/srv/images/"])
    if fault:
        assert (stored, name) == ("", "")
        return
    assert stored.isprintable()
    assert name
    is_url = re.match(r"(https?|s3)://", stored, re.IGNORECASE)
    assert is_url or not {"", ".", ".."} & {*stored.split("/")}


@given(st.text("ab.:/\\@~%# \x00\u00e9", max_size=30), st.sampled_from(["", "http://", "/"]))
def test_what_is_taken_without_a_second_look_passes_it(text, head):
    """The short way of `take` is never wider than `judge_place`."""
    place = f"{head}{text}.jpg"
    found = listing._PLAIN_PLACE.fullmatch(place)
    if found:
        assert judge_place(place) == (place, found[1], "")


@pytest.mark.parametrize("head", [f"path,wnid\ndogs/17.jpg,{DOG}\n", f"dogs/17.jpg,{DOG}\n"])
def test_a_line_without_end_is_passed_over_in_little_memory(tmp_path, head):
    path = tmp_path / "bomb.csv"
    with path.open("wb") as file:
        file.write(head.encode())
        for _ in range(64):
            file.write(b"x" * (1 << 20))
        file.write(f"\ndogs/17.jpg,{DOG}\n".encode())
    tracemalloc.start()
    items = list(scan_listing(path, resolve))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found(items) == ONE * 2
    line = head.count("\n") + 1
    assert aside(items) == {f"bomb.csv:{line}": "line of more than 1048576 bytes"}
    assert peak < 16 << 20


@pytest.mark.parametrize("size", [1, 7, 64])
def test_blocks_may_end_anywhere(scan, monkeypatch, size):
    """The same list, whatever the size of the blocks it is read in."""
    text = f'path,wnid,note\r\n1.jpg,{DOG},"a\n\u00e9""b"\r\n\n2.jpg,{CAT},\n3.jpg,unicorn,x'
    whole = scan(text)
    monkeypatch.setattr(listing, "_BLOCK", size)
    path_lines = list(listing._iter_lines(io.BytesIO(text.encode())))
    assert "".join(path_lines) == text
    assert found(whole) == [(f"{DOG}_1", DOG, "1.jpg"), (f"{CAT}_2", CAT, "2.jpg")]
    assert list(aside(whole)) == ["list.csv:6"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no columns of paths and labels"),
        (b"\n\n", "no columns of paths and labels"),
        (b"dogs/17.jpg\n", "no columns of paths and labels"),
        (b"path,breed\n1.jpg,poodle\n", "no columns of paths and labels"),
        (b"wnid,breed\nn02084071,poodle\n", "no columns of paths and labels"),
        (b"17,n02084071\n", "no columns of paths and labels"),
        (b'{"path": "1.jpg"}\n', "no columns of paths and labels"),
        (b"{}\n", "no columns of paths and labels"),
        (b"\xff\xd8\xff\xe0" + b"\x10JFIF" * 40, "no columns of paths and labels"),
        (bytes(1000), "full of zeros"),
        ("path,wnid\n".encode("utf-16"), "UTF-16"),
        (b"PAR1" + b"x" * 50, "Parquet"),
        (b"\x1f\x8b\x08", "gzip"),
    ],
)
def test_files_that_are_no_lists_are_refused_with_an_example(scan, content, message):
    with pytest.raises(DatabaseError, match=message) as raised:
        scan(content)
    assert "`path,wnid`" in str(raised.value)


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(DatabaseError, match=r"none\.csv: the list cannot be read"):
        list(scan_listing(tmp_path / "none.csv", resolve))


def test_numbers_want_classes(scan):
    text = "path,label\n1.jpg,1\n2.jpg,0\n"
    with pytest.raises(DatabaseError, match=r"from 1.*from 0.*LOC_synset_mapping"):
        scan(text)
    assert [wnid for _, wnid, _ in found(scan(text, classes=[DOG, CAT]))] == [CAT, DOG]


def test_batches_are_the_same_each_time_and_hold_what_the_items_do(tmp_path):
    path = tmp_path / "list.tsv"
    lines = [f"{DOG if n % 3 else 'unicorn'}\t{n}.jpg\n" for n in range(25_000)]
    path.write_text("".join(lines))
    batches = list(scan_listing_batches(path, resolve))
    assert [len(batch.paths) + len(batch.set_aside) for batch in batches] == [10_000, 10_000, 5_000]
    assert batches[-1].done_bytes == path.stat().st_size
    again = islice(scan_listing_batches(path, resolve), 1, None)
    assert next(again) == batches[1]
    items = list(scan_listing(path, resolve))
    assert [item.path for item in items if isinstance(item, FoundImage)] == [
        place for batch in batches for place in batch.paths
    ]
    assert len(items) == 25_000


def test_a_label_is_resolved_once(tmp_path):
    asked = []
    path = tmp_path / "list.csv"
    path.write_text("path,wnid\n" + f"1.jpg,{DOG}\n2.jpg,{CAT}\n" * 500)
    list(scan_listing(path, lambda label: (asked.append(label), (label, ""))[1]))
    assert asked.count(DOG) <= 3  # twice at most while the columns are found
    assert len(asked) < 10
