"""`imagetree web`: the database in a browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.types import NonNegativeInt, PositiveInt

from imagetree.cli.output import DEFAULT_DATABASE, DatabaseOption

_PASSWORD = "IMAGETREE_SMTP_PASSWORD"  # not an option, which lists of processes would show

app = App(name="web", help="Show a database in a browser.")
app.command("imagetree.cli.users:app", name="user")


@app.command
def serve(
    *,
    database: DatabaseOption = DEFAULT_DATABASE,
    host: str = "127.0.0.1",
    port: NonNegativeInt = 8000,
    workers: PositiveInt = 1,
    run: Path | None = None,
    index: Path | None = None,
    public_url: Annotated[str, Parameter(name="--public-url")] = "",
    proxies: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    ask_terms: Annotated[bool, Parameter(name="--ask-terms", negative="")] = False,
    smtp: str = "",
    mail_from: Annotated[str, Parameter(name="--mail-from")] = "",
) -> None:
    """Serve the site until it is interrupted; answers that are under way are finished.

    Example: imagetree web serve --port 8000

    Args:
        database: what to show.
        host: name or address to listen at; 0.0.0.0 for all addresses of this machine.
        port: to listen at; 0 for any that is free.
        workers: processes that answer.
        run: a trained run, by which photos are recognised and whose filters are shown.
        index: folder of an index that was made with the run (imagetree index build): the nearest of
            an image, or of a photo, are found in it.
        public_url: where visitors find the site, as https://images.example.org: requests to other
            names are refused, and links are made for it.
        proxies: addresses or networks of proxies in front, which are believed who they ask for.
        ask_terms: let accounts alone download images, once they have accepted the terms.
        smtp: the server that mail is given to, as smtps://USER@HOST, smtp+starttls://USER@HOST or
            smtp://localhost; its password is in IMAGETREE_SMTP_PASSWORD. Passwords are then reset
            by mail, and there is a mailing list.
        mail_from: who mail is from, as "Images <news@example.org>".
    """
    from imagetree.mail.smtp import parse_smtp
    from imagetree.web.serving import Listening, named_hosts, serve
    from imagetree.web.settings import Settings

    settings = Settings(
        str(database),
        run=run,
        index=index,
        public_url=public_url.rstrip("/"),
        hosts=named_hosts(host),
        proxies=proxies,
        ask_terms=ask_terms,
        smtp=parse_smtp(smtp, mail_from, os.environ.get(_PASSWORD, "")) if smtp else None,
    )
    serve(settings, Listening(host, port, workers), lambda url: print(url, flush=True))
