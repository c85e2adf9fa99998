"""What the site is started with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from imagetree.mail.smtp import Smtp


@dataclass(frozen=True)
class Settings:
    """What the site is started with.

    Args:
        database: path of a SQLite file or a PostgreSQL URL.
        run: a trained run, by which photos are recognised; None: no network is shown.
        index: folder of an index that was made with the run, in which the nearest of an image are
            found; None: none are looked for.
        page_size: images named on a page.
        max_body: bytes of the largest request that is read.
        public_url: where visitors find the site, as `https://images.example.org`: its links and
            cookies are made for it; empty: wherever a request was sent to.
        hosts: names, without port, that a request may be sent to, besides that of `public_url` and
            addresses of numbers; empty: any.
        proxies: addresses and networks of proxies that are believed who they ask for.
        ask_terms: images are downloaded by accounts alone that have accepted the terms.
        smtp: the server that mail is given to, for which `public_url` is needed; None: none is
            sent, and nothing is shown that would need it.
    """

    database: str
    run: Path | None = None
    index: Path | None = None
    page_size: int = 60
    max_body: int = 32 << 20
    public_url: str = ""
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    ask_terms: bool = False
    smtp: Smtp | None = None
