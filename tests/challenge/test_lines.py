"""Lines of strangers' files: in bounded memory, and what is no plain text is named."""

from __future__ import annotations

import io
import time
import tracemalloc
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetree.challenge.lines import Faults, iter_lines
from imagetree.errors import ChallengeError


def lines_of(file: bytes | IO[bytes], max_bytes: int = 100, max_lines: int = 1000) -> list[bytes]:
    stream = io.BytesIO(file) if isinstance(file, bytes) else file
    numbered = list(iter_lines(stream, "entry", max_bytes=max_bytes, max_lines=max_lines))
    assert [number for number, _ in numbered] == list(range(1, len(numbered) + 1))
    return [line for _, line in numbered]


@given(st.lists(st.text("ab é\t", max_size=5), max_size=5))
def test_ended_lines_and_an_unended_last_one(texts: list[str]) -> None:
    expected = [text.encode() for text in texts]
    assert lines_of("".join(text + "\n" for text in texts).encode()) == expected
    assert lines_of(("\n".join(texts) + ("" if texts and texts[-1] else "\n")).encode()) == (
        expected or [b""]
    )


class Endless(io.RawIOBase):
    """A file of so many bytes, all the same, that counts what was read of it."""

    def __init__(self, byte: bytes, size: int) -> None:
        self.byte, self.left, self.given = byte, size, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        size = min(self.left, size if size >= 0 else self.left)
        self.left -= size
        self.given += size
        return self.byte * size


def test_a_line_of_a_gigabyte_is_refused_at_once_in_constant_memory() -> None:
    file = Endless(b"n", 1 << 30)
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(ChallengeError, match=r"entry:1: a line of over 4,096 bytes"):
        lines_of(file, max_bytes=4096)
    assert time.perf_counter() - began < 1
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert file.given <= 1 << 20


def test_a_billion_empty_lines_are_not_read_to_their_end() -> None:
    file = Endless(b"\n", 1_000_000_000)
    with pytest.raises(ChallengeError, match=r"entry:2001: more than 2,000 lines"):
        lines_of(file, max_lines=2000)
    assert file.given <= 1 << 20
    assert len(lines_of(b"\n" * 2000, max_lines=2000)) == 2000
    with pytest.raises(ChallengeError, match=r"entry:2001: more than 2,000 lines"):
        lines_of(b"\n" * 2001, max_lines=2000)


def test_the_longest_line_is_allowed_and_one_byte_more_is_not() -> None:
    for end in (b"", b"\n"):
        assert lines_of(b"a" * 9 + end, max_bytes=9) == [b"a" * 9]
        with pytest.raises(ChallengeError, match="entry:2: a line of over 9 bytes"):
            lines_of(b"b" + (end or b"\n") + b"a" * 10 + end, max_bytes=9)


def test_a_line_across_blocks_is_whole() -> None:
    long = b"x" * ((1 << 20) - 3)
    assert lines_of(long + b"\nabc\n", max_bytes=1 << 20) == [long, b"abc"]


TEXT = "n02084071\nn02121808\n"


@pytest.mark.parametrize(
    ("data", "what", "command"),
    [
        (TEXT.encode("utf-8-sig"), "entry:1: a byte order mark of UTF-8", r"tail -c \+4"),
        (TEXT.encode("utf-16"), "entry:1: UTF-16 ", "iconv -f UTF-16 -t UTF-8"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "entry:1: UTF-16 ", "iconv -f UTF-16 -t UTF-8"),
        (TEXT.encode("utf-32"), "entry:1: UTF-32 ", "iconv -f UTF-32 -t UTF-8"),
        (TEXT.encode("utf-16-le"), "entry:1: UTF-16 without a mark", "iconv -f UTF-16LE -t UTF-8"),
        (TEXT.encode("utf-16-be"), "entry:1: UTF-16 without a mark", "iconv -f UTF-16BE -t UTF-8"),
        (b"n02084071\nn0212\x001808\n", "entry:2: a NUL byte", r"tr -d '\\000"),
        (b"a\nb\nc\x0cd\n", r"entry:3: a control character .byte 0x0c.", r"tr -d '\\000"),
        (b"a\rb\rc\r", "entry:1: a carriage return that ends no line", r"tr '\\r' '\\n'"),
        (b"a\nb\rc\n", "entry:2: a carriage return that ends no line", r"tr '\\r' '\\n'"),
        (b"a\r\nb\r\nc\r\n", "entry:1: a line ended by CRLF", r"sed 's/\\r\$//'"),
        (b"a\nb\r\n", "entry:2: a line ended by CRLF", r"sed 's/\\r\$//'"),
        (b"a\nb\r\r\n", "entry:2: a carriage return that ends no line", r"tr '\\r' '\\n'"),
        (b"\x1f\x8b\x08\x00", "entry:1: a gzip archive", "gunzip"),
        (b"PK\x03\x04abc", "entry:1: a zip archive", "unzip"),
    ],
)
def test_what_is_no_plain_text_is_named_with_the_command_that_converts_it(
    data: bytes, what: str, command: str
) -> None:
    with pytest.raises(ChallengeError, match=rf"(?s){what}.*hint: convert it: {command}"):
        lines_of(data)


def test_faults_are_worded_up_to_the_twentieth_and_counted_to_the_last() -> None:
    faults = Faults("entry")
    for line in range(1, 31):
        faults.add(line, "bad")
    with pytest.raises(ChallengeError, match=r"(?s)^entry:1: bad\n.*\nentry:20: bad\n... 30 fau"):
        faults.raise_any("mend it")
    Faults("entry").raise_any("nothing is raised where nothing is wrong")
