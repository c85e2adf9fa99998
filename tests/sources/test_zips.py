"""The zip scanner and reader, against crafted, large and hostile archives."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from imagetree.errors import DatabaseError
from imagetree.sources.entries import Entry, SetAside
from imagetree.sources.inflate import HARMLESS_BYTES, MAX_RATIO, read_zip_member
from imagetree.sources.zips import scan_zip

END = 22


def reader(data: bytes):
    return lambda length, offset: data[offset : offset + length]


def scan(data: bytes) -> list[Entry | SetAside]:
    return list(scan_zip(reader(data), len(data)))


def write_zip(members, method=zipfile.ZIP_STORED) -> bytearray:
    """An archive of (name or ZipInfo, bytes) pairs."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return bytearray(file.getvalue())


def local(name: bytes, data: bytes, *, flags=0, method=0, packed=None, extra=b"") -> bytes:
    """A local header and its data, written by hand."""
    packed = data if packed is None else packed
    fields = (b"PK\3\4", 20, flags, method, 0, 0, zlib.crc32(data), len(packed), len(data))
    return struct.pack("<4s5H3L2H", *fields, len(name), len(extra)) + name + extra + packed


def record(
    name: bytes,
    offset: int,
    length: int,
    *,
    packed=None,
    flags=0,
    method=0,
    disk=0,
    host=3,
    mode=0,
    extra=b"",
) -> bytes:
    """A record of the directory, written by hand."""
    packed = length if packed is None else packed
    fields = (b"PK\1\2", host << 8 | 20, 20, flags, method, 0, 0, 0, packed, length)
    rest = (len(name), len(extra), 0, disk, 0, mode << 16, offset)
    return struct.pack("<4s6H3L5H2L", *fields, *rest) + name + extra


def archive_of(body: bytes, records: list[bytes], *, count=None, disk=0) -> bytes:
    directory = b"".join(records)
    count = len(records) if count is None else count
    end = struct.pack("<4s4H2LH", b"PK\5\6", disk, disk, count, count, len(directory), len(body), 0)
    return body + directory + end


def reasons(data: bytes) -> dict[str, str]:
    return {item.item: item.reason for item in scan(data) if isinstance(item, SetAside)}


def names(data: bytes) -> list[str]:
    return [item.name for item in scan(data) if isinstance(item, Entry)]


BODY = local(b"a.jpg", b"dog")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"flags": 1}, "encrypted"),
        ({"flags": 1 << 6}, "encrypted"),
        ({"flags": 1 << 5}, "packed as a patch (expected stored or deflate)"),
        ({"method": 14}, "packed as LZMA (expected stored or deflate)"),
        ({"method": 77}, "packed as method 77 (expected stored or deflate)"),
        ({"mode": 0o120777}, "link, no regular file"),
        ({"mode": 0o020666}, "device or pipe, no regular file"),
        ({"disk": 2}, "lies in another part of the archive (disk 2)"),
        ({"packed": 2}, "stored with 2 bytes of 3"),
        ({"length": 0xFFFFFFFF}, "its zip64 sizes are missing"),
        ({"name": b"../a.jpg"}, "name leads out of the archive by '..'"),
        ({"name": b"/a.jpg"}, "name is not relative"),
        ({"name": b"a\0.jpg"}, "name holds control characters"),
        ({"name": b"\xff.jpg", "flags": 1 << 11}, "name is not UTF-8"),
        ({"method": 8, "packed": 3, "length": HARMLESS_BYTES + 1},
         f"a bomb: {HARMLESS_BYTES + 1} bytes out of 3 (expected at most {MAX_RATIO} for one)"),
        ({"offset": 1},
         "needs bytes up to 77, the directory begins at 76: cut off, or a wrong offset"),
    ],
)  # fmt: skip
def test_bad_member_is_set_aside_and_the_next_is_found(changes, reason):
    """Each fault of a record has its reason, and costs that member alone."""
    values = {"name": b"a.jpg", "offset": 0, "length": 3} | changes
    good = local(b"b.jpg", b"cat")
    body = good + BODY
    values["offset"] += len(good)
    first, second = scan(archive_of(body, [record(**values), record(b"b.jpg", 0, 3)]))
    assert isinstance(first, SetAside)
    assert first.reason == reason
    assert first.item.isprintable()
    assert second == Entry("b.jpg", 0, 3)


