"""Explore: the hierarchy as it is, with all hypernyms, opened by links alone or in place."""

from __future__ import annotations

import re

import pytest

from imagetree.curation.removal import hide_synset
from imagetree.database import open_database
from imagetree.web.treemap import Rect, squarify

DOG, CHIHUAHUA, CAT = "n02084071", "n02085620", "n02121808"
DOMESTIC, CANINE, CARNIVORE, TOY_DOG = "n01317541", "n02083346", "n02075296", "n02085374"


def walk(branch, above=None):
    yield branch, above
    for each in branch["branches"]:
        yield from walk(each, branch)


def test_the_tree_begins_above_all_images(client):
    """Dogs and cats are both carnivores and domestic animals; carnivores lie deeper."""
    found = client.get("/explore.json").json()
    assert found["tree"]["wnid"] == CARNIVORE
    assert (found["tree"]["num_subtree"], found["tree"]["num_synsets"]) == (6, 3)
    assert found["above"][0]["wnid"] == "n00001740"
    assert found["above"][-1]["words"] == "placental, placental mammal, eutherian, eutherian mammal"


def test_a_synset_is_reached_with_all_that_is_above_it_open(client):
    """Every branch is one of the nodes above it, open, with all its children that have images."""
    found = client.get(f"/explore/{CHIHUAHUA}.json").json()
    ways = {branch["wnid"]: branch for branch, _ in walk(found["tree"])}
    assert {DOG, TOY_DOG, CHIHUAHUA} <= set(ways)
    assert ways[DOG]["is_open"]
    assert ways[DOG]["num_subtree"] == 4
    page = client.get(f"/explore/{CHIHUAHUA}").text
    assert re.search(rf'href="/explore/{CHIHUAHUA}" aria-current="page"', page)


def test_every_hypernym_of_a_synset_is_named(client):
    """A dog stands below canine here, and says that it is below domestic animal as well."""
    tree = client.get(f"/explore/{DOG}.json").json()["tree"]
    ((dog, above),) = [pair for pair in walk(tree) if pair[0]["wnid"] == DOG]
    assert above["wnid"] == CANINE
    assert [each["wnid"] for each in dog["also_below"]] == [DOMESTIC]
    assert f'also below <a href="/explore/{DOMESTIC}">' in client.get(f"/explore/{DOG}").text


def test_each_step_is_a_link_and_a_part_of_a_page(client):
    """Without JavaScript the link leads to a page that is open there; with it only that part."""
    page = client.get("/explore/n00001740").text
    step = re.search(
        r'href="/explore/(n[0-9]{8})" hx-get="(/explore/branch/[n0-9.]+\?opened=true)"', page
    )
    assert step is not None
    opened = client.get(step[2]).text
    assert opened.startswith("<li>")
    assert opened.count("<li>") > 1
    assert 'aria-expanded="true"' in opened
    assert f'<li><div><a class="fold" id="fold.{CANINE}"' in (
        client.get(f"/explore/branch/{CANINE}?opened=false").text
    )
    whole = client.get(f"/explore/{step[1]}").text
    for wnid in re.findall(r'<span><a href="/explore/(n[0-9]{8})"', opened):
        assert f'<span><a href="/explore/{wnid}"' in whole


def test_ids_are_unlike_where_a_synset_stands_twice(client):
    """Animal holds domestic animal and, by chordate, canine: dogs are below both."""
    ids = []
    for above in (DOMESTIC, CANINE):
        ids += re.findall(r'id="([^"]+)"', client.get(f"/explore/branch/{above}").text)
    assert len(ids) == len(set(ids))
    assert sum(each.endswith(DOG) for each in ids) == 2


@pytest.mark.parametrize(
    "way", ["x", "n00000000", f"{DOG}.{CAT}", f"{CHIHUAHUA}.{DOG}", "n00001740." * 60, "%3Cb%3E"]
)
def test_a_way_that_is_none_is_not_found(client, way):
    assert client.get(f"/explore/branch/{way}").status_code == 404


def test_what_has_no_images_says_so(client):
    page = client.get("/explore/n04335435").text  # streetcar
    assert "There are no images of streetcar" in page
    assert client.get("/explore/n99999999").status_code == 404


def test_the_front_of_an_empty_tree_is_a_page(client, site_place):
    with open_database(site_place) as database:
        hide_synset(database, "n00001740", "for the test")
    for path in ("/", "/explore", f"/synset/{DOG}", "/about"):
        assert client.get(path).status_code == 200
    assert client.get("/common/1").status_code == 404


def test_the_treemap_shows_the_children_that_have_images(client):
    """Two of carnivore's: canine with four images, feline with two, as in the table."""
    page = client.get(f"/synset/{CARNIVORE}").text
    drawn = re.search(r"<svg class=\"treemap\".*?</svg>", page, re.DOTALL)
    assert drawn is not None
    titles = re.findall(r"<title>([^<]+)</title>", drawn[0])
    assert titles == ["canine: 4 images", "feline: 2 images"]
    areas = [
        float(width) * float(height)
        for width, height in re.findall(
            r'<rect x="[0-9.]+" y="[0-9.]+" width="([0-9.]+)" height="([0-9.]+)"', drawn[0]
        )
    ]
    assert areas[0] / areas[1] == pytest.approx(2, rel=0.01)
    covers = re.findall(r'<image href="([^"]+)"', drawn[0])
    assert len(covers) == 4 + 2  # all there are, in squares of a like size
    assert all(client.get(cover).headers["content-type"] == "image/jpeg" for cover in covers)
    assert drawn[0].count('tabindex="-1"') == 2
    table = re.search(r"<table>.*?</table>", page, re.DOTALL)
    assert table is not None
    assert table[0].index("canine") < table[0].index("feline")


@pytest.mark.parametrize(
    "values", [[6, 6, 4, 3, 2, 2, 1], [1], [1000, 1, 1], list(range(50, 0, -1))]
)
def test_rectangles_fill_the_area_and_do_not_overlap(values):
    area = Rect(0, 0, 600, 400)
    found = squarify(values, area)
    for value, rect in zip(values, found, strict=True):
        assert rect.width * rect.height == pytest.approx(600 * 400 * value / sum(values))
        assert rect.x >= -1e-6
        assert rect.y >= -1e-6
        assert rect.x + rect.width <= 600 + 1e-6
        assert rect.y + rect.height <= 400 + 1e-6
    for i, one in enumerate(found):
        for other in found[i + 1 :]:
            wide = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            high = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert min(wide, high) <= 1e-6


def test_the_papers_example():
    """Its section 3.1: areas 6, 6, 4, 3, 2, 2, 1 in a rectangle of 6 by 4."""
    found = squarify([6, 6, 4, 3, 2, 2, 1], Rect(0, 0, 6, 4))
    sides = [(round(rect.width, 2), round(rect.height, 2)) for rect in found]
    assert sides[:4] == [(3, 2), (3, 2), (1.71, 2.33), (1.29, 2.33)]
