"""Explore: the hierarchy of the synsets with images, opened step by step, and the treemap.

A synset with several hypernyms stands below each of them, and each place names the others. The
counts are over sets: an image counts once in whatever is above it. Without JavaScript every step is
a link to a page of its own; with it the step is fetched into its place.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import APIRouter, HTTPException, Request, Response

from imagetree.database import interesting_root, sample
from imagetree.database.hierarchy import nodes_of
from imagetree.web import content
from imagetree.web.caching import unless_changed
from imagetree.web.treemap import Rect, grid, squarify
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imagetree.database import Database, TreeNode
    from imagetree.web.site import Site

_SIDE_IMAGES = 12
_LONGEST_WAY = 400
_MAP = Rect(0, 0, 960, 480)
_MAP_CELLS = 48
_MAP_IMAGES = 30
_LEAST_SIDE = 56  # of a cell with images, in units of the map
_LETTER = 8.2  # mean width of one, in units of the map, at its size of text
_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"description": "No such noun"}}


class Tile(NamedTuple):
    """An image in the treemap: where, and at which address."""

    rect: Rect
    thumb: str


class Cell(NamedTuple):
    """A rectangle of the treemap.

    Args:
        wnid: the synset.
        lemma: its first word.
        num_images: what its area is as.
        rect: where it is.
        label: of the lemma what there is room for; empty where there is none.
        tiles: images that cover it; none where it is too small.
    """

    wnid: str
    lemma: str
    num_images: int
    rect: Rect
    label: str
    tiles: list[Tile]


def create_router(site: Site) -> APIRouter:
    """The tree as pages, as parts of a page and as JSON."""
    router = APIRouter()

    @router.get("/explore.json")
    def whole() -> dict[str, Any]:
        """The hierarchy at the lowest synset that is above all images."""
        return explored(site.database, interesting_root(site.database))

    @router.get("/explore/{wnid}.json", responses=_NOT_FOUND)
    def twin(wnid: str) -> dict[str, Any]:
        """The hierarchy, opened down to a synset and its children."""
        return explored(site.database, _noun(wnid))

    @router.get("/explore", include_in_schema=False)
    def begin(request: Request) -> Response:
        unless_changed(site, request)
        return show(request, interesting_root(site.database))

    @router.get("/explore/branch/{way}", include_in_schema=False)
    def branch(request: Request, way: str, opened: bool = True) -> Response:
        """A node and what is below it, to be put into the tree."""
        unless_changed(site, request)
        names = _parse_way(way)
        (node,) = nodes_of(site.database, names[-1:])
        grown = _grow(site.database, node, names, ()) if opened else _leaf(node, names)
        values = {"branch": grown, "at": None}
        return site.templates.TemplateResponse(request, "explore_branch.html", values)

    @router.get("/explore/{wnid}", include_in_schema=False)
    def page(request: Request, wnid: str) -> Response:
        unless_changed(site, request)
        return show(request, _noun(wnid))

    def show(request: Request, wnid: str) -> Response:
        rows = sample(site.database, [wnid], _SIDE_IMAGES, 0, subtree=True)
        values = explored(site.database, wnid) | {"images": site.thumbnails.describe(rows)}
        return site.page(request, "explore.html", values)

    return router


def explored(database: Database, wnid: str) -> dict[str, Any]:
    """The hierarchy opened down to a synset.

    Returns:
        The synset, the way from the root to where the tree begins, and the tree: each branch has
        its synset's words and counts, whether it is open, and what is below it.
    """
    way = _way_to(database, wnid)
    (top,) = nodes_of(database, way[:1])
    above = load_nouns().shortest_path_to_root(way[0], instances=True)
    return {
        **content.synset(database, wnid),
        "above": [content.named(each) for each in above if each != way[0]],
        "tree": _grow(database, top, way[:1], way[1:]),
    }


def treemap(site: Site, synset: dict[str, Any]) -> list[Cell]:
    """The children of a synset as rectangles, those with most images first.

    Args:
        site: of the page.
        synset: as `content.synset` gives it.
    """
    children: list[dict[str, Any]] = synset["children"][:_MAP_CELLS]
    rects = squarify([child["num_subtree"] for child in children], _MAP)
    return [
        Cell(
            child["wnid"],
            child["lemma"],
            child["num_subtree"],
            _rounded(rect),
            _fit(child["lemma"], rect),
            _cover(site, child, rect),
        )
        for child, rect in zip(children, rects, strict=True)
    ]


def _cover(site: Site, child: dict[str, Any], rect: Rect) -> list[Tile]:
    """Images drawn from all of a child's, as many as its share of the map."""
    if min(rect.width, rect.height) < _LEAST_SIDE:
        return []
    area = _MAP.width * _MAP.height
    number = max(1, round(_MAP_IMAGES * rect.width * rect.height / area))
    rows = sample(site.database, [child["wnid"]], number, 0, subtree=True)
    described = site.thumbnails.describe(rows)
    places = grid(len(rows), rect)
    return [
        Tile(_rounded(place), each["thumb"]) for place, each in zip(places, described, strict=True)
    ]


