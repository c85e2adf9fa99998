"""Several processes at once, full disks, and kills: what was told is there, and counts are true."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pytest
from sqlalchemy import event

from imagetree.database import counts, import_source, ingest, journal, locate, open_database
from imagetree.database.closure import descendants
from imagetree.errors import DatabaseError

from .kinds import DOG, check_counts, make_tar

pytestmark = pytest.mark.slow

CHILD = """
import sys
from imagetree.database import import_source, ingest, open_database
ingest._STEP = int(sys.argv[3])
with open_database(sys.argv[1]) as database:
    print("ready", flush=True)
    sys.stdin.readline()
    report = import_source(database, sys.argv[2])
    print(report.num_found, flush=True)
"""
KENNEL = sorted(descendants([DOG]))[:24]


def kennel(path, wnids, numbers):
    """A tar of tars of images of one byte."""
    tars = {
        f"{wnid}.tar": make_tar(None, {f"{wnid}_{n}.jpg": b"x" for n in numbers}) for wnid in wnids
    }
    return make_tar(path, tars)


def start(place, source, *, program=CHILD, step=500):
    """An import in a process of its own, in steps of so many images; it waits for a line."""
    child = subprocess.Popen(
        [sys.executable, "-c", program, place, str(source), str(step)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def import_at_once(place, sources, step):
    """Let several processes import at the same moment; all must end well."""
    children = [start(place, source, step=step) for source in sources]
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    ends = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0] * len(children), ends
    return [int(output) for output, _ in ends]


@pytest.mark.parametrize("step", [500, 50_000])
def test_two_writers(database, place, tmp_path, step):
    """Two sources that overlap, in opposite orders: both complete, each image is there once.

    In steps of all their images two that wrote at the same time would wait for one another.
    """
    one = kennel(tmp_path / "1.tar", KENNEL, range(200))
    two = kennel(tmp_path / "2.tar", KENNEL[::-1], range(100, 300))
    assert import_at_once(place, [one, two], step) == [4800, 4800]
    assert counts(database) == dict.fromkeys(KENNEL, 300)
    assert len(journal.problems(database)) == 2400
    assert all(source.resume_at is None for source in journal.sources(database))
    check_counts(database)


def test_two_writers_of_one_source(database, place, tmp_path):
    """The same source twice at once: one source, each image once, nothing set aside."""
    tar = kennel(tmp_path / "1.tar", KENNEL, range(300))
    assert import_at_once(place, [tar, tar], 500) == [7200, 7200]
    (source,) = journal.sources(database)
    assert source.resume_at is None
    assert counts(database) == dict.fromkeys(KENNEL, 300)
    assert journal.problems(database) == ()
    check_counts(database)


def test_full_disk(tmp_path, monkeypatch):
    """Where the disk is full the steps before it are kept, and the same import completes later."""
    monkeypatch.setattr(ingest, "_STEP", 500)
    tar = kennel(tmp_path / "1.tar", KENNEL, range(300))

    def limit(connection, _record):
        connection.execute("PRAGMA max_page_count = 80")

    with open_database(tmp_path / "images.db", create=True) as database:
        database.engine.dispose()
        event.listen(database.engine, "connect", limit)
        with pytest.raises(DatabaseError, match=r"(?s)disk is full.*hint: free some space"):
            import_source(database, tar)
        kept = sum(counts(database).values())
        assert 0 < kept < 7200
        check_counts(database)
    with open_database(tmp_path / "images.db") as database:
        report = import_source(database, tar)
        assert (report.num_known, report.num_added) == (kept, 7200 - kept)
        assert counts(database) == dict.fromkeys(KENNEL, 300)
        check_counts(database)


LIMITED = CHILD.replace(
    'print("ready"',
    'import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000)); print("ready"',
)


def test_writes_that_fail(tmp_path):
    """The kernel lets the file grow no more: an error, and a database that is whole."""
    tar = kennel(tmp_path / "1.tar", KENNEL, range(300))
    path = tmp_path / "images.db"
    open_database(path, create=True).close()
    _, errors = start(str(path), tar, program=LIMITED).communicate("go\n", timeout=60)
    assert "DatabaseError: " in errors.splitlines()[-1] or "hint: " in errors.splitlines()[-1]
    with open_database(path) as database:
        check_counts(database)
        assert sum(counts(database).values()) < 7200
        assert import_source(database, tar).num_found == 7200
        assert counts(database) == dict.fromkeys(KENNEL, 300)
        check_counts(database)


def state_of(database):
    """Where every image lies, and which source."""
    with database.reading():
        rows = {(row.name, row.offset, row.length) for row in locate(database)}
    return rows, [(source.size_bytes, source.version) for source in journal.sources(database)]


@pytest.mark.slow
def test_killed_while_a_changed_source_is_compared(database, place, tmp_path):
    """Killed at twenty moments: the database knows the old archive or the new one, whole."""
    path, rng = tmp_path / "t.tar", random.Random(11)
    before = kennel(path, KENNEL, range(300)).read_bytes()
    after = kennel(path, KENNEL[::-1][:20], range(100, 400)).read_bytes()
    path.write_bytes(before)
    import_source(database, path)
    began = time.monotonic()
    path.write_bytes(after)
    import_source(database, path)
    seconds = time.monotonic() - began
    outcomes = []
    for turn in range(20):
        path.write_bytes(before if turn % 2 else after)
        old, (size, mtime) = state_of(database), (path.stat().st_size, path.stat().st_mtime_ns)
        child = start(place, path)
        child.stdin.write("go\n")
        child.stdin.flush()
        time.sleep(rng.uniform(0, 1.2 * seconds))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        found, facts = state_of(database)
        assert len(found) == (7200 if facts[0][0] == len(before) else 6000)
        is_new = facts == [(size, str(mtime))]
        assert is_new or (found, facts) == old
        check_counts(database)
        outcomes.append(is_new)
    assert any(a != b for a, b in pairwise(outcomes))  # else the kills came too early or too late
