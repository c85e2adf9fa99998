"""A visitor's day: search, puzzle, tree, images, an archive, CoolStuff, light and dark."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

import pytest
from PIL import Image

from imagetree.database import ImageReader, images_of, open_database
from imagetree.wordnet import load_nouns

from .days import SCRIPTS, lived

pytestmark = pytest.mark.slow


@SCRIPTS
def test_a_visitors_day(browser, drawn, tmp_path, scripts):
    with lived(browser, drawn, tmp_path, scripts=scripts) as day:
        visit(day, drawn)


def test_a_visitors_day_on_photographs(browser, real, tmp_path):
    with lived(browser, real, tmp_path) as day:
        visit(day, real)


def visit(day, world):
    day.go("/")
    with open_database(day.place) as database:
        rows = images_of(database, ["n00001740"], subtree=True, limit=100_000)
    assert day.counters() == (len(rows), len({row.wnid for row in rows}))
    find_by_a_misspelling(day, world)
    guess(day)
    explore(day, world)
    look_at_images(day, world)
    download(day, world)
    read(day)
    recognise(day, world)
    choose_colours(day)
    day.end()


def find_by_a_misspelling(day, world):
    word = load_nouns().synset(world.leaf).lemma
    day.hands.fill(day.page.get_by_role("searchbox"), world.misspelt)
    day.hands.button("Search")
    assert day.says(f"No noun is spelt “{world.misspelt}”. Did you mean")
    day.hands.link(word, exact=True)
    day.hands.press(day.page.locator(f"main a[href='/synset/{world.leaf}']").first)
    day.page.wait_for_url(f"**/synset/{world.leaf}")
    day.pictures_are_there()


def guess(day):
    """Far, then told; the same puzzle guessed right, and the way to the answer."""
    day.go("/common/1")
    day.pictures_are_there()
    day.hands.fill(day.page.get_by_label("Your guess"), "justice")
    day.hands.button("Find out!")
    assert day.says("Not justice. What that and the images have in common: ")
    day.hands.link("Tell me")
    answer = day.page.inner_text("#answer")
    day.go("/common/1")
    day.hands.fill(day.page.get_by_label("Your guess"), answer.split(", ")[0])
    day.hands.button("Find out!")
    assert day.says(f"Right: {answer}.")
    day.hands.link("The next one")
    day.page.wait_for_url("**/common/2")


def explore(day, world):
    """The tree is opened step by step down to a synset."""
    nouns = load_nouns()
    path = nouns.shortest_path_to_root(world.leaf)
    leaf = day.page.locator(f".tree a[href='/explore/{world.leaf}']")
    day.hands.link("Explore")
    for wnid in path:
        fold = day.page.get_by_role("link", name=f"Open {nouns.synset(wnid).lemma}", exact=True)
        if fold.count():
            day.hands.press(fold.first)
            name = f"Close {nouns.synset(wnid).lemma}"
            day.page.get_by_role("link", name=name, exact=True).first.wait_for()
    day.hands.press(leaf.first)
    day.page.wait_for_url(f"**/explore/{world.leaf}")
    day.hands.link(f"All about {nouns.synset(world.leaf).lemma}")
    assert day.page.inner_text("h1") == nouns.synset(world.leaf).words


def look_at_images(day, world):
    """Treemap and table of a synset, the pages of its subtree, an image and its neighbours."""
    day.go(f"/synset/{world.above}")
    day.pictures_are_there()
    drawn = day.page.locator("svg.treemap > a").count()
    rows = day.page.locator("table tbody tr")
    assert drawn == rows.count() > 1
    first = rows.first.locator("th a")
    numbers = [
        int(each.replace(",", "")) for each in rows.locator("td:nth-child(4)").all_inner_texts()
    ]
    assert numbers == sorted(numbers, reverse=True)
    assert day.shows(
        f"1 to 60 of {json.loads(day.get(f'/synset/{world.above}.json'))['num_subtree']:,}"
    )
    day.hands.link("Next")
    assert day.shows("61 to ")
    day.hands.link("Previous")
    assert day.shows("1 to 60 of ")
    image = day.page.locator("ul.images a").first
    key = image.get_attribute("href").removeprefix("/image/")
    day.hands.press(image)
    day.pictures_are_there()
    assert day.shows("1 of ")
    day.hands.link("Next")
    assert day.shows("2 of ")
    day.hands.link("Previous")
    day.page.wait_for_url(f"**/image/{key}")
    sent = day.get(day.page.get_by_role("link", name="As a JPEG").get_attribute("href"))
    assert Image.open(io.BytesIO(sent)).format == "JPEG"
    day.go(f"/synset/{world.above}")
    day.hands.press(first)
    assert day.page.locator("ol.way a").count() > 3


def download(day, world):
    """A subtree's archive, held to its checksum and to what the database has."""
    day.go(f"/synset/{world.above}")
    day.hands.link("its downloads")
    name = f"{world.above}_subtree.tar"
    day.hands.link(f"Make a link to {name}")
    with day.page.expect_download() as coming:
        day.hands.link(f"Download {name}")
    data = coming.value.path().read_bytes()
    assert coming.value.suggested_filename == name
    sum_, of = day.get(day.page.get_by_role("link", name="checksum").get_attribute("href")).split()
    assert of.decode() == name
    assert hashlib.sha256(data).hexdigest() == sum_.decode()
    with open_database(day.place) as database, ImageReader(database) as reader:
        rows = images_of(database, [world.above], subtree=True, limit=100_000)
        there = {(row.wnid, f"{row.name}.JPEG"): reader.read(row) for row in rows}
    assert files_of(data) == there


