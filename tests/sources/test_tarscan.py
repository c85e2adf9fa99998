"""The header scanner, held against Python's tarfile and against damaged archives."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagetree.sources.tarscan import MAX_EXTENDED_BYTES, Member, Problem, scan_tar

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


def scan(data: bytes, start: int = 0, end: int | None = None) -> list[Member | Problem]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        read = partial(os.pread, file.fileno())
        return list(scan_tar(read, start, len(data) if end is None else end))


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.type = size, kind
    return entry.tobuf(tarfile.GNU_FORMAT)


def fix_checksum(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


PARTS = st.text(
    st.characters(codec="utf-8", exclude_characters="/", exclude_categories=("C", "Z")),
    min_size=1,
    max_size=90,
).filter(lambda part: part not in {".", ".."})
MEMBERS = st.lists(
    st.tuples(
        st.lists(PARTS, min_size=1, max_size=4).map("/".join),
        st.integers(0, 2000),
        st.sampled_from([tarfile.REGTYPE] * 4 + [tarfile.DIRTYPE, tarfile.SYMTYPE]),
    ),
    max_size=6,
)


@settings(max_examples=80, deadline=None)
@given(members=MEMBERS, form=st.sampled_from(FORMATS), shift=st.integers(0, 3))
def test_finds_what_tarfile_finds(members, form, shift):
    """Names, offsets and lengths are tarfile's in every format, also inside another file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for name, size, kind in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "x" * (size % 130)
            entry.size = size if kind == tarfile.REGTYPE else 0
            try:
                archive.addfile(entry, io.BytesIO(bytes(entry.size)))
            except ValueError:  # ustar has no room for the name
                continue
    data = file.getvalue()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        entries = archive.getmembers()
    expected = [Member(e.name, e.offset_data + shift, e.size) for e in entries if e.isreg()]
    found = scan(b"x" * shift + data + b"y" * shift, shift, shift + len(data))
    assert [item for item in found if isinstance(item, Member)] == expected
    links = [item for item in found if isinstance(item, Problem)]
    assert [item.reason for item in links] == ["link, no regular file"] * sum(
        entry.issym() for entry in entries
    )


@settings(max_examples=150, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), max_size=8))
def test_damage_never_leads_outside(flips):
    """Whatever bytes are changed, the scan ends and every member lies inside the archive."""
    data = bytearray(header("a/b.jpg", 700) + bytes(1024) + header("L" * 150, 3) + bytes(512))
    data = bytearray((bytes(data) + bytes(4096))[:4096])
    for place, value in flips:
        data[place] = value
    for block in (0, 1536, 2048, 2560, 3072):  # make the checksums right again: deeper damage
        data[block : block + 512] = fix_checksum(data[block : block + 512])
    for item in scan(bytes(data)):
        if isinstance(item, Member):
            assert 0 <= item.offset <= item.offset + item.length <= len(data)


def test_reads_headers_and_no_data(write_tar):
    """The scan's reads are 512 bytes a header and touch no byte of a member."""
    data = write_tar(None, [(f"{n}.jpg", b"x" * (1000 * n + 1)) for n in range(20)])
    reads = []

    def read(length, offset):
        reads.append((offset, offset + length))
        return data[offset : offset + length]

    members = list(scan_tar(read, 0, len(data)))
    assert len(members) == 20
    assert sum(end - start for start, end in reads) <= 512 * (20 + 3)
    for member in members:
        assert not any(a < member.offset + member.length and b > member.offset for a, b in reads)


def test_truncated_member_is_named():
    """A member that is cut off is a problem with both numbers; the one before it stands."""
    found = scan(header("a.jpg", 5) + bytes(512) + header("b.jpg", 2000) + bytes(100))
    assert found == [
        Member("a.jpg", 512, 5),
        Problem(
            "b.jpg",
            1536,
            "truncated: member needs bytes up to 3536, the archive ends at 1636",
            is_end=True,
        ),
    ]


def test_truncated_header_is_told():
    """Less than a block where a header should be is not taken for the end."""
    (problem,) = scan(header("a.jpg", 0)[:300])
    assert problem.reason == "truncated: a header needs bytes up to 512, the archive ends at 300"


