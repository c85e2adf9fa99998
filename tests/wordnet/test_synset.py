"""The form of wnids and of a synset's names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagetree.errors import WordnetError
from imagetree.wordnet.synset import Synset, is_wnid, offset_of, wnid_of


@settings(deadline=None)
@given(st.integers(0, 99_999_999))
def test_offset_and_wnid_are_inverse(offset: int) -> None:
    """Eight digits, no more and no fewer, for each offset."""
    assert is_wnid(wnid_of(offset))
    assert offset_of(wnid_of(offset)) == offset


@pytest.mark.parametrize(
    "text", ["x", "", "n2084071", "n020840711", "N02084071", "n0208407٣", "n02084071\n"]
)
def test_a_malformed_wnid_is_refused_with_an_example(text: str) -> None:
    """The message is the documented one, word for word."""
    with pytest.raises(
        WordnetError, match=r"is no wnid \(expected n and 8 digits, e\.g\. n02084071\)$"
    ):
        offset_of(text)


@pytest.mark.parametrize(
    ("wnid", "part"), [("v02084071", "verb"), ("a00001740", "adjective"), ("r00001740", "adverb")]
)
def test_other_parts_of_speech_are_named(wnid: str, part: str) -> None:
    """A verb's wnid is no typing error and not called one."""
    with pytest.raises(WordnetError, match=f"'{wnid}' names a WordNet {part}"):
        offset_of(wnid)


def test_name_is_lower_case_with_underscores() -> None:
    """The name of a synset with spaces and capitals has the common form."""
    assert Synset("n1", ("Canis familiaris", "dog"), 12).name == "canis_familiaris.n.12"
