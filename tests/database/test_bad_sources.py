"""Bad archives and bad images, from import to check, on both engines."""

from __future__ import annotations

import io
import os
import random
import struct
import tarfile
import zipfile
import zlib

import pytest

from imagetree.curation.check import check_images
from imagetree.database import counts, import_source, ingest, journal, locate
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
    class_tars,
    dump,
    make_folder,
    make_tar,
    make_zip,
    read_all,
)


def tar_of(path, entries, form=tarfile.GNU_FORMAT):
    """A tar of (name, bytes) pairs, or of (name, kind, target) for what is no file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for name, *what in entries:
            entry = tarfile.TarInfo(name)
            if len(what) == 2:
                entry.type, entry.linkname = what
                archive.addfile(entry)
            else:
                entry.size = len(what[0])
                archive.addfile(entry, io.BytesIO(what[0]))
    if path is None:
        return file.getvalue()
    path.write_bytes(file.getvalue())
    return path


def reasons(database):
    """What was set aside, by the item, without the tar that it lies in."""
    return {p.item.removeprefix(f"{DOG}.tar/"): p.reason for p in journal.problems(database)}


BAD_ENTRIES = [
    (f"../{DOG}/a.jpg", JPEGS[0]),
    (f"x/../../{DOG}/b.jpg", JPEGS[0]),
    (f"/{DOG}/c.jpg", JPEGS[0]),
    (f"{DOG}/soft.jpg", tarfile.SYMTYPE, "/etc/passwd"),
    (f"{DOG}/hard.jpg", tarfile.LNKTYPE, f"{DOG}/0.jpg"),
    (f"{DOG}/char.jpg", tarfile.CHRTYPE, ""),
    (f"{DOG}/block.jpg", tarfile.BLKTYPE, ""),
    (f"{DOG}/pipe.jpg", tarfile.FIFOTYPE, ""),
    (f"{DOG}/empty.jpg", b""),
    (f"{DOG}/new\nline.jpg", JPEGS[0]),
    (f"{DOG}/\udcff.jpg", JPEGS[0]),
]
BAD_REASONS = [
    *["name leads out of the archive by '..'"] * 2,
    "name is not relative",
    "link, no regular file",
    "hard link, no regular file",
    *["device, no regular file"] * 2,
    "pipe, no regular file",
    "empty: 0 bytes",
    "name holds control characters",
    "name is not UTF-8",
]


@pytest.mark.parametrize("is_inner", [False, True])
def test_bad_members(database, tmp_path, is_inner):
    """Names that lead out, links, devices, empty files: each is told, its neighbours imported."""
    entries = [(f"{DOG}/0.jpg", JPEGS[0]), *BAD_ENTRIES, (f"{DOG}/1.jpg", JPEGS[1])]
    path = tmp_path / "t.tar"
    if is_inner:
        tar_of(path, [(f"{DOG}.tar", tar_of(None, entries))])
    else:
        tar_of(path, entries)
    import_source(database, path)
    assert list(reasons(database).values()) == BAD_REASONS
    assert read_all(database) == {f"{DOG}_{n}": (DOG, JPEGS[n]) for n in range(2)}
    check_counts(database)
    before = dump(database)
    import_source(database, path)
    assert dump(database) == before


def test_bad_files_in_a_folder(database, tmp_path):
    """Links, pipes and names that are no UTF-8 in a folder are told and not followed."""
    root = make_folder(tmp_path / "f", {f"{DOG}/0.jpg": JPEGS[0], f"{DOG}/empty.jpg": b""})
    (root / DOG / "link.jpg").symlink_to("/etc/passwd")
    (root / CAT).symlink_to(root / DOG)
    os.mkfifo(root / DOG / "pipe.jpg")
    (root / DOG / "\udcff.jpg").write_bytes(JPEGS[0])
    import_source(database, root)
    assert sorted(reasons(database).values()) == sorted(
        [
            *("empty: 0 bytes", "link, no regular file", "link, no regular file"),
            *("device or pipe, no regular file", "name is not UTF-8"),
        ]
    )
    assert read_all(database) == {f"{DOG}_0": (DOG, JPEGS[0])}


def test_folder_of_tars_with_a_dangling_link(database, tmp_path):
    """A link among the tars of a folder costs nothing but itself."""
    root = KINDS["folder of tars"](tmp_path).location
    (root / "n02121620.tar").symlink_to(tmp_path / "none.tar")
    report = import_source(database, root)
    assert [item.reason for item in report.set_aside] == ["link, no regular file"]
    assert read_all(database) == OWN_NAMES


def test_tar_deep_in_a_folder_that_changes(database, tmp_path):
    """A folder's version is that of all its tars, however deep and whatever their case."""
    tars = {f"a/b/{name[:-4]}.TAR": data for name, data in class_tars().items()}
    root = make_folder(tmp_path / "f", tars)
    import_source(database, root)
    assert read_all(database) == OWN_NAMES
    os.utime(root / f"a/b/{DOG}.TAR", ns=(1, 1))
    with pytest.raises(DatabaseError, match="changed since it was imported"):
        read_all(database)


