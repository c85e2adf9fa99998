"""Entries sent to a leaderboard: taken, refused, sent again, withdrawn; what is told of them."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import asdict

import pytest

from imagetree.challenge.answers import Form
from imagetree.challenge.score import score_submission
from imagetree.database import open_database
from imagetree.errors import ChallengeError, ImagetreeError
from imagetree.leaderboard.audit import read_log
from imagetree.leaderboard.boards import BoardConfig, close_board, open_board
from imagetree.leaderboard.entries import Submission, entries, submit, withdraw
from imagetree.leaderboard.ranking import standings
from imagetree.leaderboard.rescoring import entry_figures
from imagetree.leaderboard.scoring import SCORER
from imagetree.leaderboard.tables import public_facts
from imagetree.leaderboard.teams import add_team

from .conftest import BOARD, NUM_TEST, WNIDS, write_challenge


def test_errors_are_those_of_the_challenge_score(send, challenge, answer):
    """Error at 1 and 5, hierarchical, with intervals: as `imagetree challenge score` has them."""
    path = answer("a.txt", wrong=60, far=20)
    entry = send(path, title="A").entry
    assert entry.errors == score_submission(challenge, path, split="test").top
    assert [(top.k, top.num_misses, top.error) for top in entry.errors] == [
        (1, 60, 60 / NUM_TEST),
        (5, 20, 20 / NUM_TEST),
    ]
    assert entry.error_at(5).interval.low < 0.05 < entry.error_at(5).interval.high
    assert (entry.scorer, entry.team, entry.title) == (SCORER, "Ada", "A")
    assert (entry.submitted_at, entry.format) == ("2026-03-01T12:00:00+00:00", "text")


def test_file_is_kept_under_its_hash_for_its_owner_alone(send, board, answer):
    path = answer("a.txt", 5)
    entry = send(path).entry
    kept = board.entries_folder / entry.sha256
    assert kept.read_bytes() == path.read_bytes()
    assert entry.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert entry.size_bytes == path.stat().st_size
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [each.name for each in board.entries_folder.iterdir()] == [entry.sha256]


def test_refused_file_leaves_nothing_and_counts_nothing(database, send, board, answer, tmp_path):
    """It is in the log with its faults, and the team may still send both entries of its week."""
    bad = tmp_path / "bad.txt"
    bad.write_text("n02084071 n02084071\n")
    for _ in range(3):
        with pytest.raises(ChallengeError, match=r"bad\.txt:1: a class is guessed twice"):
            send(bad)
    assert list(board.entries_folder.iterdir()) == []
    assert entries(database, BOARD) == ()
    rows = [row for row in read_log(database, BOARD) if row.action == "refused"]
    assert [(row.team, row.who, row.entry_id) for row in rows] == [("Ada", "ada", None)] * 3
    assert all("a class is guessed twice" in row.note for row in rows)
    send(answer("a.txt", 1))
    send(answer("b.txt", 2))


def test_same_bytes_of_the_team_are_the_same_entry(database, send, time, answer):
    """It says which, and takes no place of the limit; not even where none is left."""
    first = send(answer("a.txt", 1))
    send(answer("b.txt", 2))
    time.pass_by(days=1)
    again = send(answer("renamed.txt", 1), title="another title")
    assert (first.is_replay, again.is_replay) == (False, True)
    assert again.entry == first.entry
    assert len(entries(database, BOARD)) == 2
    assert [row.entry_id for row in read_log(database) if row.action == "replayed"] == [1]
    with pytest.raises(ChallengeError, match="has sent 2 entries"):
        send(answer("c.txt", 3))


def test_same_bytes_of_another_team_are_marked(database, send, answer):
    """They are an entry; its keeper sees whose bytes they are, others do not."""
    path = answer("a.txt", 1)
    first, second = send(path).entry, send(path, "Grace").entry
    assert (first.equal_to, second.equal_to) == (None, first.id)
    assert second.errors == first.errors
    (row,) = [row for row in read_log(database) if row.team == "Grace" and row.entry_id]
    assert row.note == f"the bytes of entry {first.id}, of another team"
    assert "equal_to" not in str(public_facts(standings(database, BOARD, "all")))


def test_limit_is_of_seven_days_to_the_second(send, time, answer):
    """Two entries; the third may come when the first is a week old, and not before."""
    send(answer("a.txt", 1))
    time.pass_by(days=3)
    send(answer("b.txt", 2))
    third = answer("c.txt", 3)
    time.pass_by(days=4, seconds=-1)
    with pytest.raises(ChallengeError, match="2 entries in the last seven days") as caught:
        send(third)
    assert caught.value.hint == "the next one may come from 2026-03-08T12:00:00+00:00 on"
    time.pass_by(seconds=1)
    assert send(third).entry.submitted_at == "2026-03-08T12:00:00+00:00"
    with pytest.raises(ChallengeError, match="last seven days"):
        send(answer("d.txt", 4))


def test_limit_is_each_teams_and_each_boards(database, challenge, send, time, answer, tmp_path):
    for name in ("a.txt", "b.txt"):
        send(answer(name, len(name), seed=ord(name[0])))
    send(answer("c.txt", 3), "Grace")
    open_board(database, "other", challenge, BoardConfig(entries=tmp_path / "entries"))
    submission = Submission(path=answer("d.txt", 4), team="Ada")
    assert submit(database, "other", submission, clock=time).entry.id == 4


def test_withdrawn_entry_stays_and_counts(database, send, answer):
    entry = send(answer("a.txt", 1)).entry
    send(answer("b.txt", 2))
    assert withdraw(database, entry.id, "ada").withdrawn_at is not None
    with pytest.raises(ChallengeError, match="has sent 2 entries"):
        send(answer("c.txt", 3))
    assert [each.id for each in entries(database, BOARD)] == [1, 2]
    with pytest.raises(ChallengeError, match="entry 1 was withdrawn on"):
        withdraw(database, entry.id)
    with pytest.raises(ChallengeError, match="no entry 99"):
        withdraw(database, 99)


def test_closed_board_takes_nothing(database, send, answer):
    entry = send(answer("a.txt", 1)).entry
    close_board(database, BOARD, "keeper")
    with pytest.raises(ChallengeError, match="was closed on"):
        send(answer("b.txt", 2))
    with pytest.raises(ChallengeError, match="was closed on"):
        withdraw(database, entry.id)
    with pytest.raises(ChallengeError, match="was closed on"):
        close_board(database, BOARD)
    assert [row.action for row in read_log(database, BOARD)] == [
        *("opened", "submitted", "closed", "refused")
    ]


def test_figures_by_class_are_sealed_until_the_board_is_closed(database, challenge, send, answer):
    path = answer("a.txt", 30)
    entry = send(path).entry
    with pytest.raises(ChallengeError, match="sealed until it is closed"):
        entry_figures(database, entry.id)
    close_board(database, BOARD)
    expected = score_submission(challenge, path, split="test")
    assert asdict(entry_figures(database, entry.id)) == asdict(expected)


def test_board_may_show_figures_by_class(database, challenge, board, answer, tmp_path):
    """By its own option, and on a split whose labels are known anyway without one."""
    folder = tmp_path / "entries"
    open_board(database, "shown", challenge, BoardConfig(shows_classes=True, entries=folder))
    entry = submit(database, "shown", Submission(path=answer("a.txt", 30), team="Ada")).entry
    assert len(entry_figures(database, entry.id).classes) == len(WNIDS)
    assert not board.shows_classes
    assert open_board(
        database, "val", challenge, BoardConfig(split="val", entries=folder)
    ).shows_classes


REFUSED = {
    "no_answer.txt": b"",
    "few.txt": b"n02084071\n" * (NUM_TEST - 1),
    "many.txt": b"n02084071\n" * (NUM_TEST + 1),
    "other.txt": b"n02084071\n" * (NUM_TEST - 1) + b"n00001740\n",
    "numbers.txt": b"5\n" * NUM_TEST,
    "twice.csv": b"ImageId,PredictionString\n" + b"test_00000001,n02084071\n" * NUM_TEST,
    "unknown.csv": b"ImageId,PredictionString\nimage_3,n02084071\n",
    "val.txt": b"# split: val\n" + b"n02084071\n" * NUM_TEST,
    "six.txt": b"%s\n" % " ".join(WNIDS[:6]).encode() * NUM_TEST,
    "nan.jsonl": b'{"image": "test_00000001", "scores": {"n02084071": NaN}}\n',
    "binary.txt": b"\x00\x01",
}


def test_refusals_say_nothing_of_the_truth(tmp_path):
    """Boards whose sealed classes all differ refuse the same files word for word."""
    said = []
    for shift in (0, 3):
        folder = tmp_path / str(shift)
        challenge = write_challenge(folder / "pets", shift)
        with open_database(folder / "images.db", create=True) as database:
            open_board(database, BOARD, challenge, BoardConfig(weekly_limit=50))
            add_team(database, "Ada")
            said.append({})
            for name, data in REFUSED.items():
                path = folder / name
                path.write_bytes(data)
                with pytest.raises(ChallengeError) as caught:
                    submit(database, BOARD, Submission(path=path, team="Ada"))
                said[-1][name] = (caught.value.message, caught.value.hint)
            notes = [row.note for row in read_log(database) if row.action == "refused"]
            assert notes == [message for message, _ in said[-1].values()]
    assert said[0] == said[1]
    assert "image_" not in str({k: v for k, v in said[0].items() if k != "unknown.csv"})


def test_public_names_are_taken_in_any_order(send, challenge, answer):
    """A table by the names of test.tsv is scored as the lines in order are."""
    lines = answer("a.txt", 7).read_text().splitlines()
    names = challenge.read_names("test")
    rows = [f"{name},{line}\n" for name, line in zip(names, lines, strict=True)][::-1]
    path = answer("b.csv", 7)
    path.write_text("ImageId,PredictionString\n" + "".join(rows))
    assert send(path).entry.errors == send(answer("a.txt", 7)).entry.errors


def test_numbers_are_read_as_stated(send, answer, tmp_path):
    path = answer("a.txt", 4)
    index = {wnid: str(number) for number, wnid in enumerate(WNIDS)}
    text = "".join(
        " ".join(index[wnid] for wnid in line.split()) + "\n"
        for line in path.read_text().splitlines()
    )
    numbers = tmp_path / "numbers.txt"
    numbers.write_text(text)
    entry = send(numbers, form=Form(labels="class-index")).entry
    assert entry.labels == "class-index"
    assert entry.errors == send(path).entry.errors


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (Form(format="synsets"), "have no error at 5 guesses"),
        (Form(labels="ilsvrc2012-id"), "labels: ilsvrc2012-id .expected wnid"),
    ],
)
def test_what_cannot_be_ranked_or_read_alone_is_refused(send, answer, form, message):
    path = answer("a.txt", 1)
    path.write_text("n02084071\n" * NUM_TEST)
    with pytest.raises(ChallengeError, match=message):
        send(path, form=form)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"title": "a\x1b[2J"}, "title .*not a name"),
        ({"title": "abc\u202edcba"}, "title .*not a name"),  # turns the direction of writing
        ({"description": "x" * 4001}, r"description: 4,001 characters"),
        ({"method": "a\x00b"}, r"method: the character U\+0000 does not print"),
        ({"team": "Nobody"}, "no team 'Nobody'"),
    ],
)
def test_words_are_checked(send, answer, more, message):
    with pytest.raises(ChallengeError, match=message):
        send(answer("a.txt", 1), **more)


def test_file_that_is_none_is_refused(send, tmp_path):
    with pytest.raises(ChallengeError, match="no file is there"):
        send(tmp_path)
    with pytest.raises(ChallengeError, match="no file is there"):
        send(tmp_path / "missing.txt")


def test_without_the_sealed_labels_nothing_is_taken(database, send, challenge, answer):
    """It is no refusal of the file, which counts nothing and is not logged as refused."""
    path = answer("a.txt", 1)
    challenge.sealed_path.unlink()
    with pytest.raises(ChallengeError, match="are sealed"):
        send(path)
    assert [row.action for row in read_log(database, BOARD)] == ["opened"]


def test_folder_that_cannot_be_written_is_an_error(database, challenge, answer, tmp_path):
    (tmp_path / "file").write_text("")
    config = BoardConfig(entries=tmp_path / "file" / "entries")
    open_board(database, "b", challenge, config)
    add_team(database, "Ada")
    with pytest.raises(ImagetreeError, match="cannot be written"):
        submit(database, "b", Submission(path=answer("a.txt", 1), team="Ada"))
    assert entries(database, "b") == ()
