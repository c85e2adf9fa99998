"""Fuzz the parsers of submissions with atheris: no crash, and no file that means something else.

    python tests/fuzz/fuzz_submissions.py --seconds 120

The first byte of an input chooses format and labels, the rest is the file. What the package makes
of it is held against the slow parser. A finding is written to crash-HASH in the working folder, and
ends the run with another status than 0.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["imagetree.challenge"]):
    from slow_parser import slow_parse
    from task import FORMATS, LABELS, NAMES, SYNSETS, WNIDS, agree, ours

RULES = {"wnids": list(WNIDS), "names": list(NAMES), "synsets": list(SYNSETS)}
WORDS = (
    *(*WNIDS[:2], SYNSETS[-1], *NAMES, "ImageId,PredictionString\n", "# labels: ", "class-index"),
    *("kaggle-line", "# split: val", "# challenge: V", '{"image": "', '"labels": [', '"scores": {'),
    *("\r\n", "\n", " 0 0 9 9", "NaN", "1e999", "\xef\xbb\xbf"),
)


def check(data: bytes) -> None:
    """One input."""
    if not data:
        return
    form = FORMATS[data[0] % len(FORMATS)]
    labels = LABELS[data[0] // len(FORMATS) % len(LABELS)]
    mine = ours(data[1:], form, labels)
    slow = slow_parse(data[1:], form=form, labels=labels, **RULES)
    assert agree(mine, slow), f"{mine} where the rules say {slow}"


def seeds() -> dict[str, bytes]:
    """A file that is accepted in each format, with its first byte."""
    dog, cat = WNIDS[:2]
    rows = [f"{name},{cat}" for name in NAMES]
    even = ", ".join(f'"{wnid}": 0.125' for wnid in WNIDS)
    files = {
        "text": f"# split: val\n{dog} {cat}\n\n{cat}\n{dog}\n",
        "csv": "ImageId,PredictionString\n" + "\n".join(rows),
        "kaggle": "ImageId,PredictionString\n"
        + "".join(f"{name},1 1 2 30 4.5 2 0 0 9 9\n" for name in NAMES),
        "jsonl": "".join(f'{{"image": "{name}", "scores": {{{even}}}}}\n' for name in NAMES),
        "synsets": f"{SYNSETS[-1]}\n" * len(NAMES),
    }
    return {name: bytes([FORMATS.index(name)]) + text.encode() for name, text in files.items()}


def main() -> None:
    """Fuzz for so many seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, help="folder of inputs that is read and added to")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = args.corpus or Path(folder) / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        for name, data in seeds().items():
            (corpus / name).write_bytes(data)
        words = Path(folder) / "words"
        words.write_text(
            "".join('"' + "".join(f"\\x{b:02x}" for b in w.encode()) + '"\n' for w in WORDS)
        )
        limits = [f"-max_total_time={args.seconds}", f"-dict={words}", "-max_len=1200"]
        atheris.Setup([sys.argv[0], *limits, str(corpus)], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
