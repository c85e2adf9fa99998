"""An annotator's day: votes and the account; also by the keyboard alone."""

from __future__ import annotations

import pytest

from ..web.furnished import (
    PER_CLASS,
    STAR,
)
from .days import OTHER, PASSWORD, Day, lived, log_in, sign_up
from .hands import Keyboard, Mouse

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("scripts", "hands"),
    [(True, Mouse), (False, Mouse), (True, Keyboard)],
    ids=["scripts", "no-scripts", "keyboard"],
)
def test_an_annotators_day(browser, drawn, tmp_path, scripts, hands):
    """Votes, an undo, a guess that counts; then the account: password, sessions, logout."""
    with lived(browser, drawn, tmp_path, scripts=scripts, hands=hands) as day:
        day.go("/")
        sign_up(day, "Bob", "annotator")
        vote(day)
        guess_for_votes(day)
        keep_the_account(day, browser, scripts)
        day.end()


def vote(day):
    day.hands.link("Vote")
    day.hands.press(day.page.locator(f"a[href='/votes/{STAR}']"))
    groups = day.page.get_by_role("radiogroup")
    for place, answer in enumerate(("Yes", "Yes", "No", "Unsure")):
        day.hands.choose(groups.nth(place).get_by_label(answer, exact=True))
    day.hands.button("Keep my votes")
    assert day.says("3 votes kept, 1 left for another day")
    assert day.shows(f"You have voted on 3 of {PER_CLASS} images.")
    assert groups.count() == PER_CLASS - 4
    day.hands.choose(day.page.locator("section input[type=checkbox]").first)
    day.hands.button("Take back those that are ticked")
    assert day.says("1 vote taken back")
    assert day.shows(f"You have voted on 2 of {PER_CLASS} images.")
    day.hands.choose(groups.first.get_by_label("No", exact=True))
    day.hands.button("Keep my votes")
    assert day.says("1 vote kept")


def guess_for_votes(day):
    day.go("/common/3?reveal=true")
    answer = day.page.inner_text("#answer").split(", ")[0]
    day.go("/common/3")
    day.hands.fill(day.page.get_by_label("Your guess"), answer)
    day.hands.button("Find out!")
    day.hands.button("Count it as my votes")
    assert day.says("votes kept")


def keep_the_account(day, browser, scripts):
    """Another session is ended, and the old password opens nothing any more."""
    elsewhere = Day(browser, day.site, day.place, scripts=scripts)
    elsewhere.go("/")
    log_in(elsewhere, "Bob", PASSWORD)
    day.hands.link("Bob")
    assert day.shows("Where you are logged in")
    assert day.page.locator("table tbody tr").count() == 2
    other = day.page.locator("table tbody tr").filter(has_not_text="(this one)")
    day.hands.press(other.get_by_role("button"))
    assert day.says("It is done.")
    elsewhere.go("/account")
    elsewhere.page.wait_for_url("**/login?next=/account")
    day.hands.fill(day.page.get_by_label("The one now"), PASSWORD)
    day.hands.fill(day.page.get_by_label("The new one, 10 characters or more"), OTHER)
    day.hands.button("Change the password")
    assert day.says("Your password is changed")
    day.hands.button("Log out")
    assert day.shows("Not logged in.")
    day.expected.add(400)
    log_in(day, "Bob", PASSWORD)
    assert day.says("Not logged in: ")
    log_in(day, "Bob", OTHER)
    assert day.says("Welcome, Bob.")
    day.hands.button("Log out")
    elsewhere.end()
