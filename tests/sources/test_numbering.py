"""Three numberings of one thousand classes, and none taken for another."""

from __future__ import annotations

import pickle

import pytest

from imagetree.errors import DatabaseError
from imagetree.sources.numbering import (
    NUMBERINGS,
    ClassIndex,
    Ilsvrc2010Id,
    Ilsvrc2012Id,
    IlsvrcId,
    KaggleLine,
    Numbering,
    class_indices,
    ilsvrc2012_wnids,
    kaggle_lines,
    parse_number,
    parse_numbering,
    parse_numbers,
)
from imagetree.wordnet import load_nouns

from ..conftest import shared_path

TYPES = tuple(NUMBERINGS.values())
PAIRS = [(a, b) for a in TYPES for b in TYPES if a is not b]


def test_the_thousand_are_the_published_ones():
    wnids = ilsvrc2012_wnids()
    assert list(wnids) == shared_path("facts", "ilsvrc2012_wnids.txt").read_text().split()
    assert len(wnids) == 1000
    assert list(wnids) == sorted(set(wnids))
    nouns = load_nouns()
    assert all(nouns.index_of(wnid) >= 0 for wnid in wnids)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_numbers_of_two_numberings_do_not_meet(one, other):
    """Comparing, ordering, finding in a list and looking up are refused; not one answers False."""
    for meet in (
        lambda: one(5) == other(5),
        lambda: one(5) != other(5),
        lambda: one(5) < other(6),
        lambda: one(5) in [other(5)],
        lambda: Numbering(one, ("n02084071",)).wnid_of(other(one.first)),
    ):
        with pytest.raises(TypeError):
            meet()


@pytest.mark.parametrize("kind", TYPES)
def test_a_number_is_no_bare_integer(kind):
    """Neither to compare, nor to look up, nor to calculate with."""
    for meet in (
        lambda: kind(5) == 5,
        lambda: kind(5) + 1,
        lambda: kind(5) + kind(1),
        lambda: ["dog", "cat"][kind(1)],
        lambda: Numbering(kind, ("n02084071",)).wnid_of(kind.first),
    ):
        with pytest.raises(TypeError):
            meet()


@pytest.mark.parametrize("kind", TYPES)
def test_numbers_of_one_numbering(kind):
    """Are equal, ordered, keys of a dictionary, and survive a pickle."""
    assert kind(5) == kind(5)
    assert kind(5) != kind(6)
    assert sorted([kind(6), kind(5)]) == [kind(5), kind(6)]
    assert {kind(5): "a"}[kind(5)] == "a"
    assert pickle.loads(pickle.dumps(kind(5))) == kind(5)
    assert (kind(5) == "5") is False


def test_class_index_and_kaggle_line_differ_by_one():
    """First and last of the thousand: tench and toilet tissue."""
    indices, lines = class_indices(), kaggle_lines()
    assert indices.wnid_of(ClassIndex(0)) == lines.wnid_of(KaggleLine(1)) == "n01440764"
    assert indices.wnid_of(ClassIndex(999)) == lines.wnid_of(KaggleLine(1000)) == "n15075141"
    for wnid in ilsvrc2012_wnids():
        assert lines.number_of(wnid).value == indices.number_of(wnid).value + 1


def test_numbering_of_own_classes_is_by_sorted_wnids():
    numbering = class_indices(["n02121808", "n02084071"])
    assert numbering.wnid_of(ClassIndex(0)) == "n02084071"
    assert numbering.number_of("n02121808") == ClassIndex(1)
    with pytest.raises(DatabaseError, match="'n01440764' is none of the 2 classes"):
        numbering.number_of("n01440764")
    with pytest.raises(DatabaseError, match="a class is there twice"):
        class_indices(["n02084071", "n02084071"])


@pytest.mark.parametrize(
    ("numbering", "value", "fault"),
    [
        (class_indices(), 1000, "looks like ilsvrc2012-id or kaggle-line, from 1"),
        (kaggle_lines(), 0, "looks like class-index, from 0"),
        (Numbering(Ilsvrc2012Id, ilsvrc2012_wnids()), 0, "looks like class-index, from 0"),
        (kaggle_lines(), 1001, "1001 is not in 1..1000 of kaggle-line"),
        (class_indices(), 1001, "1001 is not in 0..999 of class-index"),
    ],
)
def test_the_wrong_end_tells_the_numbering(numbering, value, fault):
    assert numbering.fault_of(value).endswith(fault)
    with pytest.raises(DatabaseError, match=fault):
        numbering.wnid_of(numbering.kind(value))


def test_names_of_numberings():
    assert parse_numbering("ilsvrc2012-id") is Ilsvrc2012Id
    assert parse_numbering("ilsvrc2010-id") is Ilsvrc2010Id
    assert issubclass(Ilsvrc2010Id, IlsvrcId)
    assert parse_numbering("class-index") is ClassIndex
    assert parse_numbering("kaggle-line") is KaggleLine
    with pytest.raises(DatabaseError, match="'torch' is no numbering") as error:
        parse_numbering("torch")
    assert error.value.hint is not None
    assert "three numberings" in error.value.hint


def test_file_of_numbers_is_right_or_refused():
    """Each bad line is named, the first twenty of them, and what the numberings are."""
    assert parse_numbers("1\r\n\n1000\n", kaggle_lines(), "t") == (KaggleLine(1), KaggleLine(1000))
    text = "1\n0\nn01440764\n" + "-1\n" * 30
    with pytest.raises(DatabaseError, match=r"truth\.txt: 32 faults, the first 20") as error:
        parse_numbers(text, kaggle_lines(), "truth.txt")
    assert "truth.txt:2: 0 is not in 1..1000" in error.value.message
    assert "truth.txt:3: 'n01440764' is no number" in error.value.message
    assert error.value.message.count("\n") == 20


@pytest.mark.parametrize("text", ["", "x", "-1", "1.0", "\u0661", "123456", "02084071", " 1"])
def test_what_is_no_number(text):
    """Not eight digits either, which are an offset of WordNet."""
    assert parse_number(text) is None
