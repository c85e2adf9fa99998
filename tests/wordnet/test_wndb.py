"""The parser of WordNet's files, on lines made by hand after wndb(5WN)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from imagetree.errors import WordnetError
from imagetree.wordnet.wndb import Word, iter_nouns, iter_senses, parse_noun, read_notice

if TYPE_CHECKING:
    from pathlib import Path


def test_word_count_and_lex_ids_are_hexadecimal(wordnet_mini_data: Path) -> None:
    """`0b` words are eleven, lex_id `a` is ten."""
    record = list(iter_nouns(wordnet_mini_data))[1]
    assert len(record.words) == 11
    assert record.words[-1] == Word("Blue_Kay", 10)


def test_hypernyms_keep_their_order_and_kind(wordnet_mini_data: Path) -> None:
    """`@` and `@i` are kept apart, other pointers are dropped."""
    record = list(iter_nouns(wordnet_mini_data))[1]
    assert (record.hypernyms, record.instance_hypernyms) == ((41, 41), (41,))


def test_gloss_is_the_text_after_the_bar(wordnet_mini_data: Path) -> None:
    """Examples belong to the gloss, trailing spaces do not."""
    assert [record.gloss for record in iter_nouns(wordnet_mini_data)] == [
        "all there is",
        'ten; "or 11"',
    ]


def test_notice_is_the_heading_without_line_numbers(wordnet_mini_data: Path) -> None:
    """The licence that heads a file comes out as text."""
    assert read_notice(wordnet_mini_data) == "a licence\n\nin three lines\n"


def test_senses_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    """The commonest sense stands first in index.noun."""
    path = tmp_path / "index.noun"
    path.write_text("  1 a licence  \ncat n 2 3 @ ~ #m 2 1 02121620 00000041  \n")
    assert list(iter_senses(path)) == [("cat", (2121620, 41))]


@pytest.mark.parametrize("line", ["", "x", "00000041 03 n zz entity", "00000041 03 n 09 entity 0"])
def test_a_line_of_another_form_is_refused(line: str) -> None:
    """A damaged line is an error with the line in it, no crash."""
    with pytest.raises(WordnetError, match=r"no line of data\.noun"):
        parse_noun(line)


def test_a_bad_index_line_is_refused(tmp_path: Path) -> None:
    """The same for index.noun."""
    path = tmp_path / "index.noun"
    path.write_text("cat n two\n")
    with pytest.raises(WordnetError, match=r"no line of index\.noun"):
        list(iter_senses(path))


def test_a_missing_file_names_the_package_that_has_it(tmp_path: Path) -> None:
    """The hint repairs it."""
    with pytest.raises(WordnetError, match="wordnet-base"):
        list(iter_nouns(tmp_path / "data.noun"))


def test_bytes_beyond_ascii_are_refused(tmp_path: Path) -> None:
    """WordNet 3.0 is pure ASCII; anything else is another file."""
    path = tmp_path / "data.noun"
    path.write_bytes("é".encode())
    with pytest.raises(WordnetError, match="byte 0 not ASCII"):
        list(iter_nouns(path))
