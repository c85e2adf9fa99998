"""Accounts on the site: signup, login, one's own account, leaving; the curators' list of users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from starlette.datastructures import FormData

from imagetree.accounts import keys, users
from imagetree.accounts.audit import Origin, account_actions
from imagetree.accounts.clock import utc
from imagetree.accounts.limits import TooMany
from imagetree.errors import AccountError
from imagetree.web import access
from imagetree.web.forms import checked_form
from imagetree.web.pages import local_path
from imagetree.web.site import ROLES, User, require_curator, require_user

if TYPE_CHECKING:
    from collections.abc import Callable

    from imagetree.accounts.users import Account
    from imagetree.database import Database
    from imagetree.web.site import Site

COOKIE = "session"
_Form = Annotated[FormData, Depends(checked_form)]
_OwnUser = Annotated[User, Depends(require_user)]
_Curator = Annotated[User, Depends(require_curator)]
_Next = Annotated[str, Query(max_length=1000)]
_NUM_USERS = 200


class AccountUsers:
    """Who a request comes from: by its session's cookie, or by a program's token.

    Args:
        database: that keeps the accounts.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def user_of(self, request: Request) -> User | None:
        """Its user; None where nothing that it carries opens an account."""
        if not hasattr(request.state, "opened"):
            request.state.opened = self._opened(request)
        opened: keys.Opened | None = request.state.opened
        if opened is None:
            return None
        return User(opened.account.id, opened.account.name, opened.account.role)

    def _opened(self, request: Request) -> keys.Opened | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme:  # a program is whom its token says, whatever cookies it has
            is_token = scheme.lower() == "bearer"
            found = token.strip() if is_token else ""
            return keys.find_by_key(self._database, found, keys.TOKEN, utc()) if found else None
        session = request.cookies.get(COOKIE)
        if not session:
            return None
        return keys.find_by_key(self._database, session, keys.SESSION, utc())


def create_router(site: Site) -> APIRouter:
    """The forms of accounts, one's own account, and the list of users."""
    router = APIRouter()
    _add_entrance(router, site)
    _add_own(router, site)
    _add_own_forms(router, site)
    _add_key_forms(router, site)
    _add_reset(router, site)
    _add_users(router, site)
    return router


def _add_entrance(router: APIRouter, site: Site) -> None:
    @router.get("/login", include_in_schema=False)
    def login(request: Request, next: _Next = "/") -> Response:
        return site.page(request, "accounts_login.html", {"next": local_path(next), "fault": ""})

    @router.post("/login", include_in_schema=False)
    def log_in(request: Request, form: _Form) -> Response:
        name, following = _text(form, "name"), local_path(_text(form, "next"))
        try:
            origin = access.origin_of(request, name)
            account = users.log_in(site.database, name, _text(form, "password"), origin)
        except AccountError as error:
            values = {"next": following, "fault": error.message, "name": name}
            return refused(site, request, "accounts_login.html", values, error)
        return _entered(site, request, account, following)

    @router.get("/signup", include_in_schema=False)
    def signup(request: Request) -> Response:
        return site.page(request, "accounts_signup.html", {"fault": ""})

    @router.post("/signup", include_in_schema=False)
    def sign_up(request: Request, form: _Form) -> Response:
        name, email = _text(form, "name"), _text(form, "email")
        try:
            role = _text(form, "role") or "participant"
            if role not in {"participant", "annotator"}:
                raise AccountError("this role is given by a curator")
            asked = users.Signup(name, _text(form, "password"), email, role)
            account = users.sign_up(site.database, asked, access.origin_of(request, name))
        except AccountError as error:
            values = {"fault": error.message, "name": name, "email": email}
            return refused(site, request, "accounts_signup.html", values, error)
        return _entered(site, request, account, "/account")

    @router.post("/logout", include_in_schema=False)
    def log_out(request: Request, _form: _Form, user: _OwnUser) -> Response:
        opened: keys.Opened = request.state.opened
        origin = access.origin_of(request, user.name)
        keys.revoke_key(site.database, user.id, opened.key_id, origin)
        answer = site.redirect(request, "/", flash="You are logged out.")
        answer.delete_cookie(COOKIE)
        return answer


def _add_own(router: APIRouter, site: Site) -> None:
    @router.get("/account.json", responses=access.ANSWERS)
    def own(user: Annotated[User, Depends(access.require_token_user)]) -> dict[str, Any]:
        """The account whose token or session this is."""
        return _own(site, user, None)

    @router.get("/account", include_in_schema=False)
    def account(request: Request, user: _OwnUser) -> Response:
        opened: keys.Opened = request.state.opened
        values = {**_own(site, user, opened.key_id), "fault": "", "token": ""}
        return site.page(request, "accounts_own.html", values)


def _own(site: Site, user: User, current: int | None) -> dict[str, Any]:
    account = users.find_account(site.database, user.id)
    there = keys.list_keys(site.database, user.id, utc())
    return {
        "name": account.name,
        "role": account.role,
        "email": account.email,
        "created_at": account.created_at,
        "sessions": [
            {**each._asdict(), "is_current": each.id == current}
            for each in there
            if each.purpose == keys.SESSION
        ],
        "tokens": [each._asdict() for each in there if each.purpose == keys.TOKEN],
    }


