"""Places on the disk, on real web servers and on a real server of S3."""

from __future__ import annotations

import functools
import hashlib
import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from imagetree.errors import DatabaseError
from imagetree.sources import remote
from imagetree.sources.blocks import BlockReader
from imagetree.sources.entries import Entry, SetAside
from imagetree.sources.places import is_url, list_place, open_place
from imagetree.sources.tarscan import scan_tar

from .servers import WebFile, serve

DATA = random.Random(0).randbytes(300_000)


@pytest.fixture
def hurry(monkeypatch):
    """Wait less between tries."""
    monkeypatch.setattr(remote, "RETRY_DELAYS", (0.01,) * 4)


def headers_of(read, size):
    """What a scan finds, which reads headers alone."""
    return list(scan_tar(read, 0, size))


def read_at_random(place, data, count):
    """Read from 32 threads at once, and compare."""
    rng = random.Random(1)
    spans = [(rng.randrange(1, 5000), rng.randrange(len(data))) for _ in range(count)]
    with ThreadPoolExecutor(32) as pool:
        for (length, offset), found in zip(
            spans, pool.map(lambda span: place.read(*span), spans), strict=True
        ):
            assert found == data[offset : offset + length]


def test_local_place_is_pread_and_nothing_slower(tmp_path):
    path = tmp_path / "train.tar"
    path.write_bytes(DATA)
    with open_place(path) as place:
        assert isinstance(place.read, functools.partial)
        assert place.read.func is os.pread
        assert (place.location, place.size, place.is_remote) == (str(path), len(DATA), False)
        assert place.read(7, 100) == DATA[100:107]
        assert place.version == str(path.stat().st_mtime_ns)
        place.check()
        fd = place.read.args[0]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    place.close()


def test_local_place_notices_a_change(tmp_path):
    path = tmp_path / "train.tar"
    path.write_bytes(DATA)
    with open_place(path) as place:
        os.utime(path, ns=(1, 1))
        with pytest.raises(DatabaseError, match="changed while it was read"):
            place.check()


def test_only_regular_files_are_opened(tmp_path):
    """A pipe without a writer does not block."""
    os.mkfifo(tmp_path / "pipe")
    for path, fault in ((tmp_path / "pipe", "no regular file"), (tmp_path, "no regular file")):
        with pytest.raises(DatabaseError, match=fault):
            open_place(path)
    with pytest.raises(DatabaseError, match="cannot be opened"):
        open_place(tmp_path / "missing.tar")
    with pytest.raises(DatabaseError, match="scheme 'ftp:' is not read"):
        open_place("ftp://host/train.tar")


def test_s3_place_reads_as_the_disk(s3_client, tmp_path, jpegs, write_tar):
    """Scans of real images over S3 and on the disk give the same."""
    path = write_tar(tmp_path / "train.tar", [(f"{n}.JPEG", data) for n, data in enumerate(jpegs)])
    s3_client.upload_file(str(path), "archives", "sets/train.tar")
    with open_place(path) as local, open_place("s3://archives/sets/train.tar") as place:
        assert place.is_remote
        assert place.size == local.size
        blocks = BlockReader(place.read, place.size)
        assert headers_of(blocks.read, place.size) == headers_of(local.read, local.size)
        assert len(headers_of(local.read, local.size)) == len(jpegs)
        place.check()


def test_s3_place_from_32_threads(s3_client):
    s3_client.put_object(Bucket="archives", Key="a", Body=DATA)
    with open_place("s3://archives/a") as place:
        assert place.version == f'"{hashlib.md5(DATA).hexdigest()}"'
        read_at_random(place, DATA, 200)
        assert place.read(100, len(DATA) - 3) == DATA[-3:]
        assert place.read(100, len(DATA)) == b""


def test_s3_place_notices_a_change(s3_client):
    s3_client.put_object(Bucket="archives", Key="a", Body=DATA)
    with open_place("s3://archives/a") as place:
        s3_client.put_object(Bucket="archives", Key="a", Body=DATA[::-1])
        with pytest.raises(DatabaseError, match="s3://archives/a: changed while it was read"):
            place.read(10, 0)
        with pytest.raises(DatabaseError, match="changed while it was read"):
            place.check()


