"""Every page stands up to axe-core, light and dark, wide and on a phone; see PAGES and FORMS."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from imagetree.web.app import create_app
from imagetree.web.settings import Settings

from ..conftest import need
from .conftest import NO_MAIL
from .furnished import (
    BOARD,
    CLOSED_BOARD,
    PARTICIPANT,
    PLANE,
    SPHERE,
    SQUARE,
    STAR,
    TORUS,
    TRIANGLE,
    furnish,
)

AXE = "axe-core@4.14.1"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """tags => axe.run({runOnly: tags, resultTypes: ["violations"]})
  .then(found => found.violations)"""
WIDTHS = {"wide": 1280, "phone": 390}

PAGES = {
    "/": ["/"],
    "/search": [
        *("/search", "/search?q=square", "/search?q=golden+retriver", "/search?q=xyzzyxyzzy"),
        "/search?q=dog&images=true",
    ],
    "/explore": ["/explore"],
    "/explore/{wnid}": [f"/explore/{SQUARE}", "/explore/n00001740", f"/explore/{TORUS}"],
    "/synset": [f"/synset?wnid={SQUARE}"],
    "/synset/{wnid}": [
        *(f"/synset/{SQUARE}", f"/synset/{PLANE}", f"/synset/{PLANE}?subtree=true"),
        *(f"/synset/{PLANE}?subtree=true&after={SQUARE}_1", f"/synset/{TORUS}"),
    ],
    "/image/{key:image}": [
        *(f"/image/{SQUARE}_4", f"/image/{SPHERE}_7"),
    ],
    "/image/{key:image}/seen": [f"/image/{SQUARE}_4/seen"],
    "/image/{key:image}/neighbours": [f"/image/{SQUARE}_4/neighbours"],
    "/image/{name}": ["/image/plain"],
    "/common": ["/common"],
    "/common/{number}": [
        *("/common/1", "/common/1?guess=figure", "/common/1?guess=dog", "/common/1?reveal=true"),
        "/common/1?guess=xyzzyxyzzy",
    ],
    "/common/{number}/says": ["/common/1/says"],
    "/publications": ["/publications"],
    "/about": ["/about"],
    "/download": ["/download", "/download?wnid=x"],
    "/download/{wnid}": [f"/download/{SQUARE}", f"/download/{PLANE}", f"/download/{TORUS}"],
    "/download/{wnid}/link": [f"/download/{PLANE}/link?subtree=true"],
    "/challenges": ["/challenges"],
    "/challenges/{name}": [
        *(f"/challenges/{BOARD}", f"/challenges/{BOARD}?view=all", f"/challenges/{CLOSED_BOARD}"),
    ],
    "/challenges/{name}/classes": [f"/challenges/{BOARD}/classes"],
    "/challenges/{name}/entries/{number}": [
        *(f"/challenges/{BOARD}/entries/1", f"/challenges/{CLOSED_BOARD}/entries/2"),
    ],
    "/challenges/{name}/submit": [f"/challenges/{BOARD}/submit"],
    "/teams/{number}": ["/teams/1"],
    "/coolstuff": ["/coolstuff"],
    "/coolstuff/stack": ["/coolstuff/stack"],
    "/coolstuff/alexnet/{name}": ["/coolstuff/alexnet/single_gpu", "/coolstuff/alexnet/two_gpu"],
    "/coolstuff/alexnet/{name}/{layer}": [
        "/coolstuff/alexnet/single_gpu/conv1",
        "/coolstuff/alexnet/two_gpu/fc8",
    ],
    "/coolstuff/recognize": ["/coolstuff/recognize"],
    "/coolstuff/common": ["/coolstuff/common"],
    "/coolstuff/neighbours": ["/coolstuff/neighbours"],
    "/terms": ["/terms"],
    "/login": ["/login"],
    "/signup": ["/signup"],
    "/reset": ["/reset"],
    "/forgotten": ["/forgotten"],
    "/mailing-list": ["/mailing-list"],
    "/mailing-list/join": ["/mailing-list/join?key=x"],
    "/mailing-list/leave": ["/mailing-list/leave?key=x"],
    "/account": ["/account"],
    "/votes": ["/votes", "/votes?wnid=x"],
    "/votes/{wnid}": [f"/votes/{SQUARE}", f"/votes/{STAR}"],
    "/curate": ["/curate"],
    "/curate/votes": ["/curate/votes"],
    "/curate/quarantine": ["/curate/quarantine"],
    "/curate/duplicates": ["/curate/duplicates", "/curate/duplicates?wnid=x"],
    "/curate/removed": ["/curate/removed"],
    "/curate/hidden": ["/curate/hidden"],
    "/curate/users": ["/curate/users"],
    "/curate/log": ["/curate/log"],
    "/news": ["/news"],
    "/news/{number}": ["/news/1", "/news/3"],
    "/news/{number}/correct": ["/news/1/correct"],
    "/news/{number}/withdraw": ["/news/1/withdraw"],
    "/docs": ["/docs"],
    "nowhere": ["/nowhere"],
}
"""Addresses of each page over `furnished`, as a curator sees it; a new page adds its own."""

OF_VISITORS = ["/", "/login", "/signup", "/reset", "/terms", f"/common/1?guess={SQUARE}"]
"""Pages that are others where nobody is logged in."""

NO_PAGES = {
    "/explore/branch/{way}": "a part of /explore, which htmx puts there",
    "/coolstuff/photo/{name}": "a JPEG",
    "/curate/image/{number}/thumb": "a JPEG",
    "/metrics": "text for Prometheus",
}
"""What is answered to GET, is not of the API, and is no page."""


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> str:
    """The text of axe-core, as npm has it."""
    folder, npm = tmp_path_factory.mktemp("axe"), shutil.which("npm")
    need(npm, "npm is not installed")
    fetched = subprocess.run([str(npm), "pack", AXE], cwd=folder, capture_output=True, check=False)
    need(fetched.returncode == 0, f"npm cannot fetch {AXE}")
    (packed,) = folder.glob("*.tgz")
    with tarfile.open(packed) as archive:
        file = archive.extractfile("package/axe.min.js")
        assert file is not None
        return file.read().decode()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site with something on every page."""
    return furnish(tmp_path_factory.mktemp("furnished"))


