"""The tables of a local cluster, and how a database comes to be: whole, or not at all."""

import os
import sqlite3
from pathlib import Path

VERSION = 1
APPLICATION = 0x4C43_4C43
"""`LCLC`: tells our database from any other."""

_SCHEMA = """
CREATE TABLE counter (value INTEGER NOT NULL);
INSERT INTO counter VALUES (0);

CREATE TABLE namespaces (
    name TEXT PRIMARY KEY,
    uid TEXT NOT NULL,
    version INTEGER NOT NULL,
    labels TEXT NOT NULL,
    annotations TEXT NOT NULL,
    finalizers TEXT NOT NULL DEFAULT '[]',
    created REAL NOT NULL,
    deleted REAL,
    content_gone INTEGER NOT NULL DEFAULT 0,
    blockers TEXT NOT NULL DEFAULT '[]',
    tried REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX terminating ON namespaces (name) WHERE deleted IS NOT NULL AND NOT content_gone;

CREATE TABLE jobs (
    uid TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    template TEXT NOT NULL,
    partitions INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    final_exits TEXT NOT NULL,
    deadline REAL NOT NULL,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    state TEXT NOT NULL DEFAULT 'pending',
    reason TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    deleted REAL
) WITHOUT ROWID;
CREATE INDEX deleted_jobs ON jobs (uid) WHERE deleted IS NOT NULL;
CREATE UNIQUE INDEX job_names ON jobs (namespace, name) WHERE deleted IS NULL;
CREATE INDEX unfinished_jobs ON jobs (deadline) WHERE finished IS NULL;

CREATE TABLE pods (
    uid TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    job TEXT,
    job_name TEXT NOT NULL DEFAULT '',
    position INTEGER,
    attempt INTEGER NOT NULL DEFAULT 0,
    template TEXT,
    labels TEXT NOT NULL,
    annotations TEXT NOT NULL DEFAULT '{}',
    created REAL NOT NULL,
    not_before REAL NOT NULL DEFAULT 0,
    phase TEXT NOT NULL DEFAULT 'Pending',
    node TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    started REAL,
    finished REAL,
    exit_code INTEGER,
    exit_reason TEXT NOT NULL DEFAULT '',
    exit_message TEXT NOT NULL DEFAULT '',
    stop TEXT NOT NULL DEFAULT '',
    deleted REAL,
    UNIQUE (namespace, name)
);
CREATE INDEX pods_of_job ON pods (job, position);
CREATE INDEX open_pods ON pods (phase, created, position) WHERE phase IN ('Pending', 'Running');
CREATE INDEX deleted_pods ON pods (uid) WHERE deleted IS NOT NULL;

CREATE TABLE claims (
    uid TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    phase TEXT NOT NULL DEFAULT 'Pending',
    volume TEXT NOT NULL DEFAULT '',
    policy TEXT NOT NULL,
    finalizers TEXT NOT NULL,
    tried REAL NOT NULL DEFAULT 0,
    UNIQUE (namespace, name)
) WITHOUT ROWID;

CREATE TABLE volumes (
    name TEXT PRIMARY KEY,
    phase TEXT NOT NULL,
    claim TEXT NOT NULL,
    policy TEXT NOT NULL,
    attached TEXT NOT NULL DEFAULT '',
    tried REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE events (
    namespace TEXT NOT NULL,
    object TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    type TEXT NOT NULL,
    time REAL NOT NULL,
    count INTEGER NOT NULL DEFAULT 1,
    UNIQUE (namespace, object, reason, message)
);
"""


def create_database(path: Path) -> None:
    """Make an empty cluster at `path` unless there is one.

    It is made beside its place and linked into it, so that whoever finds it finds all of it, however many come at once
    and wherever one of them is killed. Raises OSError, sqlite3.Error.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    # Pods' secrets are in it: nobody else may read it, from its first byte.
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        _fill(draft)
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        for leftover in (draft, Path(f"{draft}-wal"), Path(f"{draft}-shm")):
            leftover.unlink(missing_ok=True)


def _fill(draft: Path) -> None:
    database = sqlite3.connect(draft, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(
            f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA application_id = {APPLICATION};PRAGMA user_version = {VERSION};COMMIT;",
        )
    finally:
        database.close()
