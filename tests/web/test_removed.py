"""What is removed in one worker is gone in the others, whatever they have kept of it."""

from __future__ import annotations

import io
import re
import tarfile

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from imagetree.curation.removal import hide_synset, remove_images
from imagetree.web.app import create_app
from imagetree.web.settings import Settings

from .conftest import CAT, DOG

GONE = f"{DOG}_2"
QUERIES = {
    "/search": "?q=dog",
    "/search.json": "?q=dog",
    "/synset": f"?wnid={DOG}",
    "/api/text/imagenet.synset.geturls": f"?wnid={DOG}",
    "/api/text/imagenet.synset.geturls.getmapping": f"?wnid={DOG}",
}


@pytest.fixture
def workers(site_place):
    """Two applications over one database, as two processes have them."""
    apps = [create_app(Settings(str(site_place))) for _ in range(2)]
    with TestClient(apps[0]) as first, TestClient(apps[1]) as second:
        yield first, second


def addresses(app):
    """Every address that is read, of the synset and of the image that will be removed."""
    for route in app.state.routes:
        if isinstance(route, APIRoute) and "GET" in route.methods and route.path != "/metrics":
            for value in (DOG, GONE, f"{DOG}_subtree"):
                lists = "urls.txt" if "lists" in route.path else value
                yield re.sub(r"\{\w+(:\w+)?\}", lists, route.path) + QUERIES.get(route.path, "")
    yield from ("/common/1?reveal=true", "/common/2?reveal=true", "/explore?open=n02084071")


@pytest.mark.slow
def test_nothing_that_another_worker_kept_shows_it(workers):
    """Pages, twins, lists, thumbnails, with the ETags that were given before, and a signed link."""
    first, second = workers
    link = second.get(f"/download/{DOG}/link.json").json()
    paths = list(dict.fromkeys([*addresses(second.app), link["url"], link["checksum_url"]]))
    before = {path: second.get(path) for path in paths}
    shown = {path for path, found in before.items() if GONE.encode() in found.content}
    own = {each for each in paths if each.startswith(f"/image/{GONE}") and before[each].is_success}
    assert len(shown) > 8
    assert len(own) > 4
    remove_images(first.app.state.site.database, [GONE], "asked for")
    for path in paths:
        etag = before[path].headers.get("etag", '"none"')
        for headers in ({}, {"If-None-Match": etag}):
            found = second.get(path, headers=headers)
            if path in shown | own:
                assert found.status_code != 304, path
            if path in own:
                assert found.status_code in {404, 410}, path
            if found.status_code < 400:  # a refusal may say the name that was asked for
                assert GONE.encode() not in found.content.replace(path.encode(), b""), path
    assert second.get(link["url"]).status_code == 410
    assert "5 images" in second.get("/").text
    new = second.get(second.get(f"/download/{DOG}/link.json").json()["url"]).content
    with tarfile.open(fileobj=io.BytesIO(new)) as archive:
        assert f"{GONE}.JPEG" not in archive.getnames()


def test_a_synset_that_is_hidden_is_gone_too(workers):
    first, second = workers
    assert second.get(f"/image/{CAT}_1/thumb").status_code == 200
    etag = second.get("/explore.json").headers.get("etag", "")
    hide_synset(first.app.state.site.database, CAT, "unfit")
    assert second.get(f"/image/{CAT}_1/thumb").status_code == 404
    assert second.get(f"/synset/{CAT}.json").json()["images"] == []
    assert second.get("/explore.json", headers={"If-None-Match": etag}).status_code != 304
    assert CAT not in second.get("/download/lists/synset_list.txt").text
    assert "4 images" in second.get("/").text
