"""Every kind of source from its bytes to the images read back, on both engines."""

from __future__ import annotations

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from imagetree.curation.check import check_images
from imagetree.database import ImageReader, counts, import_source, journal, locate
from imagetree.errors import DatabaseError
from imagetree.sources.decoding import decode_image
from imagetree.sources.source import SourceOptions

from ..conftest import shared_path
from .kinds import (
    CAT,
    CHIHUAHUA,
    DOG,
    JPEGS,
    KINDS,
    OWN_NAMES,
    WNIDS,
    check_counts,
    class_files,
    dump,
    make_folder,
    make_tar,
    read_all,
)


def prove(database, kind):
    """Import a source and hold everything that is known of it against what it was made of."""
    before = dump(database)
    dry = import_source(database, kind.location, kind.options, dry_run=True)
    assert dump(database) == before
    report = import_source(database, kind.location, kind.options)
    assert dry == report
    assert (report.container, report.layout) == (kind.container, kind.layout)
    assert (report.num_found, report.num_added) == (len(kind.images), len(kind.images))
    assert report.num_faults == 0
    (source,) = journal.sources(database)
    assert (source.location, source.container) == (str(kind.location), kind.container)
    assert (source.layout, source.resume_at) == (kind.layout, None)
    assert counts(database) == Counter(wnid for wnid, _ in kind.images.values())
    check_counts(database)
    assert read_all(database) == kind.images
    before = dump(database)
    again = import_source(database, kind.location, kind.options)
    assert (again.num_added, again.num_known, again.num_gone) == (0, len(kind.images), 0)
    assert dump(database) == before


def prove_reading(database, kind):
    """The images from sixteen threads that share a reader; all of them decode."""
    rows = list(locate(database)) * 20
    with ImageReader(database) as reader, ThreadPoolExecutor(16) as pool:
        found = list(pool.map(reader.read, rows))
    assert found == [kind.images[row.name][1] for row in rows]
    report = check_images(database)
    assert (report.num_checked, report.bad) == (len(kind.images), ())
    check_counts(database)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_kind(database, tmp_path, name):
    """Container, layout, names, counts and bytes are right; a second import changes nothing."""
    kind = KINDS[name](tmp_path)
    prove(database, kind)
    prove_reading(database, kind)


@contextmanager
def served(folder):
    """A web server of a folder."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["ImageNet's", "CSV"])
def test_list_of_urls(database, tmp_path, monkeypatch, form):
    """ImageNet's `WNID_N<TAB>URL` and a table of URLs, fetched from a web server."""
    monkeypatch.setenv("IMAGETREE_ALLOW_HOSTS", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    make_folder(tmp_path / "web", class_files())
    with served(tmp_path / "web") as url:
        urls = [f"{url}/{wnid}/{n}.JPEG" for n, wnid in enumerate(WNIDS)]
        path = tmp_path / ("urls.txt" if form == "ImageNet's" else "urls.csv")
        if form == "CSV":
            lines = ["url,wnid", *(f"{u},{w}" for u, w in zip(urls, WNIDS, strict=True))]
        else:
            lines = [f"{name}\t{u}" for name, u in zip(OWN_NAMES, urls, strict=True)]
        path.write_text("".join(f"{line}\n" for line in lines))
        kind = KINDS["CSV"](tmp_path)._replace(location=path)
        prove(database, kind)
        prove_reading(database, kind)


def test_labels_that_a_mapping_leaves_out(database, tmp_path):
    """Flat images of a label that the mapping leaves out are told; the others are imported."""
    kind = KINDS["flat tar, labels that are words"](tmp_path)
    mapping = tmp_path / "mapping.tsv"
    mapping.write_text(f"domestic cat\t-\ndomestic_dog\t{CAT}\n")
    options = SourceOptions(labels=kind.options.labels, mapping=mapping)
    report = import_source(database, kind.location, options)
    assert (report.num_added, report.num_faults) == (4, 0)
    assert [item.item for item in report.set_aside] == ["val_4.JPEG", "val_3.JPEG"]
    assert counts(database) == {CAT: 3, CHIHUAHUA: 1}


def test_test_images_beside_a_kit(database, tmp_path):
    """Images of ILSVRC's test set have no label: each is told, and is no fault."""
    kind = KINDS["flat tar, development kit"](tmp_path)
    files = {f"{name}.JPEG": data for name, (_, data) in kind.images.items()}
    make_tar(kind.location, {**files, "ILSVRC2012_test_00000001.JPEG": JPEGS[0]})
    report = import_source(database, kind.location, kind.options)
    assert (report.num_added, report.num_faults) == (4, 0)
    (item,) = report.set_aside
    assert "the test set" in item.reason


@pytest.mark.parametrize("name", ["flat tar, labels by name", "class folders with a mapping"])
def test_labels_that_are_forgotten(database, tmp_path, name):
    """A second import without the labels or the mapping is refused, and deletes nothing."""
    kind = KINDS[name](tmp_path)
    import_source(database, kind.location, kind.options)
    before = dump(database)
    with pytest.raises(DatabaseError, match=r"hint: name .*--(labels|mapping)"):
        import_source(database, kind.location)
    assert dump(database) == before


def test_hint_names_the_labels(database, tmp_path):
    """The command that imports a changed source again has its labels with it."""
    kind = KINDS["flat tar, labels by name"](tmp_path)
    import_source(database, kind.location, kind.options)
    os.utime(kind.location, ns=(1, 1))
    with pytest.raises(DatabaseError) as caught:
        read_all(database)
    command = f"imagetree database import {kind.location} --labels {kind.options.labels}"
    assert caught.value.hint == f"import it again: {command}"


@pytest.mark.parametrize("name", ["class folders", "flat tar, labels by name", "tar of tars"])
def test_import_that_was_broken_off(database, tmp_path, name):
    """It goes on, or is compared where its source or labels have changed; nothing counts twice."""
    kind = KINDS[name](tmp_path)

    def interrupt(*_numbers):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_source(database, kind.location, kind.options, progress=interrupt)
    images = dict(kind.images)
    if name == "flat tar, labels by name":
        kind.options.labels.write_text(kind.options.labels.read_text().replace(CHIHUAHUA, DOG))
        images["val_5"] = (DOG, images["val_5"][1])
    report = import_source(database, kind.location, kind.options)
    assert report.num_found == len(images)
    assert report.bytes == sum(len(data) for _, data in images.values())
    assert read_all(database) == images
    check_counts(database)
    assert journal.sources(database)[0].resume_at is None


def test_tiny32(database):
    """Five thousand real images of a table: counts, names, and some of them decoded."""
    path = shared_path("data", "tiny32", "val.parquet")
    report = import_source(database, path)
    assert (report.layout, report.num_added, report.num_faults) == ("table", 5000, 0)
    assert sum(counts(database).values()) == 5000
    check_counts(database)
    rows = list(locate(database))
    with ImageReader(database) as reader, ThreadPoolExecutor(16) as pool:
        shapes = {decode_image(data).shape for data in pool.map(reader.read, rows[::25])}
    assert shapes == {(32, 32, 3)}
    before = dump(database)
    assert import_source(database, path).num_known == 5000
    assert dump(database) == before
