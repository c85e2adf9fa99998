"""A visitor's, an annotator's, a participant's and a curator's day, in Debian's Chromium.

Each is lived on the site as `imagetree web serve` runs it, over drawn images or Imagenette's, with
JavaScript and without it; the annotator's by the keyboard alone too, the participant's on a phone.
The browser's console must stay silent, and nothing that a page asks for may be missing.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest
from PIL import Image

from imagetree.challenge.definition import load_challenge
from imagetree.curation.votes import Vote, add_votes
from imagetree.database import ImageReader, find_image, images_of, import_source, open_database
from imagetree.wordnet import load_nouns

from ..web.conftest import browser
from ..web.furnished import (
    PER_CLASS,
    PLANE,
    SPHERE,
    SQUARE,
    STAR,
    TORUS,
    TRIANGLE,
    draw,
    open_boards,
)
from ..web.running import running
from .hands import Keyboard, Mouse

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["browser"]  # a fixture
pytestmark = pytest.mark.slow

PASSWORD, OTHER = "correct horse battery", "another horse battery"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])


class World(NamedTuple):
    """A database, and what a visitor looks for in it.

    Args:
        place: path of the database.
        run: folder of a run.
        leaf: a synset with images.
        above: one with images below it alone, `leaf` among them.
        misspelt: the word of `leaf`, nearly.
    """

    place: Path
    run: Path
    leaf: str
    above: str
    misspelt: str


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    made = draw(tmp_path_factory.mktemp("drawn"))
    return World(made.place, made.run, SQUARE, PLANE, "sqaure")


@pytest.fixture(scope="module")
def challenged(tmp_path_factory, drawn):
    """The drawn world with a challenge of four figures, whose test is sealed."""
    folder = tmp_path_factory.mktemp("challenged")
    place = shutil.copyfile(drawn.place, folder / "images.db")
    with open_database(place) as database:
        open_boards(database, folder)
    return drawn._replace(place=place)


@pytest.fixture(scope="module")
def real(tmp_path_factory, imagenette, drawn):
    place = tmp_path_factory.mktemp("real") / "images.db"
    with open_database(place, create=True) as database:
        import_source(database, imagenette / "train.tar")
    return World(place, drawn.run, "n02979186", "n03183080", "casette player")


@contextmanager
def lived(browser, world, folder, *words, **how):
    """A copy of the world, served; a page of it, and what went wrong there."""
    place = folder / "images.db"
    shutil.copyfile(world.place, place)
    with running(place, "--run", str(world.run), *words) as site:
        yield Day(browser, site, place, **how)


class Day:
    """One person's browser on a site.

    Args:
        browser: that is used.
        site: as it runs.
        place: path of its database.
        scripts: whether JavaScript is on.
        size: of the window.
        hands: a class of hands.
    """

    def __init__(self, browser, site, place, *, scripts=True, size=WIDE, hands=Mouse):
        self.site, self.place = site, place
        self._context = browser.new_context(java_script_enabled=scripts, viewport=size)
        self._context.set_default_timeout(240_000)
        self.page = self._context.new_page()
        self.faults = []
        self.expected = set()
        self.page.on("console", lambda each: self._said(each.text))
        self.page.on("response", self._came)
        self.hands = hands(self.page)

    def _said(self, text):
        if not re.match(r"Failed to load resource.* status of (400|404)", text):
            self.faults.append(text)

    def _came(self, answer):
        if answer.status >= 400 and answer.status not in self.expected:
            self.faults.append(f"{answer.status} {answer.url}")

    def go(self, path):
        self.page.goto(self.site.url + path)

    def shows(self, text):
        self.page.locator("main, header").get_by_text(text).first.wait_for()
        return True

    def says(self, text):
        """What a page says of what was just done."""
        said = self.page.locator("[role=status], [role=alert], [role=note]")
        said.filter(has_text=text).first.wait_for()
        return True

    def get(self, path):
        """What lies at an address, for who is logged in here."""
        answer = self.page.request.get(path if "://" in path else self.site.url + path)
        assert answer.ok, (path, answer.status)
        return answer.body()

    def counters(self):
        """Images and synsets, as the head of every page has them."""
        found = re.match(r"([\d,]+) images?, ([\d,]+) synsets?", self.page.inner_text(".totals"))
        return tuple(int(each.replace(",", "")) for each in found.groups())

    def pictures_are_there(self):
        """All pictures of the page that a window shows were loaded."""
        self.page.wait_for_load_state("networkidle")
        loaded = "[...document.images].filter(i => i.loading != 'lazy').every(i => i.naturalWidth)"
        assert self.page.evaluate(loaded)

    def is_not_sideways(self):
        assert not self.page.evaluate("document.documentElement.scrollWidth > innerWidth")

    def end(self):
        self._context.close()
        assert self.faults == []


def sign_up(day, name, role):
    day.hands.link("Signup")
    day.hands.fill(day.page.get_by_label("Name, as others see it"), name)
    day.hands.fill(day.page.get_by_label("Password, 10 characters or more"), PASSWORD)
    if role == "annotator":
        day.hands.choose(day.page.get_by_label("to say what images show, too"))
    day.hands.button("Sign up")
    assert day.says(f"Welcome, {name}.")


def log_in(day, name, password):
    day.hands.link("Login")
    day.hands.fill(day.page.get_by_label("Name or e-mail"), name)
    day.hands.fill(day.page.get_by_label("Password", exact=True), password)
    day.hands.button("Log in")


# A visitor's day


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
    day.go("/")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = day.page.evaluate(paper)
    day.hands.button("Dark")
    assert day.page.locator("html[data-theme=dark]").count() == 1
    assert day.page.evaluate(paper) != light
    day.hands.button("Light")
    assert day.page.evaluate(paper) == light
    day.hands.button("Automatic")
    assert day.page.locator("html[data-theme]").count() == 0


# An annotator's day


@pytest.mark.parametrize(
    ("scripts", "hands"),
    [(True, Mouse), (False, Mouse), (True, Keyboard)],
    ids=["scripts", "no-scripts", "keyboard"],
)
def test_an_annotators_day(browser, drawn, tmp_path, scripts, hands):
    """Votes, an undo, a guess that counts; then the account: password, sessions, logout."""
    with lived(browser, drawn, tmp_path, scripts=scripts, hands=hands) as day:
        day.go("/")
        sign_up(day, "Bob", "annotator")
        vote(day)
        guess_for_votes(day)
        keep_the_account(day, browser, scripts)
        day.end()


def vote(day):
    day.hands.link("Vote")
    day.hands.press(day.page.locator(f"a[href='/votes/{STAR}']"))
    groups = day.page.get_by_role("radiogroup")
    for place, answer in enumerate(("Yes", "Yes", "No", "Unsure")):
        day.hands.choose(groups.nth(place).get_by_label(answer, exact=True))
    day.hands.button("Keep my votes")
    assert day.says("3 votes kept, 1 left for another day")
    assert day.shows(f"You have voted on 3 of {PER_CLASS} images.")
    assert groups.count() == PER_CLASS - 4
    day.hands.choose(day.page.locator("section input[type=checkbox]").first)
    day.hands.button("Take back those that are ticked")
    assert day.says("1 vote taken back")
    assert day.shows(f"You have voted on 2 of {PER_CLASS} images.")
    day.hands.choose(groups.first.get_by_label("No", exact=True))
    day.hands.button("Keep my votes")
    assert day.says("1 vote kept")


def guess_for_votes(day):
    day.go("/common/3?reveal=true")
    answer = day.page.inner_text("#answer").split(", ")[0]
    day.go("/common/3")
    day.hands.fill(day.page.get_by_label("Your guess"), answer)
    day.hands.button("Find out!")
    day.hands.button("Count it as my votes")
    assert day.says("votes kept")


def keep_the_account(day, browser, scripts):
    """Another session is ended, and the old password opens nothing any more."""
    elsewhere = Day(browser, day.site, day.place, scripts=scripts)
    elsewhere.go("/")
    log_in(elsewhere, "Bob", PASSWORD)
    day.hands.link("Bob")
    assert day.shows("Where you are logged in")
    assert day.page.locator("table tbody tr").count() == 2
    other = day.page.locator("table tbody tr").filter(has_not_text="(this one)")
    day.hands.press(other.get_by_role("button"))
    assert day.says("It is done.")
    elsewhere.go("/account")
    elsewhere.page.wait_for_url("**/login?next=/account")
    day.hands.fill(day.page.get_by_label("The one now"), PASSWORD)
    day.hands.fill(day.page.get_by_label("The new one, 10 characters or more"), OTHER)
    day.hands.button("Change the password")
    assert day.says("Your password is changed")
    day.hands.button("Log out")
    assert day.shows("Not logged in.")
    day.expected.add(400)
    log_in(day, "Bob", PASSWORD)
    assert day.says("Not logged in: ")
    log_in(day, "Bob", OTHER)
    assert day.says("Welcome, Bob.")
    day.hands.button("Log out")
    elsewhere.end()


# A participant's day


@pytest.mark.parametrize(
    ("scripts", "size"),
    [(True, WIDE), (False, WIDE), (True, PHONE)],
    ids=["scripts", "no-scripts", "phone"],
)
def test_a_participants_day(browser, challenged, tmp_path, scripts, size):
    """Terms, kit, a refused entry and two that count, the leaderboard, and the end of the quota."""
    with lived(browser, challenged, tmp_path, "--ask-terms", scripts=scripts, size=size) as day:
        day.go("/")
        sign_up(day, "Ada", "participant")
        accept_the_terms(day)
        kit(day, tmp_path)
        take_part(day, challenged)
        day.end()


def accept_the_terms(day):
    day.go(f"/download/{SQUARE}")
    assert day.page.get_by_role("link", name="Make a link").count() == 0
    day.hands.link("accepted the terms")
    day.hands.button("I accept these terms")
    assert day.says("You have accepted the terms.")
    assert day.page.get_by_role("link", name="Make a link").count() > 0


def kit(day, folder):
    """The kit does what its own readme says: its demonstration has the score that it prints."""
    day.hands.link("Challenges")
    day.hands.link("Figures 2026")
    with day.page.expect_download() as coming:
        day.hands.link("Development kit")
    coming.value.save_as(folder / "kit.tar.gz")
    with tarfile.open(folder / "kit.tar.gz") as tar:
        tar.extractall(folder / "kit", filter="data")
    (readme,) = (folder / "kit").rglob("readme.txt")
    root = readme.parent
    asked = re.search(r"^    (imagetree kit score KIT (\S+))$", readme.read_text(), re.MULTILINE)
    said = command(*asked[1].split()[1:3], str(root), str(root / asked[2]))
    printed = (root / "evaluation" / "demo.scores.txt").read_text()
    figures = re.findall(r"\d+\.\d{4}", printed)
    assert len(figures) == 10
    assert re.findall(r"\d+\.\d{4}", said) == figures
    with day.page.expect_download() as coming:
        day.hands.link("Images of test")
    with tarfile.open(coming.value.path()) as tar:
        names = tar.getnames()
    tests = (root / "data" / "test.txt").read_text().split()
    assert sorted(name.rpartition(".")[0] for name in names) == sorted(tests)


def command(*words):
    """What a command of the product prints."""
    code = "from imagetree.cli import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def take_part(day, world):
    challenge = load_challenge(world.place.with_name("figures"))
    rows = [entry.wnid for entry in challenge.read_split("test")]
    others = [challenge.wnids[0] if wnid != challenge.wnids[0] else SPHERE for wnid in rows]
    day.hands.link("Send an entry")
    day.hands.fill(day.page.get_by_label("Name of your team"), "SuperVision")
    day.expected.add(400)
    send(day, [*rows[:-1], "n99999999"])
    assert day.says("Nothing was counted: the entry is refused.")
    fault = day.page.inner_text("[role=alert] pre")
    assert fault.startswith(f"answers.txt:{len(rows)}: ")
    assert "n99999999" in fault
    assert day.shows("SuperVision has sent 0 of 2 entries")
    send(day, [*others[:1], *rows[1:]], title="One wrong")
    assert day.says("The entry is scored.")
    error = f"{1 / len(rows):.2%}"
    assert day.shows(error)
    day.hands.link("Figures 2026")
    row = day.page.locator("tbody tr").filter(has_text="SuperVision")
    assert re.search(rf"One wrong\s+{re.escape(error)}\s+[\d.]+% to [\d.]+%", row.inner_text())
    if day.page.viewport_size == PHONE:
        day.is_not_sideways()
    day.hands.link("Send an entry")
    send(day, rows, title="All right")
    day.hands.link("Figures 2026")
    assert "All right" in day.page.locator("tbody tr").filter(has_text="SuperVision").inner_text()
    day.hands.link("Send an entry")
    assert day.shows(
        "SuperVision has sent 2 of 2 entries in the last seven days. The next may come"
    )
    send(day, others)
    assert day.says("Nothing was counted: the entry is refused.")
    assert day.shows("SuperVision has sent 2 of 2 entries")
    day.hands.link("Figures 2026")
    day.hands.link("SuperVision")
    assert day.page.locator("tbody tr").count() == 2
    day.hands.link("One wrong")
    day.hands.button("Withdraw this entry")
    assert day.says("The entry is withdrawn.")


def send(day, rows, title=""):
    data = "".join(f"{wnid}\n" for wnid in rows).encode()
    file = {"name": "answers.txt", "mimeType": "text/plain", "buffer": data}
    day.page.set_input_files("#file", file)
    day.hands.fill(day.page.get_by_label("Title of the entry"), title)
    day.hands.button("Send it")


# A curator's day


@SCRIPTS
def test_a_curators_day(browser, drawn, tmp_path, scripts):
    """From the command that makes the first curator to the log of all that was done."""
    with lived(browser, drawn, tmp_path, scripts=scripts) as day:
        make_a_curator(day.place)
        with open_database(day.place) as database:
            rows = images_of(database, [STAR], limit=2)
            for who in ("Bob", "Eve"):
                add_votes(database, [Vote(row.id, who, who == "Bob") for row in rows])
        day.go("/")
        sign_up(day, "Ada", "participant")
        day.hands.button("Log out")
        log_in(day, "Grace", PASSWORD)
        day.hands.link("Curate")
        settle(day)
        keep_one_of_copies(day)
        remove(day)
        hide(day)
        announce(day)
        keep_users(day)
        assert_all_is_logged(day)
        day.end()


def make_a_curator(place):
    code = "from imagetree.cli import run; run()"
    words = ["web", "user", "add", "Grace", "--role", "curator", "--database", str(place)]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        input=f"{PASSWORD}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Grace, curator" in done.stdout


def settle(day):
    """Voters disagree on two stars: one is set aside, seen in quarantine and brought back."""
    images, _ = day.counters()
    day.hands.link("Votes", exact=True)
    boxes = day.page.locator("ul.images input[type=checkbox]")
    assert boxes.count() == 2
    day.hands.choose(boxes.first)
    day.hands.button("Set aside those that are ticked")
    assert day.page.inner_text("h1") == "Set 1 image aside?"
    day.hands.button("Do it")
    assert day.says("1 image set aside")
    assert day.counters()[0] == images - 1
    day.hands.link("Quarantine")
    day.pictures_are_there()
    assert day.shows("does not show its synset, by Grace")
    day.hands.choose(day.page.locator("tbody input[type=checkbox]").first)
    day.hands.fill(day.page.get_by_label("Reason"), "it is a star")
    day.hands.button("Release those that are ticked")
    day.hands.button("Do it")
    assert day.says("1 image restored")
    assert day.counters()[0] == images


def keep_one_of_copies(day):
    images, _ = day.counters()
    day.hands.link("Duplicates")
    assert day.page.locator("section.box").count() == 3
    group = day.page.locator("section.box").first
    day.hands.choose(group.locator("input[type=radio]").first)
    day.hands.press(group.get_by_role("button"))
    day.hands.button("Do it")
    assert day.says("1 image set aside")
    assert day.counters()[0] == images - 1
    assert day.page.locator("section.box").count() == 2


def remove(day):
    """An image is gone from its page, its synset, the archive and the counts at once."""
    images, _ = day.counters()
    key = f"{TRIANGLE}_5"
    thumb = json.loads(day.get(f"/image/{key}.json"))["thumb"]
    link = json.loads(day.get(f"/download/{TRIANGLE}/link.json"))["url"]
    assert key in day.get(f"/synset/{TRIANGLE}").decode()
    day.hands.link("Removed")
    day.hands.fill(day.page.get_by_label("Names of images, one a line"), key)
    day.hands.fill(day.page.get_by_label("Reason").first, "its owner asked")
    day.hands.button("Remove them")
    assert day.page.inner_text("h1") == "Remove 1 image?"
    day.hands.button("Do it")
    assert day.says("1 image removed")
    assert day.counters()[0] == images - 1
    for path in (f"/image/{key}", f"/image/{key}.json", thumb, f"/image/{key}/file"):
        assert day.page.request.get(day.site.url + path).status == 404, path
    assert key not in day.get(f"/synset/{TRIANGLE}").decode()
    assert day.page.request.get(link).status == 410
    new = json.loads(day.get(f"/download/{TRIANGLE}/link.json"))["url"]
    with tarfile.open(fileobj=io.BytesIO(day.get(new))) as tar:
        names = tar.getnames()
    assert len(names) == PER_CLASS - 1
    assert f"{key}.JPEG" not in names
    assert f"{PER_CLASS - 1} images" in found_by(day, "triangle", TRIANGLE)


def found_by(day, word, wnid):
    """What search says of a synset."""
    day.go(f"/search?q={word}")
    row = day.page.locator("ol.results > li").filter(
        has=day.page.locator(f"[href='/synset/{wnid}']")
    )
    return row.first.inner_text()


def hide(day):
    """A synset is gone from tree, search, lists and puzzles; then it is shown again."""
    images, synsets = day.counters()
    assert f"{PER_CLASS} images" in found_by(day, "torus", TORUS)
    day.hands.link("Curate")
    day.hands.link("Hidden")
    day.hands.fill(day.page.get_by_label("WordNet ID"), TORUS)
    day.hands.fill(day.page.get_by_label("Reason"), "not fit to be shown")
    day.hands.button("Hide it")
    assert day.page.inner_text("h1") == "Hide torus and all below it?"
    day.hands.button("Do it")
    assert day.says("torus and all below it hidden")
    assert day.counters() == (images - PER_CLASS, synsets - 1)
    assert "no images" in found_by(day, "torus", TORUS)
    assert TORUS not in day.get("/api/text/imagenet.synset.obtain_synset_list").decode()
    assert day.page.request.get(f"{day.site.url}/image/{TORUS}_1").status == 404
    day.hands.link("Curate")
    day.hands.link("Hidden")
    day.hands.button("show again: torus")
    day.hands.button("Do it")
    assert day.counters() == (images, synsets)


def announce(day):
    """On the front page and in the feed; corrected there; withdrawn from both."""
    day.hands.link("News")
    day.hands.fill(day.page.get_by_label("Title"), "Fall <release>")
    day.hands.fill(day.page.get_by_label("Text, plain"), "It is there.\n\nAll of it.")
    day.hands.button("Announce it")
    assert day.says("Announced")
    day.go("/")
    day.hands.link("Fall <release>")
    assert "Fall &lt;release&gt;" in day.get("/news.atom").decode()
    day.hands.link("Correct it")
    day.hands.fill(day.page.get_by_label("Title"), "Winter release")
    day.hands.button("Keep the correction")
    assert day.says("Corrected")
    feed = day.get("/news.atom").decode()
    assert "Winter release" in feed
    assert "Fall" not in feed
    day.hands.link("Withdraw it")
    day.hands.button("Withdraw it")
    assert day.says("Withdrawn")
    assert "Winter" not in day.get("/news.atom").decode()


def keep_users(day):
    day.hands.link("Curate")
    day.hands.link("Users")
    row = day.page.locator("tr").filter(has=day.page.get_by_role("rowheader", name="Ada"))
    row.get_by_role("combobox").select_option("annotator")
    day.hands.press(row.get_by_role("button", name="Give"))
    assert day.says("Ada is annotator now.")
    day.hands.press(row.get_by_role("button", name="Shut out"))
    assert day.says("Ada is shut out.")
    assert day.shows("signed up as participant")


def assert_all_is_logged(day):
    day.hands.link("Log", exact=True)
    said = day.page.inner_text("main")
    for reason in ("does not show its synset", "it is a star", "duplicate of", "its owner asked"):
        assert f"{reason}" in said
    assert said.count("by Grace") >= 4
    with open_database(day.place) as database:
        assert find_image(database, f"{STAR}_1") is not None
