"""CoolStuff: what the site's own run says of photos that a visitor sends."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from starlette.datastructures import FormData, UploadFile

from imagetree.accounts.limits import PHOTOS
from imagetree.errors import DatabaseError, ImagetreeError
from imagetree.web import access, content, uploads
from imagetree.web.common import Number, get_puzzle
from imagetree.web.content import named
from imagetree.web.forms import checked_form
from imagetree.web.images import find_image
from imagetree.web.threads import run_slowly
from imagetree.web.thumbnails import path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from imagetree.recognition.recognizer import Recognizer
    from imagetree.training.batches import Images
    from imagetree.web.site import Site

MAX_PHOTOS = 10
"""That are asked what they have in common."""

AT_ONCE = 2
"""Visitors whose photos are looked at; the next is asked to come back."""

SHARE = 0.8
"""Of the photos that a common concept covers."""

_SEEN: dict[int | str, dict[str, Any]] = {
    404: {"description": "No such image, or one that cannot be read"},
    503: {"description": "Others are being served"},
}
_TEMPLATE = "coolstuff_recognize.html"


class Kind(NamedTuple):
    """What photos are asked.

    Args:
        name: of the page.
        most: photos at a time.
        work: what is found in the bytes that were sent, for the page.
    """

    name: str
    most: int
    work: Callable[[Holder, list[bytes]], dict[str, Any]]


class Holder:
    """The network of a run, loaded when a photo is first sent; torch comes with it.

    Args:
        run: its folder.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(AT_ONCE)
        self._recognizer: Recognizer | None = None

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """For who sends photos, from before they are decoded.

        Raises:
            HTTPException: as many are being looked at as may be.
        """
        if not self._free.acquire(blocking=False):
            raise HTTPException(503, "others are being served: try again", {"Retry-After": "10"})
        try:
            yield
        finally:
            self._free.release()

    @contextmanager
    def recognizer(self) -> Iterator[Recognizer]:
        """The network, for one at a time.

        Raises:
            HTTPException: it cannot be loaded; the reason names paths and is not for visitors.
        """
        from dataclasses import replace

        from imagetree.recognition.recognizer import Recognizer

        with self._lock:
            if self._recognizer is None:
                try:
                    loaded = Recognizer.load(self._run, calibrated=True)
                except ImagetreeError as error:
                    raise HTTPException(503, "the trained network is not there") from error
                self._recognizer = replace(loaded, view=replace(loaded.view, workers=0))
            yield self._recognizer


@lru_cache(maxsize=1)
def holder_of(run: Path) -> Holder:
    """The one network of this process, whichever page asks for it."""
    return Holder(run)


def create_router(site: Site) -> APIRouter:
    """The forms, the answers, and the photos as they are shown back."""
    router = APIRouter()
    holder = None if site.settings.run is None else holder_of(site.settings.run)
    _add_photos(router)
    for kind in (Kind("recognize", 1, _recognize), Kind("common", MAX_PHOTOS, _find_common)):
        add_form(router, site, holder, kind)
    if holder is not None:
        _add_seen(router, site, holder)
        _add_puzzles(router, site, holder)
    return router


def _add_photos(router: APIRouter) -> None:
    @router.get("/coolstuff/photo/{name}", include_in_schema=False)
    def photo(name: str) -> Response:
        place = uploads.kept(name)
        if place is None:
            raise HTTPException(404, "this photo is not kept any more")
        # read here: what is removed meanwhile is gone, not half sent
        headers = {"Cache-Control": "private, no-store"}
        return Response(place.read_bytes(), media_type="image/jpeg", headers=headers)


def add_form(router: APIRouter, site: Site, holder: Holder | None, kind: Kind) -> None:
    """The page of a form to which photos are sent, and its answers.

    Args:
        router: that gets the page.
        site: of the page.
        holder: of the network that looks at the photos; None where there is none.
        kind: what the photos are asked.
    """
    shown = {"kind": kind.name, "is_there": holder is not None, "max_photos": kind.most}

    @router.get(f"/coolstuff/{kind.name}", include_in_schema=False)
    def form(request: Request) -> Response:
        return site.page(request, _TEMPLATE, shown)

    limit = Depends(access.limited(PHOTOS))

    @router.post(f"/coolstuff/{kind.name}", include_in_schema=False, dependencies=[limit])
    async def answer(
        request: Request, sent: Annotated[FormData, Depends(checked_form)]
    ) -> Response:
        if holder is None:
            raise HTTPException(404, "this site was started without what this needs")
        files = [each for each in sent.getlist("photo") if isinstance(each, UploadFile)]
        try:
            if not 1 <= len(files) <= kind.most:
                raise DatabaseError(f"{len(files)} photos were sent (expected 1 to {kind.most})")
            with holder.admitted():
                data = [await each.read(uploads.MAX_BYTES + 1) for each in files]
                values = await run_slowly(request, kind.work, holder, data)
        except DatabaseError as error:
            return site.page(request, _TEMPLATE, {**shown, "fault": error.message}, 400)
        return site.page(request, _TEMPLATE, {**shown, **values})


def _add_seen(router: APIRouter, site: Site, holder: Holder) -> None:
    async def ask(request: Request, key: str) -> dict[str, Any]:
        with holder.admitted():
            return await run_slowly(request, _see, site, holder, key)

    @router.get("/image/{key:image}/seen.json", responses=_SEEN)
    async def twin(request: Request, key: str) -> dict[str, Any]:
        """What the site's own run says of an image, and where its answer lies."""
        return await ask(request, key)

    @router.get("/image/{key:image}/seen", include_in_schema=False)
    async def page(request: Request, key: str) -> Response:
        return site.page(request, "image_seen.html", await ask(request, key))


