"""A participant's day: a kit, an entry, its score; nothing tells the labels of a sealed test."""

from __future__ import annotations

import io
import random
import re
import tarfile

import pytest
from fastapi.testclient import TestClient

from imagetree.challenge.definition import Entry, save_challenge
from imagetree.database import open_database
from imagetree.leaderboard.boards import BoardConfig, close_board, open_board
from imagetree.leaderboard.entries import entries
from imagetree.web.app import create_app
from imagetree.web.settings import Settings

from .test_accounts import enter, post

WNIDS = ("n02084071", "n02121808", "n02691156", "n02958343", "n07747607", "n07753592")
SECRET = "zebra"  # in the name of every image of test, which no page may show


@pytest.fixture
def challenge(tmp_path):
    """Six classes, 60 images of test in an order that tells nothing."""
    drawn = random.Random(0)
    splits = {
        split: [Entry(f"{split}_{wnid}_{n}", wnid) for wnid in WNIDS for n in range(10)]
        for split in ("train", "minival", "val")
    }
    secret = [Entry(f"{SECRET}_{wnid}_{n}", wnid) for wnid in WNIDS for n in range(10)]
    drawn.shuffle(secret)
    return save_challenge(tmp_path / "pets", WNIDS, splits | {"test": secret})


@pytest.fixture
def app(site_place, challenge):
    with open_database(site_place) as store:
        open_board(store, "pets-2026", challenge, BoardConfig(title="Pets <2026>", rank_k=1))
        open_board(store, "val", challenge, BoardConfig(split="val"))
    return create_app(Settings(str(site_place)))


@pytest.fixture
def client(app):
    with TestClient(app, follow_redirects=False) as client:
        yield client


def answers(challenge, wrong=0, split="test") -> bytes:
    rows = [entry.wnid for entry in challenge.read_split(split)]
    rows[:wrong] = [WNIDS[(WNIDS.index(wnid) + 1) % 6] for wnid in rows[:wrong]]
    return "".join(f"{row}\n" for row in rows).encode()


def send(client, data, board="pets-2026", team="SuperVision", **fields):
    client.get(f"/challenges/{board}/submit")
    return client.post(
        f"/challenges/{board}/submit",
        data={"csrf": client.cookies["csrf"], "team": team, "members": "Ada", **fields},
        files={"file": ("answers.txt", data)},
    )


def test_boards_and_what_they_ask(client) -> None:
    page = client.get("/challenges").text
    assert "Pets &lt;2026&gt;" in page
    page = client.get("/challenges/pets-2026").text
    assert "60 images of test" in page
    assert "No entry yet." in page
    found = client.get("/challenges/pets-2026.json").json()
    assert (found["num_classes"], found["is_sealed"], found["rows"]) == (6, True, [])
    assert "challenge" not in found  # the folder is the keeper's business
    assert "dog" in client.get("/challenges/pets-2026/classes").text
    for path in (
        "/challenges/x",
        "/challenges/x.json",
        "/challenges/x/submit",
        "/teams/1",
        "/challenges/pets-2026/entries/1",
        "/challenges/x/leaderboard.csv",
    ):
        if path.endswith("submit"):
            continue
        assert client.get(path).status_code == 404, path


def test_an_entry_is_sent_scored_and_ranked(client, challenge) -> None:
    assert client.get("/challenges/pets-2026/submit").status_code == 303
    enter(client)
    found = send(
        client,
        answers(challenge, 6),
        title="one <network>",
        method="SGD",
        description="line\none",
        extra_data="yes",
    )
    assert found.status_code == 303, found.text
    page = client.get(found.headers["location"]).text
    assert "The entry is scored." in page
    assert "10.00%" in page
    assert "one &lt;network&gt;" in page
    assert "Withdraw this entry" in page
    assert "Figures by class are shown once the challenge is closed." in page
    board = client.get("/challenges/pets-2026")
    assert "SuperVision" in board.text
    assert "10.00%" in board.text
    csv = client.get("/challenges/pets-2026/leaderboard.csv")
    assert csv.headers["content-type"].startswith("text/csv")
    assert "SuperVision" in csv.text
    [row] = client.get("/challenges/pets-2026.json").json()["rows"]
    assert (row["team"], row["rank"], row["uses_extra_data"]) == ("SuperVision", 1, True)
    team = client.get("/teams/1.json").json()
    assert [each["title"] for each in team["entries"]] == ["one <network>"]
    assert "Ada" in client.get("/teams/1").text
    assert "has sent 1 of 2 entries" in client.get("/challenges/pets-2026/submit").text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"n02084071\n" * 59, "59"),
        (b"n99999999\n" + b"n02084071\n" * 59, "answers.txt:1: "),
        (
            b"n02084071 n02121808 n02691156 n02958343 n07747607 n07753592\n" * 60,
            "answers.txt:20: 6 guesses (expected at most 5)",
        ),
        ("\ufeffn02084071\n".encode("utf-16") * 30, "UTF-16 (expected plain UTF-8 text"),
        (b"", "0 lines (expected one for each of 60 images)"),
        (b"\x00" * 100, "expected plain UTF-8 text"),
    ],
)
def test_a_refused_entry_says_why_and_counts_nothing(client, site_place, data, said) -> None:
    enter(client)
    found = send(client, data)
    assert found.status_code == 400
    assert "Nothing was counted" in found.text
    assert said in found.text
    assert SECRET not in found.text
    with open_database(site_place) as store:
        assert entries(store, "pets-2026") == ()
    assert "has sent 0 of 2" in client.get("/challenges/pets-2026/submit").text


