"""CoolStuff: each layer of a network on a page, and what the site's own run makes of an image."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response

from imagetree.alexnet.architectures import ARCHITECTURES
from imagetree.alexnet.table import layer_table
from imagetree.database import sample
from imagetree.database.closure import ROOT
from imagetree.errors import DatabaseError, TrainingError
from imagetree.web.images import find_image
from imagetree.web.recognize import holder_of
from imagetree.web.threads import run_slowly
from imagetree.web.thumbnails import key_of

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.alexnet.table import TableRow
    from imagetree.web.recognize import Holder
    from imagetree.web.site import Site

NUM_OFFERED = 6
"""Images of the database of which one is chosen on a layer's page."""

_SVG = "image/svg+xml"
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {_SVG: {}}},
    404: {"description": "No such layer or image, or none that can be drawn"},
    503: {"description": "Others are being served"},
}
_REFUSALS: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such layer"}}
_Image = Annotated[str, Query(max_length=200, description="name of an image in its address")]


def create_router(site: Site) -> APIRouter:
    """The pages of all layers of all networks, and their maps."""
    router = APIRouter()

    @router.get("/coolstuff/alexnet/{name}/{layer}.json", responses=_REFUSALS)
    def twin(name: str, layer: str) -> dict[str, Any]:
        """What a layer of a network is, counts and costs."""
        return describe(name, layer)

    @router.get(
        "/coolstuff/alexnet/{name}/{layer}/maps.svg",
        response_class=Response,
        responses=_PICTURE,
    )
    async def maps(request: Request, name: str, layer: str, image: _Image) -> Response:
        """What a layer of the site's own run makes of an image, map by map."""
        if not describe(name, layer)["has_maps"] or not _is_run(site, name):
            raise HTTPException(404, "this site has no maps of this layer")
        assert site.settings.run is not None
        holder = holder_of(site.settings.run)
        with holder.admitted():
            picture = await run_slowly(request, _maps, site, holder, layer, image)
        headers = {"Cache-Control": "private, no-cache"}
        return Response(picture, media_type=_SVG, headers=headers)

    @router.get("/coolstuff/alexnet/{name}/{layer}", include_in_schema=False)
    def page(request: Request, name: str, layer: str, image: _Image = "") -> Response:
        values = describe(name, layer)
        offered: list[dict[str, Any]] = []
        if values["has_maps"] and _is_run(site, name):
            rows = sample(site.database, [ROOT], NUM_OFFERED, 0, subtree=True)
            offered = site.thumbnails.describe(rows)
            image = image or (key_of(rows[0]) if rows else "")
        shown = {"offered": offered, "image": image if offered else ""}
        return site.page(request, "coolstuff_layer.html", values | shown)

    return router


@lru_cache(maxsize=256)
def describe(name: str, layer: str) -> dict[str, Any]:
    """A layer with its formulas; the layers in front of it and behind it.

    Raises:
        HTTPException: there is no such network, or it has no such layer.
    """
    if name not in ARCHITECTURES:
        raise HTTPException(404, "no network is called so")
    table, side = layer_table(ARCHITECTURES[name]), ARCHITECTURES[name].input_size
    names = [measure.name for measure in table.measures]
    if layer not in names:
        raise HTTPException(404, f"{name} has no layer of this name")
    place = names.index(layer)
    measure = table.measures[place]
    operation, size = _formulas(table.rows, layer)
    return {
        "network": name,
        "layer": layer,
        "operation": operation.operation if operation else layer,
        "parameter_formula": operation.formula if operation else "",
        "size_formula": size.formula if size else "",
        "input": table.measures[place - 1].output if place else (3, side, side),
        "output": measure.output,
        "weights": measure.weights,
        "biases": measure.biases,
        "macs": measure.macs,
        "activations": measure.activations,
        "sees": measure.field.size,
        "step": measure.field.stride,
        "bytes_moved": measure.bytes_moved,
        "begins": measure.constants,
        "previous": names[place - 1] if place else None,
        "next": names[place + 1] if place + 1 < len(names) else None,
        "has_maps": len(measure.output) == 3,
    }


def _formulas(rows: tuple[TableRow, ...], layer: str) -> tuple[TableRow | None, TableRow | None]:
    """The rows of a layer's parameters and of its size."""
    own = [row for row in rows if row.layer == layer]
    operation = next((row for row in own if row.parameters is not None), None)
    return operation, next((row for row in own if row.parameters is None), None)


def _is_run(site: Site, name: str) -> bool:
    """Whether the site's own run is of a network."""
    return site.settings.run is not None and _architecture_of(site.settings.run) == name


@lru_cache(maxsize=1)
def _architecture_of(run: Path) -> str | None:
    """Of a run; read from its settings, as `training.runs` would bring torch along."""
    try:
        found = json.loads((run / "run.json").read_text())["config"]["architecture"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return str(found)


def _maps(site: Site, holder: Holder, layer: str, key: str) -> str:
    """The picture of a layer's maps."""
    from imagetree.pictures.activations import render_activations
    from imagetree.recognition.inputs import ImageBytes
    from imagetree.understanding.activations import maps_of

    row = find_image(site, key)
    if row is None:
        raise HTTPException(404, "no image of this name is shown here")
    try:
        images = ImageBytes({row.name: site.thumbnails.read(row)})
        with holder.recognizer() as recognizer:
            maps = maps_of(recognizer, images, 0, layer)
            towers = recognizer.network.architecture.towers
    except (DatabaseError, TrainingError) as error:  # may name places of this machine
        raise HTTPException(404, "this image cannot be drawn") from error
    return render_activations(maps, row.name, towers=towers)
