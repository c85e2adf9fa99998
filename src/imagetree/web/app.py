"""The site's application: its pages and their JSON twins over one open database.

A page and its twin are made of the same dict; the twin's address is the page's with `.json`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette.exceptions import HTTPException as HttpError

from imagetree.database import Database, open_database
from imagetree.web import content, downloads, text_api
from imagetree.web.security import SecurityHeaders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from imagetree.web.settings import Settings

_HERE = Path(__file__).parent
_Words = Annotated[str, Query(max_length=200)]


class _Site(NamedTuple):
    """What the answers are made from."""

    database: Database
    templates: Jinja2Templates
    page_size: int

    def page(
        self, request: Request, name: str, values: dict[str, Any], status: int = 200
    ) -> Response:
        shown = {**values, "totals": content.totals(self.database)}
        return self.templates.TemplateResponse(request, name, shown, status_code=status)

    def synset(self, wnid: str, after: str) -> dict[str, Any]:
        found = content.synset(self.database, wnid, after=after, limit=self.page_size)
        if found is None:
            raise HTTPException(404)
        return found


def create_app(settings: Settings) -> FastAPI:
    """The site over a database, which is opened here and closed when the site stops.

    Raises:
        DatabaseError: the database cannot be opened.
    """
    database = open_database(settings.database)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        database.close()

    app = FastAPI(title="imagetree", lifespan=lifespan, docs_url=None, redoc_url=None)
    site = _Site(database, Jinja2Templates(_HERE / "templates"), settings.page_size)
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    _add_twins(app, site)  # before the pages: /synset/{wnid} would match a twin's address
    _add_pages(app, site)
    app.include_router(text_api.create_router(database))  # its lists lie below /download/
    app.include_router(downloads.create_router(database, site.page))
    app.add_middleware(SecurityHeaders)
    return app


def _add_twins(app: FastAPI, site: _Site) -> None:
    @app.get("/index.json")
    def home() -> dict[str, Any]:
        return content.home(site.database)

    @app.get("/search.json")
    def search(q: _Words = "") -> dict[str, Any]:
        return content.search(q)

    @app.get("/synset/{wnid}.json")
    def synset(wnid: str, after: str = "") -> dict[str, Any]:
        return site.synset(wnid, after)

    @app.get("/health")
    def health() -> dict[str, str]:
        content.totals(site.database)  # an answer means that the database can be read
        return {"status": "ok"}


def _add_pages(app: FastAPI, site: _Site) -> None:
    @app.get("/", include_in_schema=False)
    def home(request: Request) -> Response:
        return site.page(request, "home.html", content.home(site.database))

    @app.get("/search", include_in_schema=False)
    def search(request: Request, q: _Words = "") -> Response:
        return site.page(request, "search.html", content.search(q))

    @app.get("/synset/{wnid}", include_in_schema=False)
    def synset(request: Request, wnid: str, after: str = "") -> Response:
        return site.page(request, "synset.html", site.synset(wnid, after))

    @app.exception_handler(HttpError)
    def refuse(request: Request, error: HttpError) -> Response:
        return site.page(request, "error.html", {"status": error.status_code}, error.status_code)
