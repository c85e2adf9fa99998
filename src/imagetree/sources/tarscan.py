"""Where the members of a tar archive lie: a scan that reads headers and never a member's data.

Ustar, GNU (long names, base-256 sizes) and PAX archives, also one inside another: a scan is bounded
to a window of a file. It extracts nothing, opens nothing, and trusts no name: what is no regular
file with a safe name comes out as a `Problem`. Compressed archives are not read.

Nearly all headers of nearly all archives are alike: a regular file, an ASCII name of less than 100
bytes, octal numbers. `_plain_member` judges these in about a microsecond, and whatever it does not
take for one of them is left to the rest of this file, which knows everything and is slower.
Source: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Header Block"; GNU tar's manual,
"Basic Tar Format".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zlib import adler32

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imagetree.sources.entries import Read

BLOCK = 512
MAX_EXTENDED_BYTES = 1 << 20
"""Longest extended header (a long name, PAX records) that is read."""
MAX_NAME_LENGTH = 1024

_MAX_DIGITS = 40  # of a size in decimal; int() refuses thousands of them
_RECORD = 20 * BLOCK  # archives are padded to whole records of this size
_ZEROS = bytes(BLOCK)
_HALF = BLOCK // 2
_NAME_LENGTH = 100
_SIZE = slice(124, 136)
_SIZE_DIGITS = slice(124, 135)
_SIZE_END = 135
_CHECKSUM = slice(148, 156)
_CHECKSUM_DIGITS = slice(148, 154)
_CHECKSUM_END = 154
_CHECKSUM_BLANK = 8 * ord(" ")
_KIND = 156
_PREFIX = 345
_IS_REGULAR = ord("0")
_REGULAR = b"0\0" + b"7"
_DIRECTORY = b"5"
_EXTENSIONS = b"LKxXg"
_WITHOUT_DATA = {b"1": "hard link", b"2": "link", b"3": "device", b"4": "device", b"6": "pipe"}


class Member(NamedTuple):
    """A regular file of an archive.

    Args:
        name: as the archive has it.
        offset: of its first byte, in the file that was scanned.
        length: in bytes.
    """

    name: str
    offset: int
    length: int


class Problem(NamedTuple):
    """What is no member, and why.

    Args:
        name: of the entry, printable; empty where the archive itself is at fault.
        offset: of the entry's header; of its data where these are cut off.
        reason: what is wrong.
        is_end: the scan ended here, before the archive's own end.
    """

    name: str
    offset: int
    reason: str
    is_end: bool = False


class _FaultError(Exception):
    """The archive cannot be scanned past this header."""


class _Header(NamedTuple):
    kind: bytes
    name: str
    size: int
    block: bytes


class _Extended:
    """What the extended headers said of the next member, and of all members after a global one."""

    def __init__(self) -> None:
        self.path: str | None = None
        self.size: int | None = None
        self.is_sparse = False
        self.is_pending = False
        self.everywhere: dict[str, str] = {}

    @property
    def is_silent(self) -> bool:
        """The next member is what its own header says."""
        return not (self.is_pending or self.everywhere)

    def take(self, kind: bytes, payload: bytes) -> None:
        """Note an extended header; of two for one member the first is kept, as tarfile does."""
        if kind == b"g":
            self.everywhere.update(_pax_records(payload))
            return
        self.is_pending = True
        if kind == b"L":
            self.path = self.path or _text(payload.split(b"\0", 1)[0])
        elif kind != b"K":
            self._take_records(_pax_records(payload))

    def apply(self, header: _Header) -> _Header:
        """The header with what was noted, which is forgotten."""
        if self.everywhere:
            self._take_records(self.everywhere)
        kind = b"S" if self.is_sparse and header.kind in _REGULAR else header.kind
        name = header.name if self.path is None else self.path
        size = header.size if self.size is None else self.size
        self.path, self.size, self.is_sparse, self.is_pending = None, None, False, False
        return _Header(kind, name, size, header.block)

    def _take_records(self, records: Mapping[str, str]) -> None:
        if records.get("path"):
            self.path = self.path or records["path"]
        if records.get("size") and self.size is None:
            digits = records["size"]
            if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
                raise _FaultError(f"PAX size {digits[:_MAX_DIGITS]!r} is no number of bytes")
            self.size = int(digits)
        self.is_sparse = self.is_sparse or any(key.startswith("GNU.sparse.") for key in records)


def scan_tar(read: Read, start: int, end: int) -> Iterator[Member | Problem]:
    """The regular files of the archive that lies in the bytes [start, end) of a file.

    Links, devices, sparse files and unsafe names come out as problems, directories not at all. A
    bad header or data that run past `end` end the scan with a last problem; what came before it
    stands. Nothing is read but headers, 512 bytes at a time, and extended headers.

    Args:
        read: of the file, such as `partial(os.pread, descriptor)`; what it raises goes through.
        start: offset of the archive's first byte.
        end: offset after its last byte; a scan never reads past it.

    Returns:
        Members and problems in the archive's order.

    >>> import io, os, tarfile, tempfile
    >>> from functools import partial
    >>> with tempfile.TemporaryFile() as file:
    ...     with tarfile.open(fileobj=file, mode="w") as archive:
    ...         entry = tarfile.TarInfo("n02084071/dog.jpg")
    ...         entry.size = 3
    ...         archive.addfile(entry, io.BytesIO(b"dog"))
    ...     list(scan_tar(partial(os.pread, file.fileno()), 0, 10240))
    [Member(name='n02084071/dog.jpg', offset=512, length=3)]
    """
    extended = _Extended()
    is_silent = True
    offset = start
    while True:
        data = offset + BLOCK
        block = read(BLOCK, offset) if data <= end else _ZEROS
        member = _plain_member(block, data, end) if is_silent else None
        if member is not None:
            yield member
            offset = data + _padded(member.length)
            continue
        if block == _ZEROS:
            yield from _check_ending(read, offset, start, end, is_pending=extended.is_pending)
            return
        try:
            header = _parse_header(block)
            if header.kind in _EXTENSIONS:
                extended.take(header.kind, _read_extension(read, data, header.size, end))
                offset = data + _padded(header.size)
                is_silent = extended.is_silent
                continue
            header = extended.apply(header)
            if header.kind == b"S":
                data = _after_sparse_map(read, data, block, end)
        except _FaultError as fault:
            yield Problem("", offset, f"header at byte {offset}: {fault}", is_end=True)
            return
        found, length = _judge(header, offset, data, end)
        if found is not None:
            yield found
            if isinstance(found, Problem) and found.is_end:
                return
        offset = data + _padded(length)
        is_silent = extended.is_silent


def printable(name: str) -> str:
    r"""A name as it can be shown and stored: what is not printable is written as an escape.

    >>> printable("caf\u00e9\n\udcff")
    'café\\n\\udcff'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def fault_of_name(name: str) -> str:
    """Why a member's name is refused; empty for a safe one.

    >>> fault_of_name("n02084071/dog.jpg"), fault_of_name("../dog.jpg")
    ('', "name leads out of the archive by '..'")
    """
    if not name or len(name) > MAX_NAME_LENGTH:
        return f"name of {len(name)} characters (expected 1 to {MAX_NAME_LENGTH})"
    if name.startswith("/"):
        return "name is not relative"
    if ".." in name and ".." in name.split("/"):
        return "name leads out of the archive by '..'"
    if not name.isprintable():
        if any("\ud800" <= c <= "\udfff" for c in name):
            return "name is not UTF-8"
        if any(c < " " or "\x7f" <= c < "\xa0" for c in name):
            return "name holds control characters"
    return ""


