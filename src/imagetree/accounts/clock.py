"""Times as they are stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def utc() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


def stored(time: datetime) -> str:
    """ISO 8601 to the second; texts of two times compare as the times do."""
    return time.isoformat(timespec="seconds")


def after(time: datetime, seconds: float) -> str:
    """The stored form of a time so many seconds later."""
    return stored(time + timedelta(seconds=seconds))