@contextmanager
def served(settings):
    """The site in this process, and where it listens."""
    import uvicorn

    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.02)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield app, f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()


def run_axe(page, axe: str) -> list[str]:
    """What is wrong with a page: rule, element, reason."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe)
    found = page.evaluate(RUN, TAGS)  # what is in order is not sent: it takes most of the time
    return [
        f"{each['id']}: {node['target']}: {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]


class Looker:
    """Looks at pages in one browser, as whoever its session says, and keeps what is wrong."""

    def __init__(self, browser, address, axe, session=None):
        self._axe, self._address, self.faults = axe, address, []
        self._context = browser.new_context(bypass_csp=True)
        if session:
            cookie = {"name": "session", "value": session, "url": address}
            self._context.add_cookies([cookie])
        self.page = self._context.new_page()
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))

    def go(self, path):
        self.page.set_viewport_size({"width": WIDTHS["wide"], "height": 900})
        self.page.goto(self._address + path)
        self.look(path)

    def look(self, what):
        """At the page that is open: light and dark, wide and on a phone."""
        for width in WIDTHS:
            self.page.set_viewport_size({"width": WIDTHS[width], "height": 900})
            if self.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                self.faults.append(f"{what}, {width}: scrolls sideways")
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme)
                found = run_axe(self.page, self._axe)
                self.faults += [f"{what}, {width}, {scheme}: {fault}" for fault in found]

    def send(self, button):
        """Press a button by its name, and wait for the page that it leads to."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=button).first.click()

    def close(self):
        self._context.close()


def routes_of(app):
    """Addresses of pages: what is answered to GET and is not of the API."""
    return {
        route.path
        for route in app.state.routes
        if isinstance(route, APIRoute) and "GET" in route.methods and not route.include_in_schema
    }


def settings_of(place, run, index):
    """A site that has all pages: with a run, an index and mail."""
    return Settings(str(place), run=run, index=index, smtp=NO_MAIL, page_size=6)


def test_every_page_is_looked_at(site_place, tmp_path):
    """A page that is new is put into PAGES, or into NO_PAGES with a reason."""
    app = create_app(settings_of(site_place, tmp_path / "run", tmp_path / "index"))
    assert routes_of(app) - set(NO_PAGES) == set(PAGES) - {"nowhere"}
    assert set(NO_PAGES) <= routes_of(app)
    app.state.site.database.close()


@pytest.mark.slow
def test_no_page_has_a_fault(browser, site, axe):
    """Nor does one scroll sideways; in the end every template was among those looked at."""
    with served(settings_of(site.place, site.run, site.index)) as (app, address):
        found = Looker(browser, address, axe, site.sessions["curator"])
        for paths in PAGES.values():
            for path in paths:
                found.go(path)
        look_at_forms(found)
        found.close()
        visitor = Looker(browser, address, axe)
        for path in OF_VISITORS:
            visitor.go(path)
        look_at_refusals(visitor)
        visitor.close()
        templates = app.state.site.templates.env
        seen = {name for _, name in templates.cache}
        assert "\n".join(found.faults + visitor.faults) == ""
        assert set(templates.list_templates()) - seen == {"explore_branch.html"}  # see NO_PAGES


def look_at_forms(found):
    """Pages that are seen only when a form was sent."""
    page = found.page
    found.go("/curate/hidden")
    page.fill("#wnid", TRIANGLE)
    page.fill("#why", "for a test")
    found.send("Hide it")
    found.look("the page that asks for confirmation")
    found.go("/account")
    page.fill("#label", "a script")
    found.send("Make a token")
    found.look("a token, shown once")
    found.go("/news")
    page.fill("#title", " ")
    page.fill("#text", " ")
    found.send("Announce it")
    found.look("an announcement that is refused")
    photo = {"name": "a.png", "mimeType": "image/png", "buffer": photo_of_nothing()}
    buttons = {"recognize": "Recognise", "common": "Find out", "neighbours": "Find out"}
    for kind, button in buttons.items():
        found.go(f"/coolstuff/{kind}")
        page.set_input_files("#photo", photo)
        found.send(button)
        found.look(f"what a photo is: {kind}")
    found.go(f"/challenges/{BOARD}/submit")
    page.fill("#team", "A team")
    page.set_input_files("#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"x\n"})
    found.send("Send it")
    found.look("an entry that is refused")


def look_at_refusals(found):
    """What who is not let in sees."""
    page = found.page
    found.go("/login")
    page.fill("#name", PARTICIPANT)
    page.fill("#password", "not the password")
    found.send("Log in")
    found.look("a login that is refused")
    found.go("/signup")
    page.fill("#name", PARTICIPANT)
    page.fill("#password", "correct horse battery")
    found.send("Sign up")
    found.look("a signup that is refused")


def photo_of_nothing() -> bytes:
    return (Path(__file__).parent / "../../docs/images/filters.png").read_bytes()
