"""A visitor's way through the site in Debian's Chromium, with and without JavaScript."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

DOG, CHIHUAHUA, CANINE = "n02084071", "n02085620", "n02083346"


@pytest.fixture(params=[True, False], ids=["with-scripts", "without-scripts"])
def page(browser, request):
    """A page whose console must stay silent: the policy says there what it has stopped."""
    context = browser.new_context(java_script_enabled=request.param)
    context.set_default_timeout(60_000)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    yield page
    context.close()
    assert said == []


def test_a_visitor_explores_guesses_and_finds(page, address):
    """From home through the tree to an image, its neighbour, a search and the puzzle."""
    page.goto(address)
    page.get_by_role("link", name="Explore").click()
    page.get_by_role("link", name="Open canine").click()
    page.get_by_role("link", name="dog, domestic dog, Canis familiaris", exact=True).click()
    page.wait_for_url(f"**/explore/{DOG}")
    page.get_by_role("link", name="All about dog").click()
    page.get_by_role("link", name="Next").first.click()
    page.wait_for_url("**after=*")
    page.get_by_role("link", name=f"dog, {DOG}_3").click()
    page.get_by_role("link", name="Previous").click()
    page.wait_for_url(f"**/image/{DOG}_2")
    assert page.get_by_text("2 of 3 in its synset").is_visible()
    page.get_by_role("searchbox").fill("chihuahwa")
    page.get_by_role("searchbox").press("Enter")
    page.get_by_role("link", name="Chihuahua", exact=True).first.click()
    assert page.get_by_role("heading", name="Search for Chihuahua").is_visible()
    page.goto(f"{address}/common/1")
    page.get_by_label("Your guess").fill("canine")
    page.get_by_role("button", name="Find out!").click()
    assert page.get_by_text("Near: they are a kind of canine, 1 step").is_visible()
    page.get_by_label("Your guess").fill("dog")
    page.get_by_role("button", name="Find out!").click()
    assert page.get_by_text("Right: dog").is_visible()


def test_the_choice_of_dark_stays(page, address):
    page.goto(f"{address}/explore/{DOG}")
    page.get_by_role("button", name="Dark").click()
    assert page.url == f"{address}/explore/{DOG}"
    page.goto(address)
    assert page.locator("html[data-theme=dark]").count() == 1
    assert page.locator("button[aria-pressed=true]").inner_text() == "Dark"


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
