"""Tars of synsets: bytes that do not change, any range of them, and the way back by import."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from itertools import pairwise

import pytest

from imagetree.database import ImageReader, import_source, open_database
from imagetree.errors import DatabaseError
from imagetree.export.archive import plan_tar, write_tar
from imagetree.export.selection import Running, Selection
from imagetree.export.streaming import FilePart, iter_parts, iter_tar

from .conftest import CAT, CHIHUAHUA, DOG, jpeg, tar_of

ONE_DOG = Selection((DOG,))


def whole_of(pieces) -> bytes:
    """Each is good until the next is asked for."""
    return b"".join(map(bytes, pieces))


def test_tar_of_tars_comes_back_by_import(store, tmp_path, images, reimport):
    """Every name and byte of a whole database survives export and import."""
    report = write_tar(store, tmp_path / "all.tar")
    assert (report.num_images, report.set_aside) == (7, ())
    assert reimport(tmp_path / "all.tar") == images


def test_python_reads_what_was_written(store, tmp_path, images):
    """Order, times, owners and modes are fixed; records are whole."""
    path = tmp_path / "dog.tar"
    write_tar(store, path, ONE_DOG)
    assert path.stat().st_size % 10_240 == 0
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        assert [m.name for m in members] == [f"{DOG}_{n}.JPEG" for n in (10, 2, 3)]
        assert {(m.mtime, m.uid, m.gid, m.mode, m.uname) for m in members} == {(0, 0, 0, 0o644, "")}
        assert archive.extractfile(members[0]).read() == images[DOG][f"{DOG}_10"]


def test_bytes_depend_on_content_alone(store, tmp_path, images):
    """Another order of the source, another place and other threads give the same archive."""
    write_tar(store, tmp_path / "a.tar", running=Running(threads=1))
    folder = tmp_path / "classes"
    for wnid, found in reversed(images.items()):
        (folder / wnid).mkdir(parents=True)
        for name, data in reversed(found.items()):
            (folder / wnid / f"{name}.png").write_bytes(data)
    with open_database(tmp_path / "other.db", create=True) as other:
        import_source(other, folder)
        write_tar(other, tmp_path / "b.tar", running=Running(threads=8))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_a_synsets_tar_is_the_same_alone_and_inside(store, tmp_path):
    """The manifest names the archive and each tar in it, as sha256sum checks them."""
    alone = write_tar(store, tmp_path / f"{DOG}.tar", ONE_DOG)
    write_tar(store, tmp_path / "dogs.tar", Selection((DOG,), subtree=True))
    lines = (tmp_path / "dogs.tar.sha256").read_text().splitlines()
    assert [line.split()[1] for line in lines] == ["dogs.tar", f"{DOG}.tar", f"{CHIHUAHUA}.tar"]
    assert lines[1].split()[0] == alone.sha256
    command = ["sha256sum", "--check", "--strict", "--ignore-missing", "dogs.tar.sha256"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout == f"dogs.tar: OK\n{DOG}.tar: OK\n"


@pytest.mark.parametrize("selection", [Selection(), ONE_DOG, Selection((DOG, CAT))])
def test_planned_size_and_every_range(store, tmp_path, selection):
    """Any range is a slice of the file, and the size is known before an image is read."""
    report = write_tar(store, tmp_path / "whole.tar", selection)
    whole = (tmp_path / "whole.tar").read_bytes()
    assert hashlib.sha256(whole).hexdigest() == report.sha256
    with ImageReader(store) as reader:
        plan = plan_tar(store, reader, selection)
        assert plan.size == len(whole)
        cuts = sorted({0, 1, 511, 512, 513, 5000, 10_240, 11_000, len(whole) - 1, len(whole)})
        for start, stop in [*pairwise(cuts), (0, len(whole)), (700, 900)]:
            assert whole_of(iter_tar(store, reader, plan, start, stop)) == whole[start:stop]
        assert whole_of(iter_tar(store, reader, plan, len(whole) - 3)) == whole[-3:]
        assert whole_of(iter_tar(store, reader, plan, len(whole) + 5)) == b""


def test_a_range_reads_only_what_lies_in_it(store, monkeypatch):
    """The last bytes of an archive are sent without reading the images before them."""
    read = []
    with ImageReader(store) as reader:
        plan = plan_tar(store, reader, Selection())
        place = reader.place
        monkeypatch.setattr(reader, "place", lambda row: read.append(row.name) or place(row))
        list(iter_tar(store, reader, plan, plan.size - 9_000))
        assert read == []
        list(iter_tar(store, reader, plan, plan.size - 18_900))
    assert read == [f"{CAT}_1", f"{CAT}_2"]


def test_images_of_a_tar_are_told_by_their_places(store, source):
    """Where they lie on the disk: nothing of them is read."""
    with ImageReader(store) as reader:
        plan = plan_tar(store, reader, Selection())
        parts = [each for each in iter_parts(store, reader, plan) if isinstance(each, FilePart)]
        data = source.read_bytes()
        assert len(parts) == 7
        for each in parts:
            assert each.read() == data[each.offset : each.offset + each.size]
            assert bytes(each[3:9].read()) == each.read()[3:9]
            assert len(each[each.size :]) == 0


def test_a_system_that_takes_no_advice_gives_the_same_bytes(store, monkeypatch):
    """As macOS, which has no `posix_fadvise`."""
    with ImageReader(store) as reader:
        plan = plan_tar(store, reader, Selection())
        whole = whole_of(iter_tar(store, reader, plan))
        monkeypatch.delattr(os, "posix_fadvise")
        assert whole_of(iter_tar(store, reader, plan)) == whole


def test_memory_is_used_again_and_holds_what_is_due(tmp_path):
    """Of a folder's images, which are read: more than all memory together, in order."""
    folder = tmp_path / "classes" / DOG
    folder.mkdir(parents=True)
    for number in range(40):
        (folder / f"{DOG}_{number}.JPEG").write_bytes(jpeg(1) + bytes([number]) * 300_000)
    with open_database(tmp_path / "many.db", create=True) as database:
        import_source(database, folder.parent)
        write_tar(database, tmp_path / "many.tar")
        with ImageReader(database) as reader:
            plan = plan_tar(database, reader, Selection())
            found = whole_of(iter_tar(database, reader, plan))
            places = {id(each.obj) for each in iter_tar(database, reader, plan)}
    assert found == (tmp_path / "many.tar").read_bytes()
    assert len(places) < 10


