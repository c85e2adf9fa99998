"""A participant's day: terms, kit, entries, leaderboard, quota; also on a phone."""

from __future__ import annotations

import re
import tarfile

import pytest

from imagetree.challenge.definition import load_challenge

from ..web.furnished import (
    SPHERE,
    SQUARE,
)
from .days import PHONE, WIDE, command, lived, sign_up

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("scripts", "size"),
    [(True, WIDE), (False, WIDE), (True, PHONE)],
    ids=["scripts", "no-scripts", "phone"],
)
def test_a_participants_day(browser, challenged, tmp_path, scripts, size):
    """Terms, kit, a refused entry and two that count, the leaderboard, and the end of the quota."""
    with lived(browser, challenged, tmp_path, "--ask-terms", scripts=scripts, size=size) as day:
        day.go("/")
        sign_up(day, "Ada", "participant")
        accept_the_terms(day)
        kit(day, tmp_path)
        take_part(day, challenged)
        day.end()


def accept_the_terms(day):
    day.go(f"/download/{SQUARE}")
    assert day.page.get_by_role("link", name="Make a link").count() == 0
    day.hands.link("accepted the terms")
    day.hands.button("I accept these terms")
    assert day.says("You have accepted the terms.")
    assert day.page.get_by_role("link", name="Make a link").count() > 0


def kit(day, folder):
    """The kit does what its own readme says: its demonstration has the score that it prints."""
    day.hands.link("Challenges")
    day.hands.link("Figures 2026")
    with day.page.expect_download() as coming:
        day.hands.link("Development kit")
    coming.value.save_as(folder / "kit.tar.gz")
    with tarfile.open(folder / "kit.tar.gz") as tar:
        tar.extractall(folder / "kit", filter="data")
    (readme,) = (folder / "kit").rglob("readme.txt")
    root = readme.parent
    asked = re.search(r"^    (imagetree kit score KIT (\S+))$", readme.read_text(), re.MULTILINE)
    said = command(*asked[1].split()[1:3], str(root), str(root / asked[2]))
    printed = (root / "evaluation" / "demo.scores.txt").read_text()
    figures = re.findall(r"\d+\.\d{4}", printed)
    assert len(figures) == 10
    assert re.findall(r"\d+\.\d{4}", said) == figures
    with day.page.expect_download() as coming:
        day.hands.link("Images of test")
    with tarfile.open(coming.value.path()) as tar:
        names = tar.getnames()
    tests = (root / "data" / "test.txt").read_text().split()
    assert sorted(name.rpartition(".")[0] for name in names) == sorted(tests)


def take_part(day, world):
    challenge = load_challenge(world.place.with_name("figures"))
    rows = [entry.wnid for entry in challenge.read_split("test")]
    others = [challenge.wnids[0] if wnid != challenge.wnids[0] else SPHERE for wnid in rows]
    day.hands.link("Send an entry")
    day.hands.fill(day.page.get_by_label("Name of your team"), "SuperVision")
    day.expected.add(400)
    send(day, [*rows[:-1], "n99999999"])
    assert day.says("Nothing was counted: the entry is refused.")
    fault = day.page.inner_text("[role=alert] pre")
    assert fault.startswith(f"answers.txt:{len(rows)}: ")
    assert "n99999999" in fault
    assert day.shows("SuperVision has sent 0 of 2 entries")
    send(day, [*others[:1], *rows[1:]], title="One wrong")
    assert day.says("The entry is scored.")
    error = f"{1 / len(rows):.2%}"
    assert day.shows(error)
    day.hands.link("Figures 2026")
    row = day.page.locator("tbody tr").filter(has_text="SuperVision")
    assert re.search(rf"One wrong\s+{re.escape(error)}\s+[\d.]+% to [\d.]+%", row.inner_text())
    if day.page.viewport_size == PHONE:
        day.is_not_sideways()
    day.hands.link("Send an entry")
    send(day, rows, title="All right")
    day.hands.link("Figures 2026")
    assert "All right" in day.page.locator("tbody tr").filter(has_text="SuperVision").inner_text()
    day.hands.link("Send an entry")
    assert day.shows(
        "SuperVision has sent 2 of 2 entries in the last seven days. The next may come"
    )
    send(day, others)
    assert day.says("Nothing was counted: the entry is refused.")
    assert day.shows("SuperVision has sent 2 of 2 entries")
    day.hands.link("Figures 2026")
    day.hands.link("SuperVision")
    assert day.page.locator("tbody tr").count() == 2
    day.hands.link("One wrong")
    day.hands.button("Withdraw this entry")
    assert day.says("The entry is withdrawn.")


def send(day, rows, title=""):
    data = "".join(f"{wnid}\n" for wnid in rows).encode()
    file = {"name": "answers.txt", "mimeType": "text/plain", "buffer": data}
    day.page.set_input_files("#file", file)
    day.hands.fill(day.page.get_by_label("Title of the entry"), title)
    day.hands.button("Send it")
