"""Votes in the database of each engine: given, judged, read, written, asked for, applied."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from imagetree.curation.consensus import ConsensusConfig, Decision
from imagetree.curation.polls import apply, image_votes, next_images, status, synset_table
from imagetree.curation.votes import (
    Vote,
    add_vote,
    add_votes,
    export_votes,
    import_votes,
    set_gold,
    voters,
)
from imagetree.database import counts, images_of, import_source
from imagetree.database.journal import problems
from imagetree.database.schema import images
from imagetree.database.schema import votes as votes_table
from imagetree.errors import DatabaseError

DOG, CAT = "n02084071", "n02121808"
NUM_DOGS = 30
CONFIG = ConsensusConfig(sample_images=8, gold_share=0.25)
VOTERS = [f"voter{n:02}" for n in range(14)]


@pytest.fixture
def dogs(database, tmp_path):
    """A database of thirty dogs and two cats; ids of the dogs by the number in their name."""
    for wnid, number in ((DOG, NUM_DOGS), (CAT, 2)):
        (tmp_path / "classes" / wnid).mkdir(parents=True)
        for n in range(number):
            (tmp_path / "classes" / wnid / f"{wnid}_{n}.JPEG").write_bytes(b"read by nobody")
    import_source(database, tmp_path / "classes")
    rows = images_of(database, [DOG], limit=NUM_DOGS)
    return {int(row.name.removeprefix(f"{DOG}_")): row.id for row in rows}


def ask_all(database, says, config=CONFIG, voters=VOTERS, rounds=40):
    """Voters take the images they are given, three at a time, until there are none."""
    for _ in range(rounds):
        given = 0
        for voter in voters:
            rows = next_images(database, DOG, voter, 3, config)
            given += len(rows)
            add_votes(database, [Vote(row.id, voter, says(voter, row.id)) for row in rows])
        if not given:
            return
    pytest.fail("the voting does not end")


def test_voting_again_replaces_the_vote(database, dogs):
    """One vote of a voter on an image, the last."""
    add_vote(database, dogs[0], "ada", True)
    add_vote(database, dogs[0], "ada", False)
    add_votes(database, [Vote(dogs[1], "ada", False), Vote(dogs[1], "ada", True)])
    add_vote(database, dogs[0], "bob", True)
    with database.reading() as connection:
        rows = connection.execute(select(votes_table).order_by(votes_table.c.id)).all()
    assert [(row.image_id, row.voter, row.is_match) for row in rows] == [
        (dogs[0], "ada", False),
        (dogs[1], "ada", True),
        (dogs[0], "bob", True),
    ]
    assert all(row.voted_at.endswith("+00:00") for row in rows)


def test_votes_are_all_added_or_none(database, dogs):
    """An id of no image refuses the votes beside it."""
    with pytest.raises(DatabaseError, match=r"no image has the id 999999$"):
        add_votes(database, [Vote(dogs[0], "ada", True), Vote(999999, "ada", True)])
    with pytest.raises(DatabaseError, match=r"no image has the id 999999$"):
        set_gold(database, {dogs[0]: True, 999999: True})
    assert voters(database) == ()


@pytest.mark.parametrize("voter", ["", " ada", "a\tb", "a\nb", "x" * 101])
def test_names_that_no_file_could_hold_are_refused(database, dogs, voter):
    """Empty, with blanks around, with tabs or line ends, or too long."""
    with pytest.raises(DatabaseError, match="expected 1 to 100 printable characters"):
        add_vote(database, dogs[0], voter, True)


def test_votes_go_out_as_text_and_come_back(database, dogs, tmp_path):
    """The same file from the votes that were read from it; sorted whatever the order they came."""
    path = tmp_path / "votes.tsv"
    text = f"{DOG}_0\tada\tyes\n{DOG}_0\tbob\tno\n{DOG}_7\tada\tno\n{CAT}_1\tZoë\tyes\n"
    path.write_text("\n".join(reversed(text.split("\n"))), encoding="utf-8")
    assert import_votes(database, path) == 4
    assert export_votes(database, tmp_path / "all.tsv") == 4
    assert (tmp_path / "all.tsv").read_text(encoding="utf-8") == text
    assert import_votes(database, tmp_path / "all.tsv") == 4
    assert export_votes(database, tmp_path / "dogs.tsv", DOG) == 3
    assert (tmp_path / "dogs.tsv").read_text() == "".join(text.splitlines(keepends=True)[:3])


def test_names_without_a_wnid(database, dogs, tmp_path):
    """One name in two synsets is told apart by the wnid before it; one in one synset needs none."""
    labels = tmp_path / "flat"
    for wnid, names in ((DOG, ("val_1", "val_2")), (CAT, ("val_1",))):
        (labels / wnid).mkdir(parents=True)
        for name in names:
            (labels / wnid / f"{wnid}_{name}.JPEG").write_bytes(b"x")
    import_source(database, labels)
    with database.writing() as connection:  # a flat archive gives such names
        for name in ("val_1", "val_2"):
            renamed = update(images).where(images.c.name == f"_{name}").values(name=name)
            connection.execute(renamed)
    path = tmp_path / "votes.tsv"
    path.write_text(f"val_2\tada\tyes\n{CAT}/val_1\tada\tno\n")
    assert import_votes(database, path) == 2
    export_votes(database, tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_text() == f"{DOG}/val_2\tada\tyes\n{CAT}/val_1\tada\tno\n"
    path.write_text("val_1\tada\tyes\n")
    with pytest.raises(DatabaseError, match=r"2 images are named 'val_1' \(expected WNID/val_1\)"):
        import_votes(database, path)


def test_faults_of_a_file_are_listed_by_line(database, dogs, tmp_path):
    """Each kind with its line, and nothing of the file is kept."""
    path = tmp_path / "votes.tsv"
    lines = [
        f"{DOG}_0\tada\tyes",
        f"{DOG}_0\tada\tno",
        f"{DOG}_0\tada",
        "",
        f"{DOG}_99\tada\tno",
        f"{DOG}_1\t \tno",
        f"{DOG}_1\tada\tperhaps",
    ]
    path.write_text("\r\n".join(lines))
    with pytest.raises(DatabaseError) as caught:
        import_votes(database, path)
    assert caught.value.message.split("\n") == [
        f"{path}: 5 faults in the votes:",
        "  votes.tsv:2: the second vote of this voter on this image",
        "  votes.tsv:3: 2 fields (expected image, voter, yes or no, parted by tabs)",
        f"  votes.tsv:5: no image '{DOG}_99'",
        "  votes.tsv:6: voter ' ': expected 1 to 100 printable characters, no blank at either end",
        "  votes.tsv:7: answer 'perhaps' (expected yes or no)",
    ]
    assert voters(database) == ()


def test_first_twenty_faults_are_shown(database, dogs, tmp_path):
    """And how many there are."""
    path = tmp_path / "votes.tsv"
    path.write_text("nothing\n" * 25)
    with pytest.raises(DatabaseError, match=r"25 faults in the votes, the first 20 of them") as e:
        import_votes(database, path)
    assert e.value.message.count("\n") == 20


@pytest.mark.parametrize("data", [b"\xff\xfe", None])
def test_files_that_are_no_text_are_refused(database, tmp_path, data):
    """Bytes that are no UTF-8; no file at all."""
    path = tmp_path / "votes.tsv"
    if data:
        path.write_bytes(data)
    with pytest.raises(DatabaseError, match=r"votes\.tsv: the votes (are no UTF-8|cannot be read)"):
        import_votes(database, path)


def test_gold_judges_the_voters(database, dogs):
    """Without gold all count; with it those whose answers on both kinds were right."""
    truths = {dogs[n]: n % 2 == 0 for n in range(10)}
    add_votes(database, [Vote(image, "ada", truth) for image, truth in truths.items()])
    add_votes(database, [Vote(image, "yes", True) for image in truths])
    add_vote(database, dogs[20], "new", True)
    add_vote(database, dogs[20], "ada", True)
    assert [row.is_counted for row in voters(database)] == [True, True, True]
    set_gold(database, truths)
    by_name = {row.voter: row for row in voters(database)}
    assert {name: row.is_counted for name, row in by_name.items()} == {
        "ada": True,
        "new": False,
        "yes": False,
    }
    assert (by_name["ada"].num_votes, by_name["ada"].num_gold) == (11, 10)
    assert by_name["yes"].accuracy == pytest.approx(0.5)
    assert by_name["ada"].accuracy == pytest.approx(6 / 7)
    report = status(database, DOG, CONFIG)
    assert (report.num_votes, report.num_counted) == (22, 11)
    set_gold(database, dict.fromkeys(truths))
    assert all(row.is_counted for row in voters(database))


def test_a_vote_counts_as_soon_as_its_voter_does(database, dogs):
    """Given before the voter was judged, it is kept and counted later."""
    add_vote(database, dogs[20], "ada", True)
    set_gold(database, {dogs[n]: n % 2 == 0 for n in range(10)})
    assert status(database, DOG, CONFIG).num_counted == 0
    add_votes(database, [Vote(dogs[n], "ada", n % 2 == 0) for n in range(10)])
    assert status(database, DOG, CONFIG).num_counted == 11


def test_poll_from_the_first_vote_to_the_quarantine(database, dogs, tmp_path):
    """Six of thirty are dogs; three voters always say yes; what is left are dogs alone."""
    is_dog = {image: n % 5 == 0 for n, image in dogs.items()}
    set_gold(database, {dogs[n]: n % 5 == 0 for n in (0, 1, 2, 3, 4, 5, 10, 15)})

    def says(voter, image):
        return voter in VOTERS[:3] or is_dog[image]

    with pytest.raises(DatabaseError, match=r"0 of 8 images of the sample have 10 counted votes"):
        apply(database, DOG, CONFIG)
    ask_all(database, says)
    assert [row.is_counted for row in voters(database, CONFIG)] == [False] * 3 + [True] * 11
    before = status(database, DOG, CONFIG)
    assert (before.sample_size, before.sample_done) == (8, 8)
    table = synset_table(database, DOG, CONFIG)
    report = apply(database, DOG, CONFIG)
    assert report.num_quarantined == before.decisions[Decision.REJECTED] == 24
    left = image_votes(database, DOG, CONFIG)
    assert {each.row.id for each, _ in left} == {image for image, truth in is_dog.items() if truth}
    assert {decision for _, decision in left} <= {Decision.ACCEPTED, Decision.OPEN}
    assert report.decisions == status(database, DOG, CONFIG).decisions
    assert counts(database) == {DOG: 6, CAT: 2}
    reasons = {problem.reason for problem in problems(database)}
    assert f"gold: known not to show {DOG}" in reasons
    assert f"voted out: 0 yes, 11 no that it shows {DOG}" in reasons
    assert synset_table(database, DOG, CONFIG) == table, "the quarantined stay in the sample"
    assert apply(database, DOG, CONFIG).num_quarantined == 0


def test_truth_of_gold_decides_it_whatever_the_votes(database, dogs):
    """Both were voted to be the other; a voter who errs on gold no longer counts."""
    config = ConsensusConfig(sample_images=NUM_DOGS - 2)
    add_votes(database, [Vote(i, v, n == 0) for n, i in dogs.items() for v in VOTERS[:12]])
    set_gold(database, {dogs[0]: False, dogs[1]: True})
    assert not any(row.is_counted for row in voters(database))
    found = {each.row.id: decision for each, decision in image_votes(database, DOG, config)}
    assert (found[dogs[0]], found[dogs[1]]) == (Decision.REJECTED, Decision.ACCEPTED)
    assert Decision.OPEN in found.values()


def test_gold_stays_while_images_are_open(database, dogs):
    """What is no match is quarantined, but gold only when no more voters are to be judged by it."""
    gold = {dogs[n]: n % 2 == 0 for n in range(8)}
    set_gold(database, gold)
    add_votes(database, [Vote(i, v, truth) for i, truth in gold.items() for v in VOTERS])
    sample = [row.id for row in next_images(database, DOG, "new", NUM_DOGS) if row.id not in gold]
    config = ConsensusConfig(sample_images=len(sample) - 1)
    add_votes(database, [Vote(i, v, False) for i in sample[:-1] for v in VOTERS])
    report = apply(database, DOG, config)
    assert (report.num_quarantined, report.decisions[Decision.OPEN]) == (len(sample) - 1, 1)
    assert {row.id for row in images_of(database, [DOG])} == {*gold, sample[-1]}
    add_votes(database, [Vote(sample[-1], v, False) for v in VOTERS])
    assert apply(database, DOG, config).num_quarantined == 1 + 4
    assert {row.id for row in images_of(database, [DOG])} == {i for i in gold if gold[i]}


def test_divided_voters_leave_an_image_undecided(database, dogs):
    """It stays in use, unless only the accepted are wanted."""
    config = ConsensusConfig(sample_images=NUM_DOGS, max_votes=14)
    cast = [
        Vote(image, voter, number < 7 if n == 0 else n < 8)
        for n, image in dogs.items()
        for number, voter in enumerate(VOTERS)
    ]
    add_votes(database, cast)
    assert apply(database, DOG, config).decisions == {
        Decision.ACCEPTED: 7,
        Decision.REJECTED: 0,
        Decision.OPEN: 0,
        Decision.UNDECIDED: 1,
    }
    report = apply(database, DOG, config, undecided=True)
    assert (report.num_quarantined, report.decisions[Decision.UNDECIDED]) == (1, 0)
    assert problems(database)[-1].reason == f"undecided: 7 yes, 7 no that it shows {DOG}"


def test_the_sample_comes_first_then_what_is_nearest_to_a_decision(database, dogs):
    """Eight images and no others until they have ten votes; then one with votes before none."""
    first = {row.id for row in next_images(database, DOG, "ada", NUM_DOGS, CONFIG)}
    assert len(first) == 8
    assert {row.id for row in next_images(database, DOG, "bob", NUM_DOGS, CONFIG)} == first
    assert status(database, DOG, CONFIG).decisions[Decision.OPEN] == NUM_DOGS
    matches = set(sorted(first)[:2])
    add_votes(database, [Vote(i, v, i in matches) for i in sorted(first)[:7] for v in VOTERS[:10]])
    assert {row.id for row in next_images(database, DOG, "ada", 30, CONFIG)} == {max(first)}
    add_votes(database, [Vote(max(first), voter, False) for voter in VOTERS[:10]])
    started = next(image for image in dogs.values() if image not in first)
    add_votes(database, [Vote(started, voter, False) for voter in VOTERS[:2]])
    queue = next_images(database, DOG, "ada", 30, CONFIG)
    assert queue[0].id == started
    assert len(queue) == NUM_DOGS - len(first)
    assert started not in {row.id for row in next_images(database, DOG, VOTERS[0], 30, CONFIG)}


def test_gold_is_mixed_in_at_its_rate(database, dogs):
    """A quarter of the places in the mean of many voters; not the same places for each."""
    config = ConsensusConfig(sample_images=20, gold_share=0.25)
    set_gold(database, {dogs[n]: n % 2 == 0 for n in range(10)})
    gold = {dogs[n] for n in range(10)}
    places = []
    for number in range(40):
        rows = next_images(database, DOG, f"voter {number}", 10, config)
        assert rows == next_images(database, DOG, f"voter {number}", 10, config)
        places.append(tuple(row.id in gold for row in rows))
    assert 0.18 < sum(map(sum, places)) / 400 < 0.32
    assert len(set(places)) > 20
    none = ConsensusConfig(sample_images=20, gold_share=0.0)
    rows = next_images(database, DOG, "ada", 30, none)
    assert [row.id in gold for row in rows] == [False] * 20 + [True] * 10, "gold fills up"


def test_seed_draws_another_sample(database, dogs):
    """The same seed the same images, another one others."""
    samples = [
        {row.id for row in next_images(database, DOG, "ada", 8, config)}
        for config in (CONFIG, CONFIG, ConsensusConfig(sample_images=8, seed=1))
    ]
    assert samples[0] == samples[1] != samples[2]


def test_order_of_the_votes_changes_nothing(database, dogs):
    """The same table and decisions from the votes in another order."""
    cast = [Vote(i, v, (n + m) % 3 == 0) for n, i in dogs.items() for m, v in enumerate(VOTERS)]
    config = ConsensusConfig(sample_images=NUM_DOGS)
    add_votes(database, cast)
    table, found = synset_table(database, DOG, config), image_votes(database, DOG, config)
    with database.writing() as connection:
        connection.execute(votes_table.delete())
    for vote in reversed(cast):
        add_vote(database, *vote)
    assert synset_table(database, DOG, config) == table
    assert image_votes(database, DOG, config) == found


def test_synset_without_images(database):
    """No table, no images to show, nothing to count."""
    with pytest.raises(DatabaseError, match=r"0 of 0 images of the sample"):
        synset_table(database, DOG)
    assert next_images(database, DOG, "ada", 5) == ()
    assert sum(status(database, DOG).decisions.values()) == 0
