"""Announcements: posted by curators, read by all, and an Atom feed that readers can trust."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import datetime
from uuid import UUID

import pytest

from imagetree.database import news, open_database
from imagetree.errors import DatabaseError
from imagetree.web.news import latest_news

from .acting import ADA, BOB, act_as, send

ATOM = "{http://www.w3.org/2005/Atom}"
HOSTILE = 'Fall <script>alert("1")</script> & ]]> release'


@pytest.fixture
def ada(client):
    act_as(client, ADA)
    return client


def post(client, title="Fall release", text="It is there.\r\n\r\nEnjoy."):
    return send(client, "/news", {"title": title, "text": text})


def test_a_curator_announces_and_all_can_read(ada):
    assert post(ada).headers["location"] == "/news/1"
    act_as(ada, None)
    for path in ("/news", "/news/1"):
        page = ada.get(path).text
        assert "Fall release" in page
        assert page.count("<p>It is there.</p>\n<p>Enjoy.</p>") == 1
        assert '<form method="post" action="/news' not in page
    assert ada.get("/news/1.json").json()["paragraphs"] == ["It is there.", "Enjoy."]


def test_only_curators_announce_correct_and_withdraw(ada):
    post(ada)
    for user, status in ((BOB, 403), (None, 303)):
        act_as(ada, user)
        for path in ("/news", "/news/1/correct", "/news/1/withdraw"):
            assert send(ada, path, {"title": "a", "text": "b"}).status_code == status
    assert [each["title"] for each in ada.get("/news.json").json()["news"]] == ["Fall release"]


def test_forms_of_others_are_refused(ada):
    assert ada.post("/news", data={"title": "a", "text": "b"}).status_code == 403
    assert ada.get("/news.json").json()["news"] == []


@pytest.mark.parametrize(
    ("title", "text"), [("", "b"), ("a\nb", "b"), ("a" * 121, "b"), ("a", " "), ("a", "\0")]
)
def test_what_cannot_be_announced_is_said_and_kept_in_the_form(ada, title, text):
    found = post(ada, title, text)
    assert found.status_code == 422
    assert "Nothing was announced: the t" in found.text
    assert ada.get("/news.json").json()["news"] == []


def test_correcting_keeps_number_and_name(ada, site_place):
    post(ada)
    with open_database(site_place) as database:
        before = news.news_of(database, 1)
        send(ada, "/news/1/correct", {"title": "Autumn release", "text": "It is here."})
        after = news.news_of(database, 1)
    assert (after.title, after.uuid, after.posted_at) == (
        *("Autumn release", before.uuid),
        before.posted_at,
    )
    assert 'value="Autumn release"' in ada.get("/news/1/correct").text


def test_a_withdrawn_one_is_gone_and_its_number_is_never_used_again(ada):
    post(ada)
    assert "goes from the news" in ada.get("/news/1/withdraw").text
    send(ada, "/news/1/withdraw", {})
    assert ada.get("/news/1").status_code == 410
    assert ada.get("/news/1.json").status_code == 410
    assert "<entry>" not in ada.get("/news.atom").text
    assert post(ada).headers["location"] == "/news/2"
    assert ada.get("/news/3").status_code == 404


def test_what_is_announced_is_escaped_everywhere(ada):
    post(ada, HOSTILE, HOSTILE)
    for path in ("/news", "/news/1", "/news/1/correct", "/news/1/withdraw", "/news.atom"):
        assert "<script>alert" not in ada.get(path).text, path


def test_the_feed_is_what_rfc_4287_wants(ada):
    """One id, title and date for the feed and each entry; an author; text as it was written."""
    post(ada, HOSTILE, "a & b\n\n<c>")
    post(ada, "Second")
    found = ada.get("/news.atom")
    assert found.headers["content-type"] == "application/atom+xml"
    feed = ET.fromstring(found.content)
    assert feed.tag == f"{ATOM}feed"
    for each in (feed, *feed.iter(f"{ATOM}entry")):
        for tag in ("id", "title", "updated"):
            assert len(each.findall(ATOM + tag)) == 1
        assert datetime.fromisoformat(each.findtext(f"{ATOM}updated")).tzinfo is not None
    self_link = feed.find(f"{ATOM}link[@rel='self']").get("href")
    assert self_link == feed.findtext(f"{ATOM}id") == "http://testserver/news.atom"
    second, first = feed.iter(f"{ATOM}entry")
    assert (second.findtext(f"{ATOM}title"), first.findtext(f"{ATOM}title")) == ("Second", HOSTILE)
    assert first.findtext(f"{ATOM}content") == "a & b\n\n<c>"
    assert first.findtext(f"{ATOM}author/{ATOM}name") == "Ada"
    assert first.find(f"{ATOM}link").get("href") == "http://testserver/news/1"
    names = [each.findtext(f"{ATOM}id") for each in (first, second)]
    assert len({UUID(name) for name in names}) == 2


def test_an_entrys_id_never_changes(ada):
    post(ada)
    before = ET.fromstring(ada.get("/news.atom").content).findtext(f"{ATOM}entry/{ATOM}id")
    send(ada, "/news/1/correct", {"title": "Autumn", "text": "c"})
    after = ET.fromstring(ada.get("/news.atom").content).findtext(f"{ATOM}entry/{ATOM}id")
    assert before == after


def test_an_empty_feed_is_valid_and_the_page_says_so(ada):
    feed = ET.fromstring(ada.get("/news.atom").content)
    assert feed.findtext(f"{ATOM}updated") == "1970-01-01T00:00:00+00:00"
    assert "Nothing has been announced yet" in ada.get("/news").text


def test_pages_show_each_one_once(ada, site_place):
    with open_database(site_place) as database:
        for number in range(23):
            news.post_news(database, f"Number {number}", "Text", "Ada")
        assert [each["id"] for each in latest_news(database)] == [23, 22, 21]
    first = ada.get("/news.json").json()
    second = ada.get("/news.json", params={"before": first["next"]}).json()
    found = [each["id"] for each in first["news"] + second["news"]]
    assert found == list(range(23, 0, -1))
    assert second["next"] is None
    assert f'href="/news?before={first["next"]}"' in ada.get("/news").text


def test_changing_what_is_not_shown_is_refused(site_place):
    with open_database(site_place) as database:
        with pytest.raises(DatabaseError, match="none of this number is shown"):
            news.correct_news(database, 1, "a", "b")
        with pytest.raises(DatabaseError, match="title has 0 characters"):
            news.post_news(database, "", "b", "Ada")


def test_home_shows_the_newest(client, site_place) -> None:
    """As soon as it is posted, though a visitor's pages are kept."""
    assert "News</h2>" not in client.get("/").text
    with open_database(site_place) as store:
        news.post_news(store, "We <moved>", "To another machine.", "Ada")
    assert "We &lt;moved&gt;" in client.get("/").text
    assert client.get("/index.json").json()["news"][0]["title"] == "We <moved>"
