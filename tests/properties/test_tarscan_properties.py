"""The header scanner on drawn archives, whole and damaged, held against Python's tarfile."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagetree.sources import tarpool, tarscan
from imagetree.sources.tarpool import scan_windows
from imagetree.sources.tarscan import BLOCK, Member, Problem, scan_tar

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = [tarfile.REGTYPE] * 8 + [
    tarfile.AREGTYPE,
    tarfile.CONTTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
]
FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
PARTS = st.one_of(
    st.from_regex(r"n[0-9]{8}_[0-9]{1,5}\.JPEG", fullmatch=True),
    st.text(
        st.characters(codec="utf-8", exclude_characters="/", exclude_categories=("Cc", "Cs")),
        min_size=1,
        max_size=120,
    ),
).filter(lambda part: part not in {".", ".."})
NAMES = st.lists(PARTS, min_size=1, max_size=5).map("/".join)
ENTRIES = st.tuples(
    NAMES,
    st.sampled_from(KINDS),
    st.one_of(st.just(0), st.binary(max_size=1200)),
    st.sampled_from(FORMATS),
    st.booleans(),
)
NUMBERS = st.lists(st.sampled_from(b"01234567789 _+-oO\0\n\x80\xff"), min_size=1, max_size=12)
"""What may stand in a number field, and what `int` would take for a number."""


def with_checksum(block: Sequence[int]) -> bytes:
    """A header whose checksum is right."""
    block = bytearray(block)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def entry_bytes(entry) -> bytes:
    """A header with its extended headers and its data; empty where ustar has no room for it."""
    name, kind, data, form, is_base_256 = entry
    data = archive_bytes(data) if isinstance(data, list) else data
    facts = tarfile.TarInfo(name)
    is_regular = kind in {tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE}
    content = data if is_regular and data else b""
    facts.type, facts.size, facts.mtime = kind, len(content), len(name) + 0.5
    if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE}:
        facts.linkname = name[::-1]
    try:
        headers = facts.tobuf(form)
    except ValueError:
        return b""
    if is_base_256 and is_regular:
        last = bytearray(headers[-BLOCK:])
        last[124:136] = b"\x80" + len(content).to_bytes(11, "big")
        headers = headers[:-BLOCK] + with_checksum(last)
    return headers + content + bytes(-len(content) % BLOCK)


def archive_bytes(entries) -> bytes:
    data = b"".join(map(entry_bytes, entries)) + bytes(2 * BLOCK)
    return data + bytes(-len(data) % tarfile.RECORDSIZE)


ARCHIVES = st.lists(ENTRIES, max_size=30)


@st.composite
def nested_archives(draw, depth: int = 2):
    """Entries of a tar in which some members are tars, in which some are tars."""
    entries = draw(st.lists(ENTRIES, max_size=4))
    if depth:
        for number in range(draw(st.integers(0, 3))):
            inner = draw(nested_archives(depth - 1))
            entries.append((f"{number}.tar", b"0", inner, tarfile.USTAR_FORMAT, number == 1))
    return entries


def scan(data: bytes, start: int = 0, end: int | None = None) -> list[Member | Problem]:
    def read(length: int, offset: int) -> bytes:
        assert 0 <= start <= offset <= offset + length <= (len(data) if end is None else end)
        return data[offset : offset + length]

    return list(scan_tar(read, start, len(data) if end is None else end))


def members_of(found) -> list[Member]:
    return [item for item in found if isinstance(item, Member)]


def entries_of(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        return archive.getmembers()


def regular_of(data: bytes) -> list[Member]:
    return [Member(e.name, e.offset_data, e.size) for e in entries_of(data) if e.isreg()]


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(drawn=ARCHIVES, before=st.binary(max_size=3), after=st.binary(max_size=3))
def test_members_are_those_of_tarfile(drawn, before, after):
    """Names, places and lengths of the regular files; a problem for each entry that is neither."""
    data = archive_bytes(drawn)
    entries = entries_of(data)
    shift = len(before)
    found = scan(before + data + after, shift, shift + len(data))
    expected = [Member(m.name, m.offset + shift, m.length) for m in regular_of(data)]
    assert members_of(found) == expected
    others = [entry for entry in entries if not entry.isreg() and not entry.isdir()]
    problems = [item for item in found if isinstance(item, Problem)]
    assert all("no regular file" in item.reason and not item.is_end for item in problems)
    assert len(problems) == len(others)


@settings(max_examples=60, deadline=None)
@given(drawn=nested_archives())
def test_archives_in_archives(drawn):
    """The members of an inner archive are found where they lie in the outermost."""
    data = archive_bytes(drawn)

    def check(start: int, end: int) -> None:
        expected = regular_of(data[start:end])
        found = members_of(scan(data, start, end))
        assert found == [Member(m.name, m.offset + start, m.length) for m in expected]
        for member in found:
            if member.name.endswith(".tar"):
                check(member.offset, member.offset + member.length)

    check(0, len(data))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(drawn=ARCHIVES, draw=st.data(), is_file_cut=st.booleans())
def test_truncated_archive_gives_what_is_whole(drawn, draw, is_file_cut):
    """Cut anywhere, exactly the members before the cut are found, and the cut is told."""
    data = archive_bytes(drawn)
    cut = draw.draw(st.integers(0, len(data)))
    found = scan(data[:cut], 0, cut) if is_file_cut else scan(data, 0, cut)
    assert members_of(found) == [m for m in regular_of(data) if m.offset + m.length <= cut]
    end = len(b"".join(map(entry_bytes, drawn)))
    if cut < end + BLOCK:  # before the end of the first block of zeros
        assert isinstance(found[-1], Problem)


@settings(max_examples=100, deadline=None)
@given(drawn=st.lists(ENTRIES, max_size=8), draw=st.data())
def test_file_that_became_shorter_raises_nothing(drawn, draw):
    """A read that gives less than was asked for ends the scan with a problem."""
    data = archive_bytes(drawn)
    data_end = len(b"".join(map(entry_bytes, drawn)))
    left = data[: draw.draw(st.integers(0, data_end))]
    found = list(scan_tar(lambda length, offset: left[offset : offset + length], 0, len(data)))
    assert isinstance(found[-1], Problem)
    assert found[-1].is_end
    assert all(member.offset <= len(left) for member in members_of(found))


@pytest.mark.slow
@settings(max_examples=250, deadline=None)
@given(
    entries=st.lists(ENTRIES, min_size=1, max_size=8),
    draw=st.data(),
    flip=st.integers(1, 255),
    is_hidden=st.booleans(),
)
def test_damaged_header_harms_nothing_before_it(entries, draw, flip, is_hidden):
    """A byte of a header is changed, its checksum made right or not: what came before stands."""
    data = archive_bytes(entries)
    intact = entries_of(data)
    if not intact:
        return
    entry = draw.draw(st.sampled_from(intact))
    headers = list(range(entry.offset, entry.offset_data, BLOCK))
    start = draw.draw(st.sampled_from(headers))
    place = draw.draw(st.integers(start, start + BLOCK - 1))
    damaged = bytearray(data)
    damaged[place] ^= flip
    if is_hidden:
        damaged[start : start + BLOCK] = with_checksum(damaged[start : start + BLOCK])
    found = scan(bytes(damaged))
    before = [m for m in regular_of(data) if m.offset <= entry.offset]
    assert members_of(found)[: len(before)] == before
    assert all(m.offset >= BLOCK and m.offset + m.length <= len(data) for m in members_of(found))


@settings(max_examples=300, deadline=None)
@given(
    name=st.binary(max_size=100),
    size=NUMBERS,
    checksum=st.none() | NUMBERS,
    flips=st.lists(st.tuples(st.integers(0, BLOCK - 1), st.integers(0, 255)), max_size=2),
)
def test_fast_way_says_what_the_slow_way_says(name, size, checksum, flips):
    """Odd names, numbers and bytes are judged the same, whichever way a header takes."""
    block = bytearray(tarfile.TarInfo("a").tobuf(tarfile.USTAR_FORMAT))
    block[:100] = name.ljust(100, b"\0")
    block[124 : 124 + len(size)] = bytes(size)
    for place, value in flips:
        block[place] = value
    block = bytearray(with_checksum(block))
    if checksum is not None:
        block[148 : 148 + min(8, len(checksum))] = bytes(checksum[:8])
    data = bytes(block) + bytes(20 * BLOCK)
    found = scan(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tarscan, "_plain_member", lambda *_: None)
        assert scan(data) == found


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=3 * BLOCK), kind=st.sampled_from(b"LKxXgS0\0"))
def test_any_bytes_are_survived(data, kind):
    """Noise behind a good header, extended ones among them, raises nothing and leads nowhere."""
    entry = tarfile.TarInfo("a.JPEG")
    entry.type, entry.size = bytes([kind]), len(data)
    whole = entry.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % BLOCK)
    whole += tarfile.TarInfo("b.JPEG").tobuf() + bytes(2 * BLOCK)
    for member in members_of(scan(whole)):
        assert member.offset + member.length <= len(whole)


@settings(max_examples=12, deadline=None)
@given(archives=st.lists(nested_archives(1), max_size=12), cut=st.integers(0, 2000))
def test_workers_say_what_one_process_says(archives, cut):
    """The results of worker processes are those of one, also for windows that are cut off."""
    with tempfile.NamedTemporaryFile() as file, pytest.MonkeyPatch.context() as patch:
        windows = []
        for drawn in archives:
            start = file.tell()
            file.write(archive_bytes(drawn))
            windows += [(start, file.tell()), (start, file.tell() - cut)]
        file.flush()
        read = partial(os.pread, file.fileno())
        expected = [list(scan_tar(read, *window)) for window in windows]
        patch.setattr(tarpool, "START_SECONDS", -1.0)
        assert list(scan_windows(file.name, windows, processes=2)) == expected