def _add_puzzles(router: APIRouter, site: Site, holder: Holder) -> None:
    async def ask(request: Request, number: int) -> dict[str, Any]:
        with holder.admitted():
            return await run_slowly(request, _say, site, holder, number)

    @router.get("/common/{number}/says.json", responses=_SEEN)
    async def twin(request: Request, number: Number) -> dict[str, Any]:
        """What the site's own run says of a puzzle: of each image, and of what they share."""
        return await ask(request, number)

    @router.get("/common/{number}/says", include_in_schema=False)
    async def page(request: Request, number: Number) -> Response:
        return site.page(request, "common_says.html", await ask(request, number))


def _say(site: Site, holder: Holder, number: int) -> dict[str, Any]:
    """What the network says of the images of a puzzle."""
    from imagetree.recognition.concept import common_concepts
    from imagetree.recognition.inputs import ImageBytes

    found, files = get_puzzle(site.database, number), {}
    for position, image in enumerate(found.images, 1):
        with suppress(DatabaseError):  # one that cannot be read is left out
            files[f"/common/{number}/{position}"] = site.thumbnails.read(image)
    if not files:
        raise HTTPException(404, "the images of this puzzle cannot be read")
    with holder.recognizer() as recognizer:
        probabilities, bad = recognizer.probabilities(ImageBytes(files))
        wnids = recognizer.wnids
    good = [index for index in range(len(files)) if index not in bad]
    if not good:
        raise HTTPException(404, "the images of this puzzle cannot be read")
    paths = list(files)
    said = [
        named(wnids[int(row.argmax())]) | {"image": paths[index], "probability": float(row.max())}
        for index, row in zip(good, probabilities[good], strict=True)
    ]
    shared = common_concepts(probabilities[good], wnids, SHARE)
    return {"number": number, "said": said, "common": shared, "share": SHARE}


def _see(site: Site, holder: Holder, key: str) -> dict[str, Any]:
    """What the network says of an image of the database."""
    from imagetree.recognition.inputs import ImageBytes

    image = find_image(site, key)
    if image is None:
        raise HTTPException(404, "no image of this name is shown here")
    shown = {"name": image.name, "path": path_of(image), **named(image.wnid)}
    try:
        images = ImageBytes({image.name: site.thumbnails.read(image)})
        with holder.recognizer() as recognizer:
            return shown | _answer(recognizer, images)
    except DatabaseError as error:  # its reason may name places on this machine
        raise HTTPException(404, "this image cannot be read") from error


def keep_photos(data: list[bytes]) -> list[Path]:
    """Photos as they are shown, once all of them are found to be photos."""
    plain = [uploads.make_plain(each) for each in data]
    found = [uploads.kept(uploads.keep(each)) for each in plain]
    return [place for place in found if place is not None]


def address_of(place: Path) -> str:
    """Where a photo that is kept is shown."""
    return f"/coolstuff/photo/{place.stem}"


def _recognize(holder: Holder, data: list[bytes]) -> dict[str, Any]:
    """The likeliest classes of a photo, the hedged answer, and where the answer lies."""
    from imagetree.recognition.inputs import ImageFiles

    places = keep_photos(data)
    with holder.recognizer() as recognizer:
        return {"photo": address_of(places[0]), **_answer(recognizer, ImageFiles(places))}


def _answer(recognizer: Recognizer, images: Images) -> dict[str, Any]:
    """What the network says of the first of some images.

    Raises:
        DatabaseError: it cannot be read.
    """
    known = recognizer.calibration.multipliers if recognizer.calibration else {}
    accuracy = min(known, default=None)  # the higher ones promise more and say less
    num_guesses = min(5, len(recognizer.wnids))
    [found] = recognizer.recognize(images, num_guesses, accuracy=accuracy)
    if found.reason is not None:
        raise DatabaseError("the photo cannot be read")
    return {
        "overlay": address_of(_where(recognizer, images, found.guesses[0].wnid)),
        "guesses": found.guesses,
        "way_down": content.ways(found.guesses[0].wnid)[0],
        "hedged": found.hedged.answer if found.hedged else None,
        "accuracy": accuracy,
    }


def _where(recognizer: Recognizer, images: Images, wnid: str) -> Path:
    """The Grad-CAM of a class over what the network saw."""
    import simplejpeg

    from imagetree.pictures.saliency import overlay
    from imagetree.training.device import normalise
    from imagetree.understanding.activations import seen_pixels
    from imagetree.understanding.saliency import grad_cam

    network, view = recognizer.network, recognizer.view
    pixels = seen_pixels(recognizer, images, 0)
    x = normalise(pixels[None], next(network.parameters()).device, view.mean, view.std)
    values = grad_cam(network, x, recognizer.wnids.index(wnid)).at_pixels()
    picture = overlay(pixels, values, float(values.max()))
    place = uploads.kept(uploads.keep(simplejpeg.encode_jpeg(picture, quality=92)))
    assert place is not None  # it was kept a moment ago
    return place


def _find_common(holder: Holder, data: list[bytes]) -> dict[str, Any]:
    """What several photos have in common, as the network sees them."""
    from imagetree.recognition.concept import common_concepts
    from imagetree.recognition.inputs import ImageFiles

    places = keep_photos(data)
    with holder.recognizer() as recognizer:
        probabilities, _ = recognizer.probabilities(ImageFiles(places))
        found = common_concepts(probabilities, recognizer.wnids, SHARE)
    return {"photos": [address_of(place) for place in places], "common": found, "share": SHARE}
