"""ImageNet's text API at its old addresses, over a small database with and without URLs."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from sqlalchemy import update

from imagetree.curation.removal import hide_synset, remove_images
from imagetree.database import open_database
from imagetree.database.schema import images, synset_of
from imagetree.web import text_api

from .conftest import CAT, CHIHUAHUA, DOG

API = "/api/text/"
URLS = f"{API}imagenet.synset.geturls"


@pytest.fixture
def with_urls(site_place):
    """Two of the dogs come from the web."""
    with open_database(site_place) as database:
        with database.writing() as connection:
            for number in (10, 2):
                row = (images.c.name == f"_{number}") & (images.c.synset == synset_of(DOG))
                url = f"https://example.org/{number}?a=b&c=<d>"
                connection.execute(update(images).where(row).values(path=url))
        yield database


def test_the_list_of_synsets(client):
    """Those with images, sorted, a wnid a line."""
    found = client.get(f"{API}imagenet.synset.obtain_synset_list")
    assert found.text == f"{DOG}\n{CHIHUAHUA}\n{CAT}\n"
    assert found.headers["content-type"] == "text/plain; charset=utf-8"


def test_urls_of_a_synset(with_urls, client):
    """One a line in the order of the names, and with the names."""
    first, second = "https://example.org/10?a=b&c=<d>", "https://example.org/2?a=b&c=<d>"
    assert client.get(URLS, params={"wnid": DOG}).text == f"{first}\n{second}\n"
    mapping = client.get(f"{URLS}.getmapping", params={"wnid": DOG}).text
    assert mapping == f"{DOG}_10 {first}\n{DOG}_2 {second}\n"
    assert client.get(URLS, params={"wnid": CHIHUAHUA}).text == ""
    whole = client.get("/download/lists/urls.txt").text
    assert whole == f"{DOG}_10\t{first}\n{DOG}_2\t{second}\n"


def test_urls_are_read_page_by_page(with_urls, client, monkeypatch):
    """Whatever the size of a page, each image is listed once."""
    whole = client.get(URLS, params={"wnid": DOG}).text
    monkeypatch.setattr(text_api, "_PAGE_ROWS", 1)
    assert client.get(URLS, params={"wnid": DOG}).text == whole


def test_a_removed_image_has_no_url(with_urls, client):
    """From the next answer on."""
    remove_images(with_urls, [f"{DOG}_10"], "asked for")
    assert client.get(URLS, params={"wnid": DOG}).text.count("\n") == 1


def test_a_hidden_synset_is_as_one_without_images(with_urls, client):
    """The same answer, byte for byte: nothing tells that it is there."""
    hide_synset(with_urls, DOG, "unfit", subtree=False)
    for path in (URLS, f"{URLS}.getmapping"):
        hidden = client.get(path, params={"wnid": DOG})
        empty = client.get(path, params={"wnid": "n00523513"})
        assert (hidden.status_code, hidden.content) == (404, empty.content)
    assert DOG not in client.get(f"{API}imagenet.synset.obtain_synset_list").text
    assert f'wnid="{DOG}"' not in client.get("/api/xml/ReleaseStatus.xml").text


def test_words_and_hyponyms(client):
    """WordNet's, whether there are images or not."""
    words = client.get(f"{API}wordnet.synset.getwords", params={"wnid": DOG}).text
    assert words == "dog\ndomestic dog\nCanis familiaris\n"
    path = f"{API}wordnet.structure.hyponym"
    children = client.get(path, params={"wnid": CAT}).text.splitlines()
    assert children == [CAT, "-n02122298", "-n02122430", *children[3:]]
    below = client.get(path, params={"wnid": DOG, "full": "1"}).text.splitlines()
    assert f"-{CHIHUAHUA}" in below
    assert f"-{CHIHUAHUA}" not in client.get(path, params={"wnid": DOG}).text.splitlines()


@pytest.mark.parametrize(
    "wnid", ["", "n99999999", "x", "../x", "n02084071\r\nX: y", "<script>", "n02084071'--"]
)
@pytest.mark.parametrize("name", ["wordnet.synset.getwords", "imagenet.synset.geturls"])
def test_what_is_no_wnid_is_not_found(client, name, wnid):
    """And is not said again."""
    found = client.get(f"{API}{name}", params={"wnid": wnid})
    assert found.status_code == 404
    assert "script" not in found.text
    assert "X" not in found.headers


def test_published_lists_are_byte_for_byte(client, oracles):
    """words.txt as ImageNet had it, at its address there and at ours."""
    expected = (oracles / "imagenet" / "words.txt").read_bytes()
    assert client.get("/archive/words.txt").content == expected
    ours = client.get("/download/lists/words.txt")
    assert ours.content == expected
    assert ours.headers["content-disposition"] == 'attachment; filename="words.txt"'


@pytest.mark.slow
def test_every_list_can_be_had(client):
    """Under its name and at its old address, the same bytes; XML that parses."""
    for name, each in text_api.available_lists().items():
        found = client.get(f"/download/lists/{name}")
        assert found.status_code == 200
        assert found.headers["content-type"].startswith(each.media_type)
        if each.old_path:
            assert client.get(each.old_path).content == found.content
        if name.endswith(".xml"):
            assert ET.fromstring(found.text).tag.startswith(("ImageNet", "Release"))


@pytest.mark.parametrize(
    "path",
    [
        "/download/lists/passwd",
        "/download/lists/..%2f..%2fetc%2fpasswd",
        "/archive/urls.txt",
        "/archive/..%2fwords.txt",
        "/api/xml/words.txt",
        "/download/lists/words.txt%0d%0aX: y",
    ],
)
def test_no_other_file_can_be_had(client, path):
    """A name is looked up, never opened."""
    assert client.get(path).status_code == 404


def test_the_old_address_of_a_synset_leads_to_its_page(client):
    """And to nowhere outside."""
    found = client.get("/synset", params={"wnid": DOG}, follow_redirects=False)
    assert (found.status_code, found.headers["location"]) == (301, f"/synset/{DOG}")
    for wnid in ("//evil.example", "n99999999"):
        assert client.get("/synset", params={"wnid": wnid}).status_code == 404
