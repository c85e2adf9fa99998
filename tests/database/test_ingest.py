"""Imports are whole or not at all, and doing one twice changes nothing."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import event, func, insert, select, text

from imagetree.database import (
    counts,
    import_source,
    journal,
    locate,
    open_database,
    schema,
)
from imagetree.database.closure import descendants
from imagetree.errors import DatabaseError
from imagetree.sources.source import SourceOptions

DOG, CAT, CHIHUAHUA = "n02084071", "n02121808", "n02085620"


def dump(database):
    """Everything that is in the database."""
    with database.reading() as connection:
        return {t.name: connection.execute(select(t)).all() for t in schema.metadata.sorted_tables}


def check_counts(database):
    """The stored counts are those of the rows."""
    columns = schema.images.c
    query = select(columns.synset, columns.state, func.count(), func.sum(columns.length))
    with database.reading() as connection:
        rows = connection.execute(query.group_by(columns.synset, columns.state)).all()
        kept = connection.execute(select(schema.synset_counts)).all()
    recounted = {}
    for synset, state, number, size in rows:
        figures = recounted.setdefault(synset, [0, 0, 0, 0, 0])
        figures[4 if state == schema.State.SEALED else state] = number
        figures[3] = size if state == schema.State.OK else figures[3]
    assert {row[0]: list(row[1:]) for row in kept if any(row[1:])} == recounted


def test_report_and_rows(database, train_tar, jpegs):
    """The report says what was found; the rows say where it lies."""
    calls = []
    report = import_source(database, train_tar, progress=lambda *numbers: calls.append(numbers))
    assert report.source == str(train_tar)
    assert (report.layout, report.num_found, report.num_added) == ("tar per class", 5, 5)
    assert (report.num_known, report.num_gone, report.num_synsets) == (0, 0, 2)
    assert report.bytes == sum(map(len, jpegs[:5]))
    assert report.set_aside == ()
    data = train_tar.read_bytes()
    rows = list(locate(database))
    assert [data[row.offset : row.offset + row.length] for row in rows] == jpegs[:5]
    assert counts(database) == {DOG: 3, CAT: 2}
    assert calls[-1] == (train_tar.stat().st_size, train_tar.stat().st_size, 5)


@pytest.mark.parametrize("kind", ["train_tar", "val_tar", "class_folder"])
def test_second_import_changes_nothing(database, request, val_labels, kind):
    """Importing the same source again leaves every row as it was."""
    path = request.getfixturevalue(kind)
    labels = val_labels if kind == "val_tar" else None
    first = import_source(database, path, SourceOptions(labels=labels))
    before = dump(database)
    second = import_source(database, path, SourceOptions(labels=labels))
    assert (second.num_added, second.num_known) == (0, first.num_added)
    assert dump(database) == before


def test_set_aside_is_kept_and_kept_once(database, tmp_path, write_tar, jpegs):
    """What was not imported is listed in the database, once for any number of imports."""
    inner = write_tar(None, [("notes.txt", b"x"), ("a.jpg", jpegs[0]), ("a.JPEG", jpegs[1])])
    path = write_tar(tmp_path / "t.tar", [(f"{DOG}.tar", inner)])
    for _ in range(2):
        report = import_source(database, path)
        assert len(report.set_aside) == 2
    notes, duplicate = journal.problems(database)
    assert (notes.item, notes.reason) == (f"{DOG}.tar/notes.txt", "no image by its name")
    assert duplicate.reason.startswith(f"duplicate: {DOG} has an image of this name from {path}")
    check_counts(database)


def test_duplicate_of_another_source(database, train_tar, class_folder, jpegs):
    """An image that is there already is set aside with the place of the first."""
    import_source(database, train_tar)
    (class_folder / DOG / "1.jpg").write_bytes(jpegs[0])
    for _ in range(2):
        report = import_source(database, class_folder)
        (duplicate,) = report.set_aside
        assert duplicate.item == f"{DOG}/1.jpg"
        assert f"from {train_tar}, byte " in duplicate.reason
    assert counts(database) == {DOG: 5, CAT: 3}
    check_counts(database)


def test_changed_source_is_followed(database, train_tar, write_tar, jpegs):
    """After a change images keep their ids, move, come and go; counts stay true."""
    import_source(database, train_tar)
    ids = {row.name: row.id for row in locate(database)}
    journal.set_aside(database, ids[f"{DOG}_2"], "grey")
    dogs = [(f"{DOG}_9.JPEG", jpegs[6]), (f"{DOG}_1.JPEG", jpegs[1]), (f"{DOG}_2.JPEG", jpegs[7])]
    write_tar(train_tar, [(f"{DOG}.tar", write_tar(None, dogs))])
    report = import_source(database, train_tar)
    assert (report.num_added, report.num_known, report.num_gone) == (1, 2, 3)
    data = train_tar.read_bytes()
    rows = {row.name: row for row in locate(database)}
    assert rows.keys() == {f"{DOG}_1", f"{DOG}_2", f"{DOG}_9"}  # 2 has other bytes: tried again
    assert rows[f"{DOG}_1"].id == ids[f"{DOG}_1"]
    assert [data[r.offset : r.offset + r.length] for r in rows.values()] == [
        jpegs[1],
        jpegs[7],
        jpegs[6],
    ]
    assert counts(database) == {DOG: 3}
    assert journal.problems(database) == ()


def test_corrected_labels_are_followed(database, val_tar, val_labels):
    """Labels that have changed move images to other synsets."""
    import_source(database, val_tar, SourceOptions(labels=val_labels))
    val_labels.write_text(val_labels.read_text().replace(CHIHUAHUA, DOG))
    report = import_source(database, val_tar, SourceOptions(labels=val_labels))
    assert (report.num_added, report.num_known, report.num_gone) == (1, 2, 1)
    assert counts(database) == {DOG: 2, CAT: 1}


def test_quarantine_survives_an_import(database, class_folder):
    """An image that was set aside is known, not added again."""
    import_source(database, class_folder)
    (row,) = locate(database, [CAT])
    journal.set_aside(database, row.id, "damaged")
    before = dump(database)
    assert import_source(database, class_folder).num_known == 3
    assert dump(database) == before
    assert counts(database) == {DOG: 2}


def test_dry_run_changes_nothing(database, train_tar):
    """A dry run reports what would be done and leaves the database as it was."""
    before = dump(database)
    report = import_source(database, train_tar, dry_run=True)
    assert report.num_added == 5
    assert dump(database) == before


def test_faulty_labels_import_nothing(database, val_tar, val_labels):
    """An error in the labels leaves no source behind."""
    val_labels.write_text(f"val_0.JPEG\t{DOG}\n")
    with pytest.raises(DatabaseError, match="2 faults in the labels"):
        import_source(database, val_tar, SourceOptions(labels=val_labels))
    assert journal.sources(database) == ()


def test_interrupt_keeps_what_was_told(database, train_tar):
    """Ctrl-C leaves what the progress has told, says where to go on, and the import does."""

    def interrupt(*_numbers):
        raise KeyboardInterrupt("at once")

    with pytest.raises(KeyboardInterrupt, match=r"^at once$"):
        import_source(database, train_tar, progress=interrupt)
    (source,) = journal.sources(database)
    assert source.resume_at is not None
    assert counts(database) == {DOG: 3, CAT: 2}
    check_counts(database)
    report = import_source(database, train_tar)
    assert (report.num_found, report.num_added, report.num_known, report.num_synsets) == (
        5,
        0,
        5,
        2,
    )
    assert journal.sources(database)[0].resume_at is None


@pytest.fixture
def big_tar(tmp_path, write_tar):
    """12,000 images of one byte, in three synsets."""
    members = [
        (f"{wnid}.tar", write_tar(None, [(f"{wnid}_{n}.jpg", b"x") for n in range(4000)]))
        for wnid in (DOG, CAT, CHIHUAHUA)
    ]
    return write_tar(tmp_path / "big.tar", members)


@pytest.fixture
def sqlite(tmp_path):
    """A new database in a file."""
    with open_database(tmp_path / "images.db", create=True) as opened:
        yield opened


def test_full_disk(sqlite, big_tar, train_tar):
    """The engine's own "disk is full" is an error with a hint; what was there before stays."""
    import_source(sqlite, train_tar)
    before = dump(sqlite)
    sqlite.engine.dispose()  # so that the next connection gets the limit

    def limit(connection, _record):
        connection.execute("PRAGMA max_page_count = 40")

    event.listen(sqlite.engine, "connect", limit)
    with pytest.raises(DatabaseError, match=r"(?s)database or disk is full.*hint: free some space"):
        import_source(sqlite, big_tar)
    assert dump(sqlite) == before


