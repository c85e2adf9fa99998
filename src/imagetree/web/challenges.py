"""Challenges: leaderboards, kits, entries sent by upload, teams.

An account has one team, which it founds with its first entry; whatever it sends is that team's. A
sealed test's labels are in nothing here: scores come out of the library as they may be known.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from starlette.datastructures import FormData, UploadFile

from imagetree.accounts.limits import ENTRIES
from imagetree.challenge.definition import load_challenge
from imagetree.challenge.kit import KitConfig, export_kit
from imagetree.errors import ChallengeError
from imagetree.leaderboard import boards, entries, limits, ranking, rescoring, tables, teams
from imagetree.web import access
from imagetree.web.content import named
from imagetree.web.forms import checked_form
from imagetree.web.site import User, current_user, require_user
from imagetree.web.threads import run_slowly

if TYPE_CHECKING:
    from imagetree.leaderboard.boards import Board
    from imagetree.leaderboard.entries import Entry
    from imagetree.leaderboard.teams import Team
    from imagetree.web.site import Site

_Form = Annotated[FormData, Depends(checked_form)]
_OwnUser = Annotated[User, Depends(require_user)]
_View = Annotated[ranking.View, Query(description="best of each team, or all entries")]
_REFUSALS: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such thing here"}}
_GATED: dict[int | str, dict[str, Any]] = {403: {"description": "The terms are not accepted"}}
_SENDING_ROLES = {"participant", "annotator", "curator"}
_GZIP = "application/gzip"


def create_router(site: Site) -> APIRouter:
    """The leaderboards of the database, and all that belongs to one."""
    router = APIRouter()
    _add_files(router, site)
    _add_twins(router, site)
    _add_pages(router, site)
    _add_forms(router, site)
    return router


def _board(site: Site, name: str) -> Board:
    try:
        return boards.find_board(site.database, name)
    except ChallengeError as error:
        raise HTTPException(404, "there is no such leaderboard") from error


def _overview(site: Site) -> dict[str, Any]:
    return {"boards": [_about(each) for each in boards.boards(site.database)]}


def _about(board: Board) -> dict[str, Any]:
    """What everybody may know of a leaderboard; its folders are the keeper's business."""
    names = ("name", "title", "version", "split", "num_images", "num_classes", "weekly_limit")
    more = ("rank_k", "is_sealed", "opened_at", "closed_at")
    return {name: getattr(board, name) for name in (*names, *more)}


def _shown(site: Site, name: str, view: ranking.View) -> dict[str, Any]:
    board = _board(site, name)
    standings = ranking.standings(site.database, name, view)
    return {
        **_about(board),
        "has_images": _test_images(board).is_file(),
        "view": view,
        "members": standings.members,
        "rows": tables.public_facts(standings)["entries"],
    }


def _classes(site: Site, name: str) -> dict[str, Any]:
    board = _board(site, name)
    try:
        wnids = boards.challenge_of(board).wnids
    except ChallengeError as error:  # names a path of this machine: not for visitors
        raise HTTPException(503, "the challenge's folder is not there") from error
    return {**_about(board), "classes": [named(wnid) for wnid in wnids]}


def _entry(site: Site, name: str, number: int) -> dict[str, Any]:
    board = _board(site, name)
    found = next((e for e in entries.entries(site.database, name) if e.id == number), None)
    if found is None:
        raise HTTPException(404, "there is no such entry")
    return {
        "board": _about(board),
        "team_id": _team_named(site, found.team).id,
        **_public(found),
        "classes": None if board.is_sealed else _by_class(site, number),
    }


def _public(entry: Entry) -> dict[str, Any]:
    names = ("id", "team", "title", "description", "method", "uses_extra_data", "submitted_at")
    facts = {name: getattr(entry, name) for name in (*names, "withdrawn_at", "format")}
    errors = [
        {
            "k": top.k,
            "error": top.error,
            "interval": tuple(top.interval),
            "hierarchical_error": top.hierarchical_error,
            "hierarchical_interval": tuple(top.hierarchical_interval),
        }
        for top in entry.errors
    ]
    return {**facts, "errors": errors}


def _by_class(site: Site, number: int) -> list[dict[str, Any]] | None:
    """Errors by class; None where the files that tell them are not there any more."""
    try:
        score = rescoring.entry_figures(site.database, number)
    except ChallengeError:
        return None
    return [
        {
            **named(each.wnid),
            "num_images": each.num_images,
            "error": each.num_misses / each.num_images,
        }
        for each in score.classes
    ]