def test_s3_place_that_is_missing(s3_client):
    with pytest.raises(DatabaseError, match="s3://archives/none: is not there"):
        open_place("s3://archives/none")
    with pytest.raises(DatabaseError, match="the URL names no file"):
        open_place("s3://archives/")


def test_s3_without_credentials_is_read_unsigned(s3_client, monkeypatch, tmp_path):
    s3_client.put_object(Bucket="archives", Key="a", Body=DATA, ACL="public-read")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with open_place("s3://archives/a") as place:
        assert place.read(9, 9) == DATA[9:18]


def test_list_place(s3_client, monkeypatch):
    """All pages, sorted by key; folders' stand-ins are left out, unsafe names set aside."""
    keys = [
        "train/n1/b.jpg",
        "train/n1/a.jpg",
        "train/n2/c.jpg",
        "train/",
        "train/x/../y",
        "trainer",
    ]
    for key in keys:
        s3_client.put_object(Bucket="archives", Key=key, Body=b"x" * (not key.endswith("/")))
    expected = [Entry(f"{n}.jpg", 0, 1, f"{n}.jpg") for n in ("n1/a", "n1/b", "n2/c")]
    for url in ("s3://archives/train", "s3://archives/train/"):
        found = list(list_place(url))
        assert found[:3] == expected
        assert found[3:] == [SetAside("x/../y", 0, "name leads out of the archive by '..'")]
    assert len(list(list_place("s3://archives"))) == 5
    with pytest.raises(DatabaseError, match="nothing lies below it"):
        list(list_place("s3://archives/none"))
    with pytest.raises(DatabaseError, match="is not there"):
        list(list_place("s3://nobucket/none"))
    with pytest.raises(DatabaseError, match="does not say what lies below"):
        list(list_place("https://host/train"))


