"""CoolStuff: the images that are nearest to another by what the site's own run makes of them.

They are found in an index (`imagetree index build`) of images of the database. What was removed,
hidden or sealed since it was built is in it still, and is left out of every answer.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException, Request, Response

from imagetree.database.showing import shown_image
from imagetree.errors import DatabaseError, ImagetreeError
from imagetree.web.content import named
from imagetree.web.images import find_image
from imagetree.web.recognize import Kind, add_form, address_of, holder_of, keep_photos
from imagetree.web.threads import run_slowly
from imagetree.web.thumbnails import path_of

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from imagetree.database import ImageRow
    from imagetree.index.search import Found, VectorIndex
    from imagetree.training.batches import Images
    from imagetree.web.recognize import Holder
    from imagetree.web.site import Site

NUM_NEAREST = 12
"""Images that are shown."""

_MOST_LOOKED_AT = 3200  # of the index, where nearly all are not shown any more
_NEAREST: dict[int | str, dict[str, Any]] = {
    404: {"description": "No such image, or one that cannot be read"},
    503: {"description": "Others are being served"},
}


class Nearest:
    """The index of a site, opened when it is first asked.

    Args:
        folder: of the index.
        checkpoint: of the run that it was made with.
    """

    def __init__(self, folder: Path, checkpoint: Path) -> None:
        self._folder = folder
        self._checkpoint = checkpoint
        self._lock = threading.Lock()
        self._index: VectorIndex | None = None
        self._rows: dict[tuple[str, str], int] = {}

    def index(self) -> VectorIndex:
        """The index.

        Raises:
            HTTPException: it cannot be read, or the run has learnt more since it was made; the
                reason names paths and is not for visitors.
        """
        from imagetree.index.search import VectorIndex

        with self._lock:
            if self._index is None:
                try:
                    self._index = VectorIndex(self._folder, self._checkpoint)
                except (ImagetreeError, OSError) as error:
                    raise HTTPException(503, "the index is not there") from error
                self._rows = {names: row for row, names in enumerate(self._index.names)}
            return self._index

    def row_of(self, image: ImageRow) -> int | None:
        """The row of an image; None where the index has not got it."""
        self.index()
        return self._rows.get((image.name, image.wnid))


def create_router(site: Site) -> APIRouter:
    """The form, and the nearest of each image of the database."""
    router = APIRouter()
    run, folder = site.settings.run, site.settings.index
    if run is None or folder is None:
        add_form(router, site, None, Kind("neighbours", 1, _nothing))
        return router
    holder, nearest = holder_of(run), Nearest(folder, checkpoint_of(run))

    def work(holder: Holder, data: list[bytes]) -> dict[str, Any]:
        return _near_photo(site, nearest, holder, data)

    add_form(router, site, holder, Kind("neighbours", 1, work))
    _add_pages(router, site, nearest, holder)
    return router


def checkpoint_of(run: Path) -> Path:
    """The checkpoint of a run; named here, as `training.checkpoints` would bring torch along."""
    return run / "checkpoint.safetensors" if run.is_dir() else run


def _add_pages(router: APIRouter, site: Site, nearest: Nearest, holder: Holder) -> None:
    @router.get("/image/{key:image}/neighbours.json", responses=_NEAREST)
    async def twin(request: Request, key: str) -> dict[str, Any]:
        """The images that the site's own run finds most alike, and how far away each is."""
        return await run_slowly(request, _near_image, site, nearest, holder, key)

    @router.get("/image/{key:image}/neighbours", include_in_schema=False)
    async def page(request: Request, key: str) -> Response:
        values = await run_slowly(request, _near_image, site, nearest, holder, key)
        return site.page(request, "image_neighbours.html", values)


def _near_image(site: Site, nearest: Nearest, holder: Holder, key: str) -> dict[str, Any]:
    image = find_image(site, key)
    if image is None:
        raise HTTPException(404, "no image of this name is shown here")
    row = nearest.row_of(image)
    if row is not None:  # the network is not needed: what it made of this image is in the index
        found = _shown(site, nearest.index(), nearest.index().features[row].astype("f4"), row)
    else:
        found = _near_unknown(site, nearest, holder, image)
    (shown,) = site.thumbnails.describe([image])
    return shown | named(image.wnid) | {"path": path_of(image), **found}


def _near_unknown(site: Site, nearest: Nearest, holder: Holder, image: ImageRow) -> dict[str, Any]:
    """The nearest of an image of the database that the index has not got."""
    from imagetree.recognition.inputs import ImageBytes

    try:
        with holder.admitted():
            images = ImageBytes({image.name: site.thumbnails.read(image)})
            feature = _feature(nearest.index(), holder, images)
    except DatabaseError as error:  # its reason may name places on this machine
        raise HTTPException(404, "this image cannot be read") from error
    return _shown(site, nearest.index(), feature, None)


def _near_photo(site: Site, nearest: Nearest, holder: Holder, data: list[bytes]) -> dict[str, Any]:
    from imagetree.recognition.inputs import ImageFiles

    places = keep_photos(data)
    feature = _feature(nearest.index(), holder, ImageFiles(places))
    return {"photo": address_of(places[0])} | _shown(site, nearest.index(), feature, None)


def _feature(index: VectorIndex, holder: Holder, images: Images) -> NDArray[np.float32]:
    """What the network makes of the first of some images; float32 (D,).

    Raises:
        DatabaseError: it cannot be read.
    """
    from imagetree.understanding.features import Extractor

    with holder.recognizer() as recognizer:
        found = Extractor(recognizer, index.info.identity.layer).extract(images)
    if not found.is_readable[0]:
        raise DatabaseError("the photo cannot be read")
    feature: NDArray[np.float32] = found.values[0]
    return feature


def _shown(
    site: Site, index: VectorIndex, feature: NDArray[np.float32], own_row: int | None
) -> dict[str, Any]:
    """The nearest images that may be shown: of more and more, until there are enough."""
    most, count = min(index.info.num_rows, _MOST_LOOKED_AT), 2 * NUM_NEAREST
    while True:
        (found,) = index.search(feature[None], min(count, most))
        rows = [(each, _image_of(site, each)) for each in found if each.row != own_row]
        pairs = [(each, row) for each, row in rows if row is not None][:NUM_NEAREST]
        if len(pairs) == NUM_NEAREST or count >= most:
            break
        count *= 4
    shown = site.thumbnails.describe(row for _, row in pairs)
    return {
        "layer": index.info.identity.layer,
        "num_indexed": index.info.num_rows,
        "neighbours": [
            about | {"distance": each.distance}
            for about, (each, _) in zip(shown, pairs, strict=True)
        ],
    }


def _image_of(site: Site, found: Found) -> ImageRow | None:
    return shown_image(site.database, found.wnid, found.name) if found.wnid else None


def _nothing(_holder: Holder, _data: list[bytes]) -> dict[str, Any]:
    return {}
