"""The page of an image, and the image itself: small, as large as a page shows it, or whole.

An image's address is made of its name, `/image/n02084071_10`, which is what ImageNet's users know
and what stays the same when a database is made anew; a name that does not begin with the wnid
stands after it, `/image/n02084071/ILSVRC2012_val_00000293`. What is sent is always encoded anew:
upright, without metadata, and nothing that a browser could take for something else.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec
from urllib.parse import urlsplit

import anyio
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.convertors import Convertor, register_url_convertor

from imagetree.curation.check import facts_of
from imagetree.database.showing import images_named, place_of, shown_image
from imagetree.errors import DatabaseError
from imagetree.sources.decoding import read_header
from imagetree.sources.encoding import encode_plain_jpeg
from imagetree.web import content
from imagetree.web.caching import FILES, has_etag
from imagetree.web.thumbnails import SIZES, key_of, parse_key, path_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from imagetree.database import ImageRow
    from imagetree.web.site import Site

_KEPT = "private, max-age=86400, immutable"
"""For an address that names the bytes: kept by the browser that has seen it, and by nobody between;
not for longer than a day, as a removed image cannot be called back from there."""

THREADS = 3
"""For images, besides those for pages: a page of sixty thumbnails holds up no other page."""

_ASK_AGAIN = "private, no-cache"
_BROKEN = FILES / "broken.svg"
_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"description": "No such image"}}
JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {}}, "description": "The image"},
    304: {"description": "The image is the one of If-None-Match"},
    404: {
        # as an image where one would be shown, in words where the address can be none of an image
        "content": {"image/svg+xml": {}, "application/json": {}, "text/html": {}},
        "description": "No such image, or a damaged one",
    },
}
"""What is answered where an image is asked for."""

_FILE = JPEG | {403: {"description": "The terms are not accepted"}}
P = ParamSpec("P")
_Version = Annotated[str, Query(max_length=32, description="of the bytes; see the image's JSON")]


class _KeyConvertor(Convertor[str]):
    """An image in an address: `n02084071_10` or `n02084071/val_17`."""

    regex = r"n[0-9]{8}(?:_[^/]+|/[^/]+)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("image", _KeyConvertor())


def create_router(site: Site) -> APIRouter:
    """The images and their pages; the archives that they are read from are closed with the site."""

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        yield
        site.thumbnails.close()

    router = APIRouter(lifespan=lifespan)
    _add_files(router, site)  # before the pages, whose addresses match theirs
    _add_pages(router, site)
    return router


def describe(site: Site, image: ImageRow) -> dict[str, Any]:
    """All that is known of an image; what is wrong with it where it cannot be shown."""
    place, source = place_of(site.database, image), site.thumbnails.source(image)
    (shown,) = site.thumbnails.describe([image])
    around = [each for each in (place.previous, place.next) if each is not None]
    beside = {each["key"]: each for each in site.thumbnails.describe(around)}
    return {
        **shown,
        "view": shown["thumb"].replace("/thumb?", "/view?"),
        "file": f"{shown['path']}/file",
        "seen": f"{shown['path']}/seen" if site.settings.run is not None else None,
        "neighbours": f"{shown['path']}/neighbours" if site.settings.index is not None else None,
        "position": place.position,
        "total": place.total,
        "previous": beside.get(key_of(place.previous)) if place.previous else None,
        "next": beside.get(key_of(place.next)) if place.next else None,
        "paths": content.ways(image.wnid),
        **_header(site, image),
        "checked": facts_of(site.database, image.id),
        "source": PurePosixPath(urlsplit(source.location).path).name,
        "source_kind": source.container,
        "imported_at": source.imported_at,
        "path_in_source": image.path,
        "url": image.path if (image.path or "").startswith(("https://", "http://")) else None,
        "offset": image.offset,
    }


def _header(site: Site, image: ImageRow) -> dict[str, Any]:
    """What the file says of itself, or why it cannot be read."""
    found: dict[str, Any] = {"num_bytes": image.length or None, "fault": None, "format": None}
    try:
        data = site.thumbnails.read(image)
    except DatabaseError:  # its reason names places on this machine
        lies_elsewhere = "it lies on the web, from where nothing is fetched for a page"
        unreadable = "its source cannot be read at the moment"
        is_elsewhere = "://" in (image.path or "")
        return found | {"fault": lies_elsewhere if is_elsewhere else unreadable}
    try:
        header = read_header(data)
    except DatabaseError as error:
        return found | {"fault": error.message}
    return found | {
        "num_bytes": len(data),
        "format": header.format,
        "width": header.width,
        "height": header.height,
        "mode": header.mode,
        "orientation": header.orientation,
        "num_frames": header.num_frames,
    }


def _add_files(router: APIRouter, site: Site) -> None:
    @router.get("/image/{key:image}/thumb", response_class=Response, responses=JPEG)
    async def thumb(request: Request, key: str, v: _Version = "") -> Response:
        """An image in a square of 240 pixels."""
        return await run_aside(request, _send_small, site, request, key, "thumb", v)

    @router.get("/image/{key:image}/view", response_class=Response, responses=JPEG)
    async def view(request: Request, key: str, v: _Version = "") -> Response:
        """An image in a square of 1024 pixels."""
        return await run_aside(request, _send_small, site, request, key, "view", v)

    @router.get("/image/{key:image}/file", response_class=Response, responses=_FILE)
    async def file(request: Request, key: str) -> Response:
        """An image with all its pixels, for who may download; the original is in the archives."""
        return await run_aside(request, _send_whole, site, request, key)


async def run_aside(
    request: Request, work: Callable[P, Response], *args: P.args, **kwargs: P.kwargs
) -> Response:
    """An answer that is an image, made in one of `THREADS`."""
    state = request.app.state
    if not hasattr(state, "image_threads"):
        state.image_threads = anyio.CapacityLimiter(THREADS)
    made = partial(work, *args, **kwargs)
    return await anyio.to_thread.run_sync(made, limiter=state.image_threads)


def send_image(site: Site, request: Request, image: ImageRow, size: str, asked: str) -> Response:
    """An image in one of SIZES; a sign instead of one that cannot be shown.

    Args:
        site: of the image.
        request: for it.
        image: that may be shown, asked of the database a moment ago.
        size: one of SIZES.
        asked: version that its address names; empty for none.
    """
    assert size in SIZES
    version = site.thumbnails.version(image)
    etag = f'"{version}-{size}"'
    headers = {"ETag": etag, "Cache-Control": _KEPT if asked == version else _ASK_AGAIN}
    if has_etag(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    try:
        data = site.thumbnails.get(image, size)
    except DatabaseError:
        return _broken()
    return Response(data, headers=headers, media_type="image/jpeg")


def _send_small(site: Site, request: Request, key: str, size: str, asked: str) -> Response:
    image = find_image(site, key)
    return _broken() if image is None else send_image(site, request, image, size, asked)


def _send_whole(site: Site, request: Request, key: str) -> Response:
    if not site.gate.may_download(site.gate.account_of(request)):
        raise HTTPException(403, "downloading needs an account that has accepted the terms")
    image = find_image(site, key)
    if image is None:
        return _broken()
    try:
        with site.thumbnails.making:
            data = encode_plain_jpeg(site.thumbnails.read(image))
    except DatabaseError:
        return _broken()
    return Response(data, headers={"Cache-Control": _ASK_AGAIN}, media_type="image/jpeg")


def _broken() -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(_BROKEN.read_bytes(), 404, headers, "image/svg+xml")


def find_image(site: Site, key: str) -> ImageRow | None:
    """The image of an address, where it is shown."""
    parsed = parse_key(key)
    return shown_image(site.database, *parsed) if parsed else None


def _get(site: Site, key: str) -> ImageRow:
    image = find_image(site, key)
    if image is None:
        raise HTTPException(404, "no image of this name is shown here")
    return image


def _add_pages(router: APIRouter, site: Site) -> None:
    @router.get("/image/{key:image}.json", responses=_NOT_FOUND)
    def twin(key: str) -> dict[str, Any]:
        """What is known of an image."""
        return describe(site, _get(site, key))

    @router.get("/image/{key:image}", include_in_schema=False)
    def page(request: Request, key: str) -> Response:
        values = describe(site, _get(site, key))
        may = site.gate.may_download(site.gate.account_of(request))
        return site.page(request, "image.html", values | {"may_download": may})

    @router.get("/image/{name}", include_in_schema=False)
    def by_name(request: Request, name: str) -> Response:
        """An image whose name does not tell its synset."""
        found = images_named(site.database, name) if "\0" not in name else ()
        if not found:
            raise HTTPException(404, "no image of this name is shown here")
        if len(found) == 1:
            return RedirectResponse(path_of(found[0]), 302)
        values = {"name": name, "images": site.thumbnails.describe(found)}
        return site.page(request, "image_namesakes.html", values, 300)
