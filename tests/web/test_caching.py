"""What a visitor has is not sent again, text is compressed, and neither is ever the wrong page."""

from __future__ import annotations

import gzip
import re

import pytest
from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation
from fastapi.responses import Response, StreamingResponse
from fastapi.testclient import TestClient

from imagetree.curation.removal import hide_synset
from imagetree.web.app import create_app
from imagetree.web.caching import FOREVER, Page, Pages, static_url, takes_gzip, unless_changed
from imagetree.web.forms import csrf
from imagetree.web.settings import Settings
from imagetree.web.site import User, current_site

TEXT = "dogs and cats and " * 500


class Users:
    """Whoever is set."""

    user: User | None = None

    def user_of(self, _request):
        return self.user


@pytest.fixture
def app(site_place):
    app = create_app(Settings(str(site_place)))
    app.state.site.users = Users()
    app.state.made = []

    @app.get("/test-page")
    def page(request: Request):
        unless_changed(current_site(request), request)
        app.state.made.append(1)
        values = {"status": 400, "detail": TEXT}
        return current_site(request).page(request, "error.html", values)

    @app.get("/test-page.json")
    def twin(request: Request):
        unless_changed(current_site(request), request)
        return {"text": TEXT}

    @app.get("/test-form")
    def form(request: Request):
        unless_changed(current_site(request), request)
        values = {"status": 400, "detail": csrf(request)}
        return current_site(request).page(request, "error.html", values)

    @app.get("/test-stream")
    def stream():
        return StreamingResponse((TEXT for _ in range(3)), media_type="text/plain")

    @app.get("/test-tar")
    def tar():
        return Response(TEXT.encode(), media_type="application/x-tar")

    @app.get("/test-short")
    def short():
        return Response("short", media_type="text/plain")

    return app


