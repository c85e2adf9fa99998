"""Opening an image database, and its transactions; what is in it is for `queries` and `ingest`.

SQLite is set so that what was reported as done survives a killed process and a power cut: a
write-ahead log, flushed to the disk at every commit. Any number read while one writes. On
PostgreSQL a reading transaction sees one state too (REPEATABLE READ).
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock, local
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, create_engine, event, exc, func, insert, inspect, make_url, select

from imagetree.database import schema
from imagetree.errors import DatabaseError
from imagetree.files import Closable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

BUSY_TIMEOUT_SECONDS = 60
_JOURNAL_ATTEMPTS = 500
_WRITERS_LOCK = 0x696D6167  # of PostgreSQL, held by the one that writes
_BEGIN = "imagetree_begin"  # option of a connection: the statement that begins a transaction
_SQLITE_MAGIC = b"SQLite format 3\0"
_CACHE_KIB = 64 << 10
_POOL_SIZE = 20
_IMPORT_HINT = "make one: imagetree database import ARCHIVE --database PATH"
_HINTS = {
    "disk is full": "free some space and run the command again; what was reported is kept",
    "no space left": "free some space and run the command again; what was reported is kept",
    "is locked": "another process writes to it; try again when that is done",
    "readonly": "the file or its folder may not be written; copy it elsewhere",
    "malformed": "the file is damaged; import the archives into a new one",
    "unable to open": "the folder must exist and be writable",
}


class Database(Closable):
    """An open image database; close it, or use it as a context manager.

    Args:
        engine: of SQLAlchemy, connected to a database that has the tables.
        place: path or URL without password, as messages show it.
    """

    def __init__(self, engine: Engine, place: str) -> None:
        self.engine = engine
        self.place = place
        self.kept: dict[str, tuple[Any, Any]] = {}
        """What `counting` has computed, and of which state of the database."""
        self._snapshot = local()
        self.keeping = Lock()
        """Held while it computes: threads that ask at once after a change cost one computation."""

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database, whatever others write meanwhile.

        Raises:
            DatabaseError: the engine reports an error; every other exception passes as it is.
        """
        shared = getattr(self._snapshot, "connection", None)
        if shared is not None:
            yield shared
            return
        with translated(self.place), self.engine.connect() as connection:
            if self.engine.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all that this thread reads until the end see one state, in one transaction.

        For a page that asks a dozen questions: it is of one state, and a transaction for each
        takes as long as its answer. What this thread writes meanwhile is not seen either, and a
        generator that reads must have ended before.
        """
        before = getattr(self._snapshot, "connection", None)
        with self.reading() as connection:
            self._snapshot.connection = connection
            try:
                yield
            finally:
                self._snapshot.connection = before

    @contextmanager
    def writing(self, *, alone: bool = True) -> Iterator[Connection]:
        """A transaction that writes: all of it is kept at the end, or nothing after an exception.

        Args:
            alone: let no other such transaction be under way, so that states that are read here
                are still true when they are changed. SQLite has one writer in any case.

        Raises:
            DatabaseError: the disk is full, another process writes for too long, and the like.
        """
        with translated(self.place), self.engine.connect() as connection:
            connection = connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
            with connection.begin():
                if alone and self.engine.dialect.name == "postgresql":
                    connection.execute(select(func.pg_advisory_xact_lock(_WRITERS_LOCK)))
                yield connection


def open_database(
    place: str | Path, *, create: bool = False, cache_kib: int = _CACHE_KIB
) -> Database:
    """Open an image database.

    Args:
        place: path of an SQLite file, or a URL of SQLAlchemy (`postgresql://user@host/name`).
        create: make the file or the tables if they are missing.
        cache_kib: of an SQLite file, kept in memory by each connection.

    Raises:
        DatabaseError: nothing is there, it is something else, or a newer imagetree made it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_database(f"{folder}/images.db", create=True) as database:
    ...         database.engine.dialect.name
    'sqlite'
    """
    database = _connect(place, create, cache_kib)
    try:
        _check_schema(database, create)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn what the engine reports (disk, locks, damage) into a `DatabaseError`."""
    try:
        yield
    except exc.IntegrityError:
        raise  # a fault of this program, not of the user's disk
    except (exc.DatabaseError, exc.InterfaceError) as error:
        reason = str(error.orig)
        hint = next((hint for sign, hint in _HINTS.items() if sign in reason.lower()), None)
        raise DatabaseError(f"{place}: {reason}", hint=hint) from error


def _connect(place: str | Path, create: bool, cache_kib: int = _CACHE_KIB) -> Database:
    """The database at a place, whatever tables it has."""
    url, path = _parse_place(place)
    shown = str(path or url)  # a URL shows its password as ***
    if path is not None:
        _check_file(path, create)
    try:
        # All are kept: one that is opened for a query costs more than the query.
        engine = create_engine(url, pool_size=_POOL_SIZE, max_overflow=0)
    except (ImportError, exc.ArgumentError) as error:
        raise DatabaseError(
            f"{shown}: no driver for this database ({error})",
            hint="install it, for example: pip install 'imagetree[postgresql]'",
        ) from error
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", partial(_set_up_sqlite, cache_kib))
        event.listen(engine, "begin", _begin_sqlite)
    return Database(engine, shown)