def _team_named(site: Site, name: str) -> Team:
    return next(each for each in teams.teams(site.database) if each.name == name)


def _team(site: Site, number: int) -> dict[str, Any]:
    found = next((each for each in teams.teams(site.database) if each.id == number), None)
    if found is None:
        raise HTTPException(404, "there is no such team")
    sent = [
        {"board": board.name, "board_title": board.title, **_public(each)}
        for board in boards.boards(site.database)
        for each in entries.entries(site.database, board.name)
        if each.team == found.name
    ]
    return {"id": found.id, "name": found.name, "members": found.members, "entries": sent}


def _add_twins(router: APIRouter, site: Site) -> None:
    @router.get("/challenges.json")
    def overview() -> dict[str, Any]:
        """The leaderboards."""
        return _overview(site)

    @router.get("/challenges/{name}.json", responses=_REFUSALS)
    def shown(name: str, view: _View = "best") -> dict[str, Any]:
        """A leaderboard: what is answered, and the entries by rank."""
        return _shown(site, name, view)

    @router.get("/challenges/{name}/classes.json", responses=_REFUSALS)
    def classes(name: str) -> dict[str, Any]:
        """The classes of its challenge."""
        return _classes(site, name)

    @router.get("/challenges/{name}/entries/{number}.json", responses=_REFUSALS)
    def entry(name: str, number: int) -> dict[str, Any]:
        """An entry with its errors; those by class once the board shows them."""
        return _entry(site, name, number)

    @router.get("/teams/{number}.json", responses=_REFUSALS)
    def team(number: int) -> dict[str, Any]:
        """A team and its entries."""
        return _team(site, number)


def _add_files(router: APIRouter, site: Site) -> None:
    @router.get(
        "/challenges/{name}/leaderboard.csv",
        response_class=Response,
        responses={**_REFUSALS, 200: {"content": {"text/csv": {}}}},
    )
    def csv(name: str, view: _View = "best") -> Response:
        """The leaderboard as comma-separated values."""
        _board(site, name)
        text = tables.render_csv(ranking.standings(site.database, name, view))
        return Response(text, media_type="text/csv; charset=utf-8")

    @router.get(
        "/challenges/{name}/kit.tar.gz",
        response_class=Response,
        responses={**_REFUSALS, **_GATED, 200: {"content": {_GZIP: {}}}},
    )
    async def kit(request: Request, name: str) -> Response:
        """The development kit: meta.mat, truth of val, lists; no label of a sealed test."""
        board = await run_in_threadpool(_offered, site, request, name)
        try:
            data = await run_slowly(request, _kit, board.challenge, board.version)
        except ChallengeError as error:
            raise HTTPException(503, "the challenge's folder is not there") from error
        file = f'attachment; filename="{board.name}_devkit.tar.gz"'
        return Response(data, media_type=_GZIP, headers={"Content-Disposition": file})

    @router.get(
        "/challenges/{name}/test.tar",
        response_class=Response,
        responses={**_REFUSALS, **_GATED, 200: {"content": {"application/x-tar": {}}}},
    )
    def images(request: Request, name: str) -> Response:
        """The images of a sealed test under names that tell no class, where the keeper has them."""
        board = _offered(site, request, name)
        path = _test_images(board)
        if not path.is_file():
            raise HTTPException(404, "the images of the test are not offered here")
        return FileResponse(path, media_type="application/x-tar", filename=f"{board.name}_test.tar")


def _offered(site: Site, request: Request, name: str) -> Board:
    """The board of a name, for who may download."""
    board = _board(site, name)
    if not site.gate.may_download(site.gate.account_of(request)):
        raise HTTPException(403, "downloading needs an account that has accepted the terms")
    return board


def _test_images(board: Board) -> Path:
    """Where `imagetree challenge test-images CHALLENGE CHALLENGE.test.tar` wrote them."""
    return board.challenge.with_name(f"{board.challenge.name}.test.tar")


@lru_cache(maxsize=4)
def _kit(folder: Path, version: str) -> bytes:
    """A kit as it is downloaded; the same challenge gives the same bytes."""
    challenge = load_challenge(folder)
    if challenge.version != version:
        raise ChallengeError(f"{folder}: another version of the challenge is here now")
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "kit.tar.gz"
        export_kit(challenge, path, KitConfig())
        return path.read_bytes()