def _plain_member(block: bytes, data: int, end: int) -> Member | None:
    """The member of a header as nearly all are; None for any other, good or bad.

    Never says what the slow way would not say: a block of ASCII sums to less than 65,521, so that
    `adler32` tells its sum exactly, and signed bytes make no difference to it.
    """
    length = block.find(0, 0, _NAME_LENGTH)
    if (
        length < 1
        or len(block) != BLOCK
        or block[_KIND] != _IS_REGULAR
        or block[_PREFIX]
        or block[_SIZE_END]
        or block[_CHECKSUM_END]
        or not block.isascii()
    ):
        return None
    size, checksum = block[_SIZE_DIGITS], block[_CHECKSUM_DIGITS]
    if not (size.isdigit() and checksum.isdigit()):  # int() takes signs, blanks and underscores too
        return None
    try:
        expected, num_bytes = int(checksum, 8), int(size, 8)
    except ValueError:  # an 8 or a 9
        return None
    low = (adler32(block) & 0xFFFF) - (adler32(block[_CHECKSUM]) & 0xFFFF)
    name = block[:length].decode("ascii")
    if (
        low + _CHECKSUM_BLANK != expected
        or data + num_bytes > end
        or name[0] == "/"
        or ".." in name
        or not name.isprintable()
    ):
        return None
    return Member(name, data, num_bytes)


def _parse_header(block: bytes) -> _Header:
    if len(block) < BLOCK:
        raise _FaultError("the file became shorter while it was read")
    _check_sum(block)
    kind = block[_KIND : _KIND + 1]
    name = _text(block[:_NAME_LENGTH].split(b"\0", 1)[0])
    if block[257:263] == b"ustar\0" and block[_PREFIX] and kind not in _EXTENSIONS:
        prefix = block[_PREFIX:500].split(b"\0", 1)[0]
        name = f"{_text(prefix)}/{name}"
    if kind == b"\0" and name.endswith("/"):  # how archives older than POSIX mark a directory
        kind = _DIRECTORY
    return _Header(kind, name, _number(block[_SIZE]), block)


