"""HEAD: what GET would say, without its body; for each address that has no HEAD of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.routing import APIRoute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


def methods_of(routes: Sequence[BaseRoute], path: str) -> set[str]:
    """The methods of an address: of all routes with the template that fits first."""
    own = [each for each in routes if isinstance(each, APIRoute)]
    template = next((each.path for each in own if each.path_regex.match(path)), None)
    return set().union(*(each.methods or set() for each in own if each.path == template))


class Heads:
    """Makes the answer to GET for who asks for its head; the server leaves out the body.

    An archive has a HEAD of its own, which reads nothing.

    Args:
        app: what answers.
        routes: of all parts of the site; filled until the first request.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        offered = methods_of(self._routes, scope["path"]) if is_head else set()
        if "HEAD" in offered or "GET" not in offered:
            await self._app(scope, receive, send)
            return
        asked = {**scope, "method": "GET"}

        async def send_head(message: Message) -> None:
            scope["route"] = asked.get("route")  # for the log, which has the scope that came in
            await send(message)

        await self._app(asked, receive, send_head)