def files_of(data):
    """Bytes of each image of a subtree's archive, by wnid and name."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as outer:
        for member in outer:
            with tarfile.open(fileobj=outer.extractfile(member)) as inner:
                for each in inner:
                    key = member.name.removesuffix(".tar"), each.name
                    found[key] = inner.extractfile(each).read()
    return found


def read(day):
    """Lists, publications, what is said of the site, and the API."""
    day.hands.link("Download")
    words = day.get(day.page.get_by_role("link", name="words.txt").first.get_attribute("href"))
    assert words.startswith(b"n00001740\tentity\n")
    day.hands.link("Publications")
    day.hands.press(day.page.locator("summary").first)
    assert day.page.locator("details pre").first.is_visible()
    books = day.page.get_by_role("link", name="All as BibTeX").get_attribute("href")
    assert day.get(books).count(b"@") == day.page.locator("details").count()
    day.hands.link("About")
    assert day.shows("How it is counted")
    day.hands.link("API")
    assert json.loads(day.get("/openapi.json"))["openapi"].startswith("3.1")


def recognise(day, world):
    """A photo, what several have in common, the table of layers, a layer and its maps."""
    with open_database(world.place) as database, ImageReader(database) as reader:
        rows = images_of(database, [world.leaf], limit=3)
        photos = [
            {"name": f"{row.name}.jpg", "mimeType": "image/jpeg", "buffer": reader.read(row)}
            for row in rows
        ]
    day.hands.link("CoolStuff")
    day.hands.link("Recognise a photo")
    day.page.set_input_files("#photo", photos[0])
    day.hands.button("Recognise")
    assert day.page.locator("tbody tr").count() >= 5
    assert day.page.locator("main img").count() == 2
    assert day.page.locator("ol.way a").count() > 1
    day.pictures_are_there()
    day.hands.link("CoolStuff")
    day.hands.link("What several photos have in common")
    day.page.set_input_files("#photo", photos)
    day.hands.button("Find out", exact=True)
    assert day.page.locator("figure img").count() == 3
    day.hands.link("CoolStuff")
    day.hands.link("single_gpu", exact=True)
    assert day.shows("62,369,152")
    day.hands.link("Conv1 + ReLU")
    assert day.shows("(11*11*3 + 1) * 96 = 34,944")
    day.pictures_are_there()
    day.hands.press(day.page.locator("ul.images a").nth(1))
    day.pictures_are_there()


def choose_colours(day):
    """Each choice loads the page anew: it is asked for as soon as it is there as chosen."""

    def paper(theme):
        body = day.page.locator(f"html{theme} body")
        return body.evaluate("body => getComputedStyle(body).backgroundColor")

    day.go("/")
    light = paper(":not([data-theme])")
    day.hands.button("Dark")
    assert paper("[data-theme=dark]") != light
    day.hands.button("Light")
    assert paper("[data-theme=light]") == light
    day.hands.button("Automatic")
    assert paper(":not([data-theme])") == light
