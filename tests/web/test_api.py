"""The API's page is made of the OpenAPI, without scripts; tokens are asked for where needed."""

from __future__ import annotations

import re

from imagetree.web.api import operations

from .acting import EVE, act_as


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_the_page_shows_every_operation_and_its_parameters(client):
    document = client.get("/openapi.json").json()
    page = client.get("/docs").text
    shown = re.findall(r"<code>([A-Z]+) ([^<]+)</code></h3>", page)
    wanted = {(m.upper(), path) for path, each in document["paths"].items() for m in each}
    assert set(shown) == wanted
    assert len(shown) == len(wanted) > 20
    assert "<code>distance</code>" in page
    assert "integer from 0 to 12; 4 if not given" in page


def test_the_page_has_no_script_and_nothing_from_elsewhere(client):
    page = client.get("/docs").text
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)


def test_ids_on_the_page_are_unique(client):
    """So that each operation can be linked to."""
    found = re.findall(r'\sid="([^"]+)"', client.get("/docs").text)
    assert len(found) == len(set(found))


def test_what_needs_a_token_says_so(client):
    found = operations(client.get("/openapi.json").json())
    secured = {each["path"] for each in found if each["needs_token"]}
    assert {"/votes.json", "/curate.json", "/curate/log.json"} <= secured
    assert not secured & {"/search.json", "/news.json", "/synset/{wnid}.json"}
    for each in found:
        if each["needs_token"]:
            assert {"401", "403"} <= {answer["status"] for answer in each["answers"]}


def test_a_token_has_its_users_rights_and_no_more(client):
    act_as(client, None)
    for path, good, refused in (
        ("/votes.json", "bob-token", "eve-token"),
        ("/curate.json", "ada-token", "bob-token"),
    ):
        assert client.get(path, headers=bearer(good)).status_code == 200
        assert client.get(path, headers=bearer(refused)).status_code == 403
        found = client.get(path, headers=bearer("no-token"))
        assert found.status_code == 401
        assert found.headers["WWW-Authenticate"].startswith("Bearer")
        assert "detail" in found.json()


def test_every_page_of_a_curator_and_its_twin_are_refused_to_others(client):
    act_as(client, EVE)
    names = ("", "/votes", "/quarantine", "/duplicates", "/removed", "/hidden", "/log")
    for name in names:
        assert client.get(f"/curate{name}").status_code == 403, name
        assert client.get(f"/curate{name}.json").status_code == 403, name
    assert client.get("/curate/image/1/thumb").status_code == 403
