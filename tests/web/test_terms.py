"""The terms: read by all, accepted per account, asked before images are downloaded."""

from __future__ import annotations

import pytest

from imagetree.accounts.audit import Origin, account_actions
from imagetree.accounts.users import accept_terms, find_account, set_disabled

from .acting import send
from .conftest import DOG


@pytest.fixture
def asking(site_place):
    """A site that asks for the terms."""
    from fastapi.testclient import TestClient

    from imagetree.web.app import create_app
    from imagetree.web.settings import Settings

    with TestClient(create_app(Settings(str(site_place), ask_terms=True))) as client:
        yield client


def enter(client):
    """Sign up; the account."""
    fields = {"name": "Ada", "password": "seven blue whales"}
    assert send(client, "/signup", fields).status_code == 303
    return find_account(client.app.state.site.database, "Ada")


def may_download(client):
    """What the page of a synset's downloads says."""
    return client.get(f"/download/{DOG}.json").json()["may_download"]


def test_terms_are_accepted_once_and_recorded(asking):
    """Version and time are kept with the account and in the log; downloads open with it."""
    account = enter(asking)
    assert not may_download(asking)
    assert "I accept these terms" in asking.get("/terms").text
    answer = send(asking, "/terms", {"version": "1", "next": f"/download/{DOG}"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/download/{DOG}")
    database = asking.app.state.site.database
    assert find_account(database, account.id).terms == "1"
    assert account_actions(database)[0].action == "terms 1 accepted"
    assert may_download(asking)
    assert "You have accepted them" in asking.get("/terms").text
    assert asking.get("/terms.json").json()["accepted"] == "1"


def test_what_is_not_the_version_shown_is_not_accepted(asking):
    """A form of older terms leads to the new ones, and a visitor to the login."""
    assert send(asking, "/terms", {"version": "1"}).headers["location"].startswith("/login")
    account = enter(asking)
    assert send(asking, "/terms", {"version": "0"}).headers["location"] == "/terms"
    assert find_account(asking.app.state.site.database, account.id).terms is None


def test_accepting_needs_the_forms_token_and_leads_nowhere_else(asking):
    account = enter(asking)
    assert asking.post("/terms", data={"version": "1"}).status_code == 403
    assert find_account(asking.app.state.site.database, account.id).terms is None
    answer = send(asking, "/terms", {"version": "1", "next": "//evil.example"})
    assert answer.headers["location"] == "/"


def test_older_terms_and_accounts_shut_out_do_not_open(asking):
    """Who accepted another version is asked again; a disabled account's links end."""
    account, site = enter(asking), asking.app.state.site
    accept_terms(site.database, account.id, "0", Origin("Ada"))
    assert not site.gate.may_download(str(account.id))
    accept_terms(site.database, account.id, "1", Origin("Ada"))
    assert site.gate.may_download(str(account.id))
    set_disabled(site.database, account.id, Origin("Eve"), disabled=True)
    assert not site.gate.may_download(str(account.id))
    assert not site.gate.may_download("")


def test_without_asking_everybody_downloads(client):
    assert may_download(client)
    assert client.get("/terms").status_code == 200


def test_no_image_leaves_before_the_terms_are_accepted(asking):
    """Link, archive and whole image are refused to visitors and to accounts that did not accept."""
    link, image = f"/download/{DOG}/link.json", f"/image/{DOG}_2/file"
    assert [asking.get(path).status_code for path in (link, image)] == [403, 403]
    account = enter(asking)
    assert [asking.get(path).status_code for path in (link, image)] == [403, 403]
    assert f'href="/terms?next=/download/{DOG}"' in asking.get(f"/download/{DOG}").text
    send(asking, "/terms", {"version": "1"})
    url = asking.get(link).json()["url"]
    assert [asking.get(path).status_code for path in (url, image)] == [200, 200]
    database = asking.app.state.site.database
    set_disabled(database, account.id, Origin("Eve"), disabled=True)
    assert asking.get(url).status_code == 403
