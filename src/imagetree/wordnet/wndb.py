"""Parser of WordNet's own database files: data.noun, index.noun and noun.exc.

It reads what stands in the files and knows nothing of the packed form; the packing script and the
gloss lookup use it. Offsets are byte offsets into data.noun, as integers.

Source: wndb(5WN), the format of the WordNet 3.0 database files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from imagetree.errors import WordnetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Word(NamedTuple):
    """A word of a synset as written (underscore for space) and its number in the lexfile."""

    text: str
    lex_id: int


class NounRecord(NamedTuple):
    """One line of data.noun; hypernyms are offsets in the order of the file."""

    offset: int
    lexfile: int
    words: tuple[Word, ...]
    hypernyms: tuple[int, ...]
    instance_hypernyms: tuple[int, ...]
    gloss: str


def parse_noun(line: str) -> NounRecord:
    """Parse one line of data.noun.

    The number of words is hexadecimal, the number of pointers decimal.

    Args:
        line: a synset's line, with or without its newline.

    Raises:
        WordnetError: the line is not of that form.

    >>> record = parse_noun("00002137 03 n 02 thing 0 Entity a 001 @ 00001740 n 0000 | it is  ")
    >>> record.words
    (Word(text='thing', lex_id=0), Word(text='Entity', lex_id=10))
    >>> record.hypernyms, record.gloss
    ((1740,), 'it is')
    """
    head, _, gloss = line.partition(" | ")
    fields = head.split()
    try:
        end = 4 + 2 * int(fields[3], 16)
        words = tuple(Word(fields[i], int(fields[i + 1], 16)) for i in range(4, end, 2))
        pointers = [
            (fields[i], int(fields[i + 1]))
            for i in range(end + 1, end + 1 + 4 * int(fields[end]), 4)
        ]
        offset, lexfile = int(fields[0]), int(fields[1])
    except (IndexError, ValueError) as error:
        raise WordnetError(f"{line[:40]!r}: no line of data.noun (see wndb(5WN))") from error
    hypernyms = tuple(target for symbol, target in pointers if symbol == "@")
    instance_of = tuple(target for symbol, target in pointers if symbol == "@i")
    return NounRecord(offset, lexfile, words, hypernyms, instance_of, gloss.strip())


def iter_nouns(path: Path) -> Iterator[NounRecord]:
    """Records of a data.noun, in the order of the file.

    Raises:
        WordnetError: a line cannot be parsed.
    """
    return (parse_noun(line) for line in _iter_lines(path))


def iter_senses(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Lemma (lower case) and offsets of its synsets, the commonest first, from an index.noun.

    Raises:
        WordnetError: a line cannot be parsed.
    """
    for line in _iter_lines(path):
        fields = line.split()
        try:
            offsets = tuple(int(field) for field in fields[-int(fields[2]) :])
        except (IndexError, ValueError) as error:
            raise WordnetError(f"{line[:40]!r}: no line of index.noun (see wndb(5WN))") from error
        yield fields[0], offsets


def read_notice(path: Path) -> str:
    """The licence notice that heads a data.noun, without its line numbers.

    Raises:
        WordnetError: the file cannot be read.
    """
    notice = []
    for line in _read_text(path).splitlines():
        if not line.startswith("  "):
            break
        notice.append(line.split(maxsplit=1)[1].rstrip() if len(line.split()) > 1 else "")
    return "\n".join(notice) + "\n"


def _iter_lines(path: Path) -> Iterator[str]:
    """Lines of a database file without its heading, the licence, whose lines start with spaces."""
    return (line for line in _read_text(path).splitlines() if not line.startswith("  "))


def _read_text(path: Path) -> str:
    """The whole of a database file, which is pure ASCII."""
    try:
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise WordnetError(
            f"{path}: cannot be read ({error.strerror or error})",
            hint="install WordNet 3.0: the package wordnet-base of Debian and Ubuntu",
        ) from error
    except UnicodeDecodeError as error:
        raise WordnetError(f"{path}: no WordNet 3.0 file (byte {error.start} not ASCII)") from error
