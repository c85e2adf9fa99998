"""Accounts on the site: a visitor's way in and out, and those who have no business there."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from imagetree.accounts import keys, users
from imagetree.accounts.audit import Origin
from imagetree.accounts.clock import utc
from imagetree.database import open_database
from imagetree.web.access import origin_of
from imagetree.web.app import create_app
from imagetree.web.settings import Settings

PASSWORD, OTHER = "correct horse battery", "another horse battery"


@pytest.fixture
def app(site_place):
    return create_app(Settings(str(site_place)))


@pytest.fixture
def client(app):
    with TestClient(app, follow_redirects=False) as client:
        yield client


@pytest.fixture
def store(site_place):
    with open_database(site_place) as store:
        yield store


def post(client, path, page=None, **fields):
    """Send a form as its page has it."""
    token = client.cookies.get("csrf")
    if not token:
        client.get(page or path)
        token = client.cookies["csrf"]
    return client.post(path, data={"csrf": token, **fields})


def enter(client, name="Ada", **fields):
    found = post(client, "/signup", name=name, password=PASSWORD, **fields)
    assert found.status_code == 303, found.text
    return found


def test_a_visitors_way_in_and_out(client) -> None:
    enter(client, email="ada@example.org")
    page = client.get("/account").text
    assert "Welcome, Ada." in page
    assert "ada@example.org" in page
    assert "Log out" in client.get("/").text
    assert post(client, "/logout").headers["location"] == "/"
    assert "Not logged in" in client.get("/").text
    assert client.get("/account").headers["location"] == "/login?next=/account"
    found = post(client, "/login", name="ADA", password=PASSWORD, next="/account")
    assert found.headers["location"] == "/account"
    assert client.get("/account").status_code == 200


def test_the_cookie_is_for_the_site_alone(client) -> None:
    cookie = enter(client).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    with TestClient(client.app, base_url="https://testserver", follow_redirects=False) as secure:
        assert "Secure" in enter(secure, "Bob").headers["set-cookie"]


def test_a_session_that_was_there_before_is_not_taken_on(client) -> None:
    """What another set in this browser opens nothing after the login."""
    client.cookies.set("session", "x" * 43)
    enter(client)
    sessions = re.findall(r"session=([^;]+)", enter_again(client))
    assert sessions
    assert "x" * 43 not in sessions


def enter_again(client):
    return post(client, "/login", name="Ada", password=PASSWORD).headers["set-cookie"]


@pytest.mark.parametrize("following", ["//evil.example", "https://evil.example", "/\\evil", "x"])
def test_the_login_leads_to_no_other_site(client, following) -> None:
    enter(client)
    found = post(client, "/login", name="Ada", password=PASSWORD, next=following)
    assert found.headers["location"] == "/"


def test_wrong_logins_tell_nothing_and_are_limited(client) -> None:
    enter(client)
    client.get("/")  # which says welcome, once
    texts = set()
    for name in ("Ada", "Nobody"):
        found = post(client, "/login", name=name, password="wrong horse battery")
        assert found.status_code == 400
        texts.add(re.sub(r'value="[^"]*"', "", found.text))
    assert len(texts) == 1
    for _ in range(10):
        found = post(client, "/login", name="Ada", password="wrong horse battery")
    assert found.status_code == 429
    assert int(found.headers["retry-after"]) > 0


def test_forms_need_their_token(client) -> None:
    enter(client)
    for path in (
        "/login",
        "/signup",
        "/logout",
        "/account/password",
        "/account/email",
        "/account/token",
        "/account/revoke",
        "/account/delete",
        "/reset",
        "/curate/users/1",
    ):
        assert client.post(path, data={"name": "Eve", "old": PASSWORD}).status_code == 403, path
    assert client.get("/account").status_code == 200


def test_a_new_password_ends_other_sessions(client, app) -> None:
    enter(client)
    with TestClient(app, follow_redirects=False) as elsewhere:
        assert post(elsewhere, "/login", name="Ada", password=PASSWORD).status_code == 303
        wrong = post(client, "/account/password", "/account", old=OTHER, password=OTHER)
        assert wrong.status_code == 400
        assert elsewhere.get("/account").status_code == 200
        right = post(client, "/account/password", "/account", old=PASSWORD, password=OTHER)
        assert right.status_code == 303
        assert elsewhere.get("/account").status_code == 303
    assert client.get("/account").status_code == 200
    assert post(client, "/login", name="Ada", password=PASSWORD).status_code == 400


def test_an_address_is_changed_by_who_has_the_password(client, store) -> None:
    """To one that nobody has; a link that was mailed to the old one ends."""
    users.sign_up(store, users.Signup("Bob", PASSWORD, "bob@example.org"), Origin("Bob"))
    enter(client, email="ada@example.org")
    account = users.find_account(store, "Ada")
    key = keys.make_reset(store, account, Origin("by mail"))
    for fields in (
        {"old": OTHER, "email": "new@example.org"},
        {"old": PASSWORD, "email": "BOB@example.org"},
        {"old": PASSWORD, "email": "new@example.org\nBcc: eve@example.org"},
    ):
        assert post(client, "/account/email", **fields).status_code == 400
    assert users.find_account(store, "Ada").email == "ada@example.org"
    changed = post(client, "/account/email", old=PASSWORD, email=" New@example.org")
    assert changed.status_code == 303
    assert users.find_account(store, "Ada").email == "new@example.org"
    assert keys.find_by_key(store, key, keys.RESET, utc()) is None
    assert post(client, "/account/email", old=PASSWORD, email="").status_code == 303
    assert users.find_account(store, "Ada").email is None


def test_sessions_are_listed_and_ended(client, app) -> None:
    enter(client)
    with TestClient(app, follow_redirects=False, headers={"user-agent": "<b>Fox"}) as elsewhere:
        post(elsewhere, "/login", name="Ada", password=PASSWORD)
        page = client.get("/account").text
        assert "&lt;b&gt;Fox" in page
        [number] = [
            each["id"]
            for each in client.get("/account.json").json()["sessions"]
            if each["label"] == "<b>Fox"
        ]
        assert post(client, "/account/revoke", id=number).status_code == 303
        assert elsewhere.get("/account").status_code == 303
    assert post(client, "/account/revoke", id="0").status_code == 400


def test_a_token_opens_what_its_owner_may_see(client, app) -> None:
    enter(client)
    page = post(client, "/account/token", label="script").text
    token = re.search(r"<code>([^<]+)</code>", page)[1]
    assert token not in client.get("/account").text
    with TestClient(app, follow_redirects=False) as program:
        bearer = {"Authorization": f"Bearer {token}"}
        assert program.get("/account.json").status_code == 401
        assert program.get("/account.json", headers=bearer).json()["name"] == "Ada"
        for wrong in (f"Bearer {token}x", f"Basic {token}", "Bearer ", token):
            found = program.get("/account.json", headers={"Authorization": wrong})
            assert found.status_code == 401
        cookie = {"Cookie": f"session={token}"}
        assert program.get("/account.json", headers=cookie).status_code == 401


def test_a_link_sets_a_password(client, store) -> None:
    enter(client)
    key = keys.make_reset(store, users.find_account(store, "Ada"), Origin("root"))
    page = client.get("/reset", params={"key": key})
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert post(client, "/reset", key=key, password="short").status_code == 400
    assert post(client, "/reset", key=key, password=OTHER).status_code == 303
    assert post(client, "/reset", key=key, password=PASSWORD).status_code == 400
    assert client.get("/account").status_code == 303
    assert post(client, "/login", name="Ada", password=OTHER).status_code == 303


def test_who_leaves_is_forgotten(client, store) -> None:
    enter(client, email="ada@example.org")
    assert post(client, "/account/delete", "/account", old=OTHER).status_code == 400
    assert post(client, "/account/delete", old=PASSWORD).status_code == 303
    assert client.get("/account").status_code == 303
    [left] = users.list_accounts(store)
    assert (left.name, left.email) == (f"former user {left.id}", None)


def test_nobody_makes_himself_a_curator(client) -> None:
    found = post(client, "/signup", name="Eve", password=PASSWORD, role="curator")
    assert found.status_code == 400
    enter(client)
    assert client.get("/curate/users").status_code == 403
    assert post(client, "/curate/users/1", role="curator").status_code == 403


def test_a_curators_list_of_users(client, app, store) -> None:
    enter(client, "<i>Eve")
    signup = users.Signup("Root", PASSWORD, "", "curator")
    users.sign_up(store, signup, Origin("root"))
    with TestClient(app, follow_redirects=False) as curator:
        post(curator, "/login", name="Root", password=PASSWORD)
        page = curator.get("/curate/users").text
        assert "&lt;i&gt;Eve" in page
        assert "<i>Eve" not in page
        assert "signed up as participant" in page
        assert post(curator, "/curate/users/1", role="annotator").status_code == 303
        assert client.get("/account").status_code == 303
        assert users.find_account(store, 1).role == "annotator"
        assert post(curator, "/curate/users/1", disabled="yes").status_code == 303
        assert post(client, "/login", name="<i>Eve", password=PASSWORD).status_code == 400
        assert post(curator, "/curate/users/2", role="visitor").status_code == 403
        assert post(curator, "/curate/users/99", role="visitor").status_code == 404
        assert post(curator, "/curate/users/1", role="god").status_code == 404


def test_an_old_session_opens_nothing(client, app, store) -> None:
    enter(client)
    account = users.find_account(store, "Ada")
    old = keys.open_session(store, account, "", utc() - timedelta(days=15))
    with TestClient(app, follow_redirects=False) as other:
        other.cookies.set("session", old)
        assert other.get("/account").status_code == 303


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
    ],
)
def test_addresses_of_one_network_count_together(host, address) -> None:
    class Request:
        client = type("Client", (), {"host": host})

    assert origin_of(Request, "Ada").address == address
