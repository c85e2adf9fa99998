"""Sources that were moved: what reading says, and what `relink_source` repairs and refuses."""

from __future__ import annotations

import shutil

import pytest

from imagetree.database import (
    ImageReader,
    counts,
    find_image,
    import_source,
    journal,
    locate,
)
from imagetree.database.ingest import relink_source
from imagetree.errors import DatabaseError

from .kinds import (
    CAT,
    CHIHUAHUA,
    DOG,
    JPEGS,
    KINDS,
    OWN_NAMES,
    check_counts,
    class_files,
    dump,
    make_folder,
    make_tar,
    make_zip,
    read_all,
)


@pytest.fixture
def kind(database, tmp_path):
    """An imported tar of tars."""
    kind = KINDS["tar of tars"](tmp_path)
    import_source(database, kind.location)
    return kind


def moved(path, name="elsewhere"):
    """A file or folder, moved."""
    folder = path.parent / name
    folder.mkdir()
    return shutil.move(path, folder / path.name)


def test_moved_archive(database, kind):
    """Reading names the command; relinking repairs it and keeps every id."""
    ids = {row.name: row.id for row in locate(database)}
    new = moved(kind.location)
    with pytest.raises(DatabaseError) as caught:
        read_all(database)
    assert f"{kind.location}: the source cannot be opened" in caught.value.message
    assert f"imagetree database relink {kind.location} NEW" in str(caught.value.hint)
    report = relink_source(database, kind.location, new)
    assert (report.source, report.num_found) == (str(new), 6)
    assert (report.num_known, report.num_added, report.num_gone) == (6, 0, 0)
    assert read_all(database) == OWN_NAMES
    assert {row.name: row.id for row in locate(database)} == ids
    assert [source.location for source in journal.sources(database)] == [str(new)]
    check_counts(database)
    before = dump(database)
    assert import_source(database, new).num_known == 6
    assert dump(database) == before


def test_reader_that_is_open_follows(database, kind):
    """A reader made before the relink reads on from the archive that it has open."""
    with ImageReader(database) as reader:
        reader.open_all()
        relink_source(database, kind.location, moved(kind.location))
        assert {row.name: reader.read(row) for row in locate(database)} == {
            name: data for name, (_, data) in OWN_NAMES.items()
        }


@pytest.mark.parametrize("name", ["class folders", "folder of tars", "Parquet in shards", "CSV"])
def test_moved_folder(database, tmp_path, name):
    """A folder of images, tars or tables, and a list beside its images."""
    (tmp_path / "a").mkdir()
    kind = KINDS[name](tmp_path / "a")
    import_source(database, kind.location)
    shutil.move(tmp_path / "a", tmp_path / "b")
    new = tmp_path / "b" / kind.location.relative_to(tmp_path / "a")
    report = relink_source(database, kind.location, new)
    assert (report.num_known, report.num_added, report.num_gone) == (6, 0, 0)
    assert read_all(database) == kind.images


def test_wrong_archive_is_refused(database, kind, tmp_path):
    """Another archive has other images: nothing changes."""
    wrong = make_tar(tmp_path / "w.tar", {f"{CAT}/{n}.jpg": JPEGS[0] for n in range(7, 20)})
    before = dump(database)
    with pytest.raises(
        DatabaseError, match=r"(?s)w\.tar: is another source .*hint: name the place"
    ):
        relink_source(database, kind.location, wrong)
    assert dump(database) == before
    check_counts(database)


def test_archive_without_half_of_the_images_is_refused(database, kind, tmp_path):
    """Where most of the images are missing it is the wrong place."""
    wrong = make_tar(tmp_path / "w.tar", {f"{DOG}/{n}.JPEG": JPEGS[n] for n in range(3)})
    before = dump(database)
    with pytest.raises(DatabaseError, match=r"it has 3 of the 6 images"):
        relink_source(database, kind.location, wrong)
    assert dump(database) == before


def test_repacked_archive_is_followed(database, kind, tmp_path):
    """Other offsets, one image gone, one new, in a container of another kind."""
    files = dict(reversed(class_files(prefix="a/longer/prefix/").items()))
    del files[f"a/longer/prefix/{CAT}/4.JPEG"]
    files[f"a/longer/prefix/{CHIHUAHUA}/9.JPEG"] = JPEGS[0]
    ids = {row.name: row.id for row in locate(database)}
    for new in (make_tar(tmp_path / "new.tar", files), make_zip(tmp_path / "new.zip", files)):
        (source,) = journal.sources(database)
        report = relink_source(database, source.location, new)
        assert report.num_found == 6
    (source,) = journal.sources(database)
    assert (source.container, source.layout) == ("zip", "folder per class")
    expected = {**OWN_NAMES, f"{CHIHUAHUA}_9": (CHIHUAHUA, JPEGS[0])}
    del expected[f"{CAT}_4"]
    assert read_all(database) == expected
    assert counts(database) == {DOG: 3, CAT: 1, CHIHUAHUA: 2}
    kept = {row.name: row.id for row in locate(database)}
    assert {name: kept[name] for name in ids.keys() & kept.keys()} == {
        name: number for name, number in ids.items() if name != f"{CAT}_4"
    }
    check_counts(database)


def test_states_survive_a_move(database, kind):
    """An image that was set aside stays so in the new place."""
    row = find_image(database, f"{DOG}_1")
    journal.set_aside(database, row.id, "grey")
    relink_source(database, kind.location, moved(kind.location))
    assert counts(database) == {DOG: 2, CAT: 2, CHIHUAHUA: 1}
    assert [problem.reason for problem in journal.problems(database)] == ["grey"]
    check_counts(database)


def test_unknown_source(database, kind, tmp_path):
    """What was never imported cannot be relinked; the hint lists what was."""
    before = dump(database)
    with pytest.raises(DatabaseError, match=r"(?s)no source was imported.*imagetree database sou"):
        relink_source(database, tmp_path / "none.tar", kind.location)
    with pytest.raises(DatabaseError, match="No such file"):
        relink_source(database, kind.location, tmp_path / "none.tar")
    assert dump(database) == before


def test_place_of_another_source(database, kind, tmp_path):
    """A place that was imported itself is not taken twice."""
    other = make_folder(tmp_path / "f", {f"{DOG}/x.jpg": JPEGS[0]})
    import_source(database, other)
    before = dump(database)
    with pytest.raises(DatabaseError, match="is a source of its own in this database"):
        relink_source(database, kind.location, other)
    assert dump(database) == before


def test_same_place(database, kind):
    """A source relinked to where it is changes nothing."""
    before = dump(database)
    assert relink_source(database, kind.location, kind.location).num_known == 6
    assert dump(database) == before


def test_old_place_as_users_write_it(database, kind, monkeypatch):
    """A relative path and one with `..` name the old place too."""
    new = moved(kind.location)
    monkeypatch.chdir(new.parent)
    assert relink_source(database, f"../{kind.location.name}", new.name).num_known == 6
    assert journal.sources(database)[0].location == str(new)


def test_import_that_was_broken_off_is_relinked(database, tmp_path):
    """The rest of its images comes from the new place, and each is counted once."""

    def interrupt(*_numbers):
        raise KeyboardInterrupt

    tars = KINDS["tar of tars"](tmp_path).location
    with pytest.raises(KeyboardInterrupt):
        import_source(database, tars, progress=interrupt)
    report = relink_source(database, tars, moved(tars))
    assert (report.num_found, report.num_known, report.num_added) == (6, 6, 0)
    assert journal.sources(database)[0].resume_at is None
    assert report.bytes == sum(map(len, JPEGS))
