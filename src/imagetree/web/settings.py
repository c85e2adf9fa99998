"""What the site is started with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What the site is started with.

    Args:
        database: path of a SQLite file or a PostgreSQL URL.
        page_size: images named on a page.
    """

    database: str
    page_size: int = 60
