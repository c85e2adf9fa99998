"""The lines of a file that a stranger sent: bytes, streamed, in bounded memory.

Text is UTF-8 without a byte order mark, its lines ended by LF; the last line need not be ended.
Whatever else a file may be is refused by its name, with the command that converts it. No line is
longer than the caller allows: one of a gigabyte is refused after its first megabyte.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from imagetree.errors import ChallengeError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FAULTS_SHOWN = 20
_BLOCK = 1 << 20
_HINT = "see what a line holds: imagetree challenge formats"
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r"))
_FOREIGN = (
    # what a file begins with, what it then is, how it is converted; the longer beginning first
    (b"\xef\xbb\xbf", "a byte order mark of UTF-8", "tail -c +4 FILE > NEW"),
    (b"\xff\xfe\x00\x00", "UTF-32", "iconv -f UTF-32 -t UTF-8 FILE > NEW"),
    (b"\x00\x00\xfe\xff", "UTF-32", "iconv -f UTF-32 -t UTF-8 FILE > NEW"),
    (b"\xff\xfe", "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE > NEW"),
    (b"\xfe\xff", "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE > NEW"),
    (b"\x1f\x8b", "a gzip archive", "gunzip -c FILE > NEW"),
    (b"PK\x03\x04", "a zip archive", "unzip -p FILE > NEW"),
)
_CARRIAGE = "a carriage return that ends no line", "tr '\\r' '\\n' < FILE > NEW"
_CRLF = "a line ended by CRLF", "sed 's/\\r$//' FILE > NEW"


class Faults:
    """What is wrong with a file, by its lines: the first are worded, all are counted.

    Args:
        where: name of the file in messages.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.count = 0
        self._shown: list[str] = []

    @property
    def is_full(self) -> bool:
        """Whether no more of them are worded."""
        return len(self._shown) == MAX_FAULTS_SHOWN

    def add(self, line: int | None, fault: str) -> None:
        """Note a fault.

        Args:
            line: its number, from 1; None for a fault of the whole file.
            fault: what is wrong.
        """
        self.count += 1
        if not self.is_full:
            place = self.where if line is None else f"{self.where}:{line}"
            self._shown.append(f"{place}: {fault}")

    def raise_any(self, hint: str) -> None:
        """Raise what was noted as one error.

        Raises:
            ChallengeError: there is a fault.
        """
        if self.count:
            more = [f"... {self.count:,} faults in all"] if self.count > len(self._shown) else []
            raise ChallengeError("\n".join([*self._shown, *more]), hint=hint)


def iter_lines(
    file: IO[bytes], where: str, *, max_bytes: int, max_lines: int
) -> Iterator[tuple[int, bytes]]:
    r"""The lines of a file with their numbers from 1, without their ends.

    Args:
        file: opened for reading bytes, at its beginning.
        where: its name in messages.
        max_bytes: of the longest line.
        max_lines: after which nothing more is read.

    Raises:
        ChallengeError: it is no plain text as this module has it, or a line is too long, or there
            are too many.

    >>> import io
    >>> list(iter_lines(io.BytesIO(b"one\n\ntwo"), "entry", max_bytes=9, max_lines=3))
    [(1, b'one'), (2, b''), (3, b'two')]
    """
    for number, (line, is_ended) in enumerate(_iter_split(file, where, max_bytes), 1):
        if b"\r" in line:
            is_crlf = is_ended and line.index(b"\r") == len(line) - 1
            _raise_foreign(where, number, *(_CRLF if is_crlf else _CARRIAGE))
        if number > max_lines:
            raise ChallengeError(
                f"{where}:{number}: more than {max_lines:,} lines (expected one for each image)",
                hint=_HINT,
            )
        yield number, line


def _iter_split(file: IO[bytes], where: str, max_bytes: int) -> Iterator[tuple[bytes, bool]]:
    """What LF parts, and whether an LF follows; no more than a block and a line is in memory."""
    number, rest = 0, b""
    while block := file.read(_BLOCK):
        if not number and not rest:
            _check_beginning(block, where)
        if len(block.translate(None, _CONTROLS)) < len(block):
            _raise_control(rest + block, where, number)
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        for line in lines:
            number += 1
            _check_length(line, where, number, max_bytes)
            yield line, True
        _check_length(rest, where, number + 1, max_bytes)
    if rest:
        yield rest, False


def _check_beginning(block: bytes, where: str) -> None:
    for beginning, what, command in _FOREIGN:
        if block.startswith(beginning):
            _raise_foreign(where, 1, what, command)
    even, odd = block[:64:2], block[1:64:2]
    if len(odd) > 1 and not (any(even) and any(odd)):  # the other half of each ASCII letter
        order = "LE" if any(even) else "BE"
        command = f"iconv -f UTF-16{order} -t UTF-8 FILE > NEW"
        _raise_foreign(where, 1, "UTF-16 without a mark", command)


def _raise_control(data: bytes, where: str, number: int) -> None:
    """Name the first control character of some lines, of which `number` come before."""
    place = next(i for i, byte in enumerate(data) if byte in _CONTROLS)
    line = number + 1 + data.count(b"\n", 0, place)
    what = "a NUL byte" if data[place] == 0 else f"a control character (byte 0x{data[place]:02x})"
    _raise_foreign(where, line, what, "tr -d '\\000-\\010\\013\\014\\016-\\037' < FILE > NEW")


def _raise_foreign(where: str, number: int, what: str, command: str) -> None:
    raise ChallengeError(
        f"{where}:{number}: {what} (expected plain UTF-8 text, lines ended by LF)",
        hint=f"convert it: {command}",
    )


def _check_length(line: bytes, where: str, number: int, max_bytes: int) -> None:
    if len(line) > max_bytes + line.endswith(b"\r"):
        raise ChallengeError(
            f"{where}:{number}: a line of over {max_bytes:,} bytes (expected at most so many)",
            hint=_HINT,
        )
