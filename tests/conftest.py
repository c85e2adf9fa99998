"""What all tests share: published files, real images, and databases of both engines."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from imagetree.database import open_database

from .archives import (  # noqa: F401 - fixtures
    class_folder,
    jpegs,
    train_tar,
    val_labels,
    val_tar,
    write_tar,
)

SHARED = Path(__file__).resolve().parents[2] / "shared"


def need(is_here: object, message: str) -> None:
    """Skip a test for want of something on this machine; fail it where `CI` is set."""
    if not is_here:
        if os.environ.get("CI"):
            pytest.fail(f"{message}, and CI is set")
        pytest.skip(message)


def shared_path(*parts: str) -> Path:
    """A file outside the project that a test is held against; see CONTRIBUTING.md."""
    path = SHARED.joinpath(*parts)
    need(path.exists(), f"{path} is missing")
    return path


@pytest.fixture(scope="session")
def imagenette() -> Path:
    """The folder with Imagenette's archives."""
    return shared_path("data", "imagenette")


@pytest.fixture(scope="session")
def oracles() -> Path:
    """The folder with files published by others."""
    return shared_path("oracles")


def _postgres_command(name: str, *arguments: str) -> list[str]:
    """A program of PostgreSQL, which refuses to be run by root."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = next((str(p / name) for p in places if (p / name).exists()), shutil.which(name))
    need(path, "PostgreSQL is not installed (Debian's package postgresql)")
    is_root = os.geteuid() == 0
    return [*(["runuser", "-u", "postgres", "--"] if is_root else []), str(path), *arguments]


@pytest.fixture(scope="session")
def postgresql():
    """URL of a PostgreSQL server of our own; it sorts text as English, not by bytes."""
    initdb = _postgres_command("initdb")
    # not below pytest's folder, which other users may not enter, and short: a socket's path is
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        user = "postgres" if os.geteuid() == 0 else getpass.getuser()
        data = f"{folder}/data"
        locale = ["--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu"]
        how = [*locale, "--icu-locale=en-US", "--auth=trust", "--no-sync", "-D", data]
        subprocess.run([*initdb, *how], check=True, capture_output=True, cwd="/")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        log = f"{folder}/log"
        start = _postgres_command("pg_ctl", "start", "-w", "-D", data, "-l", log, "-o", options)
        subprocess.run(start, check=True, stdout=subprocess.DEVNULL, cwd="/")
        try:
            yield f"postgresql+psycopg://{user}@/{{name}}?host={folder}"
        finally:
            stop = _postgres_command("pg_ctl", "stop", "-m", "immediate", "-D", data)
            subprocess.run(stop, check=True, stdout=subprocess.DEVNULL, cwd="/")


@pytest.fixture
def new_postgresql(postgresql):
    """URL of an empty database on the server; the same one each time, as making one takes long."""
    url = postgresql.format(name="postgres")
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'postgres'"
        connection.execute(text(f"SELECT pg_terminate_backend(pid) {others}"))
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    server.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Where a new database goes: once a file of SQLite, once a database of PostgreSQL."""
    if request.param == "sqlite":
        return str(tmp_path / "images.db")
    return request.getfixturevalue("new_postgresql")


@pytest.fixture
def database(place):
    """A new database, of each engine in turn."""
    with open_database(place, create=True) as opened:
        yield opened
