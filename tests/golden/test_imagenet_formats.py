"""ImageNet's structure_released.xml: the figures of the published file come out of its rule."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from imagetree.export.formats import render_class_index, render_synset_list
from imagetree.export.structure import BRANCHES, iter_structure
from imagetree.wordnet import gloss_of

from ..conftest import need, shared_path


@pytest.fixture(scope="module")
def published() -> str:
    """The structure of the Fall 2011 release, made from its 21,841 synsets."""
    need(gloss_of("n00001740"), "WordNet 3.0 is not installed (Debian's package wordnet-base)")
    wnids = shared_path("facts/imagenet_fall2011_wnids.txt").read_text().split()
    return "".join(iter_structure(wnids, whole=True))


def test_the_file_has_its_published_length(published: str) -> None:
    """8,855,783 characters: every word, gloss, quote and line end counts."""
    assert len(published) == 8_855_783


def test_nodes_levels_and_longest_path(published: str) -> None:
    """60,942 nodes, 12 levels below the root, and a longest path of 486 characters."""
    count, deepest, longest = 0, 0, 0
    waiting = [(ET.fromstring(published).findall("synset")[0], 0, "")]
    while waiting:
        node, level, above = waiting.pop()
        path = above + node.attrib["words"]
        count, deepest, longest = count + 1, max(deepest, level), max(longest, len(path))
        waiting += [(child, level + 1, f"{path} > ") for child in node]
    assert (count, deepest, longest) == (60_942, 12, 486)


def test_first_levels(published: str) -> None:
    """Eight branches and Misc, which holds 2,350 synsets; 27,714 synsets stand outside of it."""
    top = ET.fromstring(published).findall("synset")[0]
    assert [each.attrib["wnid"] for each in top] == [*BRANCHES, "fa11misc"]
    misc = top[-1]
    assert len(misc) == 2_350
    top.remove(misc)
    assert len({each.attrib["wnid"] for each in top.iter()}) == 27_714


def test_lines_are_as_published(published: str) -> None:
    """The head of the file, and attributes quoted by what they hold."""
    assert published.startswith(
        "<ImageNetStructure>\n\t<releaseData>fall2011</releaseData>\n"
        '<synset wnid="fall11" words="ImageNet 2011 Fall Release" '
        'gloss="ImageNet 2011 Fall Release." >\n<synset wnid="n00017222" '
        'words="plant, flora, plant life" '
    )
    assert "gloss='a plant that is native to a certain limited area; \"it is" in published
    assert published.endswith("</synset></synset></synset></ImageNetStructure>\n")


def test_class_index_of_the_thousand() -> None:
    """The classes of every network trained on ILSVRC2012, in their order."""
    path = shared_path("facts/ilsvrc2012_wnids.txt")
    wnids = path.read_text().split()
    index = json.loads(render_class_index(reversed(wnids)))
    assert len(index) == 1_000
    assert index["0"] == ["n01440764", "tench"]
    assert index["2"] == ["n01484850", "great_white_shark"]
    assert index["999"] == ["n15075141", "toilet_tissue"]
    assert render_synset_list(wnids).split() == wnids