def test_numbers_of_any_size_stay_storable():
    """A zip64 offset of 2 ** 64 - 1 comes out as a place inside the file."""
    extra = struct.pack("<2H3Q", 1, 24, 3, 3, 2**64 - 1)
    data = archive_of(
        BODY, [record(b"a.jpg", 0xFFFFFFFF, 0xFFFFFFFF, packed=0xFFFFFFFF, extra=extra)]
    )
    (item,) = scan(data)
    assert isinstance(item, SetAside)
    assert "wrong offset" in item.reason
    assert item.offset <= len(data)


def test_members_that_share_bytes_are_set_aside():
    """Of overlapping members the one that lies first stands, in whatever order they are listed."""
    inner = local(b"b.jpg", b"cat")
    body = local(b"a.jpg", inner) + local(b"c.jpg", b"cow")
    at_b, at_c = 35, 35 + len(inner)
    records = [
        record(b"c.jpg", at_c, 3),
        record(b"b.jpg", at_b, 3),
        record(b"a.jpg", 0, len(inner)),
        record(b"again.jpg", 0, 3),
    ]
    data = archive_of(body, records)
    assert names(data) == ["c.jpg", "a.jpg"]
    assert set(reasons(data)) == {"b.jpg", "again.jpg"}
    assert "overlap" in reasons(data)["b.jpg"]


def test_a_wrong_size_harms_no_other_member():
    """A member that would reach into the directory does not make those after it overlap."""
    body = BODY + local(b"b.jpg", b"cat")
    data = archive_of(body, [record(b"a.jpg", 0, 9999), record(b"b.jpg", len(BODY), 3)])
    assert names(data) == ["b.jpg"]


def test_directories_are_no_items():
    """A folder's own entry gives nothing."""
    assert scan(write_zip([("train/", b""), ("train/a.jpg", b"dog")]))[0].name == "train/a.jpg"


def test_names_without_utf8_flag_are_cp437():
    """As APPNOTE D.1 has it, and zipfile."""
    assert names(archive_of(local(b"\x81.jpg", b"dog"), [record(b"\x81.jpg", 0, 3)])) == ["ü.jpg"]


@pytest.mark.parametrize("shape", ["whole", "moved"])
def test_zip64_end_record(shape):
    """The zip64 end record counts, also where data were put in front of the archive."""
    directory = record(b"a.jpg", 0, 3)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(directory), len(BODY))
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(BODY) + len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    prefix = b"MZ self-extractor" if shape == "moved" else b""
    data = prefix + BODY + directory + end64 + locator + end
    (entry,) = scan(data)
    assert entry == Entry("a.jpg", len(prefix), 3)
    assert read_zip_member(reader(data), entry.offset, entry.length) == b"dog"
    with pytest.raises(DatabaseError, match="zip64 end record is missing"):
        scan(data.replace(b"PK\6\6", b"PK\6\0"))
    other = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, *[0xFFFFFFFF] * 2, 0)
    with pytest.raises(DatabaseError, match="disagree"):
        scan(data[:-END] + other)


def test_members_beyond_four_gib(tmp_path):
    """Offsets above 2 ** 32 are read from zip64 fields: a sparse file of 5 GiB, of real zip64."""
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        file.truncate(5 << 30)
        file.seek(5 << 30)
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("n02084071/dog.jpg", b"dog")
    fd = os.open(path, os.O_RDONLY)
    try:
        read = partial(os.pread, fd)
        (entry,) = scan_zip(read, path.stat().st_size)
        assert entry.offset == 5 << 30
        assert read_zip_member(read, entry.offset, entry.length) == b"dog"
    finally:
        os.close(fd)


