"""The packed nouns: how facts/nouns.bin and facts/offsets31.bin are written and read.

Both files are a magic word, the compressed size of each section, and the sections by zlib. A
section of integers holds the differences of neighbours, int32 little-endian; a section of text is
ASCII. Sections of nouns.bin, N synsets sorted by offset:

  offsets        N byte offsets into data.noun of WordNet 3.0: the digits of the wnids
  words          a line for each synset; each word as TAB, the word with underscores, SPACE, its
                 sense number: `<TAB>dog 1<TAB>domestic_dog 1<TAB>Canis_familiaris 1`
  starts         N + 1; `@` hypernyms of synset i are targets[starts[i]:starts[i + 1]]
  targets        positions of hypernyms, in the order of data.noun
  instance_starts, instance_targets    the same for `@i`
  exceptions     noun.exc as it is: a plural and its singulars a line

Sections of offsets31.bin: `offsets31`, every noun offset of WordNet 3.1 that does not mean the
same synset in 3.0, ascending, and `positions`, the synset of 3.0 that shares most of its sense
keys, -1 if none does. A section is unpacked when it is first asked for. What the sections mean
together stands in `nouns`; the inputs are checked in scripts/pack_wordnet.py.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from imagetree.errors import WordnetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FACTS_DIR = Path(__file__).parent / "facts"
_NOUNS_MAGIC = b"ITNOUNS1"
_OFFSETS31_MAGIC = b"ITOFF311"


class PackedNouns:
    """The sections of a nouns.bin, each unpacked on first use.

    Args:
        data: the whole file.

    Raises:
        WordnetError: the bytes are no nouns.bin, or are cut short or damaged.
    """

    def __init__(self, data: bytes) -> None:
        self._sections = _split(data, _NOUNS_MAGIC, count=7)

    @cached_property
    def offsets(self) -> array[int]:
        """Byte offsets of the synsets in data.noun, ascending."""
        return _unpack_ints(self._sections[0])

    @cached_property
    def words(self) -> bytes:
        """The text of all synsets, as the module says."""
        return _inflate(self._sections[1])

    @cached_property
    def lower_words(self) -> bytes:
        """`words` in lower case: the same positions, for lookups."""
        return self.words.lower()

    @cached_property
    def lines(self) -> list[bytes]:
        """`words` by synset."""
        return self.words.split(b"\n")

    @cached_property
    def hypernyms(self) -> tuple[array[int], array[int]]:
        """Starts (N + 1) and targets of `@`."""
        return _unpack_ints(self._sections[2]), _unpack_ints(self._sections[3])

    @cached_property
    def instance_hypernyms(self) -> tuple[array[int], array[int]]:
        """Starts (N + 1) and targets of `@i`."""
        return _unpack_ints(self._sections[4]), _unpack_ints(self._sections[5])

    @cached_property
    def exceptions(self) -> bytes:
        """noun.exc, with a newline before its first line."""
        return b"\n" + _inflate(self._sections[6])


def load_packed() -> PackedNouns:
    """Read the nouns that come with the package.

    Raises:
        WordnetError: the file is missing or damaged.
    """
    return PackedNouns(_read(FACTS_DIR / "nouns.bin"))


def load_offsets31() -> dict[int, int]:
    """Noun offsets of WordNet 3.1 to positions among the 3.0 synsets, -1 where none corresponds.

    Raises:
        WordnetError: the file is missing or damaged.
    """
    sections = _split(_read(FACTS_DIR / "offsets31.bin"), _OFFSETS31_MAGIC, count=2)
    return dict(zip(_unpack_ints(sections[0]), _unpack_ints(sections[1]), strict=True))


def pack_nouns(
    offsets: Sequence[int],
    words: Sequence[Sequence[tuple[str, int]]],
    hypernyms: Sequence[Sequence[int]],
    instance_hypernyms: Sequence[Sequence[int]],
    exceptions: bytes,
) -> bytes:
    r"""The bytes of a nouns.bin.

    Args:
        offsets: of N synsets, ascending.
        words: (word with underscores, sense number) of each synset, in order.
        hypernyms: positions of the `@` hypernyms of each synset.
        instance_hypernyms: positions of the `@i` hypernyms of each synset.
        exceptions: noun.exc.

    >>> data = pack_nouns([1740, 1930], [[("entity", 1)], [("thing", 2)]], [[], [0]], [[], []], b"")
    >>> PackedNouns(data).words
    b'\tentity 1\n\tthing 2'
    >>> PackedNouns(data).hypernyms
    (array('i', [0, 0, 1]), array('i', [0]))
    """
    lines = ("".join(f"\t{word} {sense}" for word, sense in synset) for synset in words)
    return _join(
        _NOUNS_MAGIC,
        [
            _pack_ints(offsets),
            _deflate("\n".join(lines).encode("ascii")),
            *_pack_lists(hypernyms),
            *_pack_lists(instance_hypernyms),
            _deflate(exceptions),
        ],
    )


def pack_offsets31(positions: dict[int, int]) -> bytes:
    """The bytes of an offsets31.bin, from 3.1 offset to 3.0 position (-1 for none)."""
    ordered = sorted(positions)
    sections = [_pack_ints(ordered), _pack_ints([positions[offset] for offset in ordered])]
    return _join(_OFFSETS31_MAGIC, sections)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WordnetError(
            f"{path}: cannot be read ({error.strerror or error})", hint="install imagetree again"
        ) from error


def _split(data: bytes, magic: bytes, *, count: int) -> list[bytes]:
    """Compressed sections of a packed file, after the head that says how long they are."""
    head = struct.calcsize(f"<8s{count}I")
    sizes = struct.unpack(f"<8s{count}I", data[:head])[1:] if len(data) >= head else ()
    if data[:8] != magic or len(data) != head + sum(sizes):
        raise _damaged()
    ends = list(accumulate(sizes, initial=head))
    return [data[start:end] for start, end in pairwise(ends)]


def _join(magic: bytes, sections: Sequence[bytes]) -> bytes:
    head = struct.pack(f"<8s{len(sections)}I", magic, *map(len, sections))
    return head + b"".join(sections)


def _pack_lists(lists: Sequence[Sequence[int]]) -> list[bytes]:
    """Two sections for a list of lists: where each starts, and all their members."""
    starts = accumulate((len(members) for members in lists), initial=0)
    return [_pack_ints(starts), _pack_ints([member for members in lists for member in members])]


def _pack_ints(values: Iterable[int]) -> bytes:
    return _deflate(_little_endian(array("i", _differences(values))).tobytes())


def _differences(values: Iterable[int]) -> Iterable[int]:
    previous = 0
    for value in values:
        yield value - previous
        previous = value


def _unpack_ints(section: bytes) -> array[int]:
    data = _inflate(section)
    differences = array("i")
    differences.frombytes(data[: len(data) - len(data) % 4])
    return array("i", accumulate(_little_endian(differences)))


def _little_endian(values: array[int]) -> array[int]:
    """The same integers in the byte order of the file; its own inverse."""
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _deflate(data: bytes) -> bytes:
    return zlib.compress(data, 9)


def _inflate(section: bytes) -> bytes:
    try:
        return zlib.decompress(section)
    except zlib.error as error:
        raise _damaged() from error


def _damaged() -> WordnetError:
    return WordnetError(
        "the packed WordNet nouns are damaged or of another version", hint="install imagetree again"
    )
