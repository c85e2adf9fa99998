"""Zip archives of any shape: what Python's zipfile wrote comes out, and damage is always told."""

from __future__ import annotations

import contextlib
import io
import zipfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imagetree.errors import DatabaseError
from imagetree.sources.entries import Entry, SetAside
from imagetree.sources.inflate import read_zip_member
from imagetree.sources.zips import scan_zip

PARTS = st.text(
    st.characters(codec="utf-8", exclude_characters="/", exclude_categories=("C", "Z")),
    min_size=1,
    max_size=60,
).filter(lambda part: part not in {".", ".."})
DATA = st.one_of(st.binary(max_size=300), st.builds(bytes, st.integers(0, 5000)))
MEMBER = st.tuples(
    st.lists(PARTS, min_size=1, max_size=4).map("/".join),
    DATA,
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    st.booleans(),
    st.binary(max_size=40),
)
MEMBERS = st.lists(MEMBER, max_size=6, unique_by=lambda member: member[0])


class Stream(io.RawIOBase):
    """A file that cannot seek, into which zipfile writes data descriptors."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.data += data
        return len(data)


def write_zip(members, comment=b"", is_stream=False) -> bytes:
    """Members as (name, data, method, whether zip64 is forced, comment)."""
    stream = Stream()
    file = stream if is_stream else io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data, method, is_zip64, remark in members:
            info = zipfile.ZipInfo(name)
            info.compress_type, info.comment = method, remark
            with archive.open(info, "w", force_zip64=is_zip64) as member:
                member.write(data)
        archive.comment = comment
    return bytes(stream.data) if is_stream else file.getvalue()


def reader(data: bytes):
    return lambda length, offset: data[offset : offset + length]


def scan(data: bytes) -> list[Entry | SetAside]:
    return list(scan_zip(reader(data), len(data)))


@settings(max_examples=150, deadline=None)
@given(MEMBERS, st.binary(max_size=70), st.booleans(), st.binary(max_size=50))
def test_members_are_those_that_zipfile_wrote(members, comment, is_stream, prefix):
    """Names, places and bytes are zipfile's; comments, prefixes and descriptors change nothing."""
    data = prefix + write_zip(members, comment, is_stream)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
    found = scan(data)
    assert [(entry.name, entry.offset, entry.length) for entry in found] == [
        (info.filename, info.header_offset, info.file_size) for info in infos
    ]
    wanted = {member[0]: member[1] for member in members}
    for entry in found:
        assert read_zip_member(reader(data), entry.offset, entry.length) == wanted[entry.name]


@settings(max_examples=300, deadline=None)
@given(MEMBERS.filter(bool), st.booleans(), st.data())
def test_damage_is_told_or_harmless(members, is_stream, draw):
    """A changed byte gives the same member, a reason or an error: never other bytes or a crash."""
    data = bytearray(write_zip(members, is_stream=is_stream))
    position = draw.draw(st.integers(0, len(data) - 1))
    data[position] ^= draw.draw(st.integers(1, 255))
    contents = {member[1] for member in members}
    read = reader(bytes(data))
    with contextlib.suppress(DatabaseError):
        for item in scan_zip(read, len(data)):
            if isinstance(item, Entry):
                assert read_zip_member(read, item.offset, item.length) in contents


@settings(max_examples=100, deadline=None)
@given(MEMBERS.filter(bool), st.booleans(), st.data())
def test_cut_off_archive_is_refused(members, is_stream, draw):
    """An archive without its end has no directory: it is refused as a whole, with a hint."""
    data = write_zip(members, is_stream=is_stream)
    cut = data[: draw.draw(st.integers(0, len(data) - 1))]
    with pytest.raises(DatabaseError, match="zip: ") as caught:
        scan(cut)
    assert caught.value.hint


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
@example(b"PK\5\6" + bytes(18))
def test_any_bytes_give_items_or_an_error(data):
    """No input ends in anything but items or a DatabaseError."""
    with contextlib.suppress(DatabaseError):
        scan(data)
    with contextlib.suppress(DatabaseError):
        read_zip_member(reader(data), 0, 100)