def test_offsets_cut_to_32_bits_are_refused(tmp_path):
    """An archive of more than 4 GiB from a program without zip64 has no offset that can be used."""
    path = tmp_path / "cut.zip"
    data = archive_of(BODY, [record(b"a.jpg", 0, 3)])
    with path.open("wb") as file:
        file.seek(4 << 30)
        file.write(data)
    with path.open("rb") as file, pytest.raises(DatabaseError, match="without zip64"):
        list(scan_zip(partial(os.pread, file.fileno()), path.stat().st_size))


def test_two_end_records_are_refused():
    """A comment that is an end record would show other files to other programs."""
    hidden = archive_of(BODY, [record(b"a.jpg", 0, 3)])
    shown = bytearray(write_zip([("b.jpg", b"cat")]))
    shown[-2:] = struct.pack("<H", len(hidden))
    with pytest.raises(DatabaseError, match="2 end records"):
        scan(bytes(shown) + hidden)


def test_end_record_inside_a_comment_is_no_end_record():
    """A mark whose comment does not end with the file is plain text."""
    data = bytearray(write_zip([("b.jpg", b"cat")]))
    comment = b"PK\5\6" + b"x" * 40
    data[-2:] = struct.pack("<H", len(comment))
    assert names(bytes(data) + comment) == ["b.jpg"]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "no end record"),
        (b"no zip at all" * 50, "no end record"),
        (bytes(write_zip([("a.jpg", b"dog")]))[:-5], "no end record"),
        (bytes(write_zip([("a.jpg", b"dog")])) + b"\n", "no end record"),
        (archive_of(BODY, [record(b"a.jpg", 0, 3)], disk=1), "one of several parts"),
        (archive_of(BODY, [record(b"a.jpg", 0, 3)])[len(BODY) + 5 :], "ends behind"),
        (archive_of(BODY, [b"x" * 60]), "no directory at byte"),
    ],
)
def test_archive_without_a_directory_is_refused(data, fault):
    """What cannot be listed at all is an error with a hint."""
    with pytest.raises(DatabaseError, match=fault) as caught:
        scan(data)
    assert caught.value.hint


def test_damaged_directory_keeps_what_came_before():
    """The records before the damage stand, and an item says how much was not read."""
    data = archive_of(BODY, [record(b"a.jpg", 0, 3), b"damage" * 10])
    first, last = scan(data)
    assert first == Entry("a.jpg", 0, 3)
    assert last.reason == "the directory is damaged; its last 60 bytes were not read"


def test_wrong_count_is_noted():
    """The end record's count does not decide, but is held against the directory."""
    data = archive_of(BODY, [record(b"a.jpg", 0, 3)], count=7)
    assert reasons(data)["archive"] == "note: the end record counts 7 members, the directory has 1"


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


DOGS = b"dog" * 500
PACKED = deflate(DOGS)


@pytest.mark.parametrize("mark", [b"PK\7\x08", b""])
@pytest.mark.parametrize("form", ["<3L", "<L2Q"])
@pytest.mark.parametrize("method", [0, 8])
def test_descriptor_after_the_data(mark, form, method):
    """With bit 3 CRC and sizes follow the data, with or without mark, in 4 or 8 bytes."""
    packed = PACKED if method else DOGS
    head = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 8, method, 0, 0, 0, 0, 0, 5, 0) + b"a.jpg"
    values = (zlib.crc32(DOGS), len(packed), len(DOGS))
    data = head + packed + mark + struct.pack(form, *values) + b"PK\1\2 and more, as in a file"
    assert read_zip_member(reader(data), 0, len(DOGS)) == DOGS
    wrong = head + packed + mark + struct.pack(form, values[0] ^ 1, *values[1:]) + bytes(30)
    with pytest.raises(DatabaseError, match="CRC-32"):
        read_zip_member(reader(wrong), 0, len(DOGS))


