"""Announcements by the curators: their pages, forms and Atom feed (RFC 4287)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from starlette.datastructures import FormData

from imagetree.accounts.clock import utc
from imagetree.database import news
from imagetree.database.news import Draft
from imagetree.mail import outbox, subscribers
from imagetree.web.forms import checked_form
from imagetree.web.site import User, require_curator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagetree.database import Database
    from imagetree.database.news import NewsRow
    from imagetree.web.site import Site

PAGE_SIZE = 20
ATOM = "http://www.w3.org/2005/Atom"
_NEVER = "1970-01-01T00:00:00+00:00"  # a feed has to say when it changed, an empty one too
_MAX_NUMBER = (1 << 31) - 1  # of a row, on every engine
_Number = Annotated[int, Path(ge=1, le=_MAX_NUMBER)]
_Before = Annotated[
    int | None, Query(ge=1, le=_MAX_NUMBER, description="`id` of the last one of the page before")
]
_Form = Annotated[FormData, Depends(checked_form)]
_Curator = Annotated[User, Depends(require_curator)]
_EMPTY = {"title": "", "text": "", "fault": ""}  # of the form
_NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"description": "There was never such an announcement"},
    410: {"description": "It was withdrawn"},
}


def create_router(site: Site) -> APIRouter:
    """The announcements, their JSON twins, the feed, and the curators' forms."""
    router = APIRouter()
    _add_feed(router, site)
    _add_twins(router, site)
    _add_pages(router, site)
    _add_forms(router, site)
    return router


def latest_news(database: Database, n: int = 3) -> list[dict[str, Any]]:
    """The newest announcements, for a box on another page; see `describe`."""
    return [describe(row) for row in news.news_page(database, n)]


def describe(row: NewsRow) -> dict[str, Any]:
    """What a page says of an announcement; `paragraphs` are plain text."""
    return {
        "id": row.id,
        "path": f"/news/{row.id}",
        "uuid": row.uuid,
        "title": row.title,
        "text": row.text,
        "paragraphs": [part for part in row.text.split("\n\n") if part.strip()],
        "author": row.author,
        "posted_at": row.posted_at,
        "updated_at": row.updated_at,
    }


def render_feed(rows: Sequence[NewsRow], site_url: str) -> bytes:
    """An Atom feed of announcements.

    Args:
        rows: the newest first.
        site_url: where visitors find the site, without a slash at the end.
    """
    feed = ET.Element("feed", {"xmlns": ATOM})
    address = f"{site_url}/news.atom"
    _add(feed, "id", address)
    _add(feed, "title", "imagetree: news")
    _add(feed, "updated", max((row.updated_at for row in rows), default=_NEVER))
    ET.SubElement(feed, "link", {"rel": "self", "type": "application/atom+xml", "href": address})
    _add_page(feed, f"{site_url}/news")
    for row in rows:
        entry = ET.SubElement(feed, "entry")
        _add(entry, "id", f"urn:uuid:{row.uuid}")
        _add(entry, "title", row.title)
        _add(entry, "published", row.posted_at)
        _add(entry, "updated", row.updated_at)
        _add(ET.SubElement(entry, "author"), "name", row.author)
        _add_page(entry, f"{site_url}/news/{row.id}")
        _add(entry, "content", row.text)
    data: bytes = ET.tostring(feed, "utf-8", xml_declaration=True)
    return data


