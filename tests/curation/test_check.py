"""A check stores what each image is, sets aside what fails, and goes on where it was."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest
from PIL import Image
from sqlalchemy import select

from imagetree.curation.check import check_images, count_traits
from imagetree.curation.inspection import inspect_image
from imagetree.database import counts, import_source, locate
from imagetree.database.journal import problems
from imagetree.database.schema import image_facts
from imagetree.errors import DatabaseError

DOG, CAT = "n02084071", "n02121808"


def encode(kind: str, mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize(size).convert("RGB").convert(mode).save(buffer, kind)
    return buffer.getvalue()


def tar_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def import_dogs(database, path, members):
    path.write_bytes(tar_of({f"{DOG}.tar": tar_of(members)}))
    return import_source(database, path)


def stored(database):
    """The facts by the name of the image."""
    names = {row.id: row.name for row in locate(database)}
    with database.reading() as connection:
        return {names[row.image_id]: row for row in connection.execute(select(image_facts))}


MIXED = {
    "good.jpg": encode("JPEG"),
    "png.JPEG": encode("PNG"),
    "ink.JPEG": encode("JPEG", "CMYK"),
    "grey.JPEG": encode("JPEG", "L"),
    "cut.JPEG": encode("JPEG")[:-60],
    "page.JPEG": b"<html>not found</html>",
}


def test_facts_are_stored_and_faults_set_aside(database, tmp_path):
    """Format by content, hashes, traits; what fails is quarantined with its reason."""
    import_dogs(database, tmp_path / "t.tar", MIXED)
    calls = []
    report = check_images(database, lambda *numbers: calls.append(numbers), threads=2)
    assert (report.num_checked, report.num_known) == (6, 0)
    assert report.bytes == sum(map(len, MIXED.values()))
    assert [bad.image.name for bad in report.bad] == [f"{DOG}_cut", f"{DOG}_page"]
    assert report.formats == {"JPEG": 3, "PNG": 1}
    assert report.traits == {"grey": 1, "cmyk": 1}
    assert calls == [(6, 6, 2)]
    assert counts(database) == {DOG: 4}
    reasons = {problem.item: problem.reason for problem in problems(database)}
    assert reasons == {bad.image.name: bad.reason for bad in report.bad}
    found = stored(database)
    assert found.keys() == {f"{DOG}_{name}" for name in ("good", "png", "ink", "grey")}
    row = found[f"{DOG}_png"]
    assert (row.format, row.width, row.height, row.traits) == ("PNG", 40, 30, 0)
    assert bytes(row.sha256) == hashlib.sha256(MIXED["png.JPEG"]).digest()
    expected = inspect_image(MIXED["png.JPEG"]).phash
    assert row.phash % 2**64 == expected


def test_only_what_is_new_is_checked(database, tmp_path):
    """A second check reads nothing; after a further import it reads the new images; `again` all."""
    path = tmp_path / "t.tar"
    import_dogs(database, path, {"a.jpg": encode("JPEG"), "b.jpg": encode("PNG")})
    check_images(database)
    report = check_images(database)
    assert (report.num_checked, report.num_known, report.bytes) == (0, 2, 0)
    assert report.formats == {"JPEG": 1, "PNG": 1}
    import_dogs(database, tmp_path / "u.tar", {"c.jpg": encode("GIF")})
    calls = []
    report = check_images(database, lambda *numbers: calls.append(numbers))
    assert (report.num_checked, report.num_known, calls) == (1, 2, [(3, 3, 0)])
    report = check_images(database, again=True)
    assert (report.num_checked, report.num_known) == (3, 0)
    assert count_traits(database) == (report.formats, report.traits)
    assert len(stored(database)) == 3


def test_interrupted_check_goes_on(database, tmp_path):
    """What was stored before Ctrl-C is not read again, and the end is that of one whole check."""
    good, bad = encode("JPEG"), b"no image"
    members = {f"{n:04d}.jpg": bad if n % 7 == 0 else good for n in range(1100)}
    import_dogs(database, tmp_path / "t.tar", members)

    def interrupt(*_numbers):
        raise KeyboardInterrupt("at once")

    with pytest.raises(KeyboardInterrupt, match=r"^at once$"):
        check_images(database, interrupt, threads=2)
    assert len(stored(database)) == 512 - 74
    calls = []
    report = check_images(database, lambda *numbers: calls.append(numbers), threads=2)
    assert report.num_known == 512 - 74
    assert report.num_checked == 1100 - 512
    assert counts(database) == {DOG: 1100 - 158}
    assert calls[-1] == (1026, 1026, 158 - 74)
    assert len(stored(database)) == 1100 - 158


def test_order_is_that_of_the_names(database, tmp_path):
    """Eight threads report the bad ones as one does, synset by synset."""
    members = {f"{n}.jpg": b"no image" for n in (3, 20, 100, 1)}
    data = {f"{wnid}.tar": tar_of(members) for wnid in (CAT, DOG)}
    (tmp_path / "t.tar").write_bytes(tar_of(data))
    import_source(database, tmp_path / "t.tar")
    bad = [each.image.name for each in check_images(database, threads=8).bad]
    assert bad == [f"{wnid}_{n}" for wnid in (DOG, CAT) for n in (1, 100, 20, 3)]


def test_missing_source_blames_no_image(database, tmp_path):
    """Where the archive is gone nothing is checked and nothing is set aside."""
    import_dogs(database, tmp_path / "t.tar", {"a.jpg": encode("JPEG")})
    (tmp_path / "t.tar").unlink()
    with pytest.raises(DatabaseError, match=r"t\.tar"):
        check_images(database)
    assert counts(database) == {DOG: 1}


def test_image_that_went_away_meanwhile(database, tmp_path):
    """An image deleted by another import between two batches leaves no facts and no error."""
    folder = tmp_path / "folder"
    (folder / DOG).mkdir(parents=True)
    for number in range(600):
        (folder / DOG / f"{number:03d}.jpg").write_bytes(encode("JPEG"))
    import_source(database, folder)

    def delete(*_numbers):
        for number in range(590, 600):
            (folder / DOG / f"{number}.jpg").unlink(missing_ok=True)
        import_source(database, folder)

    check_images(database, delete, threads=1)
    assert counts(database) == {DOG: 590}
    assert len(stored(database)) == 590


def test_nothing_to_check(database):
    report = check_images(database)
    assert (report.num_checked, report.bad, report.formats) == (0, (), {})


def test_no_transaction_is_left_open(tmp_path):
    """SQLite empties its log during a check: no reader holds on to the state of the beginning."""
    from imagetree.database import open_database

    with open_database(tmp_path / "images.db", create=True) as database:
        members = {f"{n:04d}.jpg": encode("JPEG") for n in range(1100)}
        import_dogs(database, tmp_path / "t.tar", members)
        sizes = []

        def empty_log(*_numbers):
            with database.engine.connect() as connection:
                busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
            sizes.append((busy, (tmp_path / "images.db-wal").stat().st_size))

        check_images(database, empty_log, threads=2)
        assert set(sizes) == {(0, 0)}
