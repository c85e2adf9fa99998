"""The bytes of one member of a zip archive, by its local header: stored or deflated, nothing else.

What a member may be (`fault_of_packing`, `fault_of_sizes`) is the same rule here and where the
directory is scanned, for the two can say different things. State is kept in a call alone, so that
any thread may read. Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.9 (data
descriptor), 4.4 (fields) and 4.5.3 (zip64); RFC 1951 (deflate).
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from imagetree.errors import DatabaseError
from imagetree.sources.entries import MAX_IMAGE_BYTES, Read

MAX_RATIO = 100
"""Most bytes of a member for one of its packed ones; above it a member is taken for a bomb."""
HARMLESS_BYTES = 16 << 20
"""Members up to this size may have any ratio: a drawn picture may be one plain colour."""
LOCAL = struct.Struct("<4s5H3L2H")
"""A local header, without name and extra field."""
NOT_HERE = 0xFFFFFFFF
"""In place of a number that stands in the zip64 field."""

_LOCAL_MARK, _DESCRIPTOR_MARK = b"PK\3\4", b"PK\7\x08"
_WINDOW = 1 << 20  # the first read takes no more of a member
_HEADER_GUESS = 1 << 10  # local header, name, extra field and what may follow the data
_STORED, _DEFLATED = 0, 8
_METHODS = {9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz", 99: "AES"}
_ENCRYPTED = 1 | 1 << 6 | 1 << 13
_HAS_DESCRIPTOR, _IS_PATCH = 1 << 3, 1 << 5


class _Local(NamedTuple):
    """A local header; `data` is where its member's bytes begin, from the header on."""

    flags: int
    method: int
    crc: int
    packed: int
    length: int
    data: int


def read_zip_member(read: Read, offset: int, length: int) -> bytes:
    """The bytes of a member, checked against its CRC-32: one positioned read, for most.

    Args:
        read: of the archive's file.
        offset: of the member's local header.
        length: of the member, uncompressed, as the directory has it; never is more than this made.

    Raises:
        DatabaseError: the member is damaged, encrypted, too large, or not where it should be.

    >>> import io, zipfile
    >>> file = io.BytesIO()
    >>> with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
    ...     archive.writestr("n02084071/dog.jpg", b"dog")
    >>> data = file.getvalue()
    >>> read_zip_member(lambda length, offset: data[offset : offset + length], 0, 3)
    b'dog'
    """
    if length > MAX_IMAGE_BYTES:
        raise _damaged(offset, f"too large: {length} bytes (expected at most {MAX_IMAGE_BYTES})")
    source = _Bytes(read, offset, min(length, _WINDOW) + _HEADER_GUESS)
    header = _read_local(source)
    has_descriptor = bool(header.flags & _HAS_DESCRIPTOR)
    if not has_descriptor and header.length != length:
        raise _damaged(offset, f"its header says {header.length} bytes (expected {length})")
    if header.method == _STORED:
        data, packed = source.exactly(header.data, length), length
    else:
        limit = _max_packed(length) if has_descriptor else header.packed
        data, packed = _inflate(source, header.data, limit, length)
    if not has_descriptor and packed != header.packed:
        raise _damaged(offset, f"has {packed} packed bytes (expected {header.packed})")
    crc = zlib.crc32(data)
    if has_descriptor:
        _check_descriptor(source, header.data + packed, crc, (packed, length))
    elif crc != header.crc:
        raise _damaged(offset, f"CRC-32 {crc:08x} (expected {header.crc:08x})")
    return data


def fault_of_packing(flags: int, method: int) -> str:
    """Why a member cannot be read, by its flags and method; empty for stored and deflate."""
    if flags & _ENCRYPTED:
        return "encrypted"
    if flags & _IS_PATCH or method not in {_STORED, _DEFLATED}:
        form = "a patch" if flags & _IS_PATCH else _METHODS.get(method, f"method {method}")
        return f"packed as {form} (expected stored or deflate)"
    return ""


def fault_of_sizes(method: int, packed: int, length: int) -> str:
    """Why sizes in bytes are impossible or a bomb's; empty for honest ones."""
    if method == _STORED and packed != length:
        return f"stored with {packed} bytes of {length}"
    if length > max(HARMLESS_BYTES, MAX_RATIO * packed):
        return f"a bomb: {length} bytes out of {packed} (expected at most {MAX_RATIO} for one)"
    if packed > _max_packed(length):
        return f"{packed} packed bytes for {length}"
    return ""


