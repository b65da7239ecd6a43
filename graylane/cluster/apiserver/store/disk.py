"""The durable side: one SQLite file, one writer thread, one transaction per batch.

Shell (its own thread). In: batches of events to persist, one at a time. Out: `committed` or `failed`, on that thread.

Objects and the event log are written in the same transaction, so a `kill -9` leaves either both or neither. Triggers
keep the objects, so that a whole batch is one statement: between two statements the thread waits for Python's lock.
`synchronous=NORMAL` in WAL mode survives the death of the process; `FULL` would survive a power cut too, at a
quarter of the speed, which a laptop's test cluster does not need.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from graylane.cluster.apiserver.store.contract import Entry, Event, EventType
from graylane.errors import UserError
from graylane.model.meta import Key

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
  revision INTEGER PRIMARY KEY, type TEXT NOT NULL, resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  body BLOB NOT NULL);
"""
_TRIGGERS = """
CREATE TEMP TRIGGER kept AFTER INSERT ON main.events WHEN NEW.type <> 'DELETED' BEGIN
  INSERT INTO objects VALUES (NEW.resource, NEW.namespace, NEW.name, NEW.revision, NEW.body)
  ON CONFLICT DO UPDATE SET revision = excluded.revision, body = excluded.body;
END;
CREATE TEMP TRIGGER gone AFTER INSERT ON main.events WHEN NEW.type = 'DELETED' BEGIN
  DELETE FROM objects WHERE resource = NEW.resource AND namespace = NEW.namespace AND name = NEW.name;
END;
"""
_FORMAT = 1
_ROWS = 1_000  # in one statement: SQLite takes 32,766 values
_TRIM_EVERY = 2_000
_IDLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where the writer thread reports; both are called on that thread."""

    committed: Callable[[list[Event]], None]
    failed: Callable[[list[Event], Exception], None]


class Disk:
    """Opens the file, loads it, and then persists what `submit` hands over, in order."""

    def __init__(self, path: Path, history: int) -> None:
        self._path = path
        self._history = history
        self._connection = _connect(path)
        self._queue: queue.SimpleQueue[list[Event] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._untrimmed = 0
        self._unsaved_checkpoint = False

    def objects(self) -> Iterator[tuple[str, Entry]]:
        with _said(self._path):
            for resource, namespace, name, revision, body in self._connection.execute("SELECT * FROM objects"):
                yield resource, Entry(Key(namespace, name), revision, body)

    def events(self, current: Mapping[str, Mapping[Key, Entry]]) -> Iterator[Event]:
        """The newest events, oldest first; predecessors are linked where they are among them.

        What is `current` is not held a second time.
        """
        last: dict[tuple[str, Key], Entry] = {}
        newest = "SELECT * FROM (SELECT * FROM events ORDER BY revision DESC LIMIT ?) ORDER BY revision"
        with _said(self._path):
            for revision, kind, resource, namespace, name, body in self._connection.execute(newest, (self._history,)):
                key = Key(namespace, name)
                known = current.get(resource, {}).get(key)
                entry = known if known is not None and known.revision == revision else Entry(key, revision, body)
                yield Event(resource, EventType(kind), entry, last.get((resource, key)))
                last[resource, key] = entry

    def last_revision(self) -> int:
        with _said(self._path):
            row = self._connection.execute("SELECT max(revision) FROM events").fetchone()
        return int(row[0] or 0)

    def start(self, sinks: Sinks) -> None:
        self._thread = threading.Thread(target=self._run, args=(sinks,), name="store-writer", daemon=True)
        self._thread.start()

    def persist(self, batch: list[Event]) -> None:
        """Begin to write; the next batch waits for this one's report, since it may be based on it."""
        self._queue.put(batch)

    def close(self) -> None:
        """After the last report: close the file."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
        self._connection.close()

    def _run(self, sinks: Sinks) -> None:
        while (batch := self._next()) is not None:
            try:
                self._commit(batch)
            except Exception as error:  # whatever it was: every later write waits for this thread
                self._roll_back()
                sinks.failed(batch, error)
            else:
                self._unsaved_checkpoint = True
                sinks.committed(batch)

    def _next(self) -> list[Event] | None:
        while self._unsaved_checkpoint:
            try:
                return self._queue.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                self._checkpoint()
        return self._queue.get()

    def _roll_back(self) -> None:
        """A disk that refuses everything refuses this too; then the next batch begins with it."""
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _commit(self, batch: list[Event]) -> None:
        run = self._connection
        self._roll_back()
        run.execute("BEGIN IMMEDIATE")
        for start in range(0, len(batch), _ROWS):
            rows = [
                (e.revision, e.type.value, e.resource, *e.entry.key, e.entry.body) for e in batch[start : start + _ROWS]
            ]
            run.execute(f"INSERT INTO events VALUES {', '.join(['(?, ?, ?, ?, ?, ?)'] * len(rows))}", [*chain(*rows)])
        self._untrimmed += len(batch)
        if self._untrimmed >= _TRIM_EVERY:
            run.execute("DELETE FROM events WHERE revision <= ?", (batch[-1].revision - self._history,))
            self._untrimmed = 0
        run.execute("COMMIT")

    def _checkpoint(self) -> None:
        """Fold the log into the file while nobody waits: inside a busy commit it costs tens of milliseconds."""
        self._unsaved_checkpoint = False
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error:
            self._unsaved_checkpoint = True


def _connect(path: Path) -> sqlite3.Connection:
    with _said(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # Secrets are in there; SQLite would let all read it
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    with _said(path):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        # In a busy commit a checkpoint holds up everybody for as long as the disk takes to flush: seldom, then.
        connection.execute("PRAGMA wal_autocheckpoint=20000")
        connection.execute(f"PRAGMA journal_size_limit={32 << 20}")
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found not in (0, _FORMAT):
            raise UserError(f"{path} was written by another Graylane (format {found}); use that one, or another --data")
        if not found:  # a file that is complete is left alone: its disk may be full
            connection.executescript(f"{_SCHEMA} PRAGMA user_version={_FORMAT}")
        connection.executescript(_TRIGGERS)


@contextlib.contextmanager
def _said(path: Path) -> Iterator[None]:
    """What is wrong with the file, in one line that says what to do."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        raise UserError(f"cannot use {path}: {error}; see to its permissions and to the room on its disk") from error
    except (sqlite3.DatabaseError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}; move it away to start afresh") from error
