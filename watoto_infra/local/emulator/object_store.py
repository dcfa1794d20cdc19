"""Objects on disk: an index (SQLite) of buckets and versions, and one file for each version's body.

A body is written and synced before the index names it, and the index is synced before a change is answered. So whatever
was answered is there after a crash of the process or of the machine, and what was not leaves no trace but a body that
nobody names, which the next start removes.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

SCHEMA = """
create table if not exists buckets (name text primary key, document text not null, settings blob not null);
create table if not exists versions (
    bucket text not null, key text not null, place integer not null, document text not null, body text,
    primary key (bucket, key, place)
) without rowid;
"""

LOCKED_SECONDS = 1.0
"""How long to wait for the index: whoever had it before is dead, or is not to be."""

Place = tuple[str, str]
"""A bucket and a key."""


class Body:
    """The content of one version, in a file; moto reads it as it would the temporary file of its own."""

    def __init__(self, file: Path, size: int) -> None:
        self.file = file
        self.size = size

    def seek(self, position: int) -> None:
        """Do nothing: reads are of the whole."""

    def read(self) -> bytes:
        return self.file.read_bytes()

    def close(self) -> None:
        """Do nothing: no file is open between reads."""


@dataclass(frozen=True)
class Version:
    """One version of an object: what is known of it (JSON), and its body; None: a delete marker."""

    document: dict[str, Any]
    body: Body | None


@dataclass(frozen=True)
class Bucket:
    """A bucket: what it needs to be made again (JSON), and all its settings, pickled."""

    document: dict[str, Any]
    settings: bytes


class ObjectStore:
    """The folder of one emulator; safe for several threads.

    Writing raises ``OSError`` when the disk refuses, opening ``sqlite3.Error`` when there is no index that can be read.
    """

    def __init__(self, folder: Path) -> None:
        self._bodies = folder / "bodies"
        self._bodies.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        file = folder / "index.sqlite3"
        self._index = sqlite3.connect(file, timeout=LOCKED_SECONDS, check_same_thread=False, isolation_level=None)
        # One process alone: a second one is refused, and no shared memory is needed, which a full disk would not give.
        self._index.execute("pragma locking_mode = exclusive")
        self._index.execute("pragma journal_mode = wal")
        self._index.execute("pragma synchronous = full")
        self._index.executescript(SCHEMA)

    def close(self) -> None:
        """Let another process have the folder."""
        self._index.close()

    def keep(self, content: bytes) -> Body:
        """Write a body so that it lasts; nothing names it yet."""
        file = self._bodies / uuid.uuid4().hex
        try:
            with file.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            _sync_folder(self._bodies)
        except OSError:
            file.unlink(missing_ok=True)
            raise
        return Body(file, len(content))

    def drop(self, body: Body) -> None:
        """Remove a body that nothing names."""
        body.file.unlink(missing_ok=True)

    def write_keys(self, changes: Mapping[Place, Sequence[Version]]) -> None:
        """Make these the versions of the keys, oldest first (none: the key is gone), all or nothing.

        The bodies that are named no more are removed.
        """
        named: set[str] = set()
        with self._changing() as index:
            for place, versions in changes.items():
                before = index.execute("select body from versions where bucket = ? and key = ?", place)
                named |= {name for (name,) in before if name}
                index.execute("delete from versions where bucket = ? and key = ?", place)
                rows = [(*place, number, *_row(version)) for number, version in enumerate(versions)]
                index.executemany("insert into versions values (?, ?, ?, ?, ?)", rows)
        kept = {version.body.file.name for versions in changes.values() for version in versions if version.body}
        with suppress(OSError):  # the change is done; what cannot be removed now, the next start removes
            for name in named - kept:
                (self._bodies / name).unlink(missing_ok=True)

    def versions(self, place: Place) -> list[Version]:
        """Give the versions of a key, oldest first."""
        question = "select document, body from versions where bucket = ? and key = ? order by place"
        with self._lock:
            return [self._version(*row) for row in self._index.execute(question, place)]

    def keys(self, bucket: str) -> Iterator[tuple[str, list[Version]]]:
        """Give every key of a bucket with its versions."""
        question = "select key, document, body from versions where bucket = ? order by key, place"
        with self._lock:
            rows = self._index.execute(question, (bucket,)).fetchall()
        for key, group in groupby(rows, itemgetter(0)):
            yield key, [self._version(document, body) for _, document, body in group]

    def write_bucket(self, name: str, bucket: Bucket | None) -> None:
        """Keep a bucket; None: it is gone."""
        with self._changing() as index:
            if bucket is None:
                index.execute("delete from buckets where name = ?", (name,))
            else:
                row = (name, json.dumps(bucket.document), bucket.settings)
                index.execute("insert or replace into buckets values (?, ?, ?)", row)

    def buckets(self) -> dict[str, Bucket]:
        """Give every bucket by name."""
        with self._lock:
            rows = self._index.execute("select name, document, settings from buckets order by name").fetchall()
        return {name: Bucket(json.loads(document), settings) for name, document, settings in rows}

    def sweep(self) -> None:
        """Remove the bodies that nothing names: of what was never answered, or was deleted just before a crash."""
        with self._lock:
            named = {name for (name,) in self._index.execute("select body from versions where body is not null")}
        for file in self._bodies.iterdir():
            if file.name not in named:
                file.unlink()

    def _version(self, document: str, body: str | None) -> Version:
        known = json.loads(document)
        return Version(known, Body(self._bodies / body, known["contentsize"]) if body else None)

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Give the index for one change, which is on disk afterwards or did not happen."""
        with self._lock:
            try:
                self._index.execute("begin immediate")
                yield self._index
                self._index.execute("commit")
            except sqlite3.Error as problem:
                full = problem.sqlite_errorcode == sqlite3.SQLITE_FULL
                code = errno.ENOSPC if full else errno.EIO
                raise OSError(code, f"the index of the objects cannot be written: {problem}") from problem
            finally:
                if self._index.in_transaction:
                    self._index.execute("rollback")


def _row(version: Version) -> tuple[str, str | None]:
    return json.dumps(version.document), version.body.file.name if version.body else None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