def test_duplicates(database, tmp_path):
    """Of one name the first is kept: within an inner tar, and in two inner tars of a class."""
    twice = [("a.jpg", JPEGS[0]), ("b.jpg", JPEGS[1]), ("a.jpg", JPEGS[2])]
    again = [("b.jpg", JPEGS[3]), ("c.jpg", JPEGS[4])]
    inner = [(f"x/{DOG}.tar", tar_of(None, twice)), (f"y/{DOG}.tar", tar_of(None, again))]
    path = tar_of(tmp_path / "t.tar", inner)
    expected = {f"{DOG}_{name}": (DOG, JPEGS[n]) for name, n in (("a", 0), ("b", 1), ("c", 4))}
    for _ in range(2):
        report = import_source(database, path)
        assert (report.num_found, len(report.set_aside)) == (5, 2)
        assert all(item.reason.startswith("duplicate: ") for item in report.set_aside)
        assert read_all(database) == expected
        check_counts(database)


def test_tar_in_tar_in_tar(database, tmp_path):
    """A third level is no image, and is told."""
    deep = make_tar(None, {"x.jpg": JPEGS[0]})
    inner = make_tar(None, {"more.tar": deep, "0.jpg": JPEGS[0]})
    import_source(database, make_tar(tmp_path / "t.tar", {f"{DOG}.tar": inner}))
    assert reasons(database) == {"more.tar": "no image by its name"}
    assert counts(database) == {DOG: 1}


def test_damaged_header_in_the_middle(database, tmp_path):
    """What came before it is kept, the rest of that inner archive told, the next one imported."""
    path = KINDS["tar of tars"](tmp_path).location
    data = bytearray(path.read_bytes())
    at = data.index(f"{DOG}_1.JPEG".encode())
    data[at + 150] ^= 1
    path.write_bytes(data)
    report = import_source(database, path)
    (fault,) = report.set_aside
    assert (fault.item, fault.offset) == (f"{DOG}.tar/", at)
    assert "damaged (checksum" in fault.reason
    assert counts(database) == {DOG: 1, CAT: 2, CHIHUAHUA: 1}
    assert set(read_all(database)) == set(OWN_NAMES) - {f"{DOG}_1", f"{DOG}_2"}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names(database, tmp_path, form):
    """Names beyond a header's hundred bytes, in both ways to write them, in both levels."""
    name = f"{'d' * 150}/{'é' * 90}"
    inner = tar_of(None, [(f"{name}.jpg", JPEGS[0])], form)
    path = tar_of(tmp_path / "t.tar", [(f"{'p' * 150}/{DOG}.tar", inner)], form)
    import_source(database, path)
    assert read_all(database) == {f"{DOG}_{'é' * 90}": (DOG, JPEGS[0])}


def test_names_too_long_for_an_index(database, tmp_path):
    """A name of a thousand characters of four bytes is told; half as long it is imported."""
    rng = random.Random(5)
    name = "".join(chr(rng.randrange(0x20000, 0x2A000)) for _ in range(1000))
    entries = [(f"{DOG}/{each}.jpg", JPEGS[0]) for each in (name, name[:500])]
    report = import_source(database, tar_of(tmp_path / "t.tar", entries))
    reason = "name of 1010 characters (expected at most 512)"
    assert [item.reason for item in report.set_aside] == [reason]
    assert read_all(database) == {f"{DOG}_{name[:500]}": (DOG, JPEGS[0])}


