"""Glosses come from an installed WordNet 3.0 alone, and from no other version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from imagetree.errors import WordnetError
from imagetree.wordnet import gloss_of, glosses

if TYPE_CHECKING:
    from pathlib import Path

ENTITY = "n00001740"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder that is searched."""
    monkeypatch.setattr(glosses, "_list_folders", lambda: [tmp_path / "missing", tmp_path])
    return tmp_path


def write_line(folder: Path, offset: int, line: str) -> None:
    (folder / "data.noun").write_bytes(b" " * offset + line.encode() + b"\n")


def test_the_gloss_is_read_at_the_offset(folder: Path) -> None:
    """The offset of a synset is where its line begins."""
    write_line(folder, 1740, "00001740 03 n 01 entity 0 000 | that which is; for example  ")
    assert gloss_of(ENTITY) == "that which is; for example"


@pytest.mark.parametrize(
    "line",
    [
        "0001740 03 n 01 entity 0 000 | shifted by one",
        "00001740 03 n 01 other 0 000 | another synset of another version",
        "00001740 03 n zz entity 0 000 | damaged",
        "",
    ],
)
def test_a_file_of_another_version_is_not_used(folder: Path, line: str) -> None:
    """Better no gloss than the gloss of another synset."""
    write_line(folder, 1740, line)
    assert gloss_of(ENTITY) is None


def test_without_wordnet_there_is_no_gloss(folder: Path) -> None:
    """Nothing installed is no error."""
    assert folder.exists()
    assert gloss_of(ENTITY) is None


def test_an_unknown_wnid_is_an_error_even_then(folder: Path) -> None:
    """None means no gloss, never no synset."""
    assert folder.exists()
    with pytest.raises(WordnetError, match="is no noun synset"):
        gloss_of("n02084072")


def test_folders_named_by_the_environment_come_in_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """WNSEARCHDIR first, NLTK's folders after Debian's."""
    monkeypatch.setenv("WNSEARCHDIR", str(tmp_path / "a"))
    monkeypatch.setenv("NLTK_DATA", str(tmp_path / "b"))
    folders = [str(folder) for folder in glosses._list_folders()]
    assert folders[0] == str(tmp_path / "a")
    assert folders.index("/usr/share/wordnet") < folders.index(str(tmp_path / "b/corpora/wordnet"))
    assert folders[-1].endswith("nltk_data/corpora/wordnet")
