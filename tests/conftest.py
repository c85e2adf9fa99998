"""What all tests share: published files, real images, databases of both engines, and S3."""

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


@pytest.fixture(scope="session")
def s3_server():
    """Address of a server of S3 of our own."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_client(s3_server, monkeypatch):
    """A client of an empty bucket, `archives`, on a server that the environment names."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="archives")
    yield client
    while items := client.list_objects_v2(Bucket="archives").get("Contents"):
        keys = [{"Key": item["Key"]} for item in items]
        client.delete_objects(Bucket="archives", Delete={"Objects": keys})
    client.delete_bucket(Bucket="archives")
    client.close()
