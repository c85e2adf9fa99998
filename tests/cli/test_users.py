"""`imagetree web user`: the accounts of a site at its machine."""

from __future__ import annotations

import io
import json
import sys

import pytest

from imagetree.accounts.audit import Origin, account_actions
from imagetree.accounts.keys import use_reset
from imagetree.accounts.users import log_in
from imagetree.database import open_database

PASSWORD = "correct horse battery"


@pytest.fixture
def place(tmp_path, monkeypatch):
    path = tmp_path / "site.db"
    open_database(path, create=True).close()
    monkeypatch.setenv("IMAGETREE_DATABASE", str(path))
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
    return path


def test_the_first_curator(place, imagetree) -> None:
    """Made, listed, given another role, shut out and let in; all of it is in the log."""
    said = imagetree("web", "user", "add", "Ada", "--role", "curator", "--email", "ada@b.org")
    assert said.out == "account 1: Ada, curator\n"
    [found] = json.loads(imagetree("web", "user", "list", "--json").out)
    assert (found["name"], found["role"], found["email"]) == ("Ada", "curator", "ada@b.org")
    assert "Ada" in imagetree("web", "user", "list").out
    assert imagetree("web", "user", "role", "ada@b.org", "annotator").out == "Ada: annotator\n"
    assert imagetree("web", "user", "disable", "Ada").out == "Ada: shut out\n"
    assert "shut out" in imagetree("web", "user", "list").out
    assert imagetree("web", "user", "disable", "Ada", "--undo").out == "Ada: let in\n"
    with open_database(place) as store:
        assert log_in(store, "Ada", PASSWORD, Origin("Ada")).role == "annotator"
        assert [row.action for row in account_actions(store)][::-1] == [
            "signed up as curator",
            "role annotator",
            "disabled",
            "enabled",
            "logged in",
        ]


def test_a_link_for_who_forgot(place, imagetree) -> None:
    imagetree("web", "user", "add", "Ada")
    said = imagetree("web", "user", "reset", "Ada", "--url", "https://a.org/")
    assert said.out.startswith("https://a.org/reset?key=")
    with open_database(place) as store:
        key = said.out.strip().partition("=")[2]
        use_reset(store, key, "another horse battery", Origin("Ada"))
        assert log_in(store, "Ada", "another horse battery", Origin("Ada")).id == 1


def test_what_is_wrong_is_said(place, imagetree) -> None:
    said = imagetree("web", "user", "role", "Nobody", "curator")
    assert said.status == 1
    assert "there is no such account" in said.err
    assert "imagetree web user list" in said.err
