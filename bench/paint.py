"""What a page weighs without its images, and when Chromium first paints it.

    python bench/paint.py                      Imagenette, each page 15 times
    python bench/paint.py --database images.db --synset n02084071

The site runs as `imagetree web serve` does. Every load is that of a new visitor: no cache, no
cookies, a connection that is not there yet. Bytes are those that came over the network, heads
included: of the page, its styles, scripts and fonts. Times are Chromium's own (PerformanceObserver:
first-paint, from the beginning of the navigation). Bars: 60 KB, 300 ms.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from playwright.sync_api import sync_playwright

from imagetree.database import import_source, open_database
from run import ROOT
from web import site

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = "/usr/bin/chromium"
PAINTS = """() => new Promise(done => new PerformanceObserver(list => done(Object.fromEntries(
  performance.getEntriesByType("paint").map(each => [each.name, each.startTime]))))
  .observe({type: "paint", buffered: true}))"""


class Load(NamedTuple):
    """One load of a page.

    Args:
        bytes: that came of what is no image.
        paint: ms until something was painted.
        content: ms until text or an image was.
    """

    bytes: int
    paint: float
    content: float


def load(browser: Browser, url: str) -> Load:
    """Open an address as a visitor who was never here."""
    context = browser.new_context()
    page = context.new_page()
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    kinds: dict[str, str] = {}
    sizes: dict[str, int] = {}

    def came(event: dict) -> None:
        kinds[event["requestId"]] = event["type"]

    def ended(event: dict) -> None:
        sizes[event["requestId"]] = int(event["encodedDataLength"])

    network.on("Network.responseReceived", came)
    network.on("Network.loadingFinished", ended)
    answer = page.goto(url, wait_until="load")
    assert answer is not None
    assert answer.ok, url
    paints = page.evaluate(PAINTS)
    weight = sum(size for each, size in sizes.items() if kinds.get(each) != "Image")
    context.close()
    return Load(weight, paints["first-paint"], paints["first-contentful-paint"])


def imagenette(place: Path) -> Path:
    """A database of Imagenette's archives, made where it is missing."""
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with open_database(place, create=True) as database:
            import_source(database, ROOT.parent / "shared" / "data" / "imagenette" / "train.tar")
    return place


def main() -> None:
    """Load each page so many times and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", type=Path, default=ROOT / "build/bench/imagenette.db")
    parser.add_argument("--synset", default="n02102040", help="whose page is loaded")
    parser.add_argument("--loads", type=int, default=15)
    given = parser.parse_args()
    place = imagenette(given.database)
    pages = [f"/synset/{given.synset}", "/", "/synset/n00001740", f"/explore/{given.synset}"]
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    is_reached = True
    with site(str(place), 1) as (port, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        print(f"Chromium {browser.version}, medians of {given.loads} loads and the slowest")
        for path in pages:
            load(browser, f"http://127.0.0.1:{port}{path}")  # thumbnails are made once
            found = [load(browser, f"http://127.0.0.1:{port}{path}") for _ in range(given.loads)]
            weight = statistics.median(each.bytes for each in found)
            paint = statistics.median(each.paint for each in found)
            content = statistics.median(each.content for each in found)
            slowest = max(each.paint for each in found)
            print(
                f"  {path:24} {weight / 1000:6.1f} KB (bar: 60), first paint {paint:5.0f} ms"
                f" (bar: 300; slowest {slowest:.0f}), with content {content:.0f} ms"
            )
            is_reached &= weight < 60_000 and paint < 300
        browser.close()
    print("  all bars are reached" if is_reached else "  a bar is missed")
    sys.exit(not is_reached)


if __name__ == "__main__":
    main()