def _rounded(rect: Rect) -> Rect:
    return Rect(*(round(each, 1) for each in rect))


def _fit(lemma: str, rect: Rect) -> str:
    """As much of a word as fits into a rectangle."""
    room = int((rect.width - 16) / _LETTER)
    if rect.height < 44 or room < 3:
        return ""
    return lemma if len(lemma) <= room else f"{lemma[: room - 1].rstrip()}…"


def _noun(wnid: str) -> str:
    if wnid not in load_nouns():
        raise HTTPException(404, "no noun of WordNet 3.0 has this wnid")
    return wnid


def _way_to(database: Database, wnid: str) -> tuple[str, ...]:
    """The shortest way to a synset from the lowest one above all images, where one leads there.

    Else the tree begins at the synset itself: it stands above all images, or beside them.
    """
    top = interesting_root(database)
    for path in sorted(load_nouns().paths_to_root(wnid, instances=True), key=len):
        if top in path:
            return path[path.index(top) :]
    return (wnid,)


def _parse_way(way: str) -> tuple[str, ...]:
    """Synsets, each a hyponym of the one before."""
    nouns, names = load_nouns(), tuple(way[:_LONGEST_WAY].split("."))
    is_known = all(name in nouns for name in names)
    if not is_known or any(
        above not in nouns.hypernyms(below, instances=True) for above, below in pairwise(names)
    ):
        raise HTTPException(404, "there is no such way through the hierarchy")
    return names


def _grow(
    database: Database, node: TreeNode, way: tuple[str, ...], further: Sequence[str]
) -> dict[str, Any]:
    """A branch that is open, and those below it that are on a way further down.

    An only child that has nothing but children is opened with its parent.
    """
    children = sorted(nodes_of(database, node.children), key=lambda each: each.lemma.lower())
    branches = []
    for child in children:
        on_the_way = bool(further) and further[0] == child.wnid
        is_passage = len(children) == 1 and not child.num_own and bool(child.children)
        below = (*way, child.wnid)
        if on_the_way or is_passage:
            rest = further[1:] if on_the_way else ()
            branches.append(_grow(database, child, below, rest))
        else:
            branches.append(_leaf(child, below))
    return _leaf(node, way) | {"is_open": True, "branches": branches}


def _leaf(node: TreeNode, way: tuple[str, ...]) -> dict[str, Any]:
    """A branch that is closed."""
    others = [parent for parent in node.parents if parent not in way[-2:-1]]
    return {
        "wnid": node.wnid,
        "words": node.words,
        "lemma": node.lemma,
        "way": ".".join(way),
        "num_images": node.num_own,
        "num_subtree": node.num_subtree,
        "num_synsets": node.num_synsets,
        "num_children": len(node.children),
        "parents": [content.named(parent) for parent in node.parents],
        "also_below": [content.named(parent) for parent in others] if len(way) > 1 else [],
        "is_open": False,
        "branches": [],
    }
