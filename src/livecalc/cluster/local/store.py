"""One connection to a cluster's database: opened with care, written in whole transactions, its errors in sentences."""

import contextlib
import sqlite3
from collections.abc import Generator

from livecalc.cluster.local.home import Home, explain_os_error, is_full
from livecalc.cluster.local.schema import APPLICATION, VERSION, create_database
from livecalc.domain.errors import Damaged, LivecalcError, Unavailable

Row = sqlite3.Row
Connection = sqlite3.Connection

_PATIENCE = 30.0
_PRIMARY = 0xFF
"""Extended result codes carry the primary one in their low byte (sqlite.org/rescode.html)."""


class Store:
    """A connection; for one thread at a time.

    Nothing but SQLite may open the file in a process that has connections: closing any descriptor of it drops the locks
    of them all, and the next process to leave takes the write-ahead log away (sqlite.org/howtocorrupt.html, 2.2).
    """

    def __init__(self, home: Home) -> None:
        """Open the database, making it if there is none.

        Raises Damaged (the file is not one), Unavailable (of another version; the place cannot be used).
        """
        self.home = home
        home.prepare()
        with self.explained():
            if not home.database.exists():
                create_database(home.database)
            self._connection = sqlite3.connect(
                home.database,
                timeout=_PATIENCE,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                self._connection.row_factory = sqlite3.Row
                _check_version(home, self._connection)
                # A power cut may take the last commits, never the database (sqlite.org/pragma.html#pragma_synchronous);
                # what must survive one lies in blobs.
                self._connection.execute("PRAGMA synchronous = NORMAL")
            except BaseException:
                self._connection.close()
                raise

    @contextlib.contextmanager
    def read(self) -> Generator[Connection]:
        """A look at one moment. Raises Unavailable, Damaged."""
        with self.explained(), self._transaction("BEGIN"):
            yield self._connection

    @contextlib.contextmanager
    def write(self) -> Generator[Connection]:
        """A change that happens whole or not at all. Raises Unavailable, Damaged.

        IMMEDIATE, because a transaction that reads first and then wants to write is refused at once when another has
        written meanwhile, whatever the timeout.
        """
        with self.explained(), self._transaction("BEGIN IMMEDIATE"):
            yield self._connection

    def data_version(self) -> int:
        """A number that changes when another connection has committed."""
        with self.explained():
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Generator[None]:
        self._connection.execute(begin)
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def explained(self) -> Generator[None]:
        """Turn what SQLite and the file system say into sentences."""
        try:
            yield
        except sqlite3.Error as error:
            raise _explain(error, self.home) from error
        except OSError as error:
            raise explain_os_error(error, self.home.root) from error


def next_version(db: Connection) -> int:
    """The next resource version; one counter for all objects, as in etcd."""
    return int(db.execute("UPDATE counter SET value = value + 1 RETURNING value").fetchone()[0])


def _check_version(home: Home, connection: Connection) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION:
        raise Damaged(f"{home.database} is no cluster's database; restore it, or move {home.root} away to start anew")
    if version != VERSION:
        raise Unavailable(
            f"{home.database} has schema version {version} and this livecalc knows {VERSION} only; "
            "use the version of livecalc that wrote it, or set LIVECALC_HOME to another folder",
        )


def _explain(error: sqlite3.Error, home: Home) -> LivecalcError:
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return Damaged(f"{home.database} is damaged ({error}); restore it, or move {home.root} away to start anew")
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return Unavailable(f"{home.database} cannot be written ({error}); set LIVECALC_HOME to a folder of yours")
    # Where there is no room for its shared memory SQLite only says that the disk failed.
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and is_full(home.root)):
        return Unavailable(f"the disk that holds {home.root} is full; make room and try again, nothing was changed")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return Unavailable(f"{home.database} was busy for {_PATIENCE:.0f} s; try again")
    return Unavailable(f"{home.database} cannot be used: {error}")
