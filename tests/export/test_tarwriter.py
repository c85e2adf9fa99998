"""Headers of members are those that Python's tarfile writes, byte for byte."""

from __future__ import annotations

import tarfile

import pytest

from imagetree.export.tarwriter import BLOCK, member_header, member_size


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("n01440764_10026.JPEG", 114_668),
        ("a", 0),
        ("a", 1),
        ("~" * 100, (1 << 33) - 1),  # the largest checksum and the largest size of ustar
        ("x" * 101, 5),
        ("n01440764_\u00e9.JPEG", 5),
        ("n01440764.tar", 1 << 33),
    ],
)
def test_headers_are_tarfiles(name, length):
    """Short ones are filled in by hand, the others made by tarfile: nobody can tell which."""
    entry = tarfile.TarInfo(name)
    entry.size = length
    expected = entry.tobuf(tarfile.PAX_FORMAT)
    assert member_header(name, length) == expected
    assert member_size(name, length) == len(expected) + -(-length // BLOCK) * BLOCK
