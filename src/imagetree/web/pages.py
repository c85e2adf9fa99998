"""Home, search and the synsets, their JSON twins, and the choice of colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse

from imagetree.web import common, content, explore
from imagetree.web.caching import unless_changed
from imagetree.web.news import latest_news
from imagetree.web.thumbnails import parse_key
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from imagetree.web.site import Site

THEMES = ("light", "dark")
_YEAR_SECONDS = 365 * 86_400
_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"description": "No such noun or page of it"}}
_Words = Annotated[str, Query(max_length=200)]
_After = Annotated[str, Query(max_length=300, description="`key` of the last image before")]
_Subtree = Annotated[
    bool | None,
    Query(description="images of the synsets below it too; by default where it has none itself"),
]
_WithImages = Annotated[bool, Query(description="synsets with images alone")]


def create_router(site: Site) -> APIRouter:
    """Home, search and the synsets."""
    router = APIRouter()
    _add_twins(router, site)  # before the pages: /synset/{wnid} would match a twin's address
    _add_pages(router, site)
    _add_appearance(router)
    return router


def _home(site: Site) -> dict[str, Any]:
    return content.home(site.database) | {
        "puzzle": common.question(site.database, common.today()),
        "news": latest_news(site.database),
    }


def _synset(site: Site, wnid: str, after: str, *, subtree: bool | None) -> dict[str, Any]:
    if wnid not in load_nouns():
        raise HTTPException(404, "no noun of WordNet 3.0 has this wnid")
    last = parse_key(after) if after else None
    if after and last is None:
        raise HTTPException(404, "there is no such page of images")
    found = content.synset(site.database, wnid)
    with_all = not found["num_images"] if subtree is None else subtree
    return found | content.images(site, wnid, last, subtree=with_all)


def _add_twins(router: APIRouter, site: Site) -> None:
    @router.get("/index.json")
    def home() -> dict[str, Any]:
        """The counters, the categories and the puzzle of the day."""
        return _home(site)

    @router.get("/search.json")
    def search(q: _Words = "", images: _WithImages = False) -> dict[str, Any]:
        """Synsets of some words."""
        return content.search(site.database, q, with_images=images)

    @router.get("/synset/{wnid}.json", responses=_NOT_FOUND)
    def synset(wnid: str, after: _After = "", subtree: _Subtree = None) -> dict[str, Any]:
        """A synset and a page of its images."""
        return _synset(site, wnid, after, subtree=subtree)


def _add_pages(router: APIRouter, site: Site) -> None:
    @router.get("/", include_in_schema=False)
    def home(request: Request) -> Response:
        with site.database.snapshot():
            return site.page(request, "home.html", _home(site))

    @router.get("/search", include_in_schema=False)
    def search(request: Request, q: _Words = "", images: _WithImages = False) -> Response:
        with site.database.snapshot():
            unless_changed(site, request)
            values = content.search(site.database, q, with_images=images)
            return site.page(request, "search.html", values)

    @router.get("/synset/{wnid}", include_in_schema=False)
    def synset(
        request: Request, wnid: str, after: _After = "", subtree: _Subtree = None
    ) -> Response:
        with site.database.snapshot():
            unless_changed(site, request)
            values = _synset(site, wnid, after, subtree=subtree)
            cells = explore.treemap(site, values) if not after else []
            return site.page(request, "synset.html", values | {"cells": cells})


def _add_appearance(router: APIRouter) -> None:
    @router.post("/appearance", include_in_schema=False)
    def appearance(
        request: Request,
        theme: Annotated[str, Form(max_length=10)] = "",
        next_page: Annotated[str, Form(alias="next", max_length=2000)] = "/",
    ) -> Response:
        """Keep the choice of light or dark; without a token, as nothing of a user's is changed."""
        answer = RedirectResponse(local_path(next_page), 303)
        if theme in THEMES:
            is_secure = request.url.scheme == "https"
            answer.set_cookie(
                "theme", theme, max_age=_YEAR_SECONDS, samesite="lax", secure=is_secure
            )
        else:
            answer.delete_cookie("theme")
        return answer


def local_path(path: str) -> str:
    r"""A path of this site; home for what could lead to another.

    >>> local_path("/search?q=dog"), local_path("//b.org"), local_path("/\\b.org")
    ('/search?q=dog', '/', '/')
    """
    is_local = path.startswith("/") and not path.startswith("//")
    is_plain = path.isascii() and path.isprintable() and "\\" not in path
    return path if is_local and is_plain else "/"
