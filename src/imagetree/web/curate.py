"""The curators' pages: votes, quarantine, duplicates, removal, hiding, and the journal."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from imagetree.curation import polls, queues
from imagetree.curation.duplicates import MAX_DISTANCE, find_duplicates
from imagetree.curation.removal import hidden_synsets
from imagetree.database.closure import ROOT
from imagetree.database.queries import count_images
from imagetree.database.schema import State
from imagetree.errors import DatabaseError
from imagetree.sources.shrinking import encode_small_jpeg
from imagetree.web import access, content, deeds
from imagetree.web.forms import checked_form
from imagetree.web.site import User, require_curator
from imagetree.web.thumbnails import SIZES, key_of
from imagetree.wordnet import load_nouns

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagetree.curation.duplicates import DuplicateGroup
    from imagetree.curation.queues import SetAside
    from imagetree.web.site import Site

PAGE_SIZE = 24
MAX_COMPARED = 200_000
"""Images among which a page looks for duplicates: about a second; more are for the command."""

_LOG_SIZE = 100
_NUM_SYNSETS = 20
_MAX_NUMBER = (1 << 31) - 1  # of a row, on every engine
_Form = Annotated[FormData, Depends(checked_form)]
_Curator = Annotated[User, Depends(require_curator)]
_TokenCurator = Annotated[User, Depends(access.require_token_curator)]
_Before = Annotated[
    int | None, Query(ge=1, le=_MAX_NUMBER, description="`next` of the page before")
]
_Wnid = Annotated[str, Query(max_length=20, description="look within this synset")]
_Subtree = Annotated[bool, Query(description="and all below it")]
_Distance = Annotated[
    int, Query(ge=0, le=MAX_DISTANCE, description="bits in which the hashes differ at most")
]


def create_router(site: Site) -> APIRouter:
    """The curators' pages, their JSON twins, and the forms of `deeds`."""
    router = APIRouter()
    _add_lists(router, site)
    _add_duplicates(router, site)
    _add_images(router, site)
    _add_forms(router, site)
    return router


def _overview(site: Site, _before: int | None) -> dict[str, Any]:
    return queues.totals(site.database)._asdict()


def _votes(site: Site, _before: int | None) -> dict[str, Any]:
    """Images on which voters disagree, and how far the voting on each synset is."""
    disputed = queues.disputed_images(site.database, PAGE_SIZE)
    shown = site.thumbnails.describe([each.image for each in disputed])
    polled = queues.voted_synsets(site.database, _NUM_SYNSETS)
    return {
        "disputed": [
            about | {"id": each.image.id, "num_yes": each.num_yes, "num_no": each.num_no}
            for about, each in zip(shown, disputed, strict=True)
        ],
        "synsets": [
            content.named(wnid) | asdict(polls.status(site.database, wnid)) for wnid, _ in polled
        ],
    }


def _quarantine(site: Site, before: int | None) -> dict[str, Any]:
    return _set_aside(site, State.QUARANTINED, before)


def _removed(site: Site, before: int | None) -> dict[str, Any]:
    return _set_aside(site, State.REMOVED, before)


def _set_aside(site: Site, state: State, before: int | None) -> dict[str, Any]:
    rows = queues.set_aside_images(site.database, state, PAGE_SIZE + 1, before)
    return {
        "images": [_describe(row) for row in rows[:PAGE_SIZE]],
        "next": rows[PAGE_SIZE - 1].problem_id if len(rows) > PAGE_SIZE else None,
    }


def _describe(row: SetAside) -> dict[str, Any]:
    """An image that has no page of its own any more."""
    return {
        **content.named(row.image.wnid),
        "id": row.image.id,
        "name": row.image.name,
        "key": key_of(row.image),
        "reason": row.reason,
        "seen_at": row.seen_at,
        "thumb": f"/curate/image/{row.image.id}/thumb",
    }


def _hidden(site: Site, _before: int | None) -> dict[str, Any]:
    return {
        "synsets": [
            content.named(row.wnid)
            | row._asdict()
            | {"num_images": queues.count_in_state_ok(site.database, row.wnid, subtree=row.subtree)}
            for row in hidden_synsets(site.database)
        ]
    }


def _log(site: Site, before: int | None) -> dict[str, Any]:
    rows = queues.journal_page(site.database, _LOG_SIZE + 1, before)
    return {
        "notes": [
            row._asdict() | {"state": None if row.state is None else State(row.state).name.lower()}
            for row in rows[:_LOG_SIZE]
        ],
        "next": rows[_LOG_SIZE - 1].id if len(rows) > _LOG_SIZE else None,
    }


LISTS: dict[str, Callable[[Site, int | None], dict[str, Any]]] = {
    "": _overview,
    "votes": _votes,
    "quarantine": _quarantine,
    "removed": _removed,
    "hidden": _hidden,
    "log": _log,
}
"""What each page lists, by its address below /curate."""