def _parse_place(place: str | Path) -> tuple[URL, Path | None]:
    """The URL, and the path where it is an SQLite file."""
    if isinstance(place, Path) or "://" not in place:
        path = Path(place).expanduser().absolute()
        return URL.create("sqlite", database=str(path)), path
    try:
        url = make_url(place)
    except exc.ArgumentError as error:
        raise DatabaseError(f"{place!r} is no database URL ({error})") from None
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite":
        return url, None
    if url.database in {None, "", ":memory:"}:
        raise DatabaseError(f"{place}: a database in memory would be lost", hint="name a file")
    return url, Path(str(url.database)).absolute()


def _check_file(path: Path, create: bool) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(len(_SQLITE_MAGIC))
    except FileNotFoundError:
        if not create:
            raise DatabaseError(f"{path}: there is no database", hint=_IMPORT_HINT) from None
        _make_folder(path)
        return
    except OSError as error:
        raise DatabaseError(f"{path}: cannot be opened ({error.strerror})") from error
    if start not in {b"", _SQLITE_MAGIC}:
        raise DatabaseError(f"{path}: is no imagetree database", hint=_IMPORT_HINT)


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(
            f"{path}: its folder cannot be made ({error.strerror})", hint="name another place"
        ) from error


def upgrade(place: str | Path) -> tuple[str, str]:
    """Bring a database that an older imagetree made to the newest schema, in one transaction.

    Args:
        place: as for `open_database`.

    Returns:
        Its revision before, and now.

    Raises:
        DatabaseError: nothing is there, or a newer imagetree made it.
    """
    with _connect(place, create=False) as database:
        before = _revision_of(database, create=False)
        if before != schema.REVISION:
            _run_migrations(database, before)
        return before, schema.REVISION


def _check_schema(database: Database, create: bool) -> None:
    revision = _revision_of(database, create)
    if revision == schema.REVISION:
        return
    if revision > schema.REVISION:
        raise DatabaseError(
            f"{database.place}: schema {revision} (this imagetree knows {schema.REVISION})",
            hint="upgrade imagetree",
        )
    raise DatabaseError(
        f"{database.place}: an older imagetree made it "
        f"(schema {revision}, expected {schema.REVISION})",
        hint=f"bring it up to date: imagetree database upgrade --database {database.place}",
    )


def _revision_of(database: Database, create: bool) -> str:
    """The revision of its tables, which are made first where there are none and that is wanted."""
    with database.reading() as connection:
        tables = inspect(connection).get_table_names()
        rows = connection.execute(select(schema.meta)).all() if "meta" in tables else []
        versions = schema.alembic_version
        revision = connection.scalar(select(versions)) if versions.name in tables else None
    if not tables and create:
        _create_tables(database)
        return schema.REVISION
    if not tables:
        raise DatabaseError(f"{database.place}: the database is empty", hint=_IMPORT_HINT)
    facts = {str(key): value for key, value in rows}
    if facts.get("format") != schema.FORMAT:
        raise DatabaseError(f"{database.place}: is no imagetree database", hint=_IMPORT_HINT)
    return str(revision or "0001")  # the first schema was made without Alembic


def _create_tables(database: Database) -> None:
    """Make the tables in one transaction; another process that is doing so is waited for."""
    if database.engine.dialect.name == "sqlite":
        with translated(database.place):
            _set_journal(database)
    with database.writing() as connection:
        if inspect(connection).get_table_names():
            return
        schema.metadata.create_all(connection)
        facts = {"format": schema.FORMAT, "revision": "1"}
        rows = [{"key": key, "value": value} for key, value in facts.items()]
        connection.execute(insert(schema.meta), rows)
        connection.execute(insert(schema.alembic_version).values(version_num=schema.REVISION))


def _run_migrations(database: Database, revision: str) -> None:
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    import imagetree.migrations

    folder = str(Path(imagetree.migrations.__file__).parent)
    script = ScriptDirectory(folder, version_locations=[folder])
    with database.writing() as connection:
        context = MigrationContext.configure(
            connection, opts={"fn": lambda now, _: script._upgrade_revs("head", now)}
        )
        if context.get_current_revision() is None:
            context.stamp(script, revision)
        with Operations.context(context):
            context.run_migrations()


def _set_up_sqlite(cache_kib: int, driver_connection: Any, _record: object) -> None:
    """Settings of each connection; transactions are begun by `_begin_sqlite`, not by the driver."""
    driver_connection.isolation_level = None
    cursor = driver_connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {1000 * BUSY_TIMEOUT_SECONDS}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute(f"PRAGMA cache_size = -{cache_kib}")
    cursor.close()


def _set_journal(database: Database) -> None:
    """Write ahead; of two that make a database at once one finds it locked, without SQLite's wait.

    The mode stays with the file.
    """
    for attempt in range(_JOURNAL_ATTEMPTS):
        try:
            with database.engine.connect() as connection:
                connection = connection.execution_options(**{_BEGIN: ""})  # not in a transaction
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        except exc.OperationalError as error:
            if "locked" not in str(error) or attempt == _JOURNAL_ATTEMPTS - 1:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    statement = connection.get_execution_options().get(_BEGIN, "BEGIN")
    if statement:
        connection.exec_driver_sql(statement)