@pytest.mark.parametrize("padding", [3, 512])
def test_missing_end_is_a_note(padding):
    """An archive that ends after a whole member, padded or not, gives it and a note."""
    member, note = scan(header("a.jpg", 3) + bytes(padding))
    assert member == Member("a.jpg", 512, 3)
    assert note.reason == "note: no end-of-archive blocks; the last member is complete"
    assert not note.is_end


def test_concatenated_archives_are_noted(write_tar):
    """What follows the end of the archive is not passed over in silence."""
    data = write_tar(None, [("a.jpg", b"a")])
    member, note = scan(data + data)
    assert member.name == "a.jpg"
    assert note.reason == f"note: {len(data)} bytes after the end-of-archive block were not read"


def test_wrong_checksum_ends_the_scan():
    """A damaged header is named by its offset; members before it stand."""
    damaged = bytearray(header("b.jpg", 1))
    damaged[0] ^= 1
    member, problem = scan(header("a.jpg", 1) + bytes(512) + bytes(damaged) + bytes(2048))
    assert member.name == "a.jpg"
    assert problem.is_end
    assert problem.reason.startswith("header at byte 1024: not a tar header, or damaged (checksum")


def test_long_ustar_name_is_put_together():
    """A ustar name of more than 100 bytes is found in its two fields."""
    name = f"{'d' * 90}/{'f' * 90}.jpg"
    data = tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT) + bytes(1024)
    assert scan(data) == [Member(name, 512, 0)]


@pytest.mark.parametrize(
    ("field", "size"),
    [
        (b"00000000012\0", 10),
        (b"000000000012", 10),
        (b"00000000012 ", 10),
        (b"         12 ", 10),
        (b"12\0garbage!!", 10),
        (b"\x80" + bytes(10) + b"\x0a", 10),
        (b"0000000001_2", None),
        (b"0000000_012\0", None),
        (b"+0000000012\0", None),
        (b"-0000000012\0", None),
        (b"0o000000012\0", None),
        (b"00000000018\0", None),
        (b"0000000\n012\0", None),
    ],
)
def test_size_fields(field, size):
    """Octal digits are taken in every way of ending them; what only int() takes is refused."""
    block = bytearray(header("a.jpg", 0))
    block[124:136] = field
    (found, *_) = scan(fix_checksum(block) + bytes(1024))
    if size is None:
        assert f"{field!r} is no octal number" in found.reason
    else:
        assert found == Member("a.jpg", 512, size)


@pytest.mark.parametrize("form", [b"%06o\0 ", b"%06o \0", b"%07o\0", b" %06o\0", b"%08o"])
def test_checksum_fields(form):
    """A checksum is read in every way of writing it, and a digit more makes it wrong."""
    block = bytearray(header("a.jpg", 0))
    total = int(block[148:154], 8)
    block[148:156] = form % total
    assert scan(bytes(block) + bytes(1024)) == [Member("a.jpg", 512, 0)]
    block[148:156] = b"%06o7\0" % total
    assert "not a tar header, or damaged" in scan(bytes(block) + bytes(1024))[0].reason


def test_checksum_is_compared_whole():
    """Sums that differ by 65,521, which Adler-32 cannot tell apart, are told apart."""
    block = bytearray(header("a.jpg", 0))
    block[157:257] = b"\xff" * 100
    block[265:345] = b"\xff" * 80
    block[346:512] = b"\xff" * 166
    assert scan(fix_checksum(block))[0] == Member("a.jpg", 512, 0)
    block[148:156] = b"%06o\0 " % (int(block[148:154], 8) - 65521)
    (problem,) = scan(bytes(block))
    assert "not a tar header, or damaged" in problem.reason


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/passwd.jpg", "name is not relative"),
        ("a/../../b.jpg", "name leads out of the archive by '..'"),
        ("a\nb.jpg", "name holds control characters"),
        ("a\udcffb.jpg", "name is not UTF-8"),
        ("", "name of 0 characters (expected 1 to 1024)"),
        ("x" * 1025, "name of 1025 characters (expected 1 to 1024)"),
    ],
)
def test_unsafe_names_are_set_aside(name, reason):
    """A name that could lead astray is a problem; the next member is found."""
    found = scan(header(name, 3) + bytes(512) + header("ok.jpg", 0) + bytes(1024))
    assert [item.reason for item in found if isinstance(item, Problem)] == [reason]
    assert found[-1].name == "ok.jpg"
    assert found[0].name.isprintable()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (tarfile.LNKTYPE, "hard link, no regular file"),
        (tarfile.SYMTYPE, "link, no regular file"),
        (tarfile.CHRTYPE, "device, no regular file"),
        (tarfile.BLKTYPE, "device, no regular file"),
        (tarfile.FIFOTYPE, "pipe, no regular file"),
        (tarfile.GNUTYPE_SPARSE, "sparse file, no regular file"),
        (b"V", "entry of type b'V', no regular file"),
    ],
)
def test_other_kinds_are_set_aside(kind, reason):
    """Links, devices and sparse files are problems, not members."""
    found = scan(header("a.jpg", 0, kind) + header("b.jpg", 0) + bytes(1024))
    assert found == [Problem("a.jpg", 0, reason), Member("b.jpg", 1024, 0)]