@pytest.mark.parametrize(
    ("data", "length", "fault"),
    [
        (local(b"a", DOGS)[:-1], len(DOGS), "cut off"),
        (local(b"a", DOGS, method=8, packed=PACKED)[:-1], len(DOGS), "ends after"),
        (local(b"a", DOGS, method=8, packed=PACKED), 3, r"says 1500 bytes \(expected 3\)"),
        (local(b"a", DOGS, method=8, packed=deflate(DOGS + b"x")), 1500, "more than 1501 bytes"),
        (local(b"a", DOGS, method=8, packed=deflate(DOGS[:-1])), 1500, "inflates to 1499 bytes"),
        (local(b"a", DOGS, method=8, packed=PACKED + b"x"), 1500, r"packed bytes \(expected"),
        (local(b"a", DOGS, method=8, packed=b"\xff" * 20), 1500, "no deflate stream"),
        (local(b"a", DOGS, method=12), 1500, "bzip2"),
        (local(b"a", DOGS, flags=1), 1500, "encrypted"),
        (local(b"a", b"dog", method=8, packed=bytes(9000)), 3, "9000 packed bytes for 3"),
        (b"PK\1\2" + bytes(60), 3, "begins with"),
        (b"", 3, "cut off"),
        (local(b"a", DOGS).replace(b"dog", b"cat", 1), 1500, "CRC-32"),
        (b"", 1 << 31, "too large"),
    ],
)
def test_damaged_member(data, length, fault):
    """Whatever is wrong with a member is told by a DatabaseError with a hint."""
    with pytest.raises(DatabaseError, match=fault) as caught:
        read_zip_member(reader(data + b""), 0, length)
    assert caught.value.hint


def test_bomb_makes_no_more_than_its_length():
    """A stream of a gigabyte behind a small length stops at once, and its memory with it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    head = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 8, 8, 0, 0, 0, 0, 0, 5, 0) + b"a.jpg"
    with pytest.raises(DatabaseError, match="more than 1001 bytes"):
        read_zip_member(reader(head + packed), 0, 1000)


@pytest.mark.parametrize(("length", "most"), [(100_000, 1), (3 << 20, 2)])
def test_few_positioned_reads(length, most):
    """A photograph takes one read, stored or deflated; one above a MiB two."""
    photo = os.urandom(length)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        data = bytes(write_zip([("a.jpg", photo), ("b.jpg", photo)], method))
        calls = []

        def read(count, offset, data=data, calls=calls):
            calls.append(count)
            return data[offset : offset + count]

        assert read_zip_member(read, 0, length) == photo
        assert len(calls) <= most


def test_threads_read_at_once(tmp_path):
    """Eight threads on one descriptor get what was written."""
    members = {f"{n}.jpg": os.urandom(2000) + bytes(n) for n in range(200)}
    path = tmp_path / "many.zip"
    path.write_bytes(write_zip(members.items(), zipfile.ZIP_DEFLATED))
    fd = os.open(path, os.O_RDONLY)
    try:
        read = partial(os.pread, fd)
        entries = list(scan_zip(read, path.stat().st_size)) * 4
        with ThreadPoolExecutor(8) as pool:
            found = pool.map(lambda each: read_zip_member(read, each.offset, each.length), entries)
            assert all(
                data == members[entry.name] for data, entry in zip(found, entries, strict=True)
            )
    finally:
        os.close(fd)


COUNT_MEMORY = """
import resource, sys
from imagetree.sources.zips import scan_zip
import os
fd = os.open(sys.argv[1], os.O_RDONLY)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(1 for _ in scan_zip(lambda n, at: os.pread(fd, n, at), os.fstat(fd).st_size))
print(count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
def test_many_members_need_little_memory(tmp_path):
    """200,000 members take less than 30 MB above the interpreter: nothing is kept of a member."""
    count, path = 200_000, tmp_path / "many.zip"
    one = local(b"n02084071/n02084071_000000.JPEG", b"")
    body = one * count
    records = [record(b"n02084071/n02084071_%06d.JPEG" % n, n * len(one), 0) for n in range(count)]
    directory = b"".join(records)
    end64 = struct.pack(
        "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(directory), len(body)
    )
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(body) + len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    path.write_bytes(body + directory + end64 + locator + end)
    done = subprocess.run(
        [sys.executable, "-c", COUNT_MEMORY, str(path)], check=True, capture_output=True, text=True
    )
    found, megabytes = map(int, done.stdout.split())
    assert found == count
    assert megabytes < 30
