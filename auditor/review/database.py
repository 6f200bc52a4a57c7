"""The database under the verdict store: SQLite in the run folder, or PostgreSQL by URL."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shlex
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError

from auditor.core.errors import MissingExtraError, ResourceError, RunError, StorageError, UsageError, storage_errors
from auditor.core.files import sync_to_disk
from auditor.core.reading import regular_file
from auditor.review import schema
from auditor.review.log import log_of, lost_pages
from auditor.review.vocabulary import REVIEW_FILE

#: Bytes of the smallest SQLite database.
SQLITE_LEAST: Final = 512
#: Pages SQLite keeps per connection: negative, in KiB.
SQLITE_CACHE: Final = -32_000
#: Newest revision of the migrations; a test compares it with them.
HEAD: Final = "0006"

#: Any fixed number; the schema comes on top, so that runs in one database do not wait for each other.
_MIGRATION_LOCK: Final = 0x61756469
#: PostgreSQL: serialization failure, deadlock, shutdown, crash, starting up, too many connections.
_TRANSIENT: Final = {"40001", "40P01", "57P01", "57P02", "57P03", "53300"}
#: Words of psycopg's messages when the server is gone or not there yet.
_GONE: Final = re.compile(
    "connection (refused|reset|is lost|is closed)|server closed|no such file|starting up|shutting down"
    "|terminating connection|timeout"
)

T = TypeVar("T")


class NewerStoreError(RunError):
    """A newer version wrote the store: nothing is wrong with it."""


class Database:
    """An engine, its transactions, and the schema at the newest revision.

    Parameters
    ----------
    where : str or Path
        A ``.sqlite`` or ``.db`` file, a folder (the file `REVIEW_FILE` in it), or a URL
        (``postgresql://user@host/name``, ``sqlite:///file``).
    patience : float
        Seconds to repeat a transaction that failed for a passing reason (lock, deadlock, lost connection).
    make : bool
        Make the store where there is none.
    salvage : bool
        Open a store whose log is damaged, for what is whole in it; the log is first copied to ``-wal-damaged``.

    Raises
    ------
    UsageError
        If the URL is wrong or its driver is not installed.
    RunError
        If there is none, a newer version of auditor wrote it, it is damaged, or it is something else.
    ResourceError
        If the database cannot be reached.
    """

    def __init__(self, where: str | Path, patience: float = 15.0, make: bool = True, salvage: bool = False) -> None:
        self.url = store_url(where)
        self.patience = patience
        self._making = make
        path = Path(name) if (name := _file(self.url)) and name != ":memory:" else None
        if path is not None and not path.exists():
            if not make:
                raise _absent(self.url)
            path = path if path.parent.is_dir() else None
            if path is not None:
                self._make(path)
        elif path is not None:
            if regular_file(path).stat().st_size < SQLITE_LEAST:  # SQLite takes it for a new database
                raise _damaged(path, 0)
            if lost := lost_pages(path):
                if not salvage:
                    raise RunError(
                        f"the log {str(log_of(path))!r} of the verdict store is damaged or cut off: {lost}. What was "
                        "judged last is in it.",
                        salvage_advice(self.url),
                    )
                if log_of(path).exists():
                    shutil.copy2(log_of(path), f"{log_of(path)}-damaged")
        self._open(self.url, path)

    def _open(self, url: sa.URL, path: Path | None = None) -> None:
        self.engine = _engine(url)
        try:
            if path is not None:  # before anything is written to it
                self.read(partial(_refuse_cut_off, path=path))
            if not self._making and self.revision() is None:
                raise _absent(url)
            self._bring_up_to_date()
        except BaseException:
            self.engine.dispose()
            raise

    def _make(self, path: Path) -> None:
        """Make an empty store that appears whole: an empty file is never one of which nothing was written yet."""
        temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}-{threading.get_ident()}")
        try:
            self._open(self.url.set(database=str(temporary)))
            self.engine.dispose()  # the last connection writes the log into the file
            with contextlib.suppress(FileExistsError), storage_errors(path):  # another process was quicker
                try:
                    os.link(temporary, path)
                except OSError as error:
                    if isinstance(error, FileExistsError):
                        raise
                    os.rename(temporary, path)  # a file system without links
            sync_to_disk(path.parent)
        finally:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{temporary}{suffix}").unlink(missing_ok=True)

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work` in one transaction; repeat it whole when it fails for a passing reason.

        `work` must give the same result when its first try was committed and the answer was lost: the store's
        operations do, because events carry their own ids and claims are handed out again to who holds them.
        """
        return self._run(work, read_only=False)

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work` in one read transaction: it sees one state."""
        return self._run(work, read_only=True)

    def _run(self, work: Callable[[sa.Connection], T], read_only: bool) -> T:
        deadline, wait = time.monotonic() + self.patience, 0.01
        while True:
            try:
                with self.engine.connect() as plain:
                    connection = plain.execution_options(auditor_read_only=read_only)
                    with connection.begin():
                        return work(connection)
            except UnicodeDecodeError as error:  # the driver met it in SQLite's own message
                raise _explained(error, self.url) from error
            except (DBAPIError, sa.exc.TimeoutError) as error:  # the latter: every pooled connection is busy
                if isinstance(error, DBAPIError) and not _is_transient(error):
                    raise _explained(error, self.url) from error
                if time.monotonic() + wait > deadline:
                    raise _unreachable(error, self.url) from error
            time.sleep(wait * (0.5 + random.random()))
            wait = min(2 * wait, 0.5)

    def close(self) -> None:
        self.engine.dispose()

    def revision(self) -> str | None:
        """Revision of the schema; None for an empty database."""
        return self.read(_revision)

    def _bring_up_to_date(self) -> None:
        # Alembic is imported only when there is something to do: opening stays quick.
        if self.revision() != HEAD:
            self.write(self._migrate)

    def _migrate(self, connection: sa.Connection) -> None:
        lock(connection, _MIGRATION_LOCK)
        from alembic import command
        from alembic.script import ScriptDirectory
        from alembic.util import CommandError

        config = alembic_config(connection)
        revision = _revision(connection)
        try:
            if revision is None:
                if tables := sa.inspect(connection).get_table_names():
                    raise RunError(f"{shown(self.url)} is no verdict store: it holds the table {tables[0]!r}.")
                schema.create(connection)
                command.stamp(config, "head")
            else:
                ScriptDirectory.from_config(config).get_revision(revision)
                command.upgrade(config, "head")
        except CommandError as error:
            raise NewerStoreError(
                f"the verdict store {shown(self.url)} has the schema {revision!r}, which this version does not know.",
                "Open it with the version of auditor that wrote it, or a newer one.",
            ) from error


def is_sqlite(connection: sa.Connection) -> bool:
    return connection.dialect.name == "sqlite"


def upsert(connection: sa.Connection, table: sa.Table, keys: Sequence[str], changed: Sequence[str]) -> Any:
    """An INSERT that leaves a row with the same `keys` as it is, but for the columns `changed`."""
    from sqlalchemy.dialects import postgresql, sqlite

    insert = (sqlite if is_sqlite(connection) else postgresql).insert(table)
    if not changed:
        return insert.on_conflict_do_nothing()
    return insert.on_conflict_do_update(index_elements=keys, set_={name: insert.excluded[name] for name in changed})


def lock(connection: sa.Connection, key: int) -> None:
    """Wait until no other transaction holds `key`; SQLite's write transactions are exclusive already."""
    if not is_sqlite(connection):
        connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({key}, hashtext(current_schema()))"))


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(sa.text("SELECT version_num FROM alembic_version"))


def alembic_config(connection: sa.Connection) -> Any:
    """Alembic's configuration for the migrations inside the package."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def store_url(where: str | Path) -> sa.URL:
    """The address of a store. Errors as `Database`."""
    text = str(where)
    if "://" not in text:
        path = Path(text)
        if path.suffix not in (".sqlite", ".db"):
            if not path.is_dir():
                raise RunError(f"no run folder {text!r}.", "Make one with: auditor find-errors DATASET")
            path = path / REVIEW_FILE
        return sa.URL.create("sqlite", database=str(path))
    try:
        url = sa.make_url(text)
    except ArgumentError as error:
        raise UsageError(f"{text!r} is not a database URL.", "Example: postgresql://user@host/name") from error
    if url.get_backend_name() in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite":
        raise UsageError(
            f"a verdict store cannot be kept in {url.get_backend_name()!r}.", "Use sqlite:///FILE or postgresql://.."
        )
    return url


def _absent(url: sa.URL) -> RunError:
    return RunError(
        f"there is no verdict store {shown(url)}.",
        "Check --store. One is made by: auditor review RUN --store STORE, or auditor import-verdicts",
    )


def _damaged(path: Path, whole: int) -> RunError:
    size = path.stat().st_size
    return RunError(
        f"{str(path)!r} is not a verdict store, or it is damaged: it has {size:,} bytes"
        f"{f' of {whole:,}' if size < whole else ''}.",
        salvage_advice(sa.URL.create("sqlite", database=str(path))),
    )


def _refuse_cut_off(connection: sa.Connection, path: Path) -> None:
    """Stop at a file that ends too early, where SQLite would read on in zeros (RunError).

    It is measured through the connection: whoever opens and closes the file itself drops the locks that this process
    holds on it, and the next reader deletes the log that a running review writes to.
    """
    pages, page = (connection.exec_driver_sql(f"PRAGMA page_{what}").scalar_one() for what in ("count", "size"))
    log = log_of(path)
    # Looked for after the pages were counted: those that a log adds meanwhile are in the file once the log is gone.
    if not (log.exists() and log.stat().st_size) and path.stat().st_size < pages * page:
        raise _damaged(path, pages * page)


def _engine(url: sa.URL) -> sa.Engine:
    sqlite = url.get_backend_name() == "sqlite"
    if sqlite and url.database and not Path(url.database).parent.is_dir():
        raise StorageError(f"cannot make {url.database!r}: its folder does not exist.")
    arguments: dict[str, Any] = {"timeout": 30} if sqlite else {"connect_timeout": 10}
    pool: dict[str, Any] = {"pool_size": 8, "max_overflow": 24, "pool_timeout": 30, "pool_pre_ping": not sqlite}
    if sqlite and not url.database:  # in memory, which each connection has its own of
        pool, arguments = {"poolclass": sa.StaticPool}, {"check_same_thread": False}
    try:
        engine = sa.create_engine(url, connect_args=arguments, **pool)
    except (ImportError, NoSuchModuleError) as error:
        raise MissingExtraError("psycopg", "postgres", "a PostgreSQL verdict store") from error
    if sqlite:
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself: it would begin deferred ones, which can fail with "database
    # is locked" at their first write however long one is ready to wait.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.execute("PRAGMA journal_mode=WAL")
    # An acknowledged verdict must survive a power cut; NORMAL keeps it only through a crash of the process.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA cache_size={SQLITE_CACHE}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    read_only = connection.get_execution_options().get("auditor_read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _is_transient(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state in _TRANSIENT or state.startswith("08")
    text = str(error.orig).lower()
    if re.search("database (is locked|is busy|table is locked)", text):
        return True
    # psycopg gives no state then; a wrong name or password never passes.
    return isinstance(error, OperationalError | InterfaceError) and _GONE.search(text) is not None


#: Words of SQLite's messages about a file that holds something else than this version wrote.
_DAMAGED: Final = (
    "file is not a database",
    "malformed",
    "unsupported file format",
    "decode",
    "no such ",
    "has no column",
)


def _explained(error: DBAPIError | UnicodeDecodeError, url: sa.URL) -> Exception:
    cause = getattr(error, "orig", error)
    text = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    if isinstance(error, OperationalError):
        if any(word in text for word in ("readonly", "read-only", "unable to open", "disk is full", "disk I/O")):
            return StorageError(f"cannot write the verdict store {shown(url)}: {text}.", "Free space or mend rights.")
        if url.get_backend_name() != "sqlite":
            return ResourceError(f"the database {shown(url)} refused: {text}.", "Check the URL, name and rights.")
    if url.get_backend_name() == "sqlite" and any(words in text for words in _DAMAGED):
        return RunError(f"{shown(url)} is not a verdict store, or it is damaged: {text}.", salvage_advice(url))
    return error


def _unreachable(error: Exception, url: sa.URL) -> ResourceError:
    first = (str(error).strip().splitlines() or [""])[0]
    return ResourceError(
        f"the verdict store {shown(url)} cannot be reached: {first}",
        "Nothing is lost: send the same events again when the database is back.",
    )


def shown(url: sa.URL) -> str:
    """A store in a message: its file, or its address without the password."""
    return repr(_file(url) or url.render_as_string(hide_password=True))


def salvage_advice(url: sa.URL) -> str:
    """The way out of a damaged store."""
    store = shlex.quote(_file(url) or url.render_as_string(hide_password=True))
    return (
        f"Restore it from a copy; or save the verdicts that are whole: auditor import-verdicts RUN {store} --store "
        "NEW.sqlite, and go on with --store NEW.sqlite."
    )


def sqlite_file(where: str | Path) -> Path | None:
    """The file of a store that SQLite keeps; None for other databases. Errors as `Database`."""
    return None if (name := _file(store_url(where))) is None else Path(name)


def _file(url: sa.URL) -> str | None:
    return url.database if url.get_backend_name() == "sqlite" else None
