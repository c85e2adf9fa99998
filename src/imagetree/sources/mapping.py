r"""Labels that are words: the synset each stands for, and the mapping in which people decide.

A label is taken for a synset where there is no doubt: a wnid, `dog.n.01`, `n02085620-Chihuahua`, or
a word with one sense. Every other is refused with its senses, until a mapping file decides. It is a
table of label, wnid, words and note, parted by tabs, UTF-8; a `-` for a wnid leaves the class out.
`write_mapping` proposes one, and below each row that it leaves open the candidates, best first:

    label     wnid       words                        note
    airplane  n02691156  airplane, aeroplane, plane   the only sense
    crane     ?                                       5 senses: choose one of these, or -
              n02012849  crane                        large long-necked wading bird ...
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from imagetree.errors import DatabaseError, WordnetError
from imagetree.files import write_atomic
from imagetree.wordnet import Synset, gloss_of, load_nouns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

HEADER = ("label", "wnid", "words", "note")
LEFT_OUT = "-"
"""In place of a wnid: the images of this label are not imported."""
OPEN = "?"
"""In place of a wnid: nobody has decided yet."""
MAX_FAULTS_SHOWN = 20

_MAX_GLOSS = 60
_WNID_AND_WORDS = re.compile(r"(n[0-9]{8})[ _.-]+[^0-9 _.-].*")
_LIKE_A_WNID = re.compile(r"[a-z][0-9]{8}")
_WRITE_ONE = "name its synset in a mapping: imagetree database mapping SOURCE FILE"


@dataclass(frozen=True)
class LabelMapping:
    """A mapping file.

    Args:
        path: where it was read.
        sha256: of its bytes.
        wnids: the wnid of each label; `LEFT_OUT` for those that are not to be imported.
    """

    path: Path
    sha256: str
    wnids: Mapping[str, str]


class Proposal(NamedTuple):
    """What `write_mapping` has written: rows that are filled in, and rows that are left open."""

    num_filled: int
    num_open: int


class Naming:
    """A `Resolve`: the wnid of a label and "", or "" and why there is none.

    Args:
        mapping: what people have decided; it goes before everything else.

    >>> Naming()("tench"), Naming()("n02085620-Chihuahua"), Naming()("Golden-Retrievers")
    (('n01440764', ''), ('n02085620', ''), ('n02099601', ''))
    """

    def __init__(self, mapping: LabelMapping | None = None) -> None:
        self._mapping = mapping
        self._known: dict[str, tuple[str, str]] = {}

    def __call__(self, label: str) -> tuple[str, str]:
        """The wnid of a label and "", or "" and the reason; each label is thought about once."""
        if label not in self._known:
            self._known[label] = self._decide(label)
        return self._known[label]

    def _decide(self, label: str) -> tuple[str, str]:
        decided = self._mapping.wnids.get(label) if self._mapping else None
        if decided == LEFT_OUT:
            return "", f"note: {label!r} is left out by the mapping"
        if decided is not None:
            return decided, ""
        wnid = _wnid_in(label)
        if wnid:
            fault = _fault_of_wnid(wnid)
            return ("", fault) if fault else (wnid, "")
        senses = senses_of(label)
        if len(senses) == 1:
            return senses[0].wnid, ""
        return "", _fault_of_senses(label, senses)


def senses_of(label: str) -> tuple[Synset, ...]:
    """Synsets that a folder's name may mean, in WordNet's order: a word, `dog.n.01` or a wnid.

    Words may be joined by underscores, blanks or dashes, in any case, in the plural.

    >>> [synset.name for synset in senses_of("t_shirt")]
    ['jersey.n.03']
    """
    words = " ".join(label.replace("_", " ").split())
    for text in (words, words.replace("-", " "), words.replace(" ", "-")):
        if found := load_nouns().find(text):
            return found
    return ()


def load_mapping(path: Path) -> LabelMapping:
    r"""Read a mapping file. Rows without a label are candidates, which nobody has chosen.

    Raises:
        DatabaseError: it cannot be read, is no text, has a label twice, a row that is open, or a
            wnid that is no noun of WordNet 3.0; the first 20 faults are listed, and their total.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "mapping.tsv"
    ...     _ = file.write_text("label\twnid\ncrane\tn02012849\nmisc\t-\n")
    ...     load_mapping(file).wnids
    {'crane': 'n02012849', 'misc': '-'}
    """
    try:
        data = path.read_bytes()
        lines = data.decode("utf-8-sig").split("\n")
    except OSError as error:
        raise DatabaseError(
            f"{path}: the mapping cannot be read ({error.strerror})",
            hint="write one: imagetree database mapping SOURCE FILE",
        ) from error
    except UnicodeDecodeError as error:
        raise DatabaseError(f"{path}: the mapping is no UTF-8 text (byte {error.start})") from None
    wnids: dict[str, str] = {}
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        label, *rest = line.rstrip("\r").split("\t")
        wnid = rest[0].strip() if rest else ""
        if not label.strip() or (number == 1 and (label, wnid) == HEADER[:2]):
            continue
        fault = "the label is there twice" if label in wnids else _fault_of_row(label, wnid)
        if fault:
            faults.append(f"{path.name}:{number}: {label!r}: {fault}")
        wnids[label] = wnid
    _raise_faults(path, faults)
    return LabelMapping(path, hashlib.sha256(data).hexdigest(), wnids)


def write_mapping(path: Path, labels: Iterable[str]) -> Proposal:
    """Propose a mapping for the labels of a source, for people to review.

    Labels with one sense are filled in; the others are left open, with their senses below in the
    order of `rank_senses`. Labels that hold a wnid of WordNet 3.0 need no row and get none;
    nor does a label that is not printable, which no row can hold.

    Raises:
        DatabaseError: the file is there already, and may hold decisions.
        ImagetreeError: it cannot be written.
    """
    if path.exists():
        raise DatabaseError(
            f"{path}: is there already, and may hold what somebody has decided",
            hint="name another file, or remove this one",
        )
    naming = Naming()
    candidates = {
        label: _candidates_of(label)
        for label in sorted(set(labels))
        if label.strip() and label.isprintable() and not (_wnid_in(label) and naming(label)[0])
    }
    rows: list[tuple[str, ...]] = [HEADER]
    num_open = 0
    for label, senses in rank_senses(candidates).items():
        wnid = naming(label)[0]
        num_open += not wnid
        rows += _rows_of(label, wnid, senses)
    write_atomic(path, "".join("\t".join(row) + "\n" for row in rows))
    return Proposal(len(candidates) - num_open, num_open)


def rank_senses(candidates: Mapping[str, tuple[Synset, ...]]) -> dict[str, tuple[Synset, ...]]:
    """The senses of each label, those before that have most in common with the other labels.

    What two synsets have in common is the number of their common ancestors, themselves included; of
    another label with several senses the first counts most. So among birds the bird is the first of
    all cranes. Persons and places of the name (instances) come last; of equals, and where there is
    no other label, WordNet's order decides.

    Args:
        candidates: the senses of each label in WordNet's order.
    """
    shares: defaultdict[str, float] = defaultdict(float)  # the labels below an ancestor
    for senses in candidates.values():
        for wnid, share in _shares_of(senses).items():
            shares[wnid] += share
    return {label: _rank(senses, shares) for label, senses in candidates.items()}


def _shares_of(senses: tuple[Synset, ...]) -> dict[str, float]:
    """For each ancestor of a label's senses, how likely the label lies below it: 0 to 1.

    The k-th sense weighs 1 / k ** 2, for the first is by far the commonest.
    """
    weights = [1 / k**2 for k in range(1, len(senses) + 1)]
    shares: defaultdict[str, float] = defaultdict(float)
    for sense, weight in zip(senses, weights, strict=True):
        for wnid in _ancestors(sense.wnid):
            shares[wnid] += weight / sum(weights)
    return shares


def _rank(senses: tuple[Synset, ...], shares: Mapping[str, float]) -> tuple[Synset, ...]:
    own = _shares_of(senses)

    def key(sense: Synset) -> tuple[bool, float]:
        common = sum(shares[each] - own[each] for each in _ancestors(sense.wnid))
        return not load_nouns().hypernyms(sense.wnid), -round(common, 6)

    return tuple(sorted(senses, key=key))


@cache
def _ancestors(wnid: str) -> tuple[str, ...]:
    """The synset and all above it, sorted."""
    paths = load_nouns().paths_to_root(wnid, instances=True)
    return tuple(sorted({each for path in paths for each in path}))


def _candidates_of(label: str) -> tuple[Synset, ...]:
    """What a label may mean; for an offset of WordNet 3.1 the synset of 3.0."""
    if not (wnid := _wnid_in(label)):
        return senses_of(label)
    meant = load_nouns().from_wordnet31(wnid) if wnid.startswith("n") else None
    return (meant,) if meant else ()


def _rows_of(label: str, wnid: str, senses: tuple[Synset, ...]) -> list[tuple[str, ...]]:
    """The row of a label; below it, where it is left open, a row for each sense."""
    if wnid:
        return [(label, wnid, load_nouns().synset(wnid).words, "the only sense")]
    note = "no such noun in WordNet 3.0: write a wnid, or - to leave it out"
    if senses:
        count = f"{len(senses)} senses" if len(senses) > 1 else "likely this one"
        note = f"{count}: write a wnid from below, or - to leave it out"
    below = [("", sense.wnid, sense.words, _short_gloss(sense)) for sense in senses]
    return [(label, OPEN, "", note), *below]


def _wnid_in(label: str) -> str:
    """The wnid that a label is or begins with, be it in WordNet 3.0 or not; empty for words."""
    if match := _WNID_AND_WORDS.fullmatch(label):
        return match[1]
    return label if _LIKE_A_WNID.fullmatch(label) else ""


def _fault_of_wnid(wnid: str) -> str:
    try:
        load_nouns().index_of(wnid)
    except WordnetError as error:
        return error.message
    return ""


def _fault_of_row(label: str, wnid: str) -> str:
    """Why a row of a mapping cannot be used; empty for a good one."""
    if wnid in {"", OPEN}:
        return "is not decided (expected a wnid, or - to leave the class out)"
    if wnid == LEFT_OUT:
        return ""
    own = _wnid_in(label)
    if own != wnid and own in load_nouns():
        return f"is a synset itself (expected {own} or -, got {wnid})"
    return _fault_of_wnid(wnid)


def _fault_of_senses(label: str, senses: tuple[Synset, ...]) -> str:
    """Why a word names no synset: it has several senses, or none."""
    if senses:
        listed = "; ".join(_describe(sense) for sense in senses)
        return f"{label!r} has {len(senses)} senses: {listed}; {_WRITE_ONE}"
    try:
        load_nouns().resolve(label)
    except WordnetError as error:
        close = f" ({error.hint}?)" if error.hint else ""
        return f"{error.message}{close}; {_WRITE_ONE}"
    return f"{label!r} is no noun of WordNet 3.0; {_WRITE_ONE}"


def _describe(sense: Synset) -> str:
    gloss = _short_gloss(sense)
    return f"{sense.wnid} {sense.words}{f' ({gloss})' if gloss else ''}"


def _short_gloss(sense: Synset) -> str:
    """The definition without its examples, cut to a line; empty where WordNet is not installed."""
    gloss = (gloss_of(sense.wnid) or "").split('; "', 1)[0]
    return textwrap.shorten(gloss, _MAX_GLOSS, placeholder=" ...")


def _raise_faults(path: Path, faults: list[str]) -> None:
    if not faults:
        return
    shown = "\n".join(f"  {fault}" for fault in faults[:MAX_FAULTS_SHOWN])
    rest = f", the first {MAX_FAULTS_SHOWN} of them" if len(faults) > MAX_FAULTS_SHOWN else ""
    raise DatabaseError(
        f"{path}: {len(faults)} faults in the mapping{rest}:\n{shown}",
        hint="edit the file: each label needs a wnid, or - to leave its images out",
    )
