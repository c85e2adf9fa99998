"""ImageNet's lists as text, at the addresses that image-net.org had, over a user's own images.

`/api/text/...` answers about one synset, `LISTS` are the files of a whole release. Both are open to
all, as they were. A synset that is hidden, or has no image, has no URLs here either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from imagetree.database import counts, images_of
from imagetree.export import formats
from imagetree.export.structure import iter_release_status, iter_structure
from imagetree.web.tars import gather
from imagetree.wordnet import gloss_of, load_nouns, render_is_a, render_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from imagetree.database import Database, ImageRow
    from imagetree.web.site import Site

_PAGE_ROWS = 5_000
_PIECE_BYTES = 1 << 16
_UNKNOWN = "no images of such a synset here\n"
_NO_NOUN = "no noun of WordNet 3.0 has this wnid\n"
_Answers = dict[int | str, dict[str, Any]]
_Wnid = Annotated[str, Query(max_length=20, description="WordNet ID, as n02084071")]
_Full = Annotated[str, Query(max_length=5, description="1 for all below the synset")]


class TextList(NamedTuple):
    """A list of a whole release.

    Args:
        pieces: of its text.
        about: what it is, for the page of downloads.
        old_path: where image-net.org had it; empty where it had none.
        media_type: of its bytes.
    """

    pieces: Callable[[Database], Iterable[str]]
    about: str
    old_path: str = ""
    media_type: str = "text/plain"


LISTS = {
    "words.txt": TextList(
        lambda _: [render_words()],
        "the words of all 82,115 nouns: wnid, tab, words",
        "/archive/words.txt",
    ),
    "gloss.txt": TextList(
        lambda _: [formats.render_glosses()],
        "the glosses of all nouns: wnid, tab, gloss",
        "/archive/gloss.txt",
    ),
    "wordnet.is_a.txt": TextList(
        lambda _: [render_is_a()],
        "the hierarchy: parent, space, child",
        "/archive/wordnet.is_a.txt",
    ),
    "structure_released.xml": TextList(
        lambda database: iter_structure(counts(database)),
        "the hierarchy of the synsets with images",
        "/api/xml/structure_released.xml",
        "application/xml",
    ),
    "ReleaseStatus.xml": TextList(
        lambda database: iter_release_status(counts(database)),
        "the number of images of each synset",
        "/api/xml/ReleaseStatus.xml",
        "application/xml",
    ),
    "synset_list.txt": TextList(
        lambda database: [formats.render_synset_list(counts(database))],
        "the synsets with images, a wnid a line",
        "/api/text/imagenet.synset.obtain_synset_list",
    ),
    "LOC_synset_mapping.txt": TextList(
        lambda database: [formats.render_synset_mapping(counts(database))],
        "the synsets with images: wnid, space, words",
    ),
    "imagenet_class_index.json": TextList(
        lambda database: [formats.render_class_index(counts(database))],
        "class index from 0: wnid and first word",
        media_type="application/json",
    ),
    "urls.txt": TextList(
        lambda database: (f"{row.name}\t{row.path}\n" for row in _with_url(database, None)),
        "images from the web: name, tab, URL",
    ),
}
"""By the names that ImageNet, Kaggle and Keras gave them."""


def available_lists() -> dict[str, TextList]:
    """Those that can be made here: without WordNet installed there are no glosses."""
    has_gloss = gloss_of(load_nouns().wnids[0]) is not None
    return {name: each for name, each in LISTS.items() if has_gloss or name != "gloss.txt"}


def create_router(site: Site) -> APIRouter:
    """The text API and the lists of a site's database."""
    router = APIRouter(default_response_class=PlainTextResponse)
    _add_synset_answers(router, site.database)
    _add_wordnet_answers(router)
    _add_lists(router, site.database)
    return router


