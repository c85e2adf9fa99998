"""Every kind of source from its bytes to the images read back, on both engines."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from imagetree.curation.check import check_images
from imagetree.database import ImageReader, counts, import_source, journal, locate
from imagetree.sources.decoding import decode_image

from ..conftest import shared_path
from .kinds import KINDS, OWN_NAMES, WNIDS, check_counts, class_files, dump, make_folder, read_all


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
