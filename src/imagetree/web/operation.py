"""The addresses for who runs the site: whether it lives, whether it can answer, what it did."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import anyio
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import PlainTextResponse

from imagetree.database.counting import current_revision
from imagetree.web import content
from imagetree.web.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from imagetree.web.site import Site

_UNREADY: dict[int | str, dict[str, Any]] = {503: {"description": "The database does not answer"}}


def create_router(site: Site) -> APIRouter:
    """Health, readiness and metrics."""
    router = APIRouter()

    @router.get("/health")
    async def health() -> dict[str, str]:
        """Whether this process answers at all; one that does not is to be started again."""
        return {"status": "ok"}

    @router.get("/ready", responses=_UNREADY)
    def ready() -> dict[str, str]:
        """Whether the database answers too; while it does not nobody is to be sent here."""
        current_revision(site.database)
        return {"status": "ok"}

    @router.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> PlainTextResponse:
        """Text for Prometheus, for who asks from this machine and not through a proxy."""
        if not _is_local(request):
            raise HTTPException(403, "metrics are for this machine alone")
        totals = await anyio.to_thread.run_sync(content.totals, site.database)
        gauges = {"images": totals["num_images"], "synsets": totals["num_synsets"]}
        text = request.app.state.metrics.render(gauges)
        return PlainTextResponse(text, media_type=CONTENT_TYPE)

    return router


def _is_local(request: Request) -> bool:
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False