def _check_sum(block: bytes) -> None:
    """Compare with the sum of all bytes, the checksum's own eight counting as spaces."""
    expected = _number(block[_CHECKSUM])
    total = _sum(block[:_HALF]) + _sum(block[_HALF:])
    unsigned = total - _sum(block[_CHECKSUM]) + _CHECKSUM_BLANK
    if unsigned == expected:
        return
    num_high = sum(byte >= 128 for byte in block) - sum(byte >= 128 for byte in block[_CHECKSUM])
    if unsigned - 256 * num_high != expected:  # some old programs added signed bytes
        raise _FaultError(
            f"not a tar header, or damaged (checksum {unsigned}, expected {expected})"
        )


def _sum(part: bytes) -> int:
    """The sum of at most 256 bytes: the low half of Adler-32 is that plus one, modulo 65,521."""
    return (adler32(part) & 0xFFFF) - 1


def _number(digits: bytes) -> int:
    """A number field: octal digits, or base 256 where the first bit is set."""
    if digits[0] & 0x80:
        if digits[0] != 0x80:
            raise _FaultError("negative or unbounded number")
        return int.from_bytes(digits[1:], "big")
    octal = digits.split(b"\0", 1)[0].strip(b" ")
    if octal.strip(b"01234567"):
        raise _FaultError(f"{digits!r} is no octal number")
    return int(octal, 8) if octal else 0


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _padded(length: int) -> int:
    return -(-length // BLOCK) * BLOCK


def _read_extension(read: Read, data: int, size: int, end: int) -> bytes:
    if size > MAX_EXTENDED_BYTES:
        raise _FaultError(
            f"extended header of {size} bytes (expected at most {MAX_EXTENDED_BYTES})"
        )
    payload = read(size, data) if data + size <= end else b""
    if len(payload) < size:
        raise _FaultError(f"truncated: needs bytes up to {data + size}, the archive ends at {end}")
    return payload


def _pax_records(payload: bytes) -> dict[str, str]:
    """The records `length key=value newline` of a PAX header."""
    records: dict[str, str] = {}
    position = 0
    while position < len(payload) and payload[position]:
        digits, space, _ = payload[position : position + 12].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = payload[position + len(digits) + 1 : position + length]
        key, equals, value = record.partition(b"=")
        if position + length > len(payload) or not equals or not value.endswith(b"\n"):
            raise _FaultError(f"malformed PAX record at its byte {position}")
        records[_text(key)] = _text(value[:-1])
        position += length
    return records


def _after_sparse_map(read: Read, data: int, block: bytes, end: int) -> int:
    """Where the data of a GNU sparse file begin: after the blocks that continue its map."""
    has_more, limit = block[482], data + MAX_EXTENDED_BYTES
    while has_more:
        if data >= limit:
            raise _FaultError(f"sparse map of more than {MAX_EXTENDED_BYTES} bytes")
        has_more = _read_extension(read, data, BLOCK, end)[504]
        data += BLOCK
    return data


def _judge(
    header: _Header, offset: int, data: int, end: int
) -> tuple[Member | Problem | None, int]:
    """What an entry is, and how many bytes of data follow its header."""
    kind, name, size = header.kind, header.name, header.size
    if kind == _DIRECTORY:
        return None, 0
    if kind in _WITHOUT_DATA:
        return Problem(printable(name), offset, f"{_WITHOUT_DATA[kind]}, no regular file"), 0
    if data + size > end:
        reason = f"truncated: member needs bytes up to {data + size}, the archive ends at {end}"
        return Problem(printable(name), data, reason, is_end=True), size
    if kind not in _REGULAR:
        what = "sparse file" if kind == b"S" else f"entry of type {kind!r}"
        return Problem(printable(name), offset, f"{what}, no regular file"), size
    fault = fault_of_name(name)
    if fault:
        return Problem(printable(name[:MAX_NAME_LENGTH]), offset, fault), size
    return Member(name, data, size), size


def _check_ending(
    read: Read, offset: int, start: int, end: int, *, is_pending: bool
) -> Iterator[Problem]:
    """What is odd where no further header was found at `offset`."""
    if is_pending:
        yield Problem("", offset, "truncated: the member of an extended header is missing", True)
    elif end <= start:
        yield Problem("", offset, "empty: no tar header", is_end=True)
    elif offset >= end:
        yield Problem("", end, "note: no end-of-archive blocks; the last member is complete")
    elif offset + BLOCK > end:
        reason = (
            f"truncated: a header needs bytes up to {offset + BLOCK}, the archive ends at {end}"
        )
        yield Problem("", offset, reason, is_end=True)
    else:
        next_record = start + -(-(offset - start + 1) // _RECORD) * _RECORD
        for place in (offset + BLOCK, next_record):  # where the archives of `cat a.tar b.tar` meet
            if place + BLOCK <= end and read(BLOCK, place) != _ZEROS:
                reason = f"{end - place} bytes after the end-of-archive block were not read"
                yield Problem("", place, f"note: {reason}")
                return
