"""`imagetree web`: the database in a browser."""

from __future__ import annotations

from cyclopts import App

from imagetree.cli.output import DEFAULT_DATABASE, DatabaseOption

app = App(name="web", help="Show a database in a browser.")


@app.command
def serve(
    *, database: DatabaseOption = DEFAULT_DATABASE, host: str = "127.0.0.1", port: int = 8000
) -> None:
    """Serve the site until it is interrupted.

    Example: imagetree web serve --port 8000

    Args:
        database: what to show.
        host: address to listen at.
        port: to listen at.
    """
    import uvicorn

    from imagetree.web.app import create_app
    from imagetree.web.settings import Settings

    uvicorn.run(create_app(Settings(str(database))), host=host, port=port)
