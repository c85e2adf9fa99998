"""What lies in a zip archive, and where: its directory is read, and no member.

Zip64 and archives with something in front of them (self-extractors) too. The directory is read in
pieces and twice: first to find what overlaps, with some 40 bytes for each of perhaps millions of
members, then to list. No name, size or offset is trusted: what is no regular file with a safe name
and honest sizes comes out as `SetAside`. `inflate` reads the members.
Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 (records), 4.4 (fields) and 4.5.3 (zip64).
"""

from __future__ import annotations

import stat
import struct
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from imagetree.errors import DatabaseError
from imagetree.sources.entries import Entry, Read, SetAside
from imagetree.sources.inflate import (
    LOCAL,
    NOT_HERE,
    fault_of_packing,
    fault_of_sizes,
    zip64_numbers,
)
from imagetree.sources.tarscan import MAX_NAME_LENGTH, fault_of_name, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_RECORD = struct.Struct("<4s6H3L5H2L")
_END_MARK, _LOCATOR_MARK, _END64_MARK, _RECORD_MARK = b"PK\5\6", b"PK\6\7", b"PK\6\6", b"PK\1\2"
_MAX_COMMENT = 0xFFFF
_NOT_HERE_SHORT = 0xFFFF
_WINDOW = 1 << 20  # longer than any record: 46 bytes, name, extra field and comment of 64 KiB each
_IS_UTF8 = 1 << 11
_UNIX_HOSTS = {3, 19}  # whose attributes hold a file mode


class _Directory(NamedTuple):
    """Where the central directory lies; `shift` is what was put in front of the archive."""

    start: int
    end: int
    shift: int
    num_records: int


class _Record(NamedTuple):
    """What the directory says of a member; `offset` is that of its local header in the file."""

    host: int
    flags: int
    method: int
    packed: int
    length: int
    disk: int
    mode: int
    offset: int
    name: bytes
    is_complete: bool


def scan_zip(read: Read, size: int) -> Iterator[Entry | SetAside]:
    """The regular files of a zip archive, in the order of its directory.

    Directories come out not at all; links, devices, encrypted members, other methods than stored
    and deflate, unsafe names, impossible sizes, bombs, and members whose bytes overlap with those
    of another that lies before them come out as `SetAside`. Members of any size are listed: whether
    one is too large for an image is the reader's business.

    Args:
        read: of the archive's file.
        size: of the file, in bytes.

    Returns:
        Entries with the offset of the LOCAL header and the uncompressed length, for
        `read_zip_member`.

    Raises:
        DatabaseError: there is no directory to read: no zip, cut off, in several parts, or with
            several end records (of which two programs would see different files).

    >>> import io, zipfile
    >>> file = io.BytesIO()
    >>> with zipfile.ZipFile(file, "w") as archive:
    ...     archive.writestr("n02084071/dog.jpg", b"dog")
    >>> data = file.getvalue()
    >>> def read(length, offset): return data[offset : offset + length]
    >>> [(entry.name, entry.offset, entry.length) for entry in scan_zip(read, len(data))]
    [('n02084071/dog.jpg', 0, 3)]
    """
    directory = _find_directory(read, size)
    overlapping = _find_overlapping(read, directory)
    count = 0
    for record in _iter_records(read, directory):
        if isinstance(record, SetAside):
            yield record
            return
        is_overlapping = count >= len(overlapping) or bool(overlapping[count])
        count += 1
        found = _judge(record, directory, is_overlapping)
        if found is not None:
            yield found
    if count != directory.num_records:
        told = directory.num_records
        reason = f"note: the end record counts {told} members, the directory has {count}"
        yield SetAside("archive", directory.end, reason)


def _find_directory(read: Read, size: int) -> _Directory:
    """The directory that the end record names, wherever the archive begins in its file."""
    place, fields = _find_end(read, size)
    disk, directory_disk, _, count, length, start, _ = fields
    end, (disk, directory_disk, count, length, start) = _apply_zip64(
        read, place, (disk, directory_disk, count, length, start)
    )
    if disk or directory_disk:
        raise DatabaseError(
            f"zip: one of several parts (disk {disk})",
            hint="join them first: zip -s 0 ARCHIVE --out WHOLE",
        )
    shift = end - (start + length)
    if shift < 0:
        raise _unreadable(f"a directory of {length} bytes at byte {start} ends behind byte {end}")
    if length and read(4, start + shift) != _RECORD_MARK:
        raise _unreadable(f"no directory at byte {start + shift}")
    if shift and shift % (1 << 32) == 0:
        raise _unreadable("more than 4 GiB written without zip64, with offsets that are cut off")
    return _Directory(start + shift, end, shift, count)


def _find_end(read: Read, size: int) -> tuple[int, tuple[int, ...]]:
    """Offset and fields of the one end record whose comment ends where the file does."""
    tail_start = max(0, size - _END.size - _MAX_COMMENT)
    tail = read(size - tail_start, tail_start)
    found = []
    at = tail.find(_END_MARK)
    while 0 <= at <= len(tail) - _END.size:
        _, *fields = _END.unpack_from(tail, at)
        if at + _END.size + fields[-1] == len(tail):
            found.append((tail_start + at, tuple(fields)))
        at = tail.find(_END_MARK, at + 1)
    if not found:
        raise _unreadable("no end record: cut off, or no zip archive")
    if len(found) > 1:
        raise _unreadable(f"{len(found)} end records, each with a directory of its own")
    return found[0]