def test_sparse_map_is_skipped():
    """The data of a GNU sparse file begin after the blocks that continue its map."""
    first = bytearray(header("a.jpg", 100, tarfile.GNUTYPE_SPARSE))
    first[482] = 1
    more = bytes(504) + b"\1" + bytes(7)
    data = fix_checksum(first) + more + bytes(512) + bytes(512) + header("b.jpg", 0) + bytes(1024)
    assert scan(data)[1] == Member("b.jpg", 2560, 0)


def test_pax_sparse_is_set_aside():
    """A sparse file as PAX writes it is no member, under its real name or another."""
    entry = tarfile.TarInfo("a.jpg")
    entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    found = scan(entry.tobuf(tarfile.PAX_FORMAT) + bytes(1024))
    assert [item.reason for item in found] == ["sparse file, no regular file"]


def test_base_256_and_pax_sizes():
    """Sizes of 8 GiB and more are understood in both ways of writing them."""
    gnu = scan(header("a.jpg", 1 << 40) + bytes(512))
    assert gnu[0].reason == (
        f"truncated: member needs bytes up to {(1 << 40) + 512}, the archive ends at 1024"
    )
    entry = tarfile.TarInfo("a.jpg")
    entry.size = 1 << 40
    pax = scan(entry.tobuf(tarfile.PAX_FORMAT) + bytes(512))
    assert f"needs bytes up to {(1 << 40) + 1536}" in pax[0].reason


def test_global_header_counts_for_all(write_tar):
    """A global PAX header, such as git writes, is read and does not hide members."""
    block = tarfile.TarInfo.create_pax_global_header({"comment": "0123456789"})
    found = scan(block + write_tar(None, [("a.jpg", b"a")]))
    assert [item.name for item in found] == ["a.jpg"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty: no tar header"),
        (
            header("x", MAX_EXTENDED_BYTES + 1, b"L") + bytes(1024),
            "extended header of 1048577 bytes",
        ),
        (
            header("x", 9, b"x") + b"99 path=a".ljust(512, b"\0") + bytes(512),
            "malformed PAX record",
        ),
        (header("x", 9, b"x") + b"9 size=-\n".ljust(512, b"\0") + bytes(512), "is no number of"),
        (header("x", 6000, b"x") + b"6000 size=%05989d\n" % 9 + bytes(1000), "is no number of"),
        (header("x", 600, b"L") + bytes(100), "truncated: needs bytes up to 1112"),
        (
            header("x", 9, b"L") + b"a".ljust(512, b"\0") + bytes(512),
            "of an extended header is miss",
        ),
        (header("x", 1, b"L") + b"a".ljust(512, b"\0") + header("g", 0, b"g"), "header is missing"),
        (b"\xff" * 512, "is no octal number|negative or unbounded"),
    ],
)
def test_archive_that_cannot_be_followed(data, reason):
    """What makes the place of the next header uncertain ends the scan with the reason."""
    import re

    (problem,) = scan(data)
    assert problem.is_end
    assert re.search(reason, problem.reason)


def test_scanner_needs_no_sqlalchemy():
    """Importing the scanner alone loads no database library."""
    code = "import sys, imagetree.sources.tarscan; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
