"""CoolStuff: the networks called AlexNet, layer by layer, and the filters of the site's own run."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException, Request, Response

from imagetree.alexnet.architectures import ARCHITECTURES
from imagetree.alexnet.counts import count_layers, total
from imagetree.alexnet.drawing import render_drawing
from imagetree.alexnet.render import as_json
from imagetree.alexnet.stack import likenesses, stack_rows
from imagetree.alexnet.table import layer_table
from imagetree.errors import TrainingError
from imagetree.web.threads import run_slowly

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.alexnet.layers import Architecture
    from imagetree.web.site import Site

_REFUSALS: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such network"}}
_SVG, _PNG = "image/svg+xml", "image/png"


def create_router(site: Site) -> APIRouter:
    """The networks and what was learnt."""
    router = APIRouter()
    _add_twins(router, site)
    _add_pictures(router, site)
    _add_pages(router, site)
    return router


def _network(name: str) -> Architecture:
    if name not in ARCHITECTURES:
        raise HTTPException(404, "no network is called so")
    return ARCHITECTURES[name]


def _overview(site: Site) -> dict[str, Any]:
    rows = []
    for each in ARCHITECTURES.values():
        totals = total(count_layers(each))
        rows.append(
            {
                "name": each.name,
                "description": each.description,
                "input_size": each.input_size,
                "parameters": totals.parameters,
                "macs": totals.macs,
            }
        )
    return {"networks": rows, "has_run": site.settings.run is not None}


@lru_cache(maxsize=len(ARCHITECTURES))
def _table(name: str) -> dict[str, Any]:
    return as_json(layer_table(_network(name)))


def _add_twins(router: APIRouter, site: Site) -> None:
    @router.get("/coolstuff.json")
    def overview() -> dict[str, Any]:
        """The networks called AlexNet."""
        return _overview(site)

    @router.get("/coolstuff/stack.json")
    def stack() -> dict[str, Any]:
        """The lecture's second picture, number by number."""
        return {"rows": stack_rows(), "networks": likenesses()}

    @router.get("/coolstuff/alexnet/{name}.json", responses=_REFUSALS)
    def table(name: str) -> dict[str, Any]:
        """A network's layer table, its totals by each rule, and what is published of it."""
        return _table(name)


def _add_pictures(router: APIRouter, site: Site) -> None:
    @router.get(
        "/coolstuff/alexnet/{name}/drawing.svg",
        response_class=Response,
        responses={**_REFUSALS, 200: {"content": {_SVG: {}}}},
    )
    def drawing(name: str) -> Response:
        """A network as a stack of boxes."""
        return Response(render_drawing(_network(name), 1000, None), media_type=_SVG)

    @router.get(
        "/coolstuff/filters.png",
        response_class=Response,
        responses={**_REFUSALS, 200: {"content": {_PNG: {}}}},
    )
    async def filters(request: Request) -> Response:
        """The first layer's filters of the site's own run."""
        if site.settings.run is None:
            raise HTTPException(404, "this site was started without a trained network")
        try:
            picture = await run_slowly(request, _filters, site.settings.run)
        except TrainingError as error:  # names a path of this machine: not for visitors
            raise HTTPException(503, "the trained network is not there") from error
        return Response(picture, media_type=_PNG)


@lru_cache(maxsize=1)
def _filters(run: Path) -> bytes:
    """The picture; torch is imported here, when it is first asked for."""
    from imagetree.pictures.filters import render_png, tower_picture
    from imagetree.training.checkpoints import load_checkpoint
    from imagetree.training.runs import load_run
    from imagetree.training.snapshots import TENSOR

    opened = load_run(run)
    weights = load_checkpoint(opened.checkpoint_path).network[TENSOR].float().numpy()
    return render_png(tower_picture(weights, opened.config.network.towers, scale=4))


def _add_pages(router: APIRouter, site: Site) -> None:
    @router.get("/coolstuff", include_in_schema=False)
    def overview(request: Request) -> Response:
        return site.page(request, "coolstuff.html", _overview(site))

    @router.get("/coolstuff/stack", include_in_schema=False)
    def stack(request: Request) -> Response:
        return site.page(request, "coolstuff_stack.html", {"rows": stack_rows()})

    @router.get("/coolstuff/alexnet/{name}", include_in_schema=False)
    def table(request: Request, name: str) -> Response:
        found = _table(name)
        values = {**found, "name": name, "sums": found["totals"]}  # a page's totals are images
        return site.page(request, "coolstuff_alexnet.html", values)
