"""Search for what people type: ranks, spelling, restriction, glosses, and input of any kind."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from imagetree.wordnet import glosses, load_nouns
from imagetree.wordnet.lookup import normalise
from imagetree.wordnet.search import Hit, MatchKind, search

from ..conftest import need

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imagetree.wordnet import Nouns

relaxed = settings(deadline=None, max_examples=60)
ENTITY, DOG, TABBY = "n00001740", "n02084071", "n02123045"
DEBIAN = Path("/usr/share/wordnet")
RANK = {kind: rank for rank, kind in enumerate(MatchKind)}


def heads(hits: Iterable[Hit]) -> list[tuple[str, str]]:
    return [(hit.synset.name, hit.kind.value) for hit in hits]


def word(number: int) -> str:
    """A lemma in lower case, one for each number."""
    nouns = load_nouns()
    return nouns.synset_at(number % len(nouns)).lemma.lower()


@pytest.mark.parametrize(
    ("text", "name", "lemma", "sense", "kind"),
    [
        ("dog", "dog.n.01", "dog", 1, "exact"),
        ("DOGS", "dog.n.01", "dog", 1, "plural"),
        ("mice", "mouse.n.01", "mouse", 1, "plural"),
        ("geese", "goose.n.01", "goose", 1, "plural"),
        ("wolves", "wolf.n.01", "wolf", 1, "plural"),
        ("siamese cats", "siamese_cat.n.01", "Siamese cat", 1, "plural"),
        ("field mice", "vole.n.01", "field mouse", 1, "plural"),
        ("carp", "carp.n.01", "carp", 1, "exact"),
        ("siamese_cat", "siamese_cat.n.01", "Siamese cat", 1, "exact"),
        ("labrador", "labrador.n.01", "Labrador", 1, "exact"),
        ("n02084071", "dog.n.01", "dog", 1, "wnid"),
        ("  N02084071\n", "dog.n.01", "dog", 1, "wnid"),
        ("n02086723", "dog.n.01", "dog", 1, "wnid31"),
        ("frump.n.01", "frump.n.01", "frump", 1, "exact"),
        ("dog.n.02", "frump.n.01", "dog", 2, "exact"),
        ("chihuaua", "chihuahua.n.01", "Chihuahua", 1, "typo"),
        ("golden retriver", "golden_retriever.n.01", "golden retriever", 1, "typo"),
        ("white shark great", "great_white_shark.n.01", "great white shark", 1, "word"),
        ("jack o lantern", "jack-o-lantern_fungus.n.01", "jack-o-lantern", 1, "word"),
        ("'s Gravenhage", "the_hague.n.01", "'s Gravenhage", 1, "exact"),
        ("\u2019s gravenhage", "the_hague.n.01", "'s Gravenhage", 1, "exact"),
        ("READ/write head", "read/write_head.n.01", "read/write head", 1, "exact"),
        ("20/20", "twenty-twenty.n.01", "20/20", 1, "exact"),
        ("café", "cafe.n.01", "cafe", 1, "exact"),
        ("dog\x00\x1b\udcff", "dog.n.01", "dog", 1, "exact"),
    ],
)
def test_first_hit(text: str, name: str, lemma: str, sense: int, kind: str) -> None:
    """What people type comes first, with the lemma that matched, its sense and the reason."""
    first = search(text)[0]
    assert (first.synset.name, first.lemma, first.sense, first.kind) == (name, lemma, sense, kind)


def test_senses_are_told_apart_in_their_order() -> None:
    """`crane` is two people, a bird, a machine and so on: each hit says which sense it is."""
    hits = search("crane", limit=5)
    assert [(hit.lemma.lower(), hit.sense) for hit in hits] == [("crane", n) for n in range(1, 6)]
    assert {"lifting_device.n.01", "wading_bird.n.01"} <= {
        load_nouns().synset(hypernym).name
        for hit in hits
        for hypernym in load_nouns().hypernyms(hit.synset.wnid)
    }


def test_kinds_come_in_their_order_each_synset_once() -> None:
    """By kind as documented, no synset twice, and a limit cuts without reordering."""
    hits = search("terrier", limit=200)
    kinds = [RANK[hit.kind] for hit in hits]
    assert kinds == sorted(kinds)
    assert {hit.kind for hit in hits} == {MatchKind.EXACT, MatchKind.WORD}
    assert len({hit.synset for hit in hits}) == len(hits) > 20
    assert search("terrier", limit=7) == hits[:7]
    assert search("terrier", limit=0) == search("terrier", limit=-3) == ()


@pytest.mark.slow
@relaxed
@given(st.integers(0, 82_114), st.integers(2, 6))
def test_prefixes_and_words_are_all_those_that_a_scan_finds(number: int, length: int) -> None:
    """The index loses nothing and adds nothing: held against all 117,798 lemmas, one by one."""
    text = normalise(word(number)[:length])
    found = search(text, limit=100_000)
    nouns = load_nouns()
    for kind in (MatchKind.PREFIX, MatchKind.WORD):
        for hit in (hit for hit in found if hit.kind == kind):
            assert normalise(hit.lemma).startswith(text) == (kind is MatchKind.PREFIX)
            assert hit.lemma in hit.synset.lemmas
    best = {MatchKind.EXACT, MatchKind.PLURAL, MatchKind.PREFIX}
    assert {hit.synset for hit in found if hit.kind in best} >= {
        nouns.synset_at(position)
        for position, line in enumerate(nouns._packed.lower_words.split(b"\n"))
        if f"\t{text}".encode() in line
    }


def test_within_a_kind_the_shorter_then_commoner_then_lesser_wnid_comes_first() -> None:
    """The rank of prefixes and of later words is the one that is documented."""
    for kind, hits in groupby(search("cat", limit=2_000), key=lambda hit: hit.kind):
        keys = [(len(hit.lemma), hit.sense, hit.synset.wnid) for hit in hits]
        if kind in {MatchKind.PREFIX, MatchKind.WORD}:
            assert len(keys) > 100
            assert keys == sorted(keys)


def test_words_that_stand_together_come_before_scattered_ones() -> None:
    """For `tree f` first `chameleon tree frog`, then `fig tree`, shorter as it is."""
    lemmas = [hit.lemma for hit in search("tree f", limit=500) if hit.kind == MatchKind.WORD]
    together = ["tree f" in lemma for lemma in lemmas]
    assert together == sorted(together, reverse=True)
    assert lemmas.index("chameleon tree frog") < lemmas.index("fig tree")


@pytest.mark.slow
@relaxed
@given(st.data())
def test_every_misspelling_within_the_bound_is_found(data: st.DataObject) -> None:
    """No near lemma is lost to the filter: held against the distance to every lemma."""
    letters = list(normalise(word(data.draw(st.integers(0, 82_114)))))
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(letters)))
        new = data.draw(st.sampled_from(["", "q", "_", "e"]))
        letters[at : at + data.draw(st.integers(0, 1))] = new
    text = normalise("".join(letters))
    allowed = 0 if len(text) < 4 else 1 if len(text) < 8 else 2
    index = load_nouns().lemma_index
    lemmas = set(load_nouns()._packed.lower_words.decode().split()[::2])
    near = {
        lemma: distance
        for lemma in lemmas
        if (distance := OSA.distance(text, lemma, score_cutoff=allowed)) <= allowed
    }
    found = [near[match.lemma] for match in index.misspelt(text)]
    assert {match.lemma for match in index.misspelt(text)} == (set(near) if allowed else set())
    assert found == sorted(found)


def test_neighbours_that_changed_places_are_one_error() -> None:
    """`tgier` is one error from tiger, not two: five letters allow one."""
    assert heads(search("tgier"))[0] == ("tiger.n.01", "typo")
    assert "tiger.n.01" not in dict(heads(search("tgire")))


def test_what_is_spelt_right_or_short_is_not_taken_for_a_misspelling() -> None:
    """`dog` brings no `dig`, and three letters are near to too much."""
    assert MatchKind.TYPO not in {hit.kind for hit in search("carp", limit=5_000)}
    assert MatchKind.TYPO not in {hit.kind for hit in search("geese", limit=5_000)}
    assert search("qog") == ()


def test_a_lemma_is_a_plural_too_where_noun_exc_says_so() -> None:
    """`data` is a noun and the plural of datum; `gas` is no two of GA."""
    assert heads(search("data"))[:2] == [("data.n.01", "exact"), ("datum.n.01", "plural")]
    assert MatchKind.PLURAL not in {hit.kind for hit in search("gas", limit=500)}


def test_a_wnid_is_searched_for_as_such_alone() -> None:
    """What has the form of a wnid and is in neither version finds nothing."""
    assert [hit.synset.wnid for hit in search(DOG)] == [DOG]
    assert search("n00000001") == ()


def test_only_what_is_asked_for_is_found_and_before_the_limit() -> None:
    """A site searches in the synsets that have images; what else there is takes no place."""
    everywhere = search("cat", limit=5_000)
    wanted = [hit for hit in everywhere if hit.synset.wnid.endswith(("3", "8"))]
    within = [hit.synset.wnid for hit in wanted]
    assert search("cat", limit=12, within=within) == tuple(wanted[:12])
    assert search("cat", limit=5_000, within={*within, "no wnid", "n99999999"}) == tuple(wanted)
    assert search("cat", within=()) == ()
    assert search(DOG, within=[TABBY]) == search("chihuaua", within=[TABBY]) == ()
    assert [hit.synset.wnid for hit in search("tabbby cat", within=[TABBY])] == [TABBY]


@pytest.mark.slow
@relaxed
@given(st.text(max_size=300), st.booleans())
def test_any_text_is_survived(text: str, in_glosses: bool) -> None:
    """Whatever is typed or pasted gives hits or none, each synset once."""
    hits = search(text, limit=9, glosses=in_glosses)
    assert len({hit.synset for hit in hits}) == len(hits) <= 9
    for hit in hits:
        assert hit.lemma in hit.synset.lemmas
        assert load_nouns().find(hit.lemma)[hit.sense - 1] == hit.synset


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "_",
        "-",
        "\t",
        "\x00",
        "\udcff",
        "(",
        ".*",
        "\\",
        "狗",
        "ab" * 10**5,
        " ".join("a b c d e f g h i j k l m n o p q r s t u v w x y z" * 10**4),
    ],
)
def test_odd_input_finds_nothing_and_costs_little(text: str) -> None:
    """No expression is made of it unescaped, and what is too long is cut."""
    search("warm up tihs", glosses=True)
    began = time.perf_counter()
    assert search(text, glosses=True) == ()
    assert time.perf_counter() - began < 0.5


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder that is searched for glosses."""
    monkeypatch.setattr(glosses, "_list_folders", lambda: [tmp_path / "missing", tmp_path])
    return tmp_path