@pytest.fixture
def client(app):
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("path", ["/test-page", "/test-page.json"])
def test_who_has_a_page_is_told_so_and_nothing_is_made(app, client, path):
    first = client.get(path)
    etag = first.headers["ETag"]
    made = len(app.state.made)
    again = client.get(path, headers={"If-None-Match": f'"other", {etag}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
    assert len(app.state.made) == made
    assert first.headers["Cache-Control"] == again.headers["Cache-Control"] == "private, no-cache"
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_page_is_new_when_the_database_has_changed(app, client):
    """A synset that is hidden is gone at once, also for who had its page."""
    etag = client.get("/test-page").headers["ETag"]
    hide_synset(app.state.site.database, "n02121808", "test")
    found = client.get("/test-page", headers={"If-None-Match": etag})
    assert found.status_code == 200
    assert found.headers["ETag"] != etag
    assert "4 images, 2 synsets" in found.text


def test_a_page_is_new_for_another_user_or_role(app, client):
    users = app.state.site.users
    client.cookies.set("csrf", "a token")
    etags = []
    for users.user in (None, User(1, "Ada", "visitor"), User(1, "Ada", "curator")):
        etags.append(client.get("/test-page", headers={"If-None-Match": ", ".join(etags)}))
        assert etags[-1].status_code == 200
        etags[-1] = etags[-1].headers["ETag"]
    assert len(set(etags)) == 3


def test_what_is_said_once_is_said_and_then_gone(client):
    etag = client.get("/test-page").headers["ETag"]
    client.cookies.set("flash", "thanks")
    said = client.get("/test-page", headers={"If-None-Match": etag})
    assert "thanks" in said.text
    assert "ETag" not in said.headers
    client.cookies.clear()
    assert client.get("/test-page", headers={"If-None-Match": etag}).status_code == 304


def test_a_page_with_a_new_token_is_kept_by_nobody(client):
    """Its cookie goes with it: a page that is kept would have a token without its cookie."""
    first = client.get("/test-form")
    assert "ETag" not in first.headers
    second = client.get("/test-form")
    assert "ETag" in second.headers  # the token is that of the cookie
    client.cookies.clear()
    assert client.get("/test-form", headers={"If-None-Match": second.headers["ETag"]}).is_success


def shown(answer):
    """What of an answer must be the same for all who get it."""
    return answer.content, {**answer.headers, "x-request-id": ""}


def test_a_page_is_made_once_for_visitors_without_cookies(app, client):
    """As each of them can read it, at each address, until the database changes."""
    pages = [client.get("/test-page", headers={"Accept-Encoding": how}) for how in ("gzip", "br")]
    assert len(app.state.made) == 2
    for how, page in zip(("gzip", "br"), pages, strict=True):
        again = client.get("/test-page", headers={"Accept-Encoding": how})
        assert shown(again) == shown(page)
        assert again.headers["Vary"] == "Cookie, Accept-Encoding"
    assert len(app.state.made) == 2
    client.get("/test-page?a=1")
    assert len(app.state.made) == 3
    hide_synset(app.state.site.database, "n02121808", "test")
    assert "4 images, 2 synsets" in client.get("/test-page").text


def test_a_page_of_a_user_or_with_cookies_is_made_for_each(app, client):
    client.cookies.set("theme", "dark")
    for _ in range(2):
        client.get("/test-page")
    client.cookies.clear()
    app.state.site.users.user = User(1, "Ada", "visitor")
    for _ in range(2):
        assert "Ada" in client.get("/test-page").text
    assert len(app.state.made) == 4
    app.state.site.users.user = None
    assert "Ada" not in client.get("/test-page").text


def test_pages_that_were_not_asked_for_longest_go():
    pages = Pages(max_bytes=1000)
    for number in range(40):
        pages.keep(str(number), Page((), bytes(50)))
        pages.get("0")
    kept = [number for number in range(40) if pages.get(str(number))]
    assert kept == [0, *range(21, 40)]
    pages.keep("too large", Page((), bytes(500)))
    assert pages.get("too large") is None


@pytest.mark.parametrize("path", ["/test-page", "/test-page.json", "/test-stream"])
def test_text_is_compressed_for_who_can_read_it(client, path):
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    with client.stream("GET", path, headers={"Accept-Encoding": "br, gzip"}) as packed:
        body = b"".join(packed.iter_raw())
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(body) == plain.content
    assert len(body) < len(plain.content) / 5
    for found in (plain, packed):
        assert "Accept-Encoding" in found.headers["Vary"]
    if path != "/test-stream":
        assert packed.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize(
    "path",
    [
        *("/test-page", "/test-page.json", "/test-form", "/test-stream", "/test-tar"),
        *("/common", "/nowhere", "/account", "/account.json", "/health", "/static/none.css"),
    ],
)
def test_nobody_between_keeps_an_answer(client, path):
    """Pages, files, redirects and refusals may be of one visitor alone, unless they say not."""
    found = client.get(path, follow_redirects=False)
    assert "private" in found.headers["Cache-Control"], found.status_code


@pytest.mark.parametrize("path", ["/test-tar", "/test-short"])
def test_archives_and_short_answers_are_not_compressed(client, path):
    found = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in found.headers
    assert found.headers["Content-Length"] == str(len(found.content))


@pytest.mark.parametrize(
    ("header", "is_taken"),
    [("gzip", True), ("GZIP;q=0.5", True), ("gzip; q=0", False), ("*", False), ("", False)],
)
def test_what_a_browser_accepts(header, is_taken):
    assert takes_gzip(header) is is_taken


def test_own_files_are_kept_for_good_at_the_address_of_their_hash(client):
    url = static_url("site.css")
    assert re.fullmatch(r"/static/site\.css\?v=[0-9a-f]{16}", url)
    found = client.get(url)
    assert found.headers["Cache-Control"] == FOREVER
    assert client.get(url[:-1]).headers["Cache-Control"] == "no-cache"
    assert client.get("/static/site.css").headers["Cache-Control"] == "no-cache"
    etag = found.headers["ETag"]
    assert client.get(url, headers={"If-None-Match": etag}).status_code == 304


def test_a_file_that_is_not_there_has_no_address():
    with pytest.raises(FileNotFoundError):
        static_url("none.css")
