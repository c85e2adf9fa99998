"""The pages of what is in the database, and their JSON twins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response

from imagetree.web import content

if TYPE_CHECKING:
    from imagetree.web.site import Site

_Words = Annotated[str, Query(max_length=200)]


def create_router(site: Site) -> APIRouter:
    """Home, search and the synsets."""
    router = APIRouter()
    _add_twins(router, site)  # before the pages: /synset/{wnid} would match a twin's address
    _add_pages(router, site)
    return router


def _synset(site: Site, wnid: str, after: str) -> dict[str, Any]:
    found = content.synset(site.database, wnid, after=after, limit=site.settings.page_size)
    if found is None:
        raise HTTPException(404, "no noun of WordNet 3.0 has this wnid")
    return found


def _add_twins(router: APIRouter, site: Site) -> None:
    @router.get("/index.json")
    def home() -> dict[str, Any]:
        return content.home(site.database)

    @router.get("/search.json")
    def search(q: _Words = "") -> dict[str, Any]:
        return content.search(q)

    @router.get("/synset/{wnid}.json", responses={404: {"description": "No such noun"}})
    def synset(wnid: str, after: str = "") -> dict[str, Any]:
        return _synset(site, wnid, after)


def _add_pages(router: APIRouter, site: Site) -> None:
    @router.get("/", include_in_schema=False)
    def home(request: Request) -> Response:
        return site.page(request, "home.html", content.home(site.database))

    @router.get("/search", include_in_schema=False)
    def search(request: Request, q: _Words = "") -> Response:
        return site.page(request, "search.html", content.search(q))

    @router.get("/synset/{wnid}", include_in_schema=False)
    def synset(request: Request, wnid: str, after: str = "") -> Response:
        return site.page(request, "synset.html", _synset(site, wnid, after))
