"""A form is taken from our own pages alone, and no request is read without end."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import Depends, Request
from fastapi.testclient import TestClient
from starlette.datastructures import FormData

from imagetree.web.app import create_app
from imagetree.web.forms import checked_form, csrf
from imagetree.web.settings import Settings
from imagetree.web.site import current_site, require_curator, require_user

Form = Annotated[FormData, Depends(checked_form)]


@pytest.fixture
def app(site_place):
    app = create_app(Settings(str(site_place), max_body=2000))

    @app.get("/test-form")
    def show(request: Request):
        field = str(csrf(request))
        answer = current_site(request).page(request, "error.html", {"status": 400, "detail": field})
        answer.headers["x-field"] = field
        return answer

    @app.post("/test-form")
    def take(request: Request, form: Form):
        return current_site(request).redirect(request, "/health", flash=f"thanks, <b>{form['a']}")

    @app.get("/test-user", dependencies=[Depends(require_user)])
    @app.get("/test-curator", dependencies=[Depends(require_curator)])
    def for_some():
        return "shown"

    @app.get("/test-failure")
    def fail():
        raise RuntimeError("secret")

    return app


@pytest.fixture
def client(app):
    with TestClient(app, follow_redirects=False) as client:
        yield client


def token(client):
    return client.get("/test-form").headers["x-field"].split('value="')[1].split('"')[0]


def test_our_own_form_is_taken_and_what_it_says_is_shown_once(client):
    found = client.post("/test-form", data={"a": "Ada", "csrf": token(client)})
    assert (found.status_code, found.headers["location"]) == (303, "/health")
    assert "thanks, &lt;b&gt;Ada" in client.get("/").text
    assert "thanks" not in client.get("/").text


@pytest.mark.parametrize("sent", [{}, {"csrf": ""}, {"csrf": "x" * 43}, {"csrf": "é"}])
def test_a_form_without_its_token_is_refused(client, sent):
    token(client)
    assert client.post("/test-form", data={"a": "Eve", **sent}).status_code == 403


def test_a_token_without_its_cookie_is_refused(client):
    sent = {"a": "Eve", "csrf": token(client)}
    client.cookies.clear()
    assert client.post("/test-form", data=sent).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_sites_form_is_refused_though_it_has_the_token(client, headers):
    sent = {"a": "Eve", "csrf": token(client)}
    assert client.post("/test-form", data=sent, headers=headers).status_code == 403
    assert client.post("/test-form", data=sent).status_code == 303


def test_too_large_a_request_is_refused_unread(client):
    """Whether its length is told or not."""
    sent = {"a": "x" * 3000, "csrf": token(client)}
    assert client.post("/test-form", data=sent).status_code == 413
    pieces = (b"x" * 100 for _ in range(100))
    chunked = client.post(
        "/test-form",
        content=pieces,
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert chunked.status_code == 413


def test_a_failure_tells_nothing_and_has_the_headers(client, caplog):
    found = client.get("/test-failure")
    assert found.status_code == 500
    assert "secret" not in found.text
    assert found.headers["X-Content-Type-Options"] == "nosniff"
    assert "secret" in caplog.text


def test_pages_for_users_send_a_visitor_to_the_login(client):
    for path in ("/test-user", "/test-curator"):
        found = client.get(path)
        assert (found.status_code, found.headers["location"]) == (303, f"/login?next={path}")
