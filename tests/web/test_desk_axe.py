"""The pages of annotators and curators stand up to axe-core as those of visitors do."""

from __future__ import annotations

import threading
import time

import pytest

from imagetree.curation.check import check_images
from imagetree.curation.removal import hide_synset, remove_images
from imagetree.curation.votes import Vote, add_votes
from imagetree.database import find_image, images_of, open_database
from imagetree.database.journal import set_aside
from imagetree.database.news import post_news

from .acting import ADA, Acting
from .conftest import NO_MAIL
from .test_axe import CAT, CHIHUAHUA, DOG, axe, run_axe

__all__ = ["axe"]  # a fixture

PAGES = [
    *("/votes", "/votes?wnid=x", f"/votes/{DOG}", f"/votes/{CAT}", "/curate", "/curate/votes"),
    *("/curate/quarantine", "/curate/duplicates", "/curate/duplicates?wnid=x"),
    *("/curate/removed", "/curate/hidden", "/curate/log"),
    *("/news", "/news/1", "/news/1/correct", "/news/1/withdraw"),
]


@pytest.fixture
def desk(site_place):
    """Where the site listens to a curator, with something on every page."""
    import uvicorn

    from imagetree.web.app import create_app
    from imagetree.web.settings import Settings

    with open_database(site_place) as database:
        check_images(database, threads=1)
        for row in images_of(database, [DOG]):
            add_votes(database, [Vote(row.id, who, who == "Bob") for who in ("Bob", "Ada")])
        set_aside(database, find_image(database, f"{DOG}_10").id, "a drawing")
        remove_images(database, [f"{DOG}_3"], "owner asked")
        hide_synset(database, CHIHUAHUA, "for a test")
        post_news(database, "Fall release", "It is there.", "Ada")
    app = create_app(Settings(str(site_place), smtp=NO_MAIL))
    app.state.site.users = Acting(ADA)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.02)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    yield f"http://{host}:{port}"
    server.should_exit = True
    thread.join()


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_no_page_of_the_desk_has_a_fault(browser, desk, axe, scheme, width):
    """Nor does one scroll sideways; the page that asks for confirmation is looked at too."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    page, faults = context.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    for path in PAGES:
        page.goto(desk + path)
        faults += [f"{path}: {fault}" for fault in run_axe(page, axe)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults.append(f"{path}: scrolls sideways")
    page.goto(f"{desk}/curate/hidden")
    page.fill("#wnid", CAT)
    page.fill("#why", "for a test")
    page.click("text=Hide it")
    assert page.inner_text("h1") == "Hide domestic cat and all below it?"
    faults += run_axe(page, axe)
    context.close()
    assert faults == []


@pytest.mark.slow
def test_an_annotator_votes_without_javascript(browser, desk):
    """A page of answers, the next page, and a vote taken back."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{desk}/votes/{CAT}")
    for group in page.locator("[role=radiogroup]").all():
        group.get_by_label("Yes").check()
    page.click("text=Keep my votes")
    assert "2 votes kept" in page.inner_text("[role=status] >> nth=0")
    page.locator("input[type=checkbox]").first.check()
    page.click("text=Take back")
    assert "1 vote taken back" in page.inner_text("[role=status] >> nth=0")
    context.close()