def _add_synset_answers(router: APIRouter, database: Database) -> None:
    not_found: _Answers = {404: {"description": "No images of such a synset"}}

    @router.get("/api/text/imagenet.synset.geturls", responses=not_found)
    def urls(wnid: _Wnid) -> Response:
        """The URLs of a synset's images, one a line."""
        if wnid not in counts(database):
            return PlainTextResponse(_UNKNOWN, 404)
        return _stream(f"{row.path}\n" for row in _with_url(database, wnid))

    @router.get("/api/text/imagenet.synset.geturls.getmapping", responses=not_found)
    def url_mapping(wnid: _Wnid) -> Response:
        """The names and URLs of a synset's images: name, space, URL."""
        if wnid not in counts(database):
            return PlainTextResponse(_UNKNOWN, 404)
        return _stream(f"{row.name} {row.path}\n" for row in _with_url(database, wnid))


def _add_wordnet_answers(router: APIRouter) -> None:
    not_found: _Answers = {404: {"description": "No such noun of WordNet 3.0"}}

    @router.get("/api/text/wordnet.synset.getwords", responses=not_found)
    def words(wnid: _Wnid) -> Response:
        """The words of a synset, one a line."""
        if wnid not in load_nouns():
            return PlainTextResponse(_NO_NOUN, 404)
        return PlainTextResponse(formats.render_lemmas(wnid))

    @router.get("/api/text/wordnet.structure.hyponym", responses=not_found)
    def hyponyms(wnid: _Wnid, full: _Full = "") -> Response:
        """A synset and its hyponyms, each after a hyphen; with full=1 all that is below it."""
        if wnid not in load_nouns():
            return PlainTextResponse(_NO_NOUN, 404)
        return PlainTextResponse(formats.render_hyponyms(wnid, full=full == "1"))

    @router.get("/synset", include_in_schema=False)
    def synset(wnid: _Wnid) -> Response:
        """The old address of a synset's page."""
        if wnid not in load_nouns():
            raise HTTPException(404)
        return RedirectResponse(f"/synset/{wnid}", 301)


def _add_lists(router: APIRouter, database: Database) -> None:
    def answer(name: str) -> Response:
        found = available_lists().get(name)
        if found is None:
            return PlainTextResponse("there is no such list here\n", 404)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return _stream(found.pieces(database), found.media_type, headers)

    not_found: _Answers = {404: {"description": "There is no such list here"}}

    @router.get("/download/lists/{name}", responses=not_found)
    def text_list(name: str) -> Response:
        """A list of the whole database, under the name that ImageNet gave it."""
        return answer(name)

    @router.get("/api/text/imagenet.synset.obtain_synset_list")
    def synset_list() -> Response:
        """The synsets with images, one wnid a line."""
        return _stream(LISTS["synset_list.txt"].pieces(database))

    @router.get("/archive/{name}", responses=not_found)
    def archived(name: str) -> Response:
        """WordNet's lists at their old addresses."""
        is_old = name in LISTS and LISTS[name].old_path == f"/archive/{name}"
        return answer(name if is_old else "")

    @router.get("/api/xml/{name}", responses=not_found)
    def xml(name: str) -> Response:
        """The release as XML at its old addresses."""
        is_old = name in LISTS and LISTS[name].old_path == f"/api/xml/{name}"
        return answer(name if is_old else "")


def _stream(
    texts: Iterable[str], media_type: str = "text/plain", headers: dict[str, str] | None = None
) -> Response:
    pieces = gather((text.encode() for text in texts), _PIECE_BYTES)
    return StreamingResponse(pieces, headers=headers, media_type=media_type)


def _with_url(database: Database, wnid: str | None) -> Iterator[ImageRow]:
    """The images of a synset, or of all, that have a URL.

    Read page by page: a slow receiver holds no connection of the database, and what is removed
    meanwhile is not on the next page.
    """
    for each in counts(database) if wnid is None else [wnid]:
        start: int | tuple[str, str] = 0
        while page := images_of(database, [each], limit=_PAGE_ROWS, start=start):
            yield from (row for row in page if row.path is not None and "://" in row.path)
            start = each, page[-1].name