def test_list_place_of_many_pages(s3_client, monkeypatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")  # of the server: a page
    for number in range(10):
        s3_client.put_object(Bucket="archives", Key=f"many/{number}.jpg", Body=b"x")
    assert s3_client.list_objects_v2(Bucket="archives")["KeyCount"] == 3
    names = [entry.name for entry in list_place("s3://archives/many")]
    assert names == [f"{number}.jpg" for number in range(10)]


@pytest.mark.slow
def test_http_place_from_32_threads():
    with serve(WebFile(DATA)) as file, open_place(file.url) as place:
        assert (place.size, place.version, place.is_remote) == (len(DATA), '"1"', True)
        assert place.location == file.url
        read_at_random(place, DATA, 300)
        assert file.requests[-1][1]["If-Match"] == '"1"'
        place.check()


def test_http_place_by_time_of_change():
    """Without an ETag the time of change is the version, and is asked for."""
    times = ["Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"]
    file = WebFile(DATA, headers={"Last-Modified": times[0]})
    with serve(file), open_place(file.url) as place:
        assert place.version == times[0]
        assert place.read(5, 5) == DATA[5:10]
        assert file.requests[-1][1]["If-Unmodified-Since"] == times[0]
        file.headers = {"Last-Modified": times[1]}
        with pytest.raises(DatabaseError, match="changed while it was read"):
            place.read(5, 5)


def test_http_place_without_any_version_is_refused():
    fault = "neither ETag nor Last-Modified"
    with serve(WebFile(DATA, headers={})) as file, pytest.raises(DatabaseError, match=fault):
        open_place(file.url)


def test_http_server_without_ranges_is_refused_unread():
    """It would send all of the archive for each header; of 64 MB next to nothing is taken."""
    with serve(WebFile(bytes(64 << 20), knows_ranges=False)) as file:
        with pytest.raises(DatabaseError, match="does not know byte ranges") as error:
            open_place(file.url)
        assert error.value.hint is not None
        assert "download it" in error.value.hint
    assert file.sent < 16 << 20


def test_http_server_that_forgets_ranges_is_refused():
    with serve(WebFile(DATA)) as file, open_place(file.url) as place:
        file.knows_ranges = False
        with pytest.raises(DatabaseError, match="does not know byte ranges"):
            place.read(5, 5)


def test_http_server_that_fails_at_first(hurry):
    with serve(WebFile(DATA, failures=[503, 500])) as file, open_place(file.url) as place:
        file.failures.extend([502, 429])
        assert place.read(5, 5) == DATA[5:10]


def test_http_answer_that_breaks_off_is_asked_again(hurry):
    with serve(WebFile(DATA)) as file, open_place(file.url) as place:
        file.cut = 100
        assert place.read(1000, 0) == DATA[:1000]
        assert len(file.requests) == 3


def test_http_server_that_fails_always(hurry):
    """Five tries, and no more."""
    with serve(WebFile(DATA, failures=[503] * 9)) as file:
        with pytest.raises(DatabaseError, match=r"no answer in 5 tries \(status 503\)"):
            open_place(file.url)
        assert len(file.requests) == 5


@pytest.mark.parametrize("change", ["etag", "weak etag", "size"])
def test_http_place_notices_a_change(change):
    """By If-Match, by the ETag of the answer where it is weak, by the size in Content-Range."""
    file = WebFile(DATA, headers={"ETag": 'W/"1"' if change == "weak etag" else '"1"'})
    with serve(file), open_place(file.url) as place:
        assert place.read(5, 5) == DATA[5:10]
        if change == "size":
            file.data = DATA + b"more"
        else:
            file.headers = {"ETag": file.headers["ETag"].replace("1", "2")}
        with pytest.raises(DatabaseError, match="changed while it was read"):
            place.read(5, 5)


@pytest.mark.parametrize(
    ("status", "fault"), [(403, "access is denied"), (404, "is not there"), (418, "status 418")]
)
def test_http_place_is_denied_or_missing(status, fault):
    file = WebFile(DATA, failures=[status])
    with serve(file), pytest.raises(DatabaseError, match=fault):
        open_place(file.url)


def test_http_credentials_come_from_netrc(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password word\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with serve(WebFile(DATA)) as file, open_place(file.url) as place:
        assert place.read(1, 0) == DATA[:1]
        assert all(headers["Authorization"] == "Basic bWU6d29yZA==" for _, headers in file.requests)


@pytest.mark.parametrize(
    "url",
    [
        "https://me:word@host/train.tar",
        "s3://key:word@bucket/train.tar",
        "https://host/train.tar?X-Amz-Signature=word",
        "https://host/train.tar?a=1&token=word",
        "https:///train.tar",
    ],
)
def test_urls_with_secrets_are_refused_and_not_shown(url):
    with pytest.raises(DatabaseError) as error:
        open_place(url)
    assert "word" not in str(error.value)


def test_missing_libraries_are_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "aiohttp", None)
    with pytest.raises(DatabaseError, match="reading from servers needs aiohttp") as error:
        open_place("https://host/train.tar")
    assert error.value.hint == "pip install 'imagetree[remote]'"


def test_locations_that_are_urls(tmp_path):
    assert is_url("HTTPS://host/a")
    assert not is_url(tmp_path / "s3:" / "a")


class Counted:
    """Reads of bytes in memory, counted."""

    def __init__(self, data):
        self.data, self.reads = data, []

    def __call__(self, length, offset):
        self.reads.append(length)
        return self.data[offset : offset + length]


@pytest.mark.parametrize(
    ("member", "count", "requests", "share"),
    [(115_000, 40, 42, 0.05), (1_000, 4000, 20, 1.1), (20_000, 400, 30, 1.1)],
    ids=["of 115 kB", "of 1 kB", "of 20 kB"],
)
def test_block_reader_counts(write_tar, member, count, requests, share):
    """Large members cost a request each and none of their bodies; small ones share a request."""
    data = write_tar(None, [(f"{n}.JPEG", bytes(member)) for n in range(count)])
    counted = Counted(data)
    blocks = BlockReader(counted, len(data))
    assert headers_of(blocks.read, len(data)) == headers_of(Counted(data), len(data))
    assert len(counted.reads) <= requests
    assert sum(counted.reads) < share * len(data)


def test_block_reader_gives_what_lies_there():
    """Forwards, backwards, beyond the end, and more than the greatest block at once."""
    data = random.Random(3).randbytes(3 << 20)
    rng, blocks = random.Random(4), BlockReader(Counted(data), len(data))
    for _ in range(500):
        length, offset = rng.choice([1, 512, 5000, 2 << 20]), rng.randrange(len(data) + 9)
        assert blocks.read(length, offset) == data[offset : offset + length]
