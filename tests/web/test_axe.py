"""Every page stands up to axe-core, light and dark, wide and on a phone; see PAGES."""

from __future__ import annotations

import shutil
import subprocess
import tarfile

import pytest

from ..conftest import need

AXE = "axe-core@4.14.1"
DOG, CHIHUAHUA, CAT = "n02084071", "n02085620", "n02121808"

PAGES = [
    "/",
    "/search",
    "/search?q=dog",
    "/search?q=golden+retriver",
    "/search?q=xyzzyxyzzy",
    "/explore",
    f"/explore/{CHIHUAHUA}",
    "/explore/n00001740",
    f"/synset/{DOG}",
    f"/synset/{DOG}?subtree=true",
    "/synset/n01317541",  # domestic animal: a treemap
    f"/image/{DOG}_10",
    "/common/1",
    "/common/1?guess=animal",
    "/common/1?guess=xyzzyxyzzy",
    "/common/1?reveal=true",
    "/publications",
    "/about",
    "/download",
    f"/download/{DOG}",
    "/news",
    "/docs",
    "/challenges",
    "/coolstuff",
    "/coolstuff/stack",
    "/coolstuff/recognize",
    "/coolstuff/common",
    "/coolstuff/neighbours",
    "/coolstuff/alexnet/single_gpu",
    "/coolstuff/alexnet/single_gpu/conv1",
    "/terms",
    "/login",
    "/signup",
    "/reset",
    "/forgotten",
    "/mailing-list",
    "/mailing-list/join?key=x",
    "/mailing-list/leave?key=x",
    "/nowhere",
]
"""Addresses over the small database of conftest.py; a new page adds its own."""

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


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


def run_axe(page, axe: str) -> list[str]:
    """What is wrong with a page: rule, element, reason."""
    page.evaluate(axe)
    found = page.evaluate("tags => axe.run({runOnly: tags})", TAGS)
    return [
        f"{each['id']}: {node['target']}: {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_has_a_fault(browser, address, axe, scheme, width):
    """Nor does one scroll sideways, nor say anything in the console."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    page, faults = context.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    for path in PAGES:
        page.goto(address + path)
        faults += [f"{path}: {fault}" for fault in run_axe(page, axe)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults.append(f"{path}: scrolls sideways")
    context.close()
    assert faults == []
