"""The threads of a process: a few that make pages, and others for what takes long.

Pages keep the interpreter busy: a further thread makes none of them sooner, but takes turns with
the thread that receives and sends, which then waits. What reads whole archives has threads of its
own, so that no visitor can take those of the pages by asking for it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI, Request

PAGES = 4
SLOW = 2
"""With `tars.MAX_DOWNLOADS` no more than the connections of the database, so that nobody who has a
thread waits for a connection."""

P = ParamSpec("P")
T = TypeVar("T")


def limit_threads(app: FastAPI) -> None:
    """Set the limits; to be called in the event loop that answers."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = PAGES
    app.state.slow_threads = anyio.CapacityLimiter(SLOW)


async def run_slowly(
    request: Request, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """What work gives, which takes seconds or longer; others that are under way are waited for."""
    limiter = request.app.state.slow_threads
    return await anyio.to_thread.run_sync(partial(work, *args, **kwargs), limiter=limiter)