def test_etag_changes_with_the_source(store, source, images):
    """Bytes that may be others have another etag; the same ones the same."""
    with ImageReader(store) as reader:
        first = plan_tar(store, reader, ONE_DOG).etag
        assert plan_tar(store, reader, ONE_DOG).etag == first
        assert plan_tar(store, reader, Selection((CAT,))).etag != first
    os.utime(source, ns=(5, 5))
    import_source(store, source)
    with ImageReader(store) as reader:
        assert plan_tar(store, reader, ONE_DOG).etag != first


def test_unreadable_images_are_set_aside(broken, tmp_path, reimport):
    """The rest is written, and the archive is whole."""
    report = write_tar(broken, tmp_path / "rest.tar")
    assert report.num_images == 3
    assert {item.item for item in report.set_aside} == {f"{DOG}/{DOG}_2", f"{CAT}/{CAT}_4"}
    assert "No such file" in next(i.reason for i in report.set_aside if i.item.startswith(DOG))
    expected = {DOG: {f"{DOG}_1": jpeg(1), f"{DOG}_3": jpeg(3)}, CAT: {f"{CAT}_5": jpeg(5)}}
    assert reimport(tmp_path / "rest.tar") == expected
    assert hashlib.sha256((tmp_path / "rest.tar").read_bytes()).hexdigest() == report.sha256


def test_a_synset_without_a_readable_image_is_left_out(broken, tmp_path):
    """No empty tar stands in the archive."""
    for path in (tmp_path / "classes" / DOG).iterdir():
        path.unlink()
    report = write_tar(broken, tmp_path / "rest.tar")
    with tarfile.open(tmp_path / "rest.tar") as archive:
        assert archive.getnames() == [f"{CAT}.tar"]
    assert (report.num_images, len(report.set_aside)) == (1, 4)


def test_a_stream_ends_at_an_unreadable_image(broken):
    """What was promised cannot be kept, so the stream fails and is not taken for whole."""
    with ImageReader(broken) as reader:
        plan = plan_tar(broken, reader, Selection())
        with pytest.raises(DatabaseError, match="No such file"):
            list(iter_tar(broken, reader, plan))


