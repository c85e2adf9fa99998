"""Dealing out: disjoint, complete, the same in any order, and a picture's copies on one side."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetree.challenge.dealing import Shares, deal, find_leaks
from imagetree.challenge.definition import Entry
from imagetree.errors import ChallengeError

SHARES = Shares(val=0.2, test=0.1, minival=0.1)
A, B, C = "n00000001", "n00000002", "n00000003"


def names_of(counts: dict[str, int]) -> dict[str, list[str]]:
    return {wnid: [f"{wnid}_{n}" for n in range(count)] for wnid, count in counts.items()}


@given(
    counts=st.dictionaries(st.sampled_from([A, B, C]), st.integers(12, 60), min_size=1),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_laws(counts: dict[str, int], seed: int, data: st.DataObject) -> None:
    """Every image once; no order changes anything; a group, across classes too, is on one side."""
    names = names_of(counts)
    every = [Entry(name, wnid) for wnid in names for name in names[wnid]]
    shuffled = random.Random(seed).sample(every, len(every))
    groups = [shuffled[at : at + 3] for at in range(0, data.draw(st.integers(0, 5)) * 3, 3)]
    splits = deal(names, SHARES, seed, groups)
    assert sorted(entry for each in splits.values() for entry in each) == sorted(every)
    turned = {wnid: names[wnid][::-1] for wnid in reversed(names)}
    assert deal(turned, SHARES, seed, [group[::-1] for group in groups[::-1]]) == splits
    assert find_leaks(splits, groups) == ()
    for wnid in names:
        assert any(entry.wnid == wnid for entry in splits["train"])


def test_shares_are_filled_in_their_order() -> None:
    """20 of 100 to val, 10 to test, a tenth of the 70 left to minival; the rest is train."""
    splits = deal(names_of({A: 100}), SHARES, 0)
    assert {split: len(each) for split, each in splits.items()} == {
        **{"val": 20, "test": 10, "minival": 7},
        "train": 63,
    }


def test_asking_for_a_test_leaves_val_as_it_was() -> None:
    names = names_of({A: 50, B: 30})
    without, with_test = deal(names, Shares(0.2, 0, 0.1), 0), deal(names, SHARES, 0)
    assert without["val"] == with_test["val"]
    assert without["test"] == []


def test_a_group_counts_towards_the_share_of_each_of_its_classes() -> None:
    """Ten copies that go to val with the first class leave none of val's ten for the second."""
    names = names_of({A: 50, B: 50})
    group = [Entry(f"{wnid}_{n}", wnid) for wnid in (A, B) for n in range(10)]
    seed = next(s for s in range(99) if group[0] in deal(names, SHARES, s, [group])["val"])
    val = deal(names, SHARES, seed, [group])["val"]
    assert [entry.name for entry in val if entry.wnid == B] == sorted(f"{B}_{n}" for n in range(10))


def test_a_class_of_copies_alone_cannot_be_trained_on() -> None:
    names = names_of({A: 5, B: 50})
    group = [Entry(name, A) for name in names[A]]
    with pytest.raises(ChallengeError, match=f"{A}: nothing is left of its 5 images to train on"):
        deal(names, SHARES, 0, [group])


def test_leaks_name_images_and_splits() -> None:
    a, b, c = (Entry(name, A) for name in "abc")
    leaks = find_leaks({"train": [a, b], "val": [c]}, [(a, c), (a, b), (c, Entry("x", A))])
    assert [leak.copies for leak in leaks] == [(("train", a), ("val", c))]
