"""What an image is by its bytes: the ending of its file, and the same as a plain JPEG."""

from __future__ import annotations

from imagetree.errors import DatabaseError
from imagetree.sources.decoding import read_header
from imagetree.sources.encoding import encode_plain_jpeg

_ENDINGS = {
    b"\xff\xd8\xff": "jpg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"GIF8": "gif",
    b"BM": "bmp",
    b"II*\0": "tif",
    b"MM\0*": "tif",
}


def ending_of(data: bytes) -> str:
    r"""The usual ending of a file with these bytes, whatever it was called.

    Raises:
        DatabaseError: it is no image of a known format.

    >>> ending_of(b"\xff\xd8\xff\xe0..."), ending_of(b"RIFF....WEBP")
    ('jpg', 'webp')
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return "avif" if data[8:12] in {b"avif", b"avis"} else "heic"
    for start, ending in _ENDINGS.items():
        if data.startswith(start):
            return ending
    raise DatabaseError(f"not an image: {len(data)} bytes that begin with {data[:8]!r}")


def to_plain_jpeg(data: bytes) -> bytes:
    """The same image as a JPEG that every program shows alike.

    A JPEG in colour or grey that is stored upright stays as it is, byte for byte. All else (other
    formats, CMYK, rotated by EXIF, several frames) is encoded anew: see `encode_plain_jpeg`.

    Raises:
        DatabaseError: it cannot be decoded.
    """
    header = read_header(data)
    is_plain = header.format == "JPEG" and header.mode in {"RGB", "L"}
    if is_plain and header.orientation == 1 and header.num_frames == 1:
        return data
    return encode_plain_jpeg(data)