def test_a_missing_source_ends_the_export(store, source, tmp_path):
    """No image is blamed, and no file is left."""
    source.unlink()
    with pytest.raises(DatabaseError, match=r"source\.tar: the source cannot be opened"):
        write_tar(store, tmp_path / "all.tar")
    assert sorted(p.name for p in tmp_path.glob("*all.tar*")) == []


def test_long_and_foreign_names(tmp_path, reimport):
    """Names that ustar cannot hold are written with a PAX header, and counted with it."""
    names = {f"{DOG}_{'x' * 120}": jpeg(1), f"{DOG}_é": jpeg(2)}
    path = tmp_path / "names.tar"
    inner = tar_of((f"{name}.JPEG", data) for name, data in names.items())
    path.write_bytes(tar_of([(f"{DOG}.tar", inner)]))
    with open_database(tmp_path / "names.db", create=True) as database:
        import_source(database, path)
        write_tar(database, tmp_path / "out.tar")
        with ImageReader(database) as reader:
            plan = plan_tar(database, reader, Selection())
            assert whole_of(iter_tar(database, reader, plan)) == (tmp_path / "out.tar").read_bytes()
    assert reimport(tmp_path / "out.tar") == {DOG: names}


def test_a_name_too_long_for_a_file_is_set_aside(tmp_path):
    """An impossible name does not end the export, nor leave an empty tar in it."""
    path = tmp_path / "names.tar"
    long = "x" * 300
    dogs = tar_of([(f"{DOG}_{long}.JPEG", jpeg(1)), (f"{DOG}_1.JPEG", jpeg(1))])
    cats = tar_of([(f"{CAT}_{long}.JPEG", jpeg(1))])
    path.write_bytes(tar_of([(f"{DOG}.tar", dogs), (f"{CAT}.tar", cats)]))
    with open_database(tmp_path / "names.db", create=True) as database:
        import_source(database, path)
        report = write_tar(database, tmp_path / "out.tar")
        with ImageReader(database) as reader:
            plan = plan_tar(database, reader, Selection())
            assert whole_of(iter_tar(database, reader, plan)) == (tmp_path / "out.tar").read_bytes()
    assert report.num_images == 1
    assert plan.set_aside == report.set_aside
    assert "name of 315 bytes" in report.set_aside[0].reason


def test_unknown_lengths_are_found_by_reading(store, tmp_path, monkeypatch):
    """Images whose length the database does not know come out as the same archive."""
    from imagetree.database import queries

    write_tar(store, tmp_path / "known.tar")
    locate, read = queries.locate, ImageReader.read
    lengths = {row.id: row.length for row in locate(store)}
    monkeypatch.setattr(
        queries, "locate", lambda *a, **k: (r._replace(length=0) for r in locate(*a, **k))
    )
    monkeypatch.setattr(
        ImageReader, "read", lambda self, row: read(self, row._replace(length=lengths[row.id]))
    )
    write_tar(store, tmp_path / "unknown.tar")
    with ImageReader(store) as reader:
        stream = whole_of(iter_tar(store, reader, plan_tar(store, reader, Selection())))
    assert (tmp_path / "known.tar").read_bytes() == (tmp_path / "unknown.tar").read_bytes()
    assert (tmp_path / "known.tar").read_bytes() == stream


def test_progress_and_nothing_to_export(store, tmp_path):
    """Progress ends at all images; a synset without images is an error with a hint."""
    calls = []
    running = Running(lambda done, total: calls.append((done, total)))
    write_tar(store, tmp_path / "all.tar", running=running)
    assert calls[-1] == (7, 7)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    with pytest.raises(DatabaseError, match="no images of n00523513") as caught:
        write_tar(store, tmp_path / "none.tar", Selection(("n00523513",)))
    assert "imagetree database tree" in (caught.value.hint or "")


def test_streamed_tar_opens_as_one(store, images):
    """The stream itself is a tar that Python reads."""
    with ImageReader(store) as reader:
        data = whole_of(iter_tar(store, reader, plan_tar(store, reader, Selection((CAT,)))))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.extractfile(f"{CAT}_1.JPEG").read() == images[CAT][f"{CAT}_1"]
