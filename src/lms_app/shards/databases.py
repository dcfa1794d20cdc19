"""All databases of the shard map, and the threads that watch their servers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from sqlalchemy import Connection, Engine

from lms_app.db.database import Database
from lms_app.db.engines import EngineOptions
from lms_app.shards.placement import Gate
from lms_app.shards.sharding import ShardMap

T = TypeVar("T")


class Databases:
    """The databases of the LMS: `catalogue` has the rows that belong to no single user, `of_user` gives the others."""

    def __init__(
        self,
        shard_map: ShardMap,
        options: EngineOptions | None = None,
        *,
        max_lag: float = 10.0,
        watch_every: float = 1.0,
    ) -> None:
        self._shard_map = shard_map
        self._by_name = {
            name: Database(name, urls, options or EngineOptions(), max_lag=max_lag)
            for name, urls in shard_map.databases.items()
        }
        self.catalogue = self._by_name[shard_map.catalogue]
        gate = Gate(shard_map, self.catalogue)
        for database in self:
            gate.guard(database)
        self._user_databases = tuple(self._by_name[name] for name in shard_map.user_databases())
        self._watch_every = watch_every
        self._stop = threading.Event()
        self._watched_by: int | None = None
        self._starting = threading.Lock()

    def __iter__(self) -> Iterator[Database]:
        return iter(self._by_name.values())

    def __getitem__(self, name: str) -> Database:
        return self._by_name[name]

    def of_user(self, user_id: int) -> Database:
        """Return the database that holds this user's rows. Every id has one."""
        return self._by_name[self._shard_map.database_of(user_id)]

    def read_every_shard(self, work: Callable[[Connection], T]) -> list[T]:
        """Run reading work on each database that holds users; returns the results in the shard map's order."""
        return [database.read(work) for database in self._user_databases]

    def user_databases(self) -> tuple[Database, ...]:
        """Return the databases that hold users' rows, each once."""
        return self._user_databases

    def by_database(self, user_ids: Iterable[int]) -> dict[Database, list[int]]:
        """Group user ids by the database that holds them, so that each is asked once."""
        groups: dict[Database, list[int]] = {}
        for user_id in user_ids:
            groups.setdefault(self.of_user(user_id), []).append(user_id)
        return groups

    def pools(self) -> Iterator[tuple[str, Engine]]:
        """Yield every engine of this process with its name, ``<database>/primary`` or ``<database>/replica-N``."""
        for database in self:
            yield from database.engines()

    def watch(self) -> None:
        """Start watching the servers in this process, once; a forked child starts its own. Cheap to call again."""
        if self._watched_by == os.getpid():
            return
        with self._starting:
            if self._watched_by == os.getpid():
                return
            if self._watched_by is not None:
                self._dispose(close=False)
            self._watched_by = os.getpid()
            for name, watch in (("database-watch", Database.probe), ("database-guard", Database.cut_frozen)):
                threading.Thread(target=self._repeat, args=(watch,), name=name, daemon=True).start()

    def _repeat(self, watch: Callable[[Database], None]) -> None:
        while not self._stop.wait(self._watch_every):
            for database in self:
                watch(database)

    def close(self) -> None:
        """Stop watching and close all connections."""
        self._stop.set()
        self._dispose(close=True)

    def _dispose(self, *, close: bool) -> None:
        for database in self:
            database.dispose(close=close)
