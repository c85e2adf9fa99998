"""Submissions: what is written is read back, and every fault is named with its line."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetree.challenge.answers import ByName, Form, Task, guesses_of, task_of
from imagetree.challenge.definition import Entry, save_challenge
from imagetree.challenge.lines import Faults
from imagetree.challenge.metamat import render_meta
from imagetree.challenge.metrics import NO_GUESS
from imagetree.challenge.submission import (
    load_answers,
    parse_answers,
    parse_submission,
    render_submission,
)
from imagetree.errors import ChallengeError
from imagetree.sources.devkit import KINDS, KitSynset

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.challenge.answers import Answers

WNIDS = [f"n{number:08}" for number in range(1, 8)]
DOG, CAT, PLANE = "n02084071", "n02121808", "n02691156"
TASK = Task((DOG, CAT, PLANE), 2, ("val_1", "val_2"), "val", "1" * 64)


def read(text: str, task: Task = TASK, **form: str | Path | None) -> Answers:
    return parse_answers(io.BytesIO(text.encode()), task, Form(**form), where="entry")


@given(st.lists(st.lists(st.integers(0, 6), max_size=5, unique=True), min_size=1, max_size=20))
def test_round_trip(rows: list[list[int]]) -> None:
    """Parse(render(x)) = x, empty answers included."""
    guesses = np.array([row + [NO_GUESS] * (5 - len(row)) for row in rows], dtype=np.int64)
    text = render_submission(guesses, WNIDS)
    assert np.array_equal(parse_submission(text, WNIDS, len(rows)), guesses)
    assert np.array_equal(guesses_of(rows, 5), guesses)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n00000001\n", "entry:2: 1 lines .expected one for each of 2 images."),
        ("n00000001\nn00000001\n\n", "entry:3: 3 lines"),
        ("n00000001\nn00000009\n", "entry:2: 'n00000009' is no class of this challenge"),
        ("n00000001\n17\n", "entry:2: '17' is no class .*expected a wnid"),
        ("n00000001\nn00000002 n00000002\n", "entry:2: a class is guessed twice"),
        (f"n00000001\n{' '.join(WNIDS[:6])}\n", "entry:2: 6 guesses .expected at most 5."),
    ],
)
def test_faults(text: str, message: str) -> None:
    with pytest.raises(ChallengeError, match=message):
        parse_submission(text, WNIDS, 2, name="entry")


def test_first_twenty_faults_are_listed() -> None:
    with pytest.raises(
        ChallengeError, match=r"(?s)entry:1: .*entry:20: .*30 faults in all"
    ) as info:
        parse_submission("x\n" * 30, WNIDS, 30, name="entry")
    assert "entry:21" not in str(info.value)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("02084071", "'02084071' looks like a wnid without its n"),
        ("n02085374", r"'n02085374' .toy dog, toy. is no class of this challenge"),
        ("n02075296", r"'n02075296' .carnivore. is above classes, which --format synsets alone"),
        ("n99999999", "n99999999 is no noun synset of WordNet 3.0"),
        ("n02086723", "n02086723 is an offset of WordNet 3.1"),
        ("N02084071", "'N02084071' is no class"),
        ("dög", "'dög' is no class"),
        ("2", "'2' is no class but a number"),
    ],
)
def test_a_word_that_is_no_class_is_told_what_it_probably_is(word: str, message: str) -> None:
    with pytest.raises(ChallengeError, match=message):
        read(f"{DOG}\n{word}\n")


@pytest.mark.parametrize(
    ("text", "looks"),
    [
        ("0 1\n2 1\n", "class-index .0 is among them."),
        ("1 2\n3 1\n", "kaggle-line or a kit's ids .3 is among them, 0 is not."),
        ("1 2\n2 1\n", "class-index, kaggle-line or a kit's ids"),
        ("1 2\n488 1\n", "ids of other classes .488 is among them."),
    ],
)
def test_numbers_without_a_numbering_are_refused_with_what_they_look_like(
    text: str, looks: str
) -> None:
    with pytest.raises(ChallengeError, match=rf"hint: these look like {looks}; .*--labels wnid"):
        read(text)


@pytest.mark.parametrize(
    ("labels", "text"), [("class-index", "0 2\n1\n"), ("kaggle-line", "1 3\n2\n")]
)
def test_a_numbering_is_stated_by_the_reader_or_the_file(labels: str, text: str) -> None:
    expected = [[0, 2, -1, -1, -1], [1, -1, -1, -1, -1]]
    assert read(text, labels=labels).guesses.tolist() == expected
    assert read(f"# labels: {labels}\n{text}").guesses.tolist() == expected
    assert read(f"# labels: {labels}\n{text}", labels=labels).guesses.tolist() == expected
    with pytest.raises(ChallengeError, match=rf"states labels '{labels}', and is read with 'wnid'"):
        read(f"# labels: {labels}\n{text}", labels="wnid")


@pytest.mark.parametrize(
    ("labels", "word", "message"),
    [
        ("class-index", "3", "3 is not in 0..2 of class-index: looks like ilsvrc2012-id or kag"),
        ("kaggle-line", "0", "0 is not in 1..3 of kaggle-line: looks like class-index, from 0"),
        ("kaggle-line", DOG, f"'{DOG}' looks like a wnid .expected a number, kaggle-line."),
        ("kaggle-line", "01", "'01' is no number of kaggle-line .*no zero before"),
        ("class-index", "1.0", "'1.0' is no number of class-index"),
        ("class-index", "-1", "'-1' is no number of class-index"),
    ],
)
def test_another_numbering_than_the_stated_one_is_refused(
    labels: str, word: str, message: str
) -> None:
    with pytest.raises(ChallengeError, match=rf"entry:2: {message}"):
        read(f"1\n{word}\n", labels=labels)


def write_kit(folder: Path) -> Path:
    """A kit of 2012 whose ids are not in the order of the wnids: cat, plane, dog, orange."""
    kind = KINDS[2012]
    classes = [CAT, PLANE, DOG, "n07747607"]
    rows = [KitSynset(kind(n), wnid, wnid, "", (), 1, 9) for n, wnid in enumerate(classes, 1)]
    children = tuple(map(kind, range(1, 5)))
    rows.append(KitSynset(kind(5), "n00001740", "entity", "", children, 19, 0))
    path = folder / "meta.mat"
    path.write_bytes(render_meta(2012, rows))
    return path


def test_ids_of_a_kit_are_read_with_the_kit_alone(tmp_path: Path) -> None:
    """The kit names its numbering; an id of a class that the challenge has not is refused."""
    kit = write_kit(tmp_path)
    assert read("1 3\n2\n", kit=kit).guesses[:, :2].tolist() == [[1, 0], [2, -1]]
    assert read("# labels: ilsvrc2012-id\n3\n\n", kit=kit).guesses[0, 0] == 0
    with pytest.raises(ChallengeError, match=r"labels: ilsvrc2012-id, and no development kit"):
        read("1\n2\n", labels="ilsvrc2012-id")
    with pytest.raises(ChallengeError, match=r"labels: ilsvrc2010-id, and no development kit"):
        read("1\n2\n", labels="ilsvrc2010-id", kit=kit)
    with pytest.raises(ChallengeError, match="ilsvrc2012-id 4 is n07747607, no class of this"):
        read("1\n4\n", kit=kit)
    with pytest.raises(ChallengeError, match=r"0 is not in 1\.\.4 of ilsvrc2012-id: looks like cl"):
        read("1\n0\n", kit=kit)


def test_what_a_file_states_must_fit() -> None:
    """Challenge and split, and nothing else; each once, and before the first answer."""
    lines = f"{DOG}\n\n"
    stated = f"# challenge: {'1' * 64}\n#split:val\n"
    assert read(stated + lines).guesses[0, 0] == 0
    for header, message in (
        (f"# challenge: {'2' * 64}\n", "entry:1: made for challenge '2222.* .expected '1111"),
        ("# challenge:\n", "entry:1: made for challenge '' .expected '1111"),
        ("#\u00a0split: val\n", "entry:1: .* is no statement"),
        ("# split: val\u2003\n", "entry:1: made for split 'val.* .expected 'val'."),
        ("# split: train\n", "entry:1: made for split 'train' .expected 'val'."),
        ("# split: val\n# split: val\n", "entry:2: 'split' is stated twice"),
        ("# team: A\n", "entry:1: 'team' is no statement .expected a text for each of labels, cha"),
        ("# a remark\n", "entry:1: 'a remark' is no statement"),
        ("# labels: colour\n", "labels: 'colour' .expected wnid, ilsvrc2010-id"),
    ):
        with pytest.raises(ChallengeError, match=message):
            read(header + lines)
    with pytest.raises(ChallengeError, match="entry:2: '#' is no class"):
        read(f"{DOG}\n# split: val\n")


def test_formats_are_told_by_the_ending_of_the_name(tmp_path: Path) -> None:
    contents = {
        "entry.txt": f"{DOG}\n{CAT}\n",
        "entry": f"{DOG}\n{CAT}\n",
        "entry.CSV": f"ImageId,PredictionString\nval_2,{CAT}\nval_1,{DOG}\n",
        "entry.jsonl": f'{{"image":"val_1","labels":["{DOG}"]}}\n'
        f'{{"image":"val_2","labels":["{CAT}"]}}',
    }
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
        assert load_answers(tmp_path / name, TASK).guesses[:, 0].tolist() == [0, 1], name
    with pytest.raises(ChallengeError, match=r"entry\.csv: cannot be read .No such file"):
        load_answers(tmp_path / "entry.csv", TASK)
    with pytest.raises(ChallengeError, match="format: 'xml' "):
        load_answers(tmp_path / "entry.txt", TASK, Form(format="xml"))


def test_a_task_holds_nothing_of_the_truth(tmp_path: Path) -> None:
    """Names are those that participants see, of a sealed split the public ones."""
    images = [Entry("dog_1", DOG), Entry("cat_1", CAT)]
    splits = {"train": images, "minival": images, "val": images, "test": images[::-1]}
    challenge = save_challenge(tmp_path / "pets", (DOG, CAT), splits)
    assert task_of(challenge, "val").names == ("dog_1", "cat_1")
    task = task_of(challenge, "test")
    assert task.names == ("test_00000001", "test_00000002")
    assert (task.wnids, task.split, task.version) == ((DOG, CAT), "test", challenge.version)
    challenge.sealed_path.unlink()
    assert task_of(challenge, "test") == task


def test_images_of_the_same_name_cannot_be_answered_by_name() -> None:
    task = Task((DOG, CAT), 2, ("1", "1"), "val")
    with pytest.raises(ChallengeError, match="images of val cannot be told apart by name"):
        ByName(task, Faults("entry"))
    assert read(f"{DOG}\n{CAT}\n", task).guesses[:, 0].tolist() == [0, 1]