def test_base_256_sizes(database, tmp_path):
    """GNU's binary sizes, which need no archive of 8 GiB to be written."""
    path = KINDS["tar of tars"](tmp_path).location
    data = bytearray(path.read_bytes())
    for at in (data.index(name) for name in (f"{CAT}.tar".encode(), f"{CAT}_4.JPEG".encode())):
        size = int(data[at + 124 : at + 135], 8)
        data[at + 124 : at + 136] = b"\x80" + size.to_bytes(11, "big")
        data[at + 148 : at + 156] = b" " * 8
        data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    path.write_bytes(data)
    assert import_source(database, path).set_aside == ()
    assert read_all(database) == OWN_NAMES


def import_if_any(database, path):
    """The report; None where nothing is left of the archive."""
    try:
        return import_source(database, path)
    except DatabaseError:
        return None


def test_truncated_at_twenty_places(database, tmp_path):
    """What is whole before the cut is imported and readable; the whole archive brings the rest."""
    path = KINDS["tar of tars"](tmp_path).location
    data, rng = path.read_bytes(), random.Random(3)
    import_source(database, path)
    ends = {row.name: row.offset + row.length for row in locate(database)}
    for cut in sorted(rng.sample(range(1, len(data)), 20)):
        path.write_bytes(data[:cut])
        whole = {name: OWN_NAMES[name] for name, end in ends.items() if end <= cut}
        report = import_if_any(database, path)
        if report is None:  # nothing but a header is left
            assert whole == {}
            continue
        assert read_all(database) == whole
        assert report.num_faults or len(whole) == len(ends)
        check_counts(database)
    path.write_bytes(data)
    import_source(database, path)
    assert read_all(database) == OWN_NAMES
    assert journal.problems(database) == ()


def test_archive_that_grows(database, tmp_path, monkeypatch):
    """What was told is kept, the import says that something writes; the next one gets all."""
    monkeypatch.setattr(ingest, "_STEP", 1)
    path = KINDS["tar of tars"](tmp_path).location

    def grow(done, _total, _images):
        if done < path.stat().st_size // 2:
            with tarfile.open(path, "a") as archive:
                data = make_tar(None, {"9.JPEG": JPEGS[0]})
                entry = tarfile.TarInfo("n02121620.tar")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))

    with pytest.raises(DatabaseError, match=r"(?s)changed while it was imported.*hint: import it"):
        import_source(database, path, progress=grow)
    assert counts(database)[DOG] == 3
    check_counts(database)
    import_source(database, path)
    assert read_all(database) == {**OWN_NAMES, "n02121620_9": ("n02121620", JPEGS[0])}
    check_counts(database)


def png(width, height):
    """A PNG that says it is as large as that, and has no row of it."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    )


def test_images_that_are_none(database, tmp_path):
    """Found by their names, and quarantined with a reason when they are decoded."""
    bad = {
        "large.png": png(65_500, 65_500),
        "page.JPEG": b"<!DOCTYPE html><html><body>photo no longer available</body></html>",
        "cut.JPEG": JPEGS[0][:200],
        "zeros.JPEG": bytes(2000),
    }
    files = {f"{DOG}/{name}": data for name, data in bad.items()} | {f"{DOG}/0.JPEG": JPEGS[0]}
    assert import_source(database, make_tar(tmp_path / "t.tar", files)).num_added == 5
    report = check_images(database)
    found = {each.image.name.removeprefix(f"{DOG}_"): each.reason for each in report.bad}
    assert found.keys() == {"large", "page", "cut", "zeros"}
    assert "4290250000 pixels" in found["large"]
    assert counts(database) == {DOG: 1}
    check_counts(database)
    assert check_images(database).bad == ()


def test_zip_bombs(database, tmp_path):
    """A member that unpacks to a thousand times its size, and one that lies about its size."""
    path = make_zip(
        tmp_path / "b.zip",
        {f"{DOG}/bomb.png": bytes(100 << 20), f"{DOG}/liar.png": bytes(1 << 20)}
        | class_files(suffix=".jpg"),
        zipfile.ZIP_DEFLATED,
    )
    data = path.read_bytes()
    real, said = struct.pack("<I", 1 << 20), struct.pack("<I", 5000)
    assert data.count(real) >= 2  # in the local header and in the directory
    path.write_bytes(data.replace(real, said))
    report = import_source(database, path)
    bad = [each.image.name for each in check_images(database).bad]
    assert len(report.set_aside) + len(bad) == 2
    assert read_all(database) == OWN_NAMES
    check_counts(database)