def _add(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = text


def _add_page(parent: ET.Element, address: str) -> None:
    ET.SubElement(parent, "link", {"rel": "alternate", "type": "text/html", "href": address})


def _page(database: Database, before: int | None) -> dict[str, Any]:
    rows = news.news_page(database, PAGE_SIZE + 1, before)
    return {
        "news": [describe(row) for row in rows[:PAGE_SIZE]],
        "next": rows[PAGE_SIZE - 1].id if len(rows) > PAGE_SIZE else None,
    }


def _shown(database: Database, number: int) -> dict[str, Any]:
    row = news.news_of(database, number)
    if row is None:
        raise HTTPException(404, "there is no such announcement")
    if row.withdrawn_at is not None:
        raise HTTPException(410, "this announcement was withdrawn")
    return describe(row)


def _add_feed(router: APIRouter, site: Site) -> None:
    answers: dict[int | str, dict[str, Any]] = {200: {"content": {"application/atom+xml": {}}}}

    @router.get("/news.atom", response_class=Response, responses=answers)
    def feed(request: Request) -> Response:
        """The newest announcements as an Atom feed."""
        rows = news.news_page(site.database, PAGE_SIZE)
        data = render_feed(rows, str(request.base_url).rstrip("/"))
        return Response(data, media_type="application/atom+xml")


def _add_twins(router: APIRouter, site: Site) -> None:
    @router.get("/news.json")
    def page(before: _Before = None) -> dict[str, Any]:
        """The announcements, the newest first."""
        return _page(site.database, before)

    @router.get("/news/{number}.json", responses=_NOT_FOUND)
    def one(number: _Number) -> dict[str, Any]:
        """An announcement."""
        return _shown(site.database, number)


def _add_pages(router: APIRouter, site: Site) -> None:
    @router.get("/news", include_in_schema=False)
    def page(request: Request, before: _Before = None) -> Response:
        values = _page(site.database, before) | _EMPTY | _form(site)
        return site.page(request, "news_list.html", values)

    @router.get("/news/{number}", include_in_schema=False)
    def one(request: Request, number: _Number) -> Response:
        values = {"each": _shown(site.database, number), "num_waiting": 0}
        if site.sender is not None:
            values["num_waiting"] = outbox.count_waiting(site.database, number)
        return site.page(request, "news_one.html", values)

    @router.get("/news/{number}/correct", include_in_schema=False)
    def correct(request: Request, number: _Number, user: _Curator) -> Response:
        found = _shown(site.database, number)
        return site.page(request, "news_correct.html", {"each": found} | found | {"fault": ""})

    @router.get("/news/{number}/withdraw", include_in_schema=False)
    def withdraw(request: Request, number: _Number, user: _Curator) -> Response:
        """Asks once more."""
        return site.page(request, "news_withdraw.html", {"each": _shown(site.database, number)})


def _add_forms(router: APIRouter, site: Site) -> None:
    @router.post("/news", include_in_schema=False)
    def post(request: Request, user: _Curator, form: _Form) -> Response:
        sent = _sent(form)
        if sent["fault"]:
            values = _page(site.database, None) | sent | _form(site)
            return site.page(request, "news_list.html", values, 422)
        draft = Draft(sent["title"], sent["text"], user.name, str(form.get("uuid", "")))
        row = _announce(site, draft)
        return site.redirect(request, f"/news/{row.id}", flash="Announced")

    @router.post("/news/{number}/correct", include_in_schema=False)
    def correct(request: Request, number: _Number, user: _Curator, form: _Form) -> Response:
        sent, found = _sent(form), _shown(site.database, number)
        if sent["fault"]:
            return site.page(request, "news_correct.html", {"each": found} | sent, 422)
        news.correct_news(site.database, number, sent["title"], sent["text"])
        return site.redirect(request, f"/news/{number}", flash="Corrected")

    @router.post("/news/{number}/withdraw", include_in_schema=False)
    def withdraw(request: Request, number: _Number, user: _Curator, form: _Form) -> Response:
        _shown(site.database, number)
        news.withdraw_news(site.database, number)
        return site.redirect(request, "/news", flash="Withdrawn")


def _form(site: Site) -> dict[str, Any]:
    """What the form has besides its fields.

    Returns:
        `uuid`: the name of what it will announce, be it sent once or twice; and `num_members`, to
        whom it goes by mail, None where no mail is sent.
    """
    num_members = subscribers.count_members(site.database) if site.sender else None
    return {"uuid": str(uuid4()), "num_members": num_members}


def _announce(site: Site, draft: Draft) -> NewsRow:
    if site.sender is None:
        with site.database.writing() as connection:
            return news.add_news(connection, draft)[0]
    row = outbox.announce(site.database, draft, utc())
    site.sender.wake()
    return row


def _sent(form: FormData) -> dict[str, str]:
    """Title and text as they were sent, and what is wrong with them."""
    title, text = (str(form.get(name, "")) for name in ("title", "text"))
    text = text.replace("\r\n", "\n")
    return {"title": title, "text": text, "fault": news.fault_of_news(title, text)}