def write_lines(folder: Path, *lines: str) -> None:
    """A data.noun with lines at the offsets that they begin with."""
    data = b""
    for line in lines:
        data = data.ljust(int(line[:8])) + line.encode() + b"\n"
    (folder / "data.noun").write_bytes(data)


def test_words_of_a_gloss_find_its_synset_the_shorter_gloss_first(folder: Path) -> None:
    """In any order and case, all of them; the hit names the synset's first lemma."""
    write_lines(
        folder,
        "00001740 03 n 01 entity 0 000 | zyx that which is quux and more; zyx",
        "00001930 03 n 01 physical_entity 0 000 | a Quux zyx",
        "00002137 03 n 02 abstraction 0 abstract_entity 0 000 | zyx",
    )
    hits = search("ZYX quux", glosses=True)
    assert [(hit.lemma, hit.sense, hit.kind.value) for hit in hits] == [
        ("physical entity", 1, "gloss"),
        ("entity", 1, "gloss"),
    ]
    assert search("zyx quux", glosses=True, within=[ENTITY]) == hits[1:]
    assert search("zyx quux nothing", glosses=True) == search("zyx quux") == ()


@pytest.mark.parametrize(
    "line",
    [
        "00001741 03 n 01 entity 0 000 | zyx",
        "00001740 03 n 01 other 0 000 | zyx",
        "00001740",
    ],
)
def test_a_gloss_of_another_version_is_not_searched(folder: Path, line: str) -> None:
    """Better no gloss than the gloss of another synset."""
    write_lines(folder, line)
    assert search("zyx", glosses=True) == ()


@pytest.mark.slow
def test_installed_glosses_are_all_searched() -> None:
    """Debian's WordNet: `cattle dog` stands in glosses whose lemmas do not say so."""
    need(DEBIAN.is_dir(), "wordnet-base is not installed")
    found = {hit.synset.wnid for hit in search("herd sheep", limit=99, glosses=True)}
    assert found == {
        wnid
        for wnid in load_nouns().wnids
        if {"herd", "sheep"} <= set(glosses.split_words((glosses.gloss_of(wnid) or "").lower()))
    }


def test_the_index_is_built_part_by_part(wordnet_nouns: Nouns) -> None:
    """Neither numpy nor rapidfuzz is imported before something is misspelt."""
    assert wordnet_nouns.search("mice", limit=3)[0].name == "mouse.n.01"
    code = (
        "import sys; from imagetree.wordnet.search import search\n"
        "search('dog', limit=500); search('mice'); search('n02084071')\n"
        "assert not {'numpy', 'rapidfuzz'} & set(sys.modules)\n"
        "search('chihuaua'); assert 'rapidfuzz' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
