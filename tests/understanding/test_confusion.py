"""Confusion: kin stand together, groups are the synsets above them, every error is counted once."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from imagetree.challenge.definition import Entry, save_challenge
from imagetree.errors import ChallengeError
from imagetree.understanding.confusion import (
    NEARLY_ALL,
    group_by_kin,
    order_by_kin,
    study_confusion,
)
from imagetree.wordnet import load_nouns

from ..conftest import shared_path

DOG, CAT, AIRPLANE, CAR = WNIDS = ("n02084071", "n02121808", "n02691156", "n02958343")
ENTRIES = [Entry(f"{wnid}_{number}", wnid) for wnid in WNIDS for number in range(5)]
ANSWERS = (
    *(DOG, DOG, CAT, CAT, CAR),
    *(CAT, CAT, CAT, DOG, ""),
    *(AIRPLANE, AIRPLANE, AIRPLANE, AIRPLANE, CAR),
    *(CAR, CAR, CAR, CAR, CAR),
)


def above(wnid: str) -> set[str]:
    """A synset and what lies on its way up along first hypernyms."""
    way = {wnid}
    while hypernyms := load_nouns().hypernyms(wnid, instances=True):
        wnid = hypernyms[0]
        way.add(wnid)
    return way


@pytest.fixture
def challenge(tmp_path):
    splits = {"train": ENTRIES, "minival": ENTRIES[:4], "val": ENTRIES}
    return save_challenge(tmp_path / "challenge", WNIDS, splits)


@pytest.fixture
def submission(tmp_path):
    path = tmp_path / "val.txt"
    path.write_text("".join(f"{answer}\n" for answer in ANSWERS))
    return path


@pytest.fixture(scope="module")
def thousand() -> tuple[str, ...]:
    """ILSVRC's classes in the order of the hierarchy."""
    wnids = shared_path("facts", "ilsvrc2012_wnids.txt").read_text().split()
    return tuple(wnids[place] for place in order_by_kin(wnids))


def test_order_does_not_depend_on_the_order_given(thousand) -> None:
    shuffled = np.random.default_rng(0).permutation(thousand).tolist()
    assert tuple(shuffled[place] for place in order_by_kin(shuffled)) == thousand
    assert len(set(thousand)) == 1000


def test_groups_are_what_lies_below_their_synset(thousand) -> None:
    """Each of ILSVRC's groups has all the classes below its synset, and no other one."""
    ways = [above(wnid) for wnid in thousand]
    for group in group_by_kin(thousand):
        members = [place for place, way in enumerate(ways) if group.wnid in way]
        assert members == list(range(group.start, group.stop))


def test_groups_are_nested(thousand) -> None:
    """Two groups are apart or one lies in the other; its level counts those that it lies in."""
    groups = group_by_kin(thousand)
    for a, b in combinations(groups, 2):
        apart = a.stop <= b.start or b.stop <= a.start
        inside = a.start <= b.start and b.stop <= a.stop
        assert apart or inside
        assert a.stop - a.start > 1
    for group in groups:
        around = [g for g in groups if g.start <= group.start and group.stop <= g.stop]
        sizes = sorted((g.stop - g.start for g in around), reverse=True)
        assert group.level == len(around) - 1
        assert all(inner <= NEARLY_ALL * outer for outer, inner in pairwise([1000, *sizes]))


def test_groups_have_the_names_that_people_use(thousand) -> None:
    sizes = {load_nouns().synset(g.wnid).name: g.stop - g.start for g in group_by_kin(thousand)}
    assert sizes["dog.n.01"] == 118
    assert sizes["artifact.n.01"] == 516
    assert sizes["mammal.n.01"] == 218
    assert "placental.n.01" not in sizes  # 212 of these
    assert "entity.n.01" not in sizes


def test_lowest_of_synsets_over_the_same_classes() -> None:
    """Dog and cat are mammals, placentals and carnivores: the group is called carnivore."""
    [kin, _] = group_by_kin(WNIDS)
    assert load_nouns().synset(kin.wnid).name == "carnivore.n.01"


def test_matrix_and_sums(challenge, submission) -> None:
    """Rows are the truth; the image without an answer is left out and told."""
    found = study_confusion(challenge, submission)
    assert found.wnids == (DOG, CAT, AIRPLANE, CAR)
    assert found.matrix.tolist() == [[2, 2, 0, 1], [1, 3, 0, 0], [0, 0, 4, 1], [0, 0, 0, 5]]
    assert (found.num_images, found.num_errors, found.num_unanswered) == (19, 5, 1)


def test_where_errors_meet(challenge, submission) -> None:
    """Dog and cat meet in the domestic animal, of their hypernyms the one of least height."""
    found = study_confusion(challenge, submission)
    nouns = load_nouns()
    meetings = [(nouns.synset(m.wnid).name, m.count, m.share) for m in found.meetings]
    assert meetings == [
        ("domestic_animal.n.01", 3, 0.6),
        ("vehicle.n.01", 1, 0.2),
        ("whole.n.02", 1, 0.2),
    ]
    assert found.meetings[0].height == 6


def test_most_frequent_first_with_examples(challenge, submission) -> None:
    found = study_confusion(challenge, submission, num_pairs=2)
    assert [(p.truth, p.guess, p.count, p.num_images) for p in found.pairs] == [
        (DOG, CAT, 2, 5),
        (DOG, CAR, 1, 5),
    ]
    assert found.pairs[0].examples == (f"{DOG}_2", f"{DOG}_3")


def test_split_not_answered_yet(challenge, tmp_path) -> None:
    with pytest.raises(ChallengeError, match=r"hint: answer .*challenge run .* --split minival"):
        study_confusion(challenge, tmp_path / "run" / "minival.txt", split="minival")


def test_no_answer_at_all(challenge, tmp_path) -> None:
    (tmp_path / "val.txt").write_text("\n" * len(ENTRIES))
    with pytest.raises(ChallengeError, match="there is no answer in it"):
        study_confusion(challenge, tmp_path / "val.txt")
