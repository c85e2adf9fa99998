"""`imagetree leaderboard`: a board from its opening to its close, by commands."""

from __future__ import annotations

import json

import pytest

from imagetree.challenge.definition import Entry, save_challenge

DOG, CAT = "n02084071", "n02121808"
WNIDS = (DOG, CAT, "n02691156", "n02958343", "n07747607", "n07753592")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A challenge of six classes with a sealed test of 30 images; a database named by the shell."""
    splits = {
        split: [Entry(f"{split}_{wnid}_{n}", wnid) for wnid in WNIDS for n in range(5)]
        for split in ("train", "minival", "val", "test")
    }
    save_challenge(tmp_path / "pets", WNIDS, splits)
    monkeypatch.setenv("IMAGETREE_DATABASE", str(tmp_path / "board.db"))
    return tmp_path


@pytest.fixture
def entry(folder):
    """Writes answers to test with some wrong at the first guess."""

    def write(name, wrong):
        lines = [f"{wnid} {WNIDS[0]}" if wnid != DOG else f"{DOG} {CAT}" for wnid in WNIDS]
        rows = [line for line in lines for _ in range(5)]
        rows[:wrong] = [CAT] * wrong
        (folder / name).write_text("".join(f"{row}\n" for row in rows))
        return folder / name

    return write


@pytest.fixture
def board(folder, imagetree):
    said = imagetree("leaderboard", "open", "pets", folder / "pets", "--title", "Pets 2026")
    assert said.status == 0
    assert "test of" in said.out
    assert "ranked by the error at 5; 2 entries a team and week" in said.out
    for name in ("Ada", "=cmd()"):
        assert imagetree("leaderboard", "team", name, "--members", "two").status == 0
    return "pets"


def test_board_from_opening_to_close(board, imagetree, entry, folder):
    """What is shown, withdrawn, exported, rescored, logged, and told after the close."""
    words = ("--title", "one network", "--description", "eight layers", "--extra-data")
    said = imagetree("leaderboard", "submit", board, "Ada", entry("a.txt", 3), *words)
    assert (said.status, said.err) == (0, "")
    assert "entry 1, one network, of 20" in said.out
    assert "10.00%" in said.out
    again = imagetree("leaderboard", "submit", board, "Ada", entry("a.txt", 3))
    assert again.out.startswith("these bytes are here already: entry 1, one network")
    imagetree("leaderboard", "submit", board, "=cmd()", entry("b.txt", 2), "--who", "eve")
    shown = imagetree("leaderboard", "show", board).out
    assert shown.index("=cmd()") < shown.index("Ada")
    assert "Pets 2026: 30 images of test, open" in shown
    assert "Pets 2026" in imagetree("leaderboard", "show").out
    assert imagetree("leaderboard", "figures", 1).status == 1
    withdrawn = imagetree("leaderboard", "withdraw", 2)
    assert withdrawn.out == "entry 2, b.txt of =cmd(): withdrawn\n"
    assert "=cmd()" not in imagetree("leaderboard", "show", board).out
    listed = imagetree("leaderboard", "entries", board).out
    assert "withdrawn 20" in listed
    assert "eve" in listed
    assert imagetree("leaderboard", "rescore", board).out == "pets: 2 entries, 2 the same\n"
    assert "closed on" in imagetree("leaderboard", "close", board).out
    assert (
        DOG
        in json.loads(imagetree("leaderboard", "figures", 1, "--json").out)["classes"][0]["wnid"]
    )
    rows = json.loads(imagetree("leaderboard", "log", board, "--json").out)
    assert [row["action"] for row in rows] == [
        *("opened", "submitted", "replayed", "submitted", "withdrawn"),
        *("rescored", "rescored", "closed"),
    ]


@pytest.mark.parametrize(
    ("name", "start"), [("b.html", "<!doctype html>"), ("b.csv", '"rank",'), ("b.json", "{")]
)
def test_export_by_the_ending(board, imagetree, entry, folder, name, start):
    imagetree("leaderboard", "submit", board, "=cmd()", entry("a.txt", 3))
    said = imagetree("leaderboard", "export", board, folder / name, "--view", "all")
    assert said.out == f"{folder / name}: 1 entries\n"
    assert (folder / name).read_text().startswith(start)


def test_export_of_another_ending_is_an_error(board, imagetree, folder):
    said = imagetree("leaderboard", "export", board, folder / "b.xls")
    assert said.status == 1
    assert "expected .html, .csv or .json" in said.err


def test_results_page(board, imagetree, entry, folder):
    imagetree("leaderboard", "submit", board, "Ada", entry("a.txt", 3))
    imagetree("leaderboard", "export", board, folder / "r.html", "--style", "results")
    assert "Error (5 guesses)" in (folder / "r.html").read_text()


def test_refused_file_is_told_by_its_lines(board, imagetree, folder):
    (folder / "bad.txt").write_text("n00000000\n")
    said = imagetree("leaderboard", "submit", board, "Ada", folder / "bad.txt")
    assert said.status == 1
    assert "bad.txt:1: 'n00000000' is no class" in said.err
    assert "(and 1 more: --json)" in imagetree("leaderboard", "log", board).out


def test_limit_is_told_with_the_time_of_the_next(board, imagetree, entry):
    for wrong in (1, 2):
        imagetree("leaderboard", "submit", board, "Ada", entry(f"{wrong}.txt", wrong))
    said = imagetree("leaderboard", "submit", board, "Ada", entry("3.txt", 3))
    assert said.status == 1
    assert "hint: the next one may come from 20" in said.err


def test_rescoring_that_differs_ends_with_1(board, imagetree, entry, folder):
    imagetree("leaderboard", "submit", board, "Ada", entry("a.txt", 3))
    (kept,) = (folder / "board.db.entries").iterdir()
    kept.write_text("changed")
    said = imagetree("leaderboard", "rescore", board)
    assert said.status == 1
    assert "entry 1, a.txt of Ada" in said.out
    assert "changed since it was sent" in said.out


def test_moved_board(board, imagetree, folder):
    (folder / "pets").rename(folder / "moved")
    (folder / "pets.sealed.tsv").rename(folder / "moved.sealed.tsv")
    said = imagetree("leaderboard", "move", board, "--challenge", folder / "moved")
    assert said.out.startswith(f"pets: challenge in {folder / 'moved'}, entries in ")
