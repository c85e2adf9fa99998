"""A day of somebody on the site, in Debian's Chromium, on the site as the command serves it.

The browser's console must stay silent, and nothing that a page asks for may be missing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from ..web.running import running
from .hands import Mouse

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD, OTHER = "correct horse battery", "another horse battery"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])


class World(NamedTuple):
    """A database, and what a visitor looks for in it.

    Args:
        place: path of the database.
        run: folder of a run.
        leaf: a synset with images.
        above: one with images below it alone, `leaf` among them.
        misspelt: the word of `leaf`, nearly.
    """

    place: Path
    run: Path
    leaf: str
    above: str
    misspelt: str


@contextmanager
def lived(browser, world, folder, *words, **how):
    """A copy of the world, served; a page of it, and what went wrong there."""
    place = folder / "images.db"
    shutil.copyfile(world.place, place)
    with running(place, "--run", str(world.run), *words) as site:
        yield Day(browser, site, place, **how)


class Day:
    """One person's browser on a site.

    Args:
        browser: that is used.
        site: as it runs.
        place: path of its database.
        scripts: whether JavaScript is on.
        size: of the window.
        hands: a class of hands.
    """

    def __init__(self, browser, site, place, *, scripts=True, size=WIDE, hands=Mouse):
        self.site, self.place = site, place
        self._context = browser.new_context(java_script_enabled=scripts, viewport=size)
        self._context.set_default_timeout(240_000)
        self.page = self._context.new_page()
        self.faults = []
        self.expected = set()
        self.page.on("console", lambda each: self._said(each.text))
        self.page.on("response", self._came)
        self.hands = hands(self.page)

    def _said(self, text):
        if not re.match(r"Failed to load resource.* status of (400|404)", text):
            self.faults.append(text)

    def _came(self, answer):
        if answer.status >= 400 and answer.status not in self.expected:
            self.faults.append(f"{answer.status} {answer.url}")

    def go(self, path):
        self.page.goto(self.site.url + path)

    def shows(self, text):
        self.page.locator("main, header").get_by_text(text).first.wait_for()
        return True

    def says(self, text):
        """What a page says of what was just done."""
        said = self.page.locator("[role=status], [role=alert], [role=note]")
        said.filter(has_text=text).first.wait_for()
        return True

    def get(self, path):
        """What lies at an address, for who is logged in here."""
        answer = self.page.request.get(path if "://" in path else self.site.url + path)
        assert answer.ok, (path, answer.status)
        return answer.body()

    def counters(self):
        """Images and synsets, as the head of every page has them."""
        found = re.match(r"([\d,]+) images?, ([\d,]+) synsets?", self.page.inner_text(".totals"))
        return tuple(int(each.replace(",", "")) for each in found.groups())

    def pictures_are_there(self):
        """All pictures of the page that a window shows were loaded."""
        self.page.wait_for_load_state("networkidle")
        loaded = "[...document.images].filter(i => i.loading != 'lazy').every(i => i.naturalWidth)"
        assert self.page.evaluate(loaded)

    def is_not_sideways(self):
        assert not self.page.evaluate("document.documentElement.scrollWidth > innerWidth")

    def end(self):
        self._context.close()
        assert self.faults == []


def sign_up(day, name, role):
    day.hands.link("Signup")
    day.hands.fill(day.page.get_by_label("Name, as others see it"), name)
    day.hands.fill(day.page.get_by_label("Password, 10 characters or more"), PASSWORD)
    if role == "annotator":
        day.hands.choose(day.page.get_by_label("to say what images show, too"))
    day.hands.button("Sign up")
    assert day.says(f"Welcome, {name}.")


def log_in(day, name, password):
    day.hands.link("Login")
    day.hands.fill(day.page.get_by_label("Name or e-mail"), name)
    day.hands.fill(day.page.get_by_label("Password", exact=True), password)
    day.hands.button("Log in")


def command(*words):
    """What a command of the product prints."""
    code = "from imagetree.cli import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
