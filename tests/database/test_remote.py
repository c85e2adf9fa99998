"""Sources on a real server of S3 and on a real web server, imported and read where they are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest

from imagetree.database import ImageReader, import_source, journal, locate, open_database
from imagetree.errors import DatabaseError

from ..sources.servers import WebFile, serve
from .kinds import (
    CAT,
    DOG,
    JPEGS,
    KINDS,
    OWN_NAMES,
    check_counts,
    class_files,
    class_tars,
    dump,
    make_tar,
    read_all,
    samples,
)

pytestmark = pytest.mark.slow

FILES = ["tar of tars", "class folders in a tar", "class folders in a deflated zip", "Parquet"]
FOLDERS = ["folder of tars", "shards of WebDataset", "Parquet in shards"]
SLOW_FOLDERS = [pytest.param(name, marks=pytest.mark.slow) for name in FOLDERS]  # many sessions


@pytest.fixture
def database(tmp_path):
    """A new database; which engine it has makes no difference to servers."""
    with open_database(tmp_path / "images.db", create=True) as opened:
        yield opened


@pytest.fixture
def bucket(s3_client):
    """The bucket as an object of its own."""
    resource = boto3.resource("s3")
    yield resource.Bucket("archives")
    resource.meta.client.close()


def upload(bucket, path):
    """Put a file or the files of a folder into the bucket; the URL of what was put there."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        if file.is_file():
            bucket.upload_file(str(file), str(file.relative_to(path.parent)))
    return f"s3://archives/{path.name}{'/' if path.is_dir() else ''}"


def prove(database, url, kind):
    """Import a place on a server, read it from eight threads, import it once more."""
    report = import_source(database, url)
    assert (report.container, report.layout) == (kind.container, kind.layout)
    assert (report.num_added, report.num_faults) == (len(kind.images), 0)
    check_counts(database)
    rows = list(locate(database)) * 8
    with ImageReader(database) as reader, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(reader.read, rows))
    assert found == [kind.images[row.name][1] for row in rows]
    before = dump(database)
    again = import_source(database, url)
    assert (again.num_added, again.num_known, again.num_gone) == (0, len(kind.images), 0)
    assert dump(database) == before


@pytest.mark.parametrize("name", [*FILES, "class folders", *SLOW_FOLDERS])
def test_s3(database, bucket, tmp_path, name):
    """Archives, tables, and prefixes that hold images, tars or tables."""
    kind = KINDS[name](tmp_path)
    prove(database, upload(bucket, kind.location), kind)


@pytest.mark.parametrize("name", FILES)
def test_http(database, tmp_path, name):
    """Archives and tables by ranges of a web server."""
    kind = KINDS[name](tmp_path)
    with serve(WebFile(kind.location.read_bytes())) as file:
        prove(database, file.url, kind)


def test_http_reads_headers_alone(database):
    """Of a flat tar little more than the headers is asked for, and many of them at once."""
    data = bytes(300_000)
    labelled = {f"{DOG}/{n}.jpg": data for n in range(20)}
    small = {f"{CAT}/{n}.jpg": JPEGS[0] for n in range(1000)}
    with serve(WebFile(make_tar(None, {**labelled, **small}))) as file:
        assert import_source(database, file.url).num_added == 1020
        assert len(file.requests) < 150
        assert file.sent < len(file.data) / 2


def test_shard_on_a_server_takes_few_requests(database):
    """The samples of a shard share requests too."""
    shard = {f"{n:04}.{end}": d for n in range(500) for end, d in samples([0]).items()}
    shard = {name.replace("0000.", "", 1): data for name, data in shard.items()}
    with serve(WebFile(make_tar(None, shard))) as file:
        assert import_source(database, file.url).num_added == 500
        assert len(file.requests) < 250


@pytest.mark.parametrize("name", [*FILES, *SLOW_FOLDERS])
def test_object_that_has_changed(database, bucket, tmp_path, name):
    """After a change nothing is read from it any more until it is imported again."""
    kind = KINDS[name](tmp_path)
    url = upload(bucket, kind.location)
    import_source(database, url)
    row, *_ = locate(database)
    with ImageReader(database) as reader:
        reader.open_all()
        reader.read(row)
    changed = max(bucket.objects.all(), key=lambda item: item.size)
    data = changed.get()["Body"].read()
    changed.put(Body=b"\0" * 512 + data[512:])
    with ImageReader(database) as reader, pytest.raises(DatabaseError) as caught:
        reader.read(row)
    assert f"{url}: changed since it was imported" in caught.value.message
    assert caught.value.hint == f"import it again: imagetree database import {url}"


def test_object_that_changes_while_it_is_read(database, bucket, tmp_path):
    """A reader that has the object open already refuses its new bytes, and says what to do."""
    kind = KINDS["tar of tars"](tmp_path)
    url = upload(bucket, kind.location)
    import_source(database, url)
    first, *_, last = locate(database)
    with ImageReader(database) as reader:
        assert reader.read(first) == OWN_NAMES[first.name][1]
        bucket.Object("t.tar").put(Body=make_tar(None, class_tars("w21/")))
        with pytest.raises(DatabaseError, match="changed while it was read") as caught:
            reader.read(last)
    assert caught.value.hint is not None
    assert "import" in caught.value.hint


def test_changed_object_is_followed(database, bucket, tmp_path):
    """Imported again, a changed object gives its images their new places."""
    kind = KINDS["tar of tars"](tmp_path)
    url = upload(bucket, kind.location)
    import_source(database, url)
    bucket.Object("t.tar").put(Body=make_tar(None, class_files(prefix="longer/names/")))
    report = import_source(database, url)
    assert (report.num_known, report.num_gone, report.num_added) == (6, 0, 0)
    assert read_all(database) == OWN_NAMES
    check_counts(database)


def test_object_that_is_gone(database, bucket, tmp_path):
    """The error names the command that says where it lies now."""
    url = upload(bucket, KINDS["tar of tars"](tmp_path).location)
    import_source(database, url)
    bucket.objects.all().delete()
    with pytest.raises(DatabaseError) as caught:
        read_all(database)
    assert "is not there" in caught.value.message
    assert f"imagetree database relink {url} NEW" in str(caught.value.hint)


def test_nothing_is_there(database, bucket):
    """An import of nothing leaves nothing."""
    for url in ("s3://archives/none.tar", "s3://archives/none/", "s3://nobucket/none.tar"):
        with pytest.raises(DatabaseError, match=r"is not there|nothing lies below it"):
            import_source(database, url)
    assert journal.sources(database) == ()


def test_list_on_a_server_is_refused(database):
    """A list is read from the disk; the error says so and does not speak of a missing file."""
    with serve(WebFile(b"path,wnid\n")) as file:
        url = file.url.replace("train.tar", "list.csv")
        with pytest.raises(DatabaseError, match="a list is read from this machine's disk"):
            import_source(database, url)