def test_another_writer_is_waited_for_and_told(sqlite, train_tar):
    """Where another process holds the database too long, the error says so."""
    with open_database(sqlite.place) as other, sqlite.writing():
        event.listen(other.engine, "connect", lambda c, _: c.execute("PRAGMA busy_timeout = 50"))
        other.engine.dispose()
        with pytest.raises(DatabaseError, match=r"(?s)is locked.*hint: another process"):
            import_source(other, train_tar)


CHILD = """
import sys
from imagetree.database import import_source, ingest, open_database
ingest._STEP = 500
def tell(done, total, images):
    print(images, flush=True)
with open_database(sys.argv[1], create=True) as database:
    tell(0, 0, 0)
    import_source(database, sys.argv[2], progress=tell)
"""


@pytest.fixture
def kennel_tar(tmp_path, write_tar):
    """12,000 images of one byte, of 48 kinds of dog."""
    members = [
        (f"{wnid}.tar", write_tar(None, [(f"{wnid}_{n}.jpg", b"x") for n in range(250)]))
        for wnid in sorted(descendants([DOG]))[:48]
    ]
    return write_tar(tmp_path / "kennel.tar", members)


@pytest.mark.slow
def test_kill_at_fifty_moments(tmp_path, kennel_tar):
    """Whenever an import is killed: what was reported is there, counted, and the import goes on."""
    rng = random.Random(7)
    outcomes = set()
    path = tmp_path / "images.db"
    for _ in range(50):
        command = [sys.executable, "-c", CHILD, str(path), str(kennel_tar)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            reported = [child.stdout.readline()]
            time.sleep(rng.uniform(0, 0.1))
            os.kill(child.pid, signal.SIGKILL)
            reported += child.stdout.readlines()
        with open_database(path) as database:
            num_images = len(list(locate(database)))
            assert num_images % 250 == 0
            assert num_images >= int(reported[-1])
            check_counts(database)
            outcomes.add(num_images)
            if num_images == 12000:
                assert import_source(database, kennel_tar).num_found == 12000
                assert set(counts(database).values()) == {250}
                with database.writing() as connection:
                    for table in ("problems", "images", "synset_counts", "sources"):
                        connection.execute(text(f"DELETE FROM {table}"))
    assert len(outcomes) > 5  # else the kills came too early or too late to prove anything


def test_import_reads_no_image(database, big_tar, monkeypatch):
    """An import reads headers alone, and never a byte of a member."""
    reads = []
    real = os.pread

    def pread(fd, length, offset):
        reads.append((offset, length))
        return real(fd, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    import_source(database, big_tar)
    data = {row.offset for row in locate(database)}
    assert len(data) == 12000
    assert not data & {offset for offset, _ in reads}
    assert max(length for _, length in reads) == 512
    assert sum(length for _, length in reads) <= 512 * (12000 + 3 + 20)


def test_imagenette(imagenette, tmp_path):
    """Both archives of Imagenette: every image, a small database, true counts."""
    path = tmp_path / "images.db"
    with open_database(path, create=True) as database:
        train = import_source(database, imagenette / "train.tar")
        val = import_source(
            database, imagenette / "val.tar", SourceOptions(labels=imagenette / "val_wnids.tsv")
        )
        assert (train.num_added, val.num_added) == (9469, 1963)
        assert (train.num_synsets, val.num_synsets) == (10, 10)
        assert train.set_aside == val.set_aside == ()
        check_counts(database)
    assert path.stat().st_size < 3_000_000


def test_moved_archive_is_another_source(database, train_tar, tmp_path):
    """A copy elsewhere brings nothing new: its images are duplicates of the first."""
    import_source(database, train_tar)
    shutil.copy(train_tar, tmp_path / "copy.tar")
    report = import_source(database, tmp_path / "copy.tar")
    assert (report.num_added, len(report.set_aside)) == (0, 5)


ORDER = """
import sys
from imagetree.database import import_source, journal, open_database
with open_database(sys.argv[1]) as database:
    import_source(database, sys.argv[2])
    print([problem.item for problem in journal.problems(database)])
"""


@pytest.mark.slow
def test_order_of_problems_is_that_of_the_archive(tmp_path, kennel_tar):
    """What is set aside in a comparison is listed alike, whatever the seed of the hashes."""
    copy = tmp_path / "copy.tar"
    shutil.copy(kennel_tar, copy)
    said = set()
    for seed in ("0", "1", "2"):
        path = tmp_path / f"{seed}.db"
        with open_database(path, create=True) as database:
            import_source(database, kennel_tar)
            import_source(database, copy)
            with database.writing() as connection:  # as if it had been imported first
                connection.execute(text("DELETE FROM problems"))
        command = [sys.executable, "-c", ORDER, str(path), str(copy)]
        env = os.environ | {"PYTHONHASHSEED": seed}
        said.add(subprocess.run(command, env=env, capture_output=True, check=True).stdout)
    (only,) = said
    assert len(only) > 100_000


def test_facts_of_a_changed_archive_are_forgotten(database, train_tar):
    """What a check has found out holds for the bytes that it has seen, and no longer."""
    import_source(database, train_tar)
    facts = {"format": "JPEG", "width": 1, "height": 1, "sha256": bytes(32), "traits": 0}
    ids = [row.id for row in locate(database)]
    with database.writing() as connection:
        rows = [facts | {"image_id": each} for each in ids]
        connection.execute(insert(schema.image_facts), rows)

    def num_facts():
        with database.reading() as connection:
            return connection.scalar(select(func.count()).select_from(schema.image_facts))

    import_source(database, train_tar)
    assert num_facts() == 5
    os.utime(train_tar, ns=(1, 1))
    import_source(database, train_tar)
    assert num_facts() == 0
