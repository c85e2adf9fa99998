"""Who may see a page or its JSON twin: people are led to the login, programs are told 401.

A program sends `Authorization: Bearer TOKEN`; `site.users` knows whose it is, and it has the rights
of its user.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from imagetree.accounts.audit import Origin
from imagetree.accounts.clock import utc
from imagetree.accounts.limits import Limit, TooMany, count_try
from imagetree.web.site import User, current_site, current_user, require_user

if TYPE_CHECKING:
    from collections.abc import Callable

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


def origin_of(request: Request, who: str) -> Origin:
    """Who asks, and from where: of IPv6 the network, as each has billions of addresses."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return Origin(who, host)
    if isinstance(address, IPv6Address):
        return Origin(who, str(ip_network((address, 64), strict=False)))
    return Origin(who, host)


def limited(limit: Limit) -> Callable[[Request], None]:
    """A dependency that counts a request: of its account, or of its address where there is none.

    It raises an HTTPException, 429 and when to come again, once the limit is reached.
    """

    def count(request: Request) -> None:
        user = current_user(request)
        whose = f"account {user.id}" if user else origin_of(request, "").address
        try:
            count_try(current_site(request).database, [(limit, whose)], utc())
        except TooMany as error:
            headers = {"Retry-After": str(error.seconds)}
            raise HTTPException(429, error.message, headers) from error

    return count


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
