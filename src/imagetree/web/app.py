"""The site's application: its parts over one open database."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from fastapi import FastAPI, Request
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from fastapi.templating import Jinja2Templates
from starlette.exceptions import HTTPException as HttpError

from imagetree.database import open_database
from imagetree.database.closure import ROOT
from imagetree.database.figures import categories, synset_figures
from imagetree.errors import DatabaseError
from imagetree.mail.sender import Postmark, Sender
from imagetree.web import (
    accounts,
    api,
    caching,
    challenges,
    common,
    coolstuff,
    curate,
    downloads,
    explore,
    forms,
    images,
    layers,
    mailing,
    neighbours,
    news,
    operation,
    pages,
    publications,
    recognize,
    terms,
    text_api,
    votes,
)
from imagetree.web.accounts import AccountUsers
from imagetree.web.gate import OpenGate, TermsGate
from imagetree.web.heads import Heads, methods_of
from imagetree.web.metrics import Metrics
from imagetree.web.recording import FromProxies, Recorder
from imagetree.web.security import Guard
from imagetree.web.signing import load_secret, secret_folder
from imagetree.web.site import Site
from imagetree.web.threads import limit_threads
from imagetree.web.thumbnails import Thumbnails
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import Response

    from imagetree.database import Database
    from imagetree.web.settings import Settings

AREAS = (
    pages,  # what is asked for most comes first: the router tries one after the other
    images,
    text_api,  # its lists lie below /download/, so it comes before downloads
    downloads,
    explore,
    common,
    publications,
    accounts,
    terms,
    challenges,
    coolstuff,
    layers,
    recognize,
    neighbours,
    votes,
    curate,
    news,
    mailing,
    api,
    operation,
)
"""The parts of the site; each has `create_router(site)`."""

_HERE = Path(__file__).parent
_DATA_PATHS = ("/api/",)
_WRITE_SECONDS = 1.0
_CACHE_KIB = 8 << 10  # of 20 connections in each of several workers; the system caches the file
_log = logging.getLogger(__name__)


def create_app(settings: Settings, metrics: Metrics | None = None) -> FastAPI:
    """The site over a database, which is opened here and closed when the site stops.

    Args:
        settings: of the site.
        metrics: where requests are counted; None for counts of this process alone.

    Raises:
        DatabaseError: the database cannot be opened.
    """
    database = open_database(settings.database, cache_kib=_CACHE_KIB)
    metrics = metrics or Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        limit_threads(app)
        await anyio.to_thread.run_sync(_warm_up, database)
        writing = asyncio.create_task(_write_metrics(metrics))
        if site.sender is not None:
            site.sender.start()
        yield
        if site.sender is not None:
            await anyio.to_thread.run_sync(site.sender.stop)
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
        metrics.write()
        database.close()

    app = FastAPI(title="imagetree", lifespan=lifespan, docs_url=None, redoc_url=None)
    templates = Jinja2Templates(_HERE / "templates")
    templates.env.auto_reload = False  # not looked at again for each page
    templates.env.globals.update(
        csrf=forms.csrf, static_url=caching.static_url, has_mail=settings.smtp is not None
    )
    templates.env.globals.update(has_run=settings.run is not None)
    thumbnails = Thumbnails(database)
    users = AccountUsers(database)
    gate = TermsGate(database, users) if settings.ask_terms else OpenGate()
    sender = _sender(database, settings)
    site = Site(database, templates, settings, users, gate, thumbnails, sender)
    app.state.site = site
    app.state.metrics = metrics
    app.state.pages = caching.Pages()
    app.state.routes = []
    app.mount("/static", caching.HashedFiles(), name="static")
    for area in AREAS:
        router = area.create_router(site)
        app.include_router(router)
        app.state.routes += router.routes
    _add_refusals(app, site)
    _add_layers(app, settings, metrics)
    return app


def _sender(database: Database, settings: Settings) -> Sender | None:
    if settings.smtp is None:
        return None
    secret = load_secret(secret_folder(database))
    return Sender(database, Postmark(settings.smtp, settings.public_url, secret))


def _warm_up(database: Database) -> None:
    """Load what most pages need, so that no visitor waits for it."""
    load_nouns().search("dog")
    categories(database)
    synset_figures(database, ROOT)


def _add_layers(app: FastAPI, settings: Settings, metrics: Metrics) -> None:
    """What every request passes, the outermost last."""
    app.add_middleware(caching.Compressing, pages=app.state.pages)
    app.add_middleware(Heads, routes=app.state.routes)
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(Recorder, metrics=metrics)
    app.add_middleware(FromProxies, trusted=settings.proxies)


async def _write_metrics(metrics: Metrics) -> None:
    """Give the counts to the other workers, once a second."""
    while True:
        await asyncio.sleep(_WRITE_SECONDS)
        await anyio.to_thread.run_sync(metrics.write)


def _add_refusals(app: FastAPI, site: Site) -> None:
    app.add_exception_handler(caching.NotModified, caching.not_modified)
    app.add_exception_handler(caching.WasKept, caching.was_kept)

    @app.exception_handler(HttpError)
    def refuse(request: Request, error: HttpError) -> Response:
        """In JSON to who asked for JSON, else as a page."""
        if error.status_code == 405:
            # The router names the methods of the first route that fits alone.
            offered = methods_of(request.app.state.routes, request.url.path) or {"GET"}
            heads = {"HEAD"} if "GET" in offered else set()
            error.headers = {"Allow": ", ".join(sorted(offered | heads))}
        if _is_data(request):
            return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
        values = {"status": error.status_code, "detail": error.detail}
        answer = site.page(request, "error.html", values, error.status_code)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    async def refuse_values(request: Request, error: RequestValidationError) -> Response:
        """Values that are missing, too long or of another kind."""
        if _is_data(request):
            return await request_validation_exception_handler(request, error)
        values = {"status": 422, "detail": "the address or form has values that cannot be taken"}
        return site.page(request, "error.html", values, 422)

    @app.exception_handler(DatabaseError)
    def fail(_request: Request, error: DatabaseError) -> Response:
        """For a while; the reason may name paths and is for the log alone."""
        _log.error("the database does not answer: %s", error.message)
        text = "the database does not answer: try again in a moment\n"
        return PlainTextResponse(text, 503, {"Retry-After": "10"})


def _is_data(request: Request) -> bool:
    """Whether a program asks: for what the OpenAPI has, or would have if it were there."""
    path, route = request.url.path, request.scope.get("route")
    is_documented = isinstance(route, APIRoute) and route.include_in_schema
    return is_documented or path.endswith(".json") or path.startswith(_DATA_PATHS)
