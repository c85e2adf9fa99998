"""Who may see a page or its JSON twin: people are led to the login, programs are told 401.

A program sends `Authorization: Bearer TOKEN`; `site.users` knows whose it is, and it has the rights
of its user.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from imagetree.web.site import User, current_user, require_user

VOTING_ROLES = ("annotator", "curator")
ANSWERS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No token, or none that is good: send `Authorization: Bearer TOKEN`"},
    403: {"description": "The token's user has not the role that this needs"},
}
"""The refusals of what needs a token, for the OpenAPI."""

_SCHEME = HTTPBearer(  # for the OpenAPI alone: whose a token is, `site.users` says
    auto_error=False, scheme_name="token", description="a token made on the page of your account"
)
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="imagetree"'}


def require_voter(request: Request) -> User:
    """The user, who may vote: an annotator or a curator. A dependency.

    Raises:
        HTTPException: nobody is logged in, or another.
    """
    return _with_role(require_user(request), VOTING_ROLES)


def require_token_user(
    request: Request,
    _token: Annotated[HTTPAuthorizationCredentials | None, Depends(_SCHEME)],
) -> User:
    """The user whose token or session a program sends. A dependency.

    Raises:
        HTTPException: 401 where there is none.
    """
    user = current_user(request)
    if user is None:
        raise HTTPException(401, "this needs a token: Authorization: Bearer TOKEN", _CHALLENGE)
    return user


def require_token_voter(user: Annotated[User, Depends(require_token_user)]) -> User:
    """Likewise, of an annotator or a curator."""
    return _with_role(user, VOTING_ROLES)


def require_token_curator(user: Annotated[User, Depends(require_token_user)]) -> User:
    """Likewise, of a curator."""
    return _with_role(user, ("curator",))


def _with_role(user: User, roles: tuple[str, ...]) -> User:
    if user.role not in roles:
        raise HTTPException(403, f"this is for {' and '.join(f'{role}s' for role in roles)}")
    return user