def _add_lists(router: APIRouter, site: Site) -> None:
    for name in LISTS:
        _add_list(router, site, name)


def _add_list(router: APIRouter, site: Site, name: str) -> None:
    path, values = f"/curate/{name}".rstrip("/"), LISTS[name]

    def twin(user: _TokenCurator, before: _Before = None) -> dict[str, Any]:
        return values(site, before)

    def page(request: Request, user: _Curator, before: _Before = None) -> Response:
        shown = {"here": name, **values(site, before)}
        return site.page(request, f"curate_{name or 'overview'}.html", shown)

    about = f"What the curators' page of {name or 'all that waits'} shows."
    router.add_api_route(f"{path}.json", twin, responses=access.ANSWERS, description=about)
    router.add_api_route(path, page, include_in_schema=False)


def _duplicates(site: Site, wnid: str, subtree: bool, distance: int) -> dict[str, Any]:
    """Groups of duplicates, or why they cannot be looked for."""
    wnid = wnid.strip()
    asked = {"wnid": wnid, "subtree": subtree, "distance": distance}
    if wnid and wnid not in load_nouns():
        fault = "no synset of WordNet 3.0 has this ID"
    elif _num_compared(site, wnid, subtree=subtree) > MAX_COMPARED:
        fault = f"there are more than {MAX_COMPARED:,} images: name a synset to look within"
    else:
        within = [wnid] if wnid else None
        try:
            groups = find_duplicates(
                site.database, max_distance=distance, wnids=within, subtree=subtree
            )
        except DatabaseError:  # names a path of this machine
            fault = "some of the images have not been checked: imagetree database check does it"
        else:
            shown = [_group(site, group) for group in groups[:PAGE_SIZE]]
            return {**asked, "fault": "", "num_groups": len(groups), "groups": shown}
    return {**asked, "fault": fault, "num_groups": 0, "groups": []}


def _num_compared(site: Site, wnid: str, *, subtree: bool) -> int:
    return count_images(site.database, [wnid or ROOT], subtree=subtree or not wnid)


def _group(site: Site, group: DuplicateGroup) -> dict[str, Any]:
    shown = site.thumbnails.describe([copy.image for copy in group.copies])
    return {
        "is_exact": group.is_exact,
        "distance": group.distance,
        "crosses_synsets": group.crosses_synsets,
        "crosses_sources": group.crosses_sources,
        "copies": [
            each | {"id": copy.image.id, "num_pixels": copy.num_pixels}
            for each, copy in zip(shown, group.copies, strict=True)
        ],
    }


def _add_duplicates(router: APIRouter, site: Site) -> None:
    @router.get("/curate/duplicates.json", responses=access.ANSWERS)
    def twin(
        user: _TokenCurator, wnid: _Wnid = "", subtree: _Subtree = True, distance: _Distance = 4
    ) -> dict[str, Any]:
        """Groups of images that are the same, or nearly."""
        return _duplicates(site, wnid, subtree, distance)

    @router.get("/curate/duplicates", include_in_schema=False)
    def page(
        request: Request,
        user: _Curator,
        wnid: _Wnid = "",
        subtree: _Subtree = False,
        distance: _Distance = 4,
    ) -> Response:
        values = _duplicates(site, wnid, subtree, distance)
        return site.page(request, "curate_duplicates.html", values | {"here": "duplicates"})


def _add_images(router: APIRouter, site: Site) -> None:
    @router.get("/curate/image/{number}/thumb", include_in_schema=False)
    def thumb(user: _Curator, number: int) -> Response:
        """An image in quarantine, for curators alone; it is kept nowhere."""
        found = queues.set_aside_image(site.database, number) if number <= _MAX_NUMBER else None
        if found is None or found[1] is not State.QUARANTINED:
            raise HTTPException(404, "no such image is in quarantine")
        try:
            with site.thumbnails.making:
                data = encode_small_jpeg(site.thumbnails.read(found[0].image), SIZES["thumb"])
        except DatabaseError as error:
            raise HTTPException(404, "this image cannot be decoded") from error
        return Response(data, headers={"Cache-Control": "no-store"}, media_type="image/jpeg")


def _add_forms(router: APIRouter, site: Site) -> None:
    @router.post("/curate/do/{name}", include_in_schema=False)
    async def do(request: Request, user: _Curator, name: str, form: _Form) -> Response:
        """Ask what a form is to change; do it when that was confirmed."""
        return await run_in_threadpool(_do, site, request, user, name, form)


def _do(site: Site, request: Request, user: User, name: str, form: FormData) -> Response:
    deed = deeds.plan(site.database, name, form)
    if form.get("confirmed") != "yes":
        asked = {"name": name, "deed": deed, "fields": deeds.fields_of(form)}
        return site.page(request, "curate_confirm.html", asked)
    return site.redirect(request, deed.back, flash=deeds.perform(deed, user.name))
