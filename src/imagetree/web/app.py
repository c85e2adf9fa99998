"""The site's application: its parts over one open database."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette.exceptions import HTTPException as HttpError

from imagetree.database import open_database
from imagetree.web import content, downloads, forms, pages, text_api
from imagetree.web.gate import OpenGate
from imagetree.web.security import Guard
from imagetree.web.site import NoUsers, Site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import Response

    from imagetree.web.settings import Settings

AREAS = (
    text_api,  # its lists lie below /download/, so it comes before downloads
    downloads,
    pages,
)
"""The parts of the site; each has `create_router(site)`."""

_HERE = Path(__file__).parent
_DATA_PATHS = ("/api/",)


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
    templates = Jinja2Templates(_HERE / "templates")
    templates.env.globals["csrf"] = forms.csrf
    site = app.state.site = Site(database, templates, settings, NoUsers(), OpenGate())
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    for area in AREAS:
        app.include_router(area.create_router(site))
    _add_health(app, site)
    _add_refusals(app, site)
    app.add_middleware(Guard, max_body=settings.max_body)
    return app


def _add_health(app: FastAPI, site: Site) -> None:
    @app.get("/health")
    def health() -> dict[str, str]:
        content.totals(site.database)  # an answer means that the database can be read
        return {"status": "ok"}


def _add_refusals(app: FastAPI, site: Site) -> None:
    @app.exception_handler(HttpError)
    def refuse(request: Request, error: HttpError) -> Response:
        """In JSON to who asked for JSON, else as a page."""
        path = request.url.path
        if path.endswith(".json") or path.startswith(_DATA_PATHS):
            return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
        values = {"status": error.status_code, "detail": error.detail}
        answer = site.page(request, "error.html", values, error.status_code)
        answer.headers.update(error.headers or {})
        return answer
