"""The terms of access: read by all, accepted once for each account and version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.datastructures import FormData

from imagetree.accounts import users
from imagetree.web.access import origin_of
from imagetree.web.forms import checked_form
from imagetree.web.gate import TERMS_PATH, TERMS_VERSION
from imagetree.web.pages import local_path
from imagetree.web.site import User, require_user

if TYPE_CHECKING:
    from imagetree.web.site import Site

_Form = Annotated[FormData, Depends(checked_form)]
_OwnUser = Annotated[User, Depends(require_user)]
_Next = Annotated[str, Query(max_length=1000)]


def create_router(site: Site) -> APIRouter:
    """The page of the terms, and the form by which they are accepted."""
    router = APIRouter()

    @router.get(f"{TERMS_PATH}.json")
    def terms_data(request: Request) -> dict[str, Any]:
        """The version of the terms, and which one the asking account has accepted."""
        return _terms(site, request)

    @router.get(TERMS_PATH, include_in_schema=False)
    def terms(request: Request, next: _Next = "/download") -> Response:
        values = {**_terms(site, request), "next": local_path(next)}
        answer = site.page(request, "terms.html", values)
        answer.headers["Cache-Control"] = "no-store"  # it changes when it is accepted elsewhere
        return answer

    @router.post(TERMS_PATH, include_in_schema=False)
    def accept(request: Request, form: _Form, user: _OwnUser) -> Response:
        following, version = form.get("next"), form.get("version")
        if version != TERMS_VERSION:  # its page was opened before the terms were changed
            return site.redirect(request, TERMS_PATH, flash="The terms have changed: read them.")
        origin = origin_of(request, user.name)
        users.accept_terms(site.database, user.id, TERMS_VERSION, origin)
        path = local_path(following if isinstance(following, str) else "")
        return site.redirect(request, path, flash="You have accepted the terms.")

    return router


def _terms(site: Site, request: Request) -> dict[str, Any]:
    user = site.users.user_of(request)
    accepted = users.find_account(site.database, user.id).terms if user else None
    return {"version": TERMS_VERSION, "accepted": accepted, "is_asked": site.settings.ask_terms}
