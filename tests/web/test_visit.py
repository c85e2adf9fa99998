"""What the keyboard does on the site, in Debian's Chromium; whole days are in tests/e2e."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


def test_the_tree_opens_in_place_by_the_keyboard(browser, address):
    """No page is loaded, and the focus stays on the step that was taken."""
    context = browser.new_context()
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"{address}/explore")
    step = page.get_by_role("link", name="Open canine")
    step.focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Close canine").wait_for()
    assert page.url == f"{address}/explore"
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Close canine"
    assert page.get_by_role("link", name="Open dog").is_visible()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Open canine").wait_for()
    assert page.get_by_role("link", name="Open dog").count() == 0
    context.close()


def test_the_first_step_of_the_keyboard_skips_to_the_content(browser, address):
    page = browser.new_page()
    page.goto(address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.close()
