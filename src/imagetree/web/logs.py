"""The log: a line of JSON for each event, without what a log must not hold.

A line has the time (UTC), the level, the logger, a message and the id of the request that it is
about. Addresses of e-mail and the values of keys and tokens are taken out of messages and
tracebacks; whoever reads a log can neither write to a user nor use a link.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import TextIO

REQUEST_ID: ContextVar[str] = ContextVar("REQUEST_ID", default="")
"""Of the request that is being answered; empty outside of requests."""

# Bounded repetitions: what is searched may have been written by an attacker.
_EMAIL = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_SECRET = re.compile(r"(?i)\b(key|token|csrf|password|secret|session)=[^\s&\"'<>]+")
_LEVELS = {"": logging.WARNING, "imagetree": logging.INFO, "uvicorn.error": logging.INFO}


def scrub(text: str) -> str:
    """A text without addresses of e-mail and values of keys.

    >>> scrub("GET /a?key=abc&n=1 by ada@example.org")
    'GET /a?key=...&n=1 by ...'
    """
    return _EMAIL.sub("...", _SECRET.sub(r"\1=...", text))


class JsonLines(logging.Formatter):
    """Makes a line of JSON of a record; its attribute `fields`, a dict, is added as it is.

    Nothing that a visitor sent can begin a new line: control characters are escaped.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": scrub(record.getMessage()),
        }
        request_id = REQUEST_ID.get()
        if request_id:
            line["request_id"] = request_id
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = scrub(self.formatException(record.exc_info))
        return json.dumps(line)


def set_up_log(stream: TextIO | None = None) -> None:
    """Write the log of this process as lines of JSON.

    Args:
        stream: where to; None for standard error.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], force=True)
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)