def _apply_zip64(
    read: Read, place: int, short: tuple[int, int, int, int, int]
) -> tuple[int, tuple[int, ...]]:
    """Where the directory must end, and disk, directory's disk, count, length and start.

    Where there is a zip64 end record it counts, and the short one must not say something else.
    """
    locator_at = place - _LOCATOR.size
    locator = read(_LOCATOR.size, locator_at) if locator_at >= 0 else b""
    if locator[:4] != _LOCATOR_MARK:
        return place, short
    _, _, named, _ = _LOCATOR.unpack(locator)
    for at in (named, locator_at - _END64.size):  # the second where the archive was moved
        block = read(_END64.size, at) if 0 <= at <= locator_at - _END64.size else b""
        if block[:4] != _END64_MARK:
            continue
        _, rest, _, _, disk, directory_disk, _, count, length, start = _END64.unpack(block)
        if at + 12 + rest != locator_at:
            continue
        long = (disk, directory_disk, count, length, start)
        absent = (_NOT_HERE_SHORT,) * 3 + (NOT_HERE,) * 2
        if any(s not in {a, b} for s, a, b in zip(short, absent, long, strict=True)):
            raise _unreadable("the two end records, the plain one and that of zip64, disagree")
        return at, long
    raise _unreadable("its zip64 end record is missing")


def _iter_records(read: Read, directory: _Directory) -> Iterator[_Record | SetAside]:
    """The records of the directory; where it is damaged, a last item that says so."""
    position = directory.start
    while position < directory.end:
        window = read(min(_WINDOW, directory.end - position), position)
        at = 0
        while at + _RECORD.size <= len(window):
            fields = _RECORD.unpack_from(window, at)
            stop = at + _RECORD.size + fields[10] + fields[11] + fields[12]
            if fields[0] != _RECORD_MARK or stop > len(window):
                break
            yield _parse_record(fields, window, at, directory.shift)
            at = stop
        if at == 0:
            left = directory.end - position
            reason = f"the directory is damaged; its last {left} bytes were not read"
            yield SetAside("archive", position, reason)
            return
        position += at


def _parse_record(fields: tuple[Any, ...], window: bytes, at: int, shift: int) -> _Record:
    """A record with the numbers that zip64 keeps in its extra field."""
    _, made_by, _, flags, method, _, _, _, packed, length, n, m, _, disk, _, attributes, offset = (
        fields
    )
    name_end = at + _RECORD.size + n
    is_complete = True
    if NOT_HERE in {length, packed, offset} or disk == _NOT_HERE_SHORT:
        extra = window[name_end : name_end + m]
        long = zip64_numbers(extra, (length, packed, offset))
        is_complete = long is not None
        length, packed, offset = long or (0, 0, 0)
        disk = 0 if disk == _NOT_HERE_SHORT else disk
    name = window[at + _RECORD.size : name_end]
    host, mode = made_by >> 8, attributes >> 16
    return _Record(
        host, flags, method, packed, length, disk, mode, offset + shift, name, is_complete
    )


def _find_overlapping(read: Read, directory: _Directory) -> NDArray[np.bool_]:
    """For each record whether its bytes begin inside those of one that lies before it.

    A local header may have more extra fields than the record, so that a length is the least one.
    """
    starts, ends = array("Q"), array("Q")
    for record in _iter_records(read, directory):
        if isinstance(record, SetAside):
            break
        end = _end_of(record)
        is_inside = record.is_complete and end <= directory.start  # else it is set aside anyway
        starts.append(record.offset if is_inside else 0)
        ends.append(end if is_inside else 0)
    firsts, lasts = np.frombuffer(starts, np.uint64), np.frombuffer(ends, np.uint64)
    order = np.argsort(firsts, kind="stable")
    reached = np.maximum.accumulate(lasts[order])
    overlapping = np.zeros(len(starts), np.bool_)
    overlapping[order[1:]] = firsts[order[1:]] < reached[:-1]
    return overlapping


def _end_of(record: _Record) -> int:
    return record.offset + LOCAL.size + len(record.name) + record.packed


def _judge(record: _Record, directory: _Directory, is_overlapping: bool) -> Entry | SetAside | None:
    """What a record is; None for a directory."""
    encoding = "utf-8" if record.flags & _IS_UTF8 else "cp437"
    name = record.name.decode(encoding, "surrogateescape")
    if name.endswith("/") and not record.length:
        return None
    fault = _fault_of_kind(record) or fault_of_name(name)
    if not fault and _end_of(record) > directory.start:
        fault = (
            f"needs bytes up to {_end_of(record)}, the directory begins at {directory.start}: "
            "cut off, or a wrong offset"
        )
    if not fault and is_overlapping:
        fault = "its bytes overlap with those of another member"
    fault = fault or fault_of_sizes(record.method, record.packed, record.length)
    if fault:
        place = min(record.offset, directory.end)  # any number may stand there
        return SetAside(printable(name[:MAX_NAME_LENGTH]), place, fault)
    return Entry(name, record.offset, record.length)


def _fault_of_kind(record: _Record) -> str:
    """Why a member cannot be read whatever its sizes; empty for a plain file."""
    kind = stat.S_IFMT(record.mode) if record.host in _UNIX_HOSTS else 0
    if kind == stat.S_IFLNK:
        return "link, no regular file"
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "device or pipe, no regular file"
    if record.disk:
        return f"lies in another part of the archive (disk {record.disk})"
    if not record.is_complete:
        return "its zip64 sizes are missing"
    return fault_of_packing(record.flags, record.method)


def _unreadable(what: str) -> DatabaseError:
    return DatabaseError(
        f"zip: {what}", hint="get the archive again, or repair it: zip -FF ARCHIVE --out WHOLE"
    )
