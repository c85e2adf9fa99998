"""The packed format: what is written is read again, and damage is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagetree.errors import WordnetError
from imagetree.wordnet import packed
from imagetree.wordnet.packed import PackedNouns, load_offsets31, pack_nouns, pack_offsets31

if TYPE_CHECKING:
    from pathlib import Path

offsets = st.lists(st.integers(0, 99_999_999), unique=True).map(sorted)
lists = st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=3), max_size=5)


@settings(deadline=None)
@given(offsets, lists, lists)
def test_integers_come_back(
    numbers: list[int], ups: list[list[int]], more: list[list[int]]
) -> None:
    """Packing and unpacking offsets and both kinds of hypernyms changes nothing."""
    data = PackedNouns(pack_nouns(numbers, [], ups, more, b"axes ax axis\n"))
    assert list(data.offsets) == numbers
    for (starts, targets), members in ((data.hypernyms, ups), (data.instance_hypernyms, more)):
        assert [list(targets[starts[i] : starts[i + 1]]) for i in range(len(members))] == members
    assert data.exceptions == b"\naxes ax axis\n"


def test_words_come_back_by_line() -> None:
    """Each synset has a line, each word its sense; lower case keeps the positions."""
    data = PackedNouns(
        pack_nouns([1, 2], [[("Dog", 1), ("hot_dog", 2)], [("cat", 1)]], [[], []], [[], []], b"")
    )
    assert data.lines == [b"\tDog 1\thot_dog 2", b"\tcat 1"]
    assert data.lower_words == b"\tdog 1\thot_dog 2\n\tcat 1"


@settings(deadline=None)
@given(st.integers(0, 200))
def test_a_file_cut_short_is_refused(keep: int) -> None:
    """No prefix of a packed file passes for one."""
    data = pack_nouns([1, 2], [[("dog", 1)], [("cat", 1)]], [[], []], [[], []], b"")
    if keep < len(data):
        with pytest.raises(WordnetError, match="damaged or of another version"):
            PackedNouns(data[:keep])


def test_damage_inside_a_section_is_noticed() -> None:
    """A flipped byte is found by the section's checksum."""
    data = bytearray(pack_nouns([1, 2], [[("dog", 1)], [("cat", 1)]], [[], []], [[], []], b""))
    data[-1] ^= 1
    with pytest.raises(WordnetError, match="damaged"):
        _ = PackedNouns(bytes(data)).exceptions


def test_a_missing_file_is_an_error_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A broken installation says how to repair it."""
    monkeypatch.setattr(packed, "FACTS_DIR", tmp_path)
    with pytest.raises(WordnetError, match="install imagetree again"):
        packed.load_packed()


def test_offsets31_come_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The table of 3.1 offsets is read as written, -1 included."""
    monkeypatch.setattr(packed, "FACTS_DIR", tmp_path)
    (packed.FACTS_DIR / "offsets31.bin").write_bytes(pack_offsets31({9: 3, 4: -1, 7: 0}))
    assert load_offsets31() == {4: -1, 7: 0, 9: 3}


def test_packed_nouns_stay_small() -> None:
    """The shipped facts stay under 1.6 MB, and hold no synset twice."""
    data = (packed.FACTS_DIR / "nouns.bin").read_bytes()
    assert len(data) < 1_600_000
    found = PackedNouns(data).offsets
    assert list(found) == sorted(set(found))
    assert len(found) == 82_115