def _add_pages(router: APIRouter, site: Site) -> None:
    @router.get("/challenges", include_in_schema=False)
    def overview(request: Request) -> Response:
        return site.page(request, "challenges.html", _overview(site))

    @router.get("/challenges/{name}", include_in_schema=False)
    def shown(request: Request, name: str, view: _View = "best") -> Response:
        values = _shown(site, name, view)
        ids = {each.name: each.id for each in teams.teams(site.database)}
        return site.page(request, "challenges_board.html", {**values, "ids": ids})

    @router.get("/challenges/{name}/classes", include_in_schema=False)
    def classes(request: Request, name: str) -> Response:
        return site.page(request, "challenges_classes.html", _classes(site, name))

    @router.get("/challenges/{name}/entries/{number}", include_in_schema=False)
    def entry(request: Request, name: str, number: int) -> Response:
        values = _entry(site, name, number)
        own = _own_team(site, current_user(request))
        is_own = own is not None and own.id == values["team_id"]
        return site.page(request, "challenges_entry.html", {**values, "is_own": is_own})

    @router.get("/teams/{number}", include_in_schema=False)
    def team(request: Request, number: int) -> Response:
        return site.page(request, "challenges_team.html", _team(site, number))


def _own_team(site: Site, user: User | None) -> Team | None:
    found = teams.teams(site.database) if user else ()
    return next((each for each in found if user and each.account_id == user.id), None)


def _sending(site: Site, board: Board, user: User) -> dict[str, Any]:
    """What the form of an entry shows."""
    team, quota = _own_team(site, user), None
    if team is not None:
        with site.database.reading() as connection:
            quota = limits.quota_of(connection, board, team, limits.utc_clock())
    return {**_about(board), "team": team, "quota": quota, "fault": "", "hint": ""}


def _add_forms(router: APIRouter, site: Site) -> None:
    @router.get("/challenges/{name}/submit", include_in_schema=False)
    def show(request: Request, name: str, user: _OwnUser) -> Response:
        return site.page(
            request, "challenges_submit.html", _sending(site, _board(site, name), user)
        )

    limit = Depends(access.limited(ENTRIES))

    @router.post("/challenges/{name}/submit", include_in_schema=False, dependencies=[limit])
    async def submit(request: Request, name: str, form: _Form, user: _OwnUser) -> Response:
        board = _board(site, name)
        if user.role not in _SENDING_ROLES:
            raise HTTPException(403, "this is for participants")
        try:
            receipt = await run_slowly(request, _take, site, board, user, form)
        except ChallengeError as error:
            fault = {"fault": error.message, "hint": error.hint or ""}
            values = {**_sending(site, board, user), **fault}
            return site.page(request, "challenges_submit.html", values, 400)
        said = "These bytes are here already." if receipt.is_replay else "The entry is scored."
        path = f"/challenges/{board.name}/entries/{receipt.entry.id}"
        return site.redirect(request, path, flash=said)

    @router.post("/challenges/{name}/entries/{number}/withdraw", include_in_schema=False)
    def withdraw(
        request: Request, name: str, number: int, _form: _Form, user: _OwnUser
    ) -> Response:
        own, entry = _own_team(site, user), _entry(site, name, number)
        if own is None or own.id != entry["team_id"]:
            raise HTTPException(403, "this entry is another team's")
        entries.withdraw(site.database, number, user.name)
        path = f"/challenges/{name}/entries/{number}"
        return site.redirect(request, path, flash="The entry is withdrawn.")


def _take(site: Site, board: Board, user: User, form: FormData) -> entries.Receipt:
    """Score what was sent; its bytes are on the disk for as long as that takes."""
    sent = form.get("file")
    if not isinstance(sent, UploadFile) or not sent.filename:
        raise ChallengeError("no file was sent", hint="choose the file with the answers")
    team = _own_team(site, user)
    if team is None:
        wanted, members = _text(form, "team"), _text(form, "members")
        team = teams.add_team(site.database, wanted, members, user.id, user.name)
    with tempfile.NamedTemporaryFile() as file:
        sent.file.seek(0)
        shutil.copyfileobj(sent.file, file)
        file.flush()
        submission = entries.Submission(
            path=Path(file.name),
            team=team.name,
            title=_text(form, "title"),
            description=_text(form, "description"),
            method=_text(form, "method"),
            uses_extra_data=form.get("extra_data") == "yes",
            who=user.name,
            file_name=sent.filename,
        )
        return entries.submit(site.database, board.name, submission)


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""