def _max_packed(length: int) -> int:
    """More than any deflate stream of `length` bytes needs; without loss it grows by 1 in 1,000."""
    return length + length // 8 + 4096


def zip64_numbers(extra: bytes, numbers: tuple[int, ...]) -> tuple[int, ...] | None:
    """The numbers, those that are not here taken from the zip64 field; None where it lacks them."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + length]
            long = iter(struct.unpack_from(f"<{len(field) // 8}Q", field))
            found = [next(long, -1) if number == NOT_HERE else number for number in numbers]
            return None if -1 in found else tuple(found)
        at += 4 + length
    return None


class _Bytes:
    """Bytes of the archive from a place on; most members lie whole in what the first read gave."""

    def __init__(self, read: Read, offset: int, length: int) -> None:
        self._read = read
        self.offset = offset
        self._window = read(length, offset)

    def some(self, start: int, length: int) -> bytes:
        """Bytes from `start`, as many as one read has of them; none behind the file's end."""
        return self._window[start : start + length] or self._read(length, self.offset + start)

    def up_to(self, start: int, length: int) -> bytes:
        """The bytes from `start`, fewer only where the file ends."""
        here = self._window[start : start + length]
        return here if len(here) == length else self._read(length, self.offset + start)

    def exactly(self, start: int, length: int) -> bytes:
        """All the bytes from `start`.

        Raises:
            DatabaseError: the file ends before.
        """
        here = self.up_to(start, length)
        if len(here) < length:
            raise _damaged(self.offset, f"cut off after {len(here)} bytes (expected {length})")
        return here


def _read_local(source: _Bytes) -> _Local:
    """The local header at the source's place, with what zip64 keeps in its extra field."""
    block = source.exactly(0, LOCAL.size)
    mark, _, flags, method, _, _, crc, packed, length, n, m = LOCAL.unpack(block)
    if mark != _LOCAL_MARK:
        raise _damaged(source.offset, f"begins with {block[:4]!r} (expected {_LOCAL_MARK!r})")
    fault = fault_of_packing(flags, method)
    if not fault and not flags & _HAS_DESCRIPTOR:
        if NOT_HERE in {packed, length}:
            extra = source.exactly(LOCAL.size + n, m)
            length, packed = zip64_numbers(extra, (length, packed)) or (length, packed)
        fault = fault_of_sizes(method, packed, length)
    if fault:
        raise _damaged(source.offset, fault)
    return _Local(flags, method, crc, packed, length, LOCAL.size + n + m)


def _inflate(source: _Bytes, start: int, limit: int, length: int) -> tuple[bytes, int]:
    """The bytes of a deflate stream that must be `length` long, and its own length.

    Never more than length + 1 bytes are made, nor more than `limit` looked at.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    parts: list[bytes] = []
    made = used = 0
    while not inflater.eof and made <= length:
        packed = source.some(start + used, limit - used) if used < limit else b""
        if not packed:
            raise _damaged(source.offset, f"ends after {made} bytes (expected {length})")
        try:
            parts.append(inflater.decompress(packed, length + 1 - made))
        except zlib.error as error:
            raise _damaged(source.offset, f"no deflate stream ({error})") from None
        made += len(parts[-1])
        used += len(packed) - len(inflater.unused_data)
    if made != length:
        more = "more than " if made > length else ""
        raise _damaged(source.offset, f"inflates to {more}{made} bytes (expected {length})")
    return parts[0] if len(parts) == 1 else b"".join(parts), used


def _check_descriptor(source: _Bytes, start: int, crc: int, sizes: tuple[int, int]) -> None:
    """Compare with what follows the data: its mark may be missing, its sizes have 4 or 8 bytes."""
    there = source.up_to(start, 24)
    numbers = [struct.pack("<L2Q", crc, *sizes)]
    if max(sizes) < NOT_HERE:
        numbers.append(struct.pack("<3L", crc, *sizes))
    marked = there.removeprefix(_DESCRIPTOR_MARK)
    if not any(there.startswith(each) or marked.startswith(each) for each in numbers):
        raise _damaged(source.offset, f"its data have CRC-32 {crc:08x}, its descriptor does not")


def _damaged(offset: int, what: str) -> DatabaseError:
    return DatabaseError(
        f"zip member at byte {offset}: {what}",
        hint="get the archive again, and import it again: imagetree database import ARCHIVE",
    )
