"""Tables, JSON lines and hierarchical answers: each parser against its rules."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from imagetree.challenge.answers import Form, Task
from imagetree.challenge.formats import FORMATS
from imagetree.challenge.metrics import guesses_from_scores
from imagetree.challenge.submission import iter_probabilities, parse_answers
from imagetree.errors import ChallengeError

if TYPE_CHECKING:
    from imagetree.challenge.answers import Answers

DOG, CAT, PLANE = "n02084071", "n02121808", "n02691156"
TASK = Task((DOG, CAT, PLANE), 3, ("val_1", "val_2", "a, b.JPEG"), "val", "V")
HEADER = "ImageId,PredictionString\n"
ROWS = f"val_2,{CAT} {PLANE}\na, b.JPEG,\nval_1,{DOG}\n"


def read(form: str, text: str, task: Task = TASK, labels: str | None = None) -> Answers:
    stream = io.BytesIO(text.encode())
    return parse_answers(stream, task, Form(format=form, labels=labels), where="entry")


def refused(form: str, text: str, message: str, **how: object) -> None:
    with pytest.raises(ChallengeError, match=message):
        read(form, text, **how)


def test_the_example_of_every_format_is_one() -> None:
    """What `imagetree challenge formats` prints is accepted as it stands."""
    task = Task((DOG, CAT), 2, ("val_1", "val_2"), "val")
    for layout in FORMATS.values():
        text = layout.example
        if layout.name == "jsonl":
            text += text.replace("val_1", "val_2")
        answers = read(layout.name, text, task)
        assert answers.format == layout.name
        assert answers.guesses[0, 0] == 0


def test_a_table_answers_by_name_in_any_order() -> None:
    """Only the last comma parts: names may have others. An empty prediction is no guess."""
    guesses = read("csv", HEADER + ROWS).guesses
    assert guesses[:, :2].tolist() == [[0, -1], [1, 2], [-1, -1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ROWS, r"entry:1: 'val_2,n02121808 n02691156' .expected the header ImageId,Prediction"),
        (HEADER + ROWS + f"val_2,{CAT}\n", "entry:5: 'val_2' is answered twice"),
        (HEADER + ROWS + "val_9,\n", "entry:5: 'val_9' is no image of val"),
        (HEADER + ROWS + "val_1.JPEG,\n", "entry:5: .*expected 'val_1', without its ending"),
        (HEADER + ROWS.replace(f"val_1,{DOG}\n", ""), "entry: no answer for image 'val_1'"),
        (HEADER + ROWS.replace(",", ";"), "entry:2: no comma"),
        (HEADER + ROWS.replace("val_1", '"val_1"'), "entry:4: '\"val_1\"' is no image"),
        (HEADER + ROWS.replace(PLANE, CAT), "entry:2: a class is guessed twice"),
        (HEADER + ROWS + "\n", "entry:5: no comma"),
    ],
)
def test_faults_of_a_table(text: str, message: str) -> None:
    refused("csv", text, message)


def test_a_name_that_is_no_utf8_is_no_image() -> None:
    task = Task((DOG, CAT), 1, (r"a\xff",), "val")
    data = HEADER.encode() + b"a\xff," + DOG.encode()
    with pytest.raises(ChallengeError, match="entry:2: the name of the image is no UTF-8"):
        parse_answers(io.BytesIO(data), task, Form(format="csv"), where="entry")


def test_kaggles_labels_are_lines_from_1_with_boxes() -> None:
    rows = "val_2,2 10 20 30 40.5 3 0 0 0 0\nval_1,1 5 5 6 6\na, b.JPEG,\n"
    assert read("kaggle", HEADER + rows).guesses[:, :2].tolist() == [[0, -1], [1, 2], [-1, -1]]
    named = HEADER + rows.replace("2 10", f"{CAT} 10").replace("1 5", f"{DOG} 5")
    refused("kaggle", named, f"'{CAT}' looks like a wnid")
    named = named.replace("3 0 0 0 0", f"{PLANE} 0 0 0 0")
    assert read("kaggle", named, labels="wnid").guesses[1, :2].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("2 10 20 30", r"4 words .expected a label and the four numbers .*--format csv"),
        ("2 10 20 30 x", "'10 20 30 x' is no box"),
        ("2 10 20 -30 40", "'10 20 -30 40' is no box"),
        ("2 10 20 1e3 40", "'10 20 1e3 40' is no box"),
        ("2 10 20 nan 40", "'10 20 nan 40' is no box"),
        ("2 30 20 10 40", "'30 20 10 40' is no box: it ends before it begins"),
        ("2 1 9 5 8", "'1 9 5 8' is no box: it ends before it begins"),
        ("2 1 1 5 8 2 1 1 5 8", "a class is guessed twice"),
        ("0 1 1 5 8", "0 is not in 1..3 of kaggle-line: looks like class-index"),
    ],
)
def test_faults_of_kaggles_table(words: str, message: str) -> None:
    refused(
        "kaggle", f"{HEADER}val_1,1 0 0 9 9\nval_2,{words}\na, b.JPEG,\n", f"entry:3: {message}"
    )


def test_boxes_read_as_labels_are_found_out() -> None:
    """Numbers fit both tables; but twenty rows of random labels never all look like boxes."""
    wnids = tuple(f"n{number:08}" for number in range(100))
    task = Task(wnids, 20, tuple(f"val_{n}" for n in range(20)), "val")
    boxes = HEADER + "".join(f"{name},7 10 20 30 40\n" for name in task.names)
    refused(
        "csv",
        boxes,
        "look like a label and its box each: --format kaggle",
        task=task,
        labels="kaggle-line",
    )
    labels = boxes.replace("val_3,7 10 20 30 40", "val_3,7 30 20 10 40")
    assert read("csv", labels, task, "kaggle-line").guesses[3].tolist() == [6, 29, 19, 9, 39]


def objects(*rows: dict[str, object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


OTHERS = ({"image": "val_2", "labels": []}, {"image": "a, b.JPEG", "labels": [PLANE, DOG]})
SCORES = {DOG: 0.25, CAT: 0.25, PLANE: 0.5}


def test_labels_in_json() -> None:
    text = objects(*OTHERS, {"image": "val_1", "labels": [CAT]})
    assert read("jsonl", text).guesses[:, :2].tolist() == [[1, -1], [-1, -1], [2, 0]]
    text = objects({"labels": "class-index", "split": "val"}, *OTHERS).replace(f'"{PLANE}"', "2")
    text = text.replace(f'"{DOG}"', "0") + objects({"image": "val_1", "labels": [1]})
    assert read("jsonl", text).guesses[:, :2].tolist() == [[1, -1], [-1, -1], [2, 0]]


def test_probabilities_in_json() -> None:
    """Ordered by probability, equal ones by class index, whatever their order in the object."""
    mixed = dict(reversed(SCORES.items()))
    text = objects(*({"image": name, "scores": mixed} for name in reversed(TASK.names)))
    answers = read("jsonl", text)
    assert answers.guesses.tolist() == [[2, 0, 1, -1, -1]] * 3
    assert answers.probabilities is not None
    assert np.array_equal(answers.probabilities, np.float32([[0.25, 0.25, 0.5]] * 3))


def test_probabilities_written_are_read_back_to_the_last_bit() -> None:
    """Tiny ones too, and names that JSON escapes; so the guesses are those of the network."""
    logits = np.random.default_rng(6).normal(0, 9, (3, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities = shares.astype(np.float32)
    task = Task((DOG, CAT, PLANE), 3, ("a", 'b"\\', "é"), "val")
    text = "".join(iter_probabilities(probabilities, task.names, task.wnids))
    answers = read("jsonl", text, task)
    assert answers.probabilities is not None
    assert np.array_equal(answers.probabilities, probabilities)
    assert np.array_equal(answers.guesses[:, :3], guesses_from_scores(probabilities, 3))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "no JSON at character 1"),
        ("[]", "no JSON object"),
        ("{", "no JSON at character"),
        ("[" * 5000, "objects or lists too deep"),
        ('{"labels": []}', "no image .expected its name"),
        ('{"image": 1, "labels": []}', "no image .expected its name"),
        ('{"image": "val_1"}', "the keys beside image are none"),
        (
            '{"image": "val_1", "labels": [], "scores": {}}',
            "the keys beside image are labels, scores",
        ),
        ('{"image": "val_1", "labels": [], "labels": []}', "the key 'labels' is there twice"),
        ('{"image": "val_1", "labels": "n02084071"}', "labels: no list of texts"),
        ('{"image": "val_1", "labels": [1]}', "labels: no list of texts"),
        (f'{{"image": "val_1", "labels": ["{DOG}", "{DOG}"]}}', "a class is guessed twice"),
        ('{"image": "val_1", "labels": ["1", "2", "3"]}', "'1' is no class but a number"),
        ('{"image": "val_1", "scores": {}}', "scores where the lines before have labels"),
        ('{"image": "val_2", "labels": []}', "'val_2' is answered twice"),
    ],
)
def test_faults_of_json(line: str, message: str) -> None:
    refused("jsonl", objects(*OTHERS) + line + "\n", f"entry:3: {message}")


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ('{"%s": NaN, "%s": 0.5, "%s": 0.5}', "NaN is no number of JSON"),
        ('{"%s": Infinity, "%s": 0.5, "%s": 0.5}', "Infinity is no number of JSON"),
        ('{"%s": 1e999, "%s": 0.5, "%s": 0.5}', "scores: a value is infinite"),
        ('{"%s": -0.5, "%s": 0.5, "%s": 1.0}', r"scores: a value is not in 0..1"),
        ('{"%s": 4.5, "%s": 0.5, "%s": 1.0}', r"scores: a value is not in 0..1"),
        ('{"%s": true, "%s": 0, "%s": 0}', "scores: 'True' is no number"),
        ('{"%s": null, "%s": 0, "%s": 1}', "scores: 'None' is no number"),
        ('{"%s": "1", "%s": 0, "%s": 0}', "scores: '1' is no number"),
        ('{"%s": 0.3, "%s": 0.3, "%s": 0.3}', r"scores: their sum is 0.9 .expected 1."),
        ("[]", "scores: no object"),
    ],
)
def test_faults_of_probabilities(scores: str, message: str) -> None:
    text = f'{{"image": "val_1", "scores": {scores}}}\n'
    refused("jsonl", text % (DOG, CAT, PLANE) if "%s" in text else text, f"entry:1: {message}")


def test_the_sum_of_probabilities_may_miss_1_by_rounding_alone() -> None:
    for more, is_near in ((0.0009, True), (-0.0009, True), (0.0011, False), (-0.0011, False)):
        row = {DOG: 0.5 + more, CAT: 0.5, PLANE: 0}
        text = objects(*({"image": name, "scores": row} for name in TASK.names))
        if is_near:
            assert read("jsonl", text).guesses[0, :2].tolist() == ([0, 1] if more > 0 else [1, 0])
        else:
            refused("jsonl", text, "entry:1: scores: their sum is")


def test_truth_values_are_no_numbers() -> None:
    rest = objects(*({**row, "labels": []} for row in OTHERS))
    text = rest + objects({"image": "val_1", "labels": [True]})
    refused("jsonl", text, "labels: no list of whole numbers, class-index", labels="class-index")


def test_probabilities_are_of_every_class_and_no_other() -> None:
    part = {DOG: 0.5, CAT: 0.5}
    refused("jsonl", objects({"image": "val_1", "scores": part}), "scores: 1 classes are missing")
    other = {**part, "n07747607": 0}
    refused("jsonl", objects({"image": "val_1", "scores": other}), r"'n07747607' .orange. is no cl")


def test_statements_in_json() -> None:
    rest = objects(*OTHERS, {"image": "val_1", "labels": [CAT]})
    assert read("jsonl", objects({"challenge": "V", "split": "val"}) + rest).guesses[0, 0] == 1
    refused("jsonl", objects({"challenge": "W"}) + rest, "made for challenge 'W' .expected 'V'.")
    refused("jsonl", objects({"team": "A"}) + rest, "entry:1: 'team' is no statement")
    refused("jsonl", objects({"split": 1}) + rest, "entry:1: 'split' is no statement")
    refused("jsonl", objects({}) + rest, "entry:1: no image")
    refused("jsonl", rest + objects({"split": "val"}), "entry:4: no image")


def test_hierarchical_answers_name_a_class_or_what_is_above() -> None:
    """Carnivore is above dog and cat; a kind of dog is not, nor is what has no class under it."""
    answers = read("synsets", f"n02075296\n{CAT}\nn00001740\n")
    assert answers.labels[:3] == TASK.wnids
    assert [answers.labels[g] for g in answers.guesses[:, 0]] == ["n02075296", CAT, "n00001740"]
    assert answers.guesses.shape == (3, 1)
    for line, message in (
        ("n02085374", "'n02085374' .toy dog, toy. is no class of this challenge"),
        ("", "no synset .one that says nothing is entity, n00001740."),
        (f"{DOG} {CAT}", "2 guesses .expected at most 1."),
        ("0", "'0' is no class but a number"),
    ):
        refused("synsets", f"{DOG}\n{line}\n{DOG}\n", f"entry:2: {message}")
    refused(
        "synsets", f"{DOG}\n" * 3, "labels are 'class-index' .expected wnid", labels="class-index"
    )
