"""The site's pages over a small database of real JPEGs in folders."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image

from imagetree.database import import_source, open_database

DOG = "n02084071"


@pytest.fixture
def client(tmp_path):
    from fastapi.testclient import TestClient

    from imagetree.web.app import create_app
    from imagetree.web.settings import Settings

    folder = tmp_path / "classes" / DOG
    folder.mkdir(parents=True)
    for number in range(3):
        file = io.BytesIO()
        Image.new("RGB", (16 + number, 12)).save(file, "JPEG")
        (folder / f"{DOG}_{number}.JPEG").write_bytes(file.getvalue())
    place = tmp_path / "images.db"
    with open_database(place, create=True) as database:
        import_source(database, folder.parent)
    with TestClient(create_app(Settings(str(place), page_size=2))) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/search?q=dog", f"/synset/{DOG}", "/none", "/health"])
def test_every_answer_has_the_security_headers(client, path):
    headers = client.get(path).headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_counters_are_the_databases(client):
    assert "3 images, 1 synset indexed" in client.get("/").text
    assert client.get("/index.json").json()["num_images"] == 3


def test_pages_by_key_show_each_image_once(client):
    first = client.get(f"/synset/{DOG}.json").json()
    second = client.get(f"/synset/{DOG}.json", params={"after": first["next"]}).json()
    names = [image["name"] for image in first["images"] + second["images"]]
    assert names == [f"{DOG}_{n}" for n in range(3)]
    assert (first["first"], second["first"], second["next"]) == (0, 2, None)
    assert (first["previous"], second["previous"]) == (None, "")


@pytest.mark.parametrize("wnid", ["n99999999", "x", "n02084071'--"])
def test_a_synset_that_is_none_is_not_found(client, wnid):
    assert client.get(f"/synset/{wnid}").status_code == 404


def test_what_is_searched_for_is_escaped(client):
    assert "<script>" not in client.get("/search", params={"q": '"><script>'}).text


def test_a_page_in_the_middle_leads_both_ways(client):
    """From the third image back to the second, whose page ends where the third begins."""
    last = client.get(f"/synset/{DOG}", params={"after": f"{DOG}_1"}).text
    assert "3 to 3 of 3" in last
    assert f'href="/synset/{DOG}#images">First</a>' in last
    assert 'rel="prev"' in last
    assert 'rel="next"' not in last


def test_images_below_are_shown_where_there_are_none_else(client):
    """Canine has none of its own: those below it are shown, and named as such."""
    found = client.get("/synset/n02083346.json").json()
    assert (found["num_images"], found["num_subtree"], found["subtree"]) == (0, 3, True)
    assert [image["wnid"] for image in found["images"]] == [DOG, DOG]
    own = client.get("/synset/n02083346.json", params={"subtree": "false"}).json()
    assert own["images"] == []


@pytest.mark.parametrize("after", ["x", "../etc", "n0208407", "%00"])
def test_a_page_after_no_image_is_not_found(client, after):
    assert client.get(f"/synset/{DOG}", params={"after": after}).status_code == 404


def test_a_synset_shows_all_its_ways_to_the_root(client):
    """A dog is a canine and a domestic animal."""
    found = client.get(f"/synset/{DOG}.json").json()
    above = [[each["wnid"] for each in path][-2] for path in found["paths"]]
    assert sorted(above) == ["n01317541", "n02083346"]
    assert all(path[0]["wnid"] == "n00001740" for path in found["paths"])
    assert "2 ways from the root" in client.get(f"/synset/{DOG}").text


def test_search_says_what_was_meant(client):
    found = client.get("/search.json", params={"q": "golden retriver"}).json()
    assert found["is_misspelt"]
    assert found["results"][0]["lemma"] == "golden retriever"
    page = client.get("/search", params={"q": "golden retriver"}).text
    assert "Did you mean" in page
    assert 'href="/search?q=golden%20retriever"' in page
    assert "Did you mean" not in client.get("/search", params={"q": "dog"}).text


def test_search_counts_and_can_leave_out_what_has_no_images(client):
    every = client.get("/search.json", params={"q": "dog"}).json()["results"]
    filled = client.get("/search.json", params={"q": "dog", "images": "true"}).json()["results"]
    assert len(every) > 1
    assert [(each["wnid"], each["num_images"]) for each in filled] == [(DOG, 3)]


def test_the_head_has_imagenets_navigation_and_says_where_one_is(client):
    page = client.get("/about").text
    names = re.findall(r"<li><a href=\"/([a-z]+)\"( aria-current=\"page\")?>", page)
    assert [name for name, _ in names] == [
        *("explore", "download", "challenges", "publications", "coolstuff", "about")
    ]
    assert [name for name, mark in names if mark] == ["about"]
    assert "Not logged in." in page
    assert 'href="#main">Skip' in page


@pytest.mark.parametrize(
    ("role", "leads_to"),
    [
        ("curator", {"/votes", "/curate"}),
        ("annotator", {"/votes"}),
        ("participant", set()),
        ("visitor", set()),
    ],
)
def test_the_head_names_the_user_and_leads_to_what_the_role_may_do(client, role, leads_to):
    from imagetree.web.site import User

    class Ada:
        def user_of(self, request):
            return User(1, "<Ada>", role)

    client.app.state.site.users = Ada()
    page = client.get("/").text
    assert "&lt;Ada&gt;" in page
    assert "<Ada>" not in page
    assert 'action="/logout"' in page
    assert 'name="csrf"' in page
    assert {each for each in ("/votes", "/curate") if f'href="{each}"' in page} == leads_to
    synset = client.get(f"/synset/{DOG}").text
    assert (f'href="/votes/{DOG}"' in synset) == ("/votes" in leads_to)
    assert "Not logged in" not in page


def test_light_and_dark_are_kept_without_javascript(client):
    """The choice comes back to the page it was made on, and automatic forgets it."""
    taken = client.post(
        "/appearance", data={"theme": "dark", "next": "/search?q=a"}, follow_redirects=False
    )
    assert (taken.status_code, taken.headers["location"]) == (303, "/search?q=a")
    assert '<html lang="en" data-theme="dark">' in client.get("/").text
    client.post("/appearance", data={"theme": "auto"})
    assert '<html lang="en">' in client.get("/").text


@pytest.mark.parametrize("path", ["//b.org", "https://b.org", "/\\b.org", "/\t/b.org", "b"])
def test_the_choice_leads_to_no_other_site(client, path):
    taken = client.post("/appearance", data={"theme": "dark", "next": path}, follow_redirects=False)
    assert taken.headers["location"] == "/"


def test_a_cookie_of_ones_own_cannot_write_into_the_page(client):
    client.cookies.set("theme", "x onload=1")
    assert '<html lang="en">' in client.get("/").text


@pytest.mark.parametrize(
    "path",
    [
        *("/index", "/search", "/explore", f"/explore/{DOG}", f"/synset/{DOG}", "/common/1"),
        *("/publications", "/about", f"/image/{DOG}_1"),
    ],
)
def test_every_page_has_a_twin_and_names_it(client, path):
    assert client.get(f"{path}.json").headers["content-type"] == "application/json"
    page = client.get(path.replace("/index", "/"))
    assert page.status_code == 200
    assert f'href="{path}.json' in page.text


def test_the_stylesheet_is_small_and_no_page_has_styles_or_scripts_of_its_own(client):
    """The policy would stop them without a word."""
    assert len(client.get("/static/site.css").content) < 30_000
    for path in ("/", "/explore", f"/synset/{DOG}", "/common/1", "/about", f"/image/{DOG}_1"):
        page = client.get(path).text
        assert not re.search(r"\sstyle=|<style|\son[a-z]+=|<script(?! src=)", page), path


def test_a_page_of_a_synset_is_light(client):
    """Page, style and the one script together, as sent; images left out."""
    import gzip

    page = client.get("/explore").text
    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert len([name for name in files if name.split("?")[0].endswith((".js", ".css"))]) == 2
    sent = [page.encode(), *(client.get(name).content for name in files)]
    assert sum(len(gzip.compress(each, 4)) for each in sent) < 60_000


def test_publications_are_bibtex(client):
    text = client.get("/publications.bib").text
    assert "@inproceedings{krizhevsky2012imagenet,\n" in text
    assert text.count("{") == text.count("}")
    for each in client.get("/publications.json").json()["publications"]:
        assert each["bibtex"] in text
