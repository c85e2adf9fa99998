"""ImageNet's lists for a small database: what each line says, and what is left out."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
from sqlalchemy import update

from imagetree.database import schema
from imagetree.errors import WordnetError
from imagetree.export import formats
from imagetree.export.selection import Selection
from imagetree.export.structure import Release, iter_release_status, iter_structure
from imagetree.wordnet import gloss_of

from ..conftest import need
from .conftest import CAT, CHIHUAHUA, DOG

BROCCOLI = "n07714990"


@pytest.mark.slow
def test_every_list_is_written(store, tmp_path):
    """Each under ImageNet's name; no urls.txt where nothing has a URL."""
    need(gloss_of(DOG), "WordNet 3.0 is not installed (Debian's package wordnet-base)")
    written = formats.write_lists(store, tmp_path / "lists")
    assert [path.name for path in written] == [
        "LOC_synset_mapping.txt",
        "ReleaseStatus.xml",
        "gloss.txt",
        "imagenet_class_index.json",
        "structure_released.xml",
        "synset_list.txt",
        "wordnet.is_a.txt",
        "words.txt",
    ]
    folder = tmp_path / "lists"
    assert (folder / "synset_list.txt").read_text() == f"{DOG}\n{CHIHUAHUA}\n{CAT}\n"
    mapping = (folder / "LOC_synset_mapping.txt").read_text().splitlines()
    assert mapping[2] == f"{CAT} domestic cat, house cat, Felis domesticus, Felis catus"
    index = json.loads((folder / "imagenet_class_index.json").read_text())
    assert index == {"0": [DOG, "dog"], "1": [CHIHUAHUA, "Chihuahua"], "2": [CAT, "domestic_cat"]}
    glosses = (folder / "gloss.txt").read_text().split("\n")
    assert len(glosses) == 82_115
    assert glosses[0].startswith("n00001740\tthat which is perceived")


def test_without_wordnet_there_are_no_glosses(store, tmp_path, monkeypatch):
    """gloss.txt is left out of the whole; asked for by itself it says how to get it."""
    monkeypatch.setattr(formats, "gloss_of", lambda _wnid: None)
    names = [path.name for path in formats.write_lists(store, tmp_path / "lists")]
    assert "gloss.txt" not in names
    assert "words.txt" in names
    with pytest.raises(WordnetError, match="has no gloss here") as caught:
        formats.render_glosses()
    assert "wordnet-base" in (caught.value.hint or "")


def test_urls(store, tmp_path):
    """Images of a list have their URL, those of an archive have none."""
    images = schema.images
    chosen = images.c.synset == schema.synset_of(CAT)
    with store.writing() as connection:
        connection.execute(update(images).where(chosen).values(path="https://e.org/a b.jpg"))
    assert list(formats.iter_urls(store)) == [f"{CAT}_{n}\thttps://e.org/a b.jpg\n" for n in (1, 2)]
    one = next(formats.iter_urls(store, Selection((CAT,)), separator=" "))
    assert one == f"{CAT}_1 https://e.org/a b.jpg\n"
    assert list(formats.iter_urls(store, Selection((DOG,)))) == []


def test_hyponyms():
    """Direct ones, or all below, each once however many ways lead there."""
    direct = formats.render_hyponyms("n02083346").splitlines()  # canine
    assert direct[0] == "n02083346"
    assert f"-{DOG}" in direct
    full = formats.render_hyponyms("n02083346", full=True).splitlines()
    assert f"-{CHIHUAHUA}" in full
    assert len(full) == len(set(full)) > len(direct)
    assert full[1:] == sorted(full[1:])


def test_release_status():
    """The schema of image-net.org's file, readable by a parser, sorted by wnid."""
    release = Release(name='mine & "yours"')
    root = ET.fromstring("".join(iter_release_status({CAT: 2, DOG: 3}, release)))
    assert root.findtext("releaseData") == release.name
    synsets = root.findall("images/synsetInfos/synset")
    facts = {"released": "1", "version": release.name}
    assert [each.attrib for each in synsets] == [
        {"wnid": DOG, **facts, "numImages": "3"},
        {"wnid": CAT, **facts, "numImages": "2"},
    ]


def nodes(root: ET.Element) -> dict[str, list[ET.Element]]:
    found: dict[str, list[ET.Element]] = {}
    for each in root.iter("synset"):
        found.setdefault(each.attrib["wnid"], []).append(each)
    return found


def test_structure_of_a_database():
    """Only what leads to images; below two hypernyms a synset stands twice, with all below it."""
    root = ET.fromstring("".join(iter_structure([CHIHUAHUA, CAT])))
    found = nodes(root)
    top = root.find("synset")
    assert top is not None
    assert top.attrib["words"] == "ImageNet 2011 Fall Release"
    assert [each.attrib["wnid"] for each in top] == ["n00015388"]
    assert len(found[DOG]) == 2  # a canine and a domestic animal
    assert len(found[CHIHUAHUA]) == 2
    assert "n02083346" in found
    assert "n12992868" not in found
    assert "fa11misc" not in found


def test_misc_holds_what_is_under_no_branch():
    """A synset of food stands right below Misc, under names of the release's own."""
    release = Release("mine", "root", "misc", 'My "own" release')
    root = ET.fromstring("".join(iter_structure([BROCCOLI, CAT], release)))
    misc = nodes(root)["misc"][0]
    assert [each.attrib["wnid"] for each in misc] == [BROCCOLI]
    assert misc.attrib["words"] == "Misc"
    assert nodes(root)["root"][0].attrib["gloss"] == 'My "own" release.'
    assert root.findtext("releaseData") == "mine"


def test_no_image_is_too_deep_for_a_database():
    """The published file ends 12 levels below the root; a database's own does not."""
    deep = "n02377063"  # ridgeling, a colt, a male horse, ...
    root = ET.fromstring("".join(iter_structure([deep])))
    assert deep in nodes(root)