def test_the_limit_and_the_same_bytes_again(client, challenge) -> None:
    enter(client)
    for wrong in (1, 2):
        assert send(client, answers(challenge, wrong)).status_code == 303
    again = send(client, answers(challenge, 1))
    assert again.status_code == 303
    assert "here already" in client.get(again.headers["location"]).text
    found = send(client, answers(challenge, 3))
    assert found.status_code == 400
    assert "The next may come on" in found.text


def test_a_team_is_its_founders(client, app, challenge) -> None:
    """Nobody else sends for it or withdraws what it sent."""
    enter(client)
    send(client, answers(challenge, 1))
    with TestClient(app, follow_redirects=False) as other:
        enter(other, "Eve")
        taken = send(other, answers(challenge), team="supervision")
        assert taken.status_code == 400
        assert "is there already" in taken.text
        refused = post(other, "/challenges/pets-2026/entries/1/withdraw")
        assert refused.status_code == 403
        assert send(other, answers(challenge), team="Other").status_code == 303
        assert "Withdraw this" not in other.get("/challenges/pets-2026/entries/1").text
    assert post(client, "/challenges/pets-2026/entries/1/withdraw").status_code == 303
    assert "withdrawn on" in client.get("/challenges/pets-2026/entries/1").text


def test_figures_by_class_come_with_the_close(client, challenge, site_place) -> None:
    enter(client)
    send(client, answers(challenge, 6))
    assert client.get("/challenges/pets-2026/entries/1.json").json()["classes"] is None
    with open_database(site_place) as store:
        close_board(store, "pets-2026")
    classes = client.get("/challenges/pets-2026/entries/1.json").json()["classes"]
    assert sum(each["error"] * each["num_images"] for each in classes) == pytest.approx(6)
    assert "By class" in client.get("/challenges/pets-2026/entries/1").text
    assert send(client, answers(challenge, 5)).status_code == 400


def test_the_kit_and_the_images_tell_no_secret(client, challenge) -> None:
    """The kit has the truth of val and nothing of test but public names."""
    kit = client.get("/challenges/pets-2026/kit.tar.gz")
    assert kit.content == client.get("/challenges/pets-2026/kit.tar.gz").content
    with tarfile.open(fileobj=io.BytesIO(kit.content)) as tar:
        for member in tar.getmembers():
            data = tar.extractfile(member).read() if member.isfile() else b""
            assert SECRET.encode() not in data
    assert client.get("/challenges/pets-2026/test.tar").status_code == 404
    challenge.folder.with_name("pets.test.tar").write_bytes(b"x" * 5000)
    part = client.get("/challenges/pets-2026/test.tar", headers={"Range": "bytes=10-19"})
    assert (part.status_code, len(part.content)) == (206, 10)
    assert "Images of test" in client.get("/challenges/pets-2026").text


class ClosedGate:
    """Nobody has accepted the terms."""

    terms_path = "/terms"

    def account_of(self, _request) -> str:
        return ""

    def may_download(self, _account) -> bool:
        return False


def test_kit_and_images_are_for_who_accepted_the_terms(client, app, challenge) -> None:
    """And no cache between keeps them for others."""
    challenge.folder.with_name("pets.test.tar").write_bytes(b"x" * 5000)
    paths = ("/challenges/pets-2026/kit.tar.gz", "/challenges/pets-2026/test.tar")
    for path in paths:
        found = client.get(path)
        assert (found.status_code, "private" in found.headers["Cache-Control"]) == (200, True)
    app.state.site.gate = ClosedGate()
    assert [client.get(path).status_code for path in paths] == [403, 403]


def test_no_page_holds_the_sealed_labels(client, challenge) -> None:
    """Every address of a challenge, as page and twin: no true name of an image of test."""
    enter(client)
    send(client, answers(challenge, 6))
    seen, waiting = (
        set(),
        [
            "/challenges",
            "/challenges.json",
            "/teams/1.json",
            "/challenges/pets-2026.json?view=all",
            "/challenges/pets-2026/entries/1.json",
        ],
    )
    while waiting:
        path = waiting.pop()
        seen.add(path)
        text = client.get(path).text
        assert SECRET not in text, path
        assert str(challenge.folder) not in text, path
        for link in re.findall(r'href="(/(?:challenges|teams)[^"]*)"', text):
            if link not in seen and not link.endswith(("logout", "tar.gz")):
                waiting.append(link)
                seen.add(link)
    assert len(seen) > 12
