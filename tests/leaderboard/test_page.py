"""A leaderboard as page, table and JSON: what must be seen, and what must not run or be told."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from imagetree.leaderboard.boards import close_board
from imagetree.leaderboard.entries import withdraw
from imagetree.leaderboard.page import render_page
from imagetree.leaderboard.ranking import standings
from imagetree.leaderboard.tables import render_csv, render_json
from imagetree.leaderboard.teams import add_team

from ..conftest import need
from .conftest import BOARD

SCRIPT, FORMULA = "<script>alert(1)</script>", '=HYPERLINK("http://x")'
HOSTILE = '</td></tr><img src=x onerror="alert(2)"> & {{ 7 * 7 }}'


@pytest.fixture
def place(tmp_path):
    """Pages are made of what was read, whatever it was read from: SQLite alone."""
    return str(tmp_path / "images.db")


@pytest.fixture
def filled(database, send, answer, time):
    """Hostile words everywhere, and a withdrawn entry."""
    add_team(database, SCRIPT, HOSTILE)
    add_team(database, FORMULA, "+1")
    send(answer("a.txt", 60, far=20), SCRIPT, title="<b>A</b>", description=HOSTILE)
    send(answer("b.txt", 140, far=80), FORMULA, title="-1+2", method="@SUM(1)", description="+\n=2")
    send(answer("c.txt", 61, far=21, seed=1), "Ada", title="C", uses_extra_data=True)
    send(answer("d.txt", 61, far=21, seed=2), "Grace", title="D")
    withdraw(database, 4)
    return database


class Reader(html.parser.HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.words = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize("style", ["board", "results"])
@pytest.mark.parametrize("view", ["best", "all"])
def test_nothing_runs_and_nothing_is_fetched(filled, style, view):
    """Teams' words are text: no element, no attribute and no template is made of them."""
    page = render_page(standings(filled, BOARD, view), style)
    found = Reader(page)
    assert not {"script", "img", "b", "link", "iframe", "a"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on") or name == "src"]
    assert page.count("http://") == page.count("=HYPERLINK(&#34;http://x&#34;)") > 0
    assert "url(" not in page
    text = "".join(found.words)
    assert all(each in text for each in (SCRIPT, HOSTILE, FORMULA, "<b>A</b>"))
    assert page == render_page(standings(filled, BOARD, view), style)


def test_board_shows_each_entry_with_its_interval(filled):
    """A row for each, in order, with a bar from the interval's low to its high end."""
    shown = standings(filled, BOARD, "all")
    page = render_page(shown)
    found = Reader(page)
    text = "".join(found.words)
    assert page.count('class="bar"') == 4
    places = [text.index(f"{title}") for title in ("<b>A</b>", "-1+2")]
    assert places == sorted(places)
    labels = [value for name, value in found.attributes if name == "aria-label"]
    for row, label in zip(shown.rows, labels, strict=True):
        top = row.entry.error_at(5)
        low, high = top.interval
        assert label == (
            f"error {100 * top.error:.2f} %, between {100 * low:.2f} % and {100 * high:.2f} %"
        )
    bars = re.findall(r'<rect class="range" x="([\d.]+)" .*? width="([\d.]+)"', page)
    dots = re.findall(r'<circle class="dot" cx="([\d.]+)"', page)
    for (x, width), dot in zip(bars, dots, strict=True):
        assert 0 <= float(x) < float(dot) < float(x) + float(width) <= 280
    assert float(dots[0]) < float(dots[2]), "the worse entry is further to the right"
    assert page.count('class="tag">outside training data') == 1
    assert "≈ not significantly different from the one above" in text
    assert "(p = " not in text
    assert text.count("withdrawn on") == 1


def test_open_and_closed_are_told(filled):
    assert "2 entries a team and week" in render_page(standings(filled, BOARD))
    close_board(filled, BOARD)
    page = render_page(standings(filled, BOARD))
    assert "Closed on 20" in page
    assert "≈ not significantly different from the one above (p = " in page


def test_results_are_four_columns_as_in_2012(filled):
    """Team, entry, error of five guesses with five decimals, description; then the teams."""
    page = render_page(standings(filled, BOARD, "all"), "results")
    heads = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', page)
    assert heads == ["Team", "Entry", "Error (5 guesses)", "Description", "Team", "Members"]
    assert re.findall(r'class="n error">(.*?)<', page) == [
        "0.05000",
        "0.05250",
        "0.20000",
        "0.05250",
    ]


@pytest.mark.parametrize("style", ["board", "results"])
def test_board_without_entries(database, board, style):
    assert "No entry yet." in render_page(standings(database, BOARD), style)


def test_spreadsheets_run_nothing_of_the_table(filled):
    """No cell of text begins like a formula; behind the apostrophe is what was written."""
    text = render_csv(standings(filled, BOARD, "all"))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert not [c for row in rows for c in row.values() if c.startswith(("=", "+", "-", "@"))]
    cells = next(row for row in rows if row["team"] == f"'{FORMULA}")
    assert (cells["title"], cells["method"]) == ("'-1+2", "'@SUM(1)")
    assert cells["description"] == "'+\n=2"
    assert re.findall(r"^[^\"\d]", text, re.MULTILINE) == ["="], "within the quoted text alone"
    first = rows[0]
    assert (first["rank"], first["is_shared"], first["top5_error"]) == ("1", "yes", "0.05")
    assert float(first["top5_error_low"]) < 0.05 < float(first["top5_error_high"])
    assert rows[-1]["rank"] == ""


def test_json_has_words_as_they_are_and_nothing_that_is_not_public(filled, board):
    text = render_json(standings(filled, BOARD, "all"))
    facts = json.loads(text)
    assert [each["team"] for each in facts["entries"]] == [SCRIPT, "Ada", FORMULA, "Grace"]
    assert facts["members"][SCRIPT] == HOSTILE
    assert [top["k"] for top in facts["entries"][0]["errors"]] == [1, 5]
    secret = (str(board.challenge), str(board.entries_folder), '"sha256"', '"who"', '"misses"')
    assert not [each for each in secret if each in text]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_rendered_page_is_readable(filled, tmp_path, scheme):
    """In Chromium: its ground is light or dark, its writing far from it, and bars are seen."""
    chromium = shutil.which("chromium")
    need(chromium, "Chromium is not installed")
    (tmp_path / "page.html").write_text(render_page(standings(filled, BOARD, "all")))
    how = [f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"]
    where = [f"--screenshot={tmp_path / 'page.png'}", (tmp_path / "page.html").as_uri()]
    basic = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    basic.append("--window-size=1280,900")
    subprocess.run([chromium, *basic, *how, *where], check=True, capture_output=True, timeout=120)
    with Image.open(tmp_path / "page.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    ground = pixels[5, 5].mean()
    assert ground > 240 if scheme == "light" else ground < 40
    assert np.abs(pixels.mean(axis=2) - ground).max() > 180
    blue = pixels[..., 2] - pixels[..., 0]
    assert ((blue > 40) & (np.ptp(pixels, axis=2) > 40)).sum() > 1000
