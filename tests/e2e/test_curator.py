"""A curator's day: disputes, copies, removal, hiding, news, users, and the log of it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile

import pytest

from imagetree.curation.votes import Vote, add_votes
from imagetree.database import find_image, images_of, open_database

from ..web.furnished import (
    PER_CLASS,
    STAR,
    TORUS,
    TRIANGLE,
)
from .days import PASSWORD, SCRIPTS, lived, log_in, sign_up

pytestmark = pytest.mark.slow


@SCRIPTS
def test_a_curators_day(browser, drawn, tmp_path, scripts):
    """From the command that makes the first curator to the log of all that was done."""
    with lived(browser, drawn, tmp_path, scripts=scripts) as day:
        make_a_curator(day.place)
        with open_database(day.place) as database:
            rows = images_of(database, [STAR], limit=2)
            for who in ("Bob", "Eve"):
                add_votes(database, [Vote(row.id, who, who == "Bob") for row in rows])
        day.go("/")
        sign_up(day, "Ada", "participant")
        day.hands.button("Log out")
        log_in(day, "Grace", PASSWORD)
        day.hands.link("Curate")
        settle(day)
        keep_one_of_copies(day)
        remove(day)
        hide(day)
        announce(day)
        keep_users(day)
        assert_all_is_logged(day)
        day.end()


def make_a_curator(place):
    code = "from imagetree.cli import run; run()"
    words = ["web", "user", "add", "Grace", "--role", "curator", "--database", str(place)]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        input=f"{PASSWORD}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Grace, curator" in done.stdout


def settle(day):
    """Voters disagree on two stars: one is set aside, seen in quarantine and brought back."""
    images, _ = day.counters()
    day.hands.link("Votes", exact=True)
    boxes = day.page.locator("ul.images input[type=checkbox]")
    assert boxes.count() == 2
    day.hands.choose(boxes.first)
    day.hands.button("Set aside those that are ticked")
    assert day.page.inner_text("h1") == "Set 1 image aside?"
    day.hands.button("Do it")
    assert day.says("1 image set aside")
    assert day.counters()[0] == images - 1
    day.hands.link("Quarantine")
    day.pictures_are_there()
    assert day.shows("does not show its synset, by Grace")
    day.hands.choose(day.page.locator("tbody input[type=checkbox]").first)
    day.hands.fill(day.page.get_by_label("Reason"), "it is a star")
    day.hands.button("Release those that are ticked")
    day.hands.button("Do it")
    assert day.says("1 image restored")
    assert day.counters()[0] == images


def keep_one_of_copies(day):
    images, _ = day.counters()
    day.hands.link("Duplicates")
    assert day.page.locator("section.box").count() == 3
    group = day.page.locator("section.box").first
    day.hands.choose(group.locator("input[type=radio]").first)
    day.hands.press(group.get_by_role("button"))
    day.hands.button("Do it")
    assert day.says("1 image set aside")
    assert day.counters()[0] == images - 1
    assert day.page.locator("section.box").count() == 2


def remove(day):
    """An image is gone from its page, its synset, the archive and the counts at once."""
    images, _ = day.counters()
    key = f"{TRIANGLE}_5"
    thumb = json.loads(day.get(f"/image/{key}.json"))["thumb"]
    link = json.loads(day.get(f"/download/{TRIANGLE}/link.json"))["url"]
    assert key in day.get(f"/synset/{TRIANGLE}").decode()
    day.hands.link("Removed")
    day.hands.fill(day.page.get_by_label("Names of images, one a line"), key)
    day.hands.fill(day.page.get_by_label("Reason").first, "its owner asked")
    day.hands.button("Remove them")
    assert day.page.inner_text("h1") == "Remove 1 image?"
    day.hands.button("Do it")
    assert day.says("1 image removed")
    assert day.counters()[0] == images - 1
    for path in (f"/image/{key}", f"/image/{key}.json", thumb, f"/image/{key}/file"):
        assert day.page.request.get(day.site.url + path).status == 404, path
    assert key not in day.get(f"/synset/{TRIANGLE}").decode()
    assert day.page.request.get(link).status == 410
    new = json.loads(day.get(f"/download/{TRIANGLE}/link.json"))["url"]
    with tarfile.open(fileobj=io.BytesIO(day.get(new))) as tar:
        names = tar.getnames()
    assert len(names) == PER_CLASS - 1
    assert f"{key}.JPEG" not in names
    assert f"{PER_CLASS - 1} images" in found_by(day, "triangle", TRIANGLE)


def found_by(day, word, wnid):
    """What search says of a synset."""
    day.go(f"/search?q={word}")
    row = day.page.locator("ol.results > li").filter(
        has=day.page.locator(f"[href='/synset/{wnid}']")
    )
    return row.first.inner_text()


def hide(day):
    """A synset is gone from tree, search, lists and puzzles; then it is shown again."""
    images, synsets = day.counters()
    assert f"{PER_CLASS} images" in found_by(day, "torus", TORUS)
    day.hands.link("Curate")
    day.hands.link("Hidden")
    day.hands.fill(day.page.get_by_label("WordNet ID"), TORUS)
    day.hands.fill(day.page.get_by_label("Reason"), "not fit to be shown")
    day.hands.button("Hide it")
    assert day.page.inner_text("h1") == "Hide torus and all below it?"
    day.hands.button("Do it")
    assert day.says("torus and all below it hidden")
    assert day.counters() == (images - PER_CLASS, synsets - 1)
    assert "no images" in found_by(day, "torus", TORUS)
    assert TORUS not in day.get("/api/text/imagenet.synset.obtain_synset_list").decode()
    assert day.page.request.get(f"{day.site.url}/image/{TORUS}_1").status == 404
    day.hands.link("Curate")
    day.hands.link("Hidden")
    day.hands.button("show again: torus")
    day.hands.button("Do it")
    assert day.counters() == (images, synsets)


def announce(day):
    """On the front page and in the feed; corrected there; withdrawn from both."""
    day.hands.link("News")
    day.hands.fill(day.page.get_by_label("Title"), "Fall <release>")
    day.hands.fill(day.page.get_by_label("Text, plain"), "It is there.\n\nAll of it.")
    day.hands.button("Announce it")
    assert day.says("Announced")
    day.go("/")
    day.hands.link("Fall <release>")
    assert "Fall &lt;release&gt;" in day.get("/news.atom").decode()
    day.hands.link("Correct it")
    day.hands.fill(day.page.get_by_label("Title"), "Winter release")
    day.hands.button("Keep the correction")
    assert day.says("Corrected")
    feed = day.get("/news.atom").decode()
    assert "Winter release" in feed
    assert "Fall" not in feed
    day.hands.link("Withdraw it")
    day.hands.button("Withdraw it")
    assert day.says("Withdrawn")
    assert "Winter" not in day.get("/news.atom").decode()


def keep_users(day):
    day.hands.link("Curate")
    day.hands.link("Users")
    row = day.page.locator("tr").filter(has=day.page.get_by_role("rowheader", name="Ada"))
    row.get_by_role("combobox").select_option("annotator")
    day.hands.press(row.get_by_role("button", name="Give"))
    assert day.says("Ada is annotator now.")
    day.hands.press(row.get_by_role("button", name="Shut out"))
    assert day.says("Ada is shut out.")
    assert day.shows("signed up as participant")


def assert_all_is_logged(day):
    day.hands.link("Log", exact=True)
    said = day.page.inner_text("main")
    for reason in ("does not show its synset", "it is a star", "duplicate of", "its owner asked"):
        assert f"{reason}" in said
    assert said.count("by Grace") >= 4
    with open_database(day.place) as database:
        assert find_image(database, f"{STAR}_1") is not None