def _add_own_forms(router: APIRouter, site: Site) -> None:
    @router.post("/account/password", include_in_schema=False)
    def password(request: Request, form: _Form, user: _OwnUser) -> Response:
        def change(origin: Origin) -> None:
            users.check_own_password(site.database, user.id, _text(form, "old"), origin.at)
            users.set_password(site.database, user.id, _text(form, "password"), origin)

        answer = _changed(site, request, user, change)
        if answer.status_code != 303:
            return answer
        account = users.find_account(site.database, user.id)
        said = "Your password is changed; all other sessions ended."
        return _entered(site, request, account, "/account", flash=said)

    @router.post("/account/email", include_in_schema=False)
    def email(request: Request, form: _Form, user: _OwnUser) -> Response:
        def change(origin: Origin) -> None:
            users.check_own_password(site.database, user.id, _text(form, "old"), origin.at)
            users.set_email(site.database, user.id, _text(form, "email"), origin)

        return _changed(site, request, user, change)

    @router.post("/account/delete", include_in_schema=False)
    def delete(request: Request, form: _Form, user: _OwnUser) -> Response:
        def change(origin: Origin) -> None:
            users.check_own_password(site.database, user.id, _text(form, "old"), origin.at)
            users.delete_account(site.database, user.id, origin)

        answer = _changed(site, request, user, change)
        if answer.status_code != 303:
            return answer
        answer = site.redirect(request, "/", flash="Your account is deleted.")
        answer.delete_cookie(COOKIE)
        return answer


def _add_key_forms(router: APIRouter, site: Site) -> None:
    @router.post("/account/revoke", include_in_schema=False)
    def revoke(request: Request, form: _Form, user: _OwnUser) -> Response:
        def change(origin: Origin) -> None:
            keys.revoke_key(site.database, user.id, _number(form, "id"), origin)

        return _changed(site, request, user, change)

    @router.post("/account/token", include_in_schema=False)
    def token(request: Request, form: _Form, user: _OwnUser) -> Response:
        account = users.find_account(site.database, user.id)
        made = []

        def change(origin: Origin) -> None:
            made.append(keys.make_token(site.database, account, _text(form, "label"), origin))

        answer = _changed(site, request, user, change)
        if not made:
            return answer
        values = {**_own(site, user, None), "fault": "", "token": made[0]}
        return site.page(request, "accounts_own.html", values)


def _changed(
    site: Site, request: Request, user: User, change: Callable[[Origin], None]
) -> Response:
    """The way back to one's own account after something was done to it, or why it was not."""
    try:
        change(access.origin_of(request, user.name))
    except AccountError as error:
        values = {**_own(site, user, None), "fault": error.message, "token": ""}
        return refused(site, request, "accounts_own.html", values, error)
    return site.redirect(request, "/account", flash="It is done.")


def _add_reset(router: APIRouter, site: Site) -> None:
    @router.get("/reset", include_in_schema=False)
    def show(request: Request, key: _Next = "") -> Response:
        answer = site.page(request, "accounts_reset.html", {"key": key, "fault": ""})
        answer.headers["Referrer-Policy"] = "no-referrer"  # the address opens the account
        return answer

    @router.post("/reset", include_in_schema=False)
    def reset(request: Request, form: _Form) -> Response:
        key = _text(form, "key")
        try:
            origin = access.origin_of(request, "by a link")
            keys.use_reset(site.database, key, _text(form, "password"), origin)
        except AccountError as error:
            values = {"key": key, "fault": error.message}
            return refused(site, request, "accounts_reset.html", values, error)
        return site.redirect(request, "/login", flash="Your password is set: log in with it.")


def _add_users(router: APIRouter, site: Site) -> None:
    @router.get("/curate/users", include_in_schema=False)
    def listed(request: Request, _user: _Curator, after: int = 0) -> Response:
        found = users.list_accounts(site.database, after=after, limit=_NUM_USERS)
        values = {
            "here": "users",
            "users": found,
            "roles": ROLES,
            "next": found[-1].id if len(found) == _NUM_USERS else None,
            "log": account_actions(site.database),
        }
        return site.page(request, "accounts_users.html", values)

    @router.post("/curate/users/{number}", include_in_schema=False)
    def change(request: Request, number: int, form: _Form, user: _Curator) -> Response:
        origin, role = access.origin_of(request, user.name), _text(form, "role")
        if number == user.id:
            raise HTTPException(403, "one's own role and access are changed by another curator")
        try:
            if role:
                found = users.set_role(site.database, number, role, origin)
                said = f"{found.name} is {found.role} now."
            else:
                disabled = _text(form, "disabled") == "yes"
                found = users.set_disabled(site.database, number, origin, disabled=disabled)
                said = f"{found.name} is shut out." if disabled else f"{found.name} is let in."
        except AccountError as error:
            raise HTTPException(404, error.message) from error
        return site.redirect(request, "/curate/users", flash=said)


def _entered(
    site: Site, request: Request, account: Account, path: str, *, flash: str = ""
) -> Response:
    """A new session, whatever was there before: what another set in this browser opens nothing."""
    agent = request.headers.get("user-agent", "")
    session = keys.open_session(site.database, account, agent, utc())
    answer = site.redirect(request, path, flash=flash or f"Welcome, {account.name}.")
    answer.set_cookie(
        COOKIE,
        session,
        max_age=keys.SECONDS[keys.SESSION],
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


def refused(
    site: Site, request: Request, template: str, values: dict[str, Any], error: AccountError
) -> Response:
    """A form again, and what was wrong with what it was sent with."""
    if isinstance(error, TooMany):
        answer = site.page(request, template, values, 429)
        answer.headers["Retry-After"] = str(error.seconds)
        return answer
    return site.page(request, template, values, 400)


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _number(form: FormData, name: str) -> int:
    text = _text(form, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
