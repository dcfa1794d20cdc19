"""Several real databases with a school's users spread over them, for the tests of moving users between them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from pydantic import SecretStr

from lms_app.app import create_app
from lms_app.db.urls import DatabaseUrls
from lms_app.domain import passwords
from lms_app.domain.seeding import School, seed
from lms_app.settings import load_settings
from lms_app.shards.sharding import LOGICAL_SHARDS, ShardMap, logical_shard
from tests.app.conftest import environment, put_on_record, services_of
from tests.app.servers.postgres import Server

SNAPSHOT = {
    "users": "SELECT * FROM users ORDER BY id",
    "enrollments": "SELECT * FROM enrollments ORDER BY user_id, course_id",
    "module_completions": "SELECT * FROM module_completions ORDER BY user_id, course_id, module_id",
    "notifications": "SELECT user_id, kind, message, read_at, created_at FROM notifications ORDER BY user_id, id",
    "processed_jobs": "SELECT * FROM processed_jobs ORDER BY job_id",
}
EMPTIED = "accounts, users, courses, enrollments, module_completions, notifications, processed_jobs, shard_placement"
Snapshot = dict[str, list[tuple[object, ...]]]


class KilledError(Exception):
    """What a kill is for this process."""


class Spread:
    """Databases by name, the first the catalogue, and the file of a map over them."""

    def __init__(self, servers: dict[str, Server], map_file: Path) -> None:
        self.servers = servers
        self.map_file = map_file

    def map_of(self, **shards: list[tuple[int, int]]) -> ShardMap:
        """A map over all databases; those that are not named hold nothing."""
        urls = {name: DatabaseUrls(primary_url=SecretStr(server.url())) for name, server in self.servers.items()}
        spread = {name: shards.get(name, []) for name in self.servers}
        return ShardMap(catalogue=next(iter(self.servers)), databases=urls, shards=spread)

    def fill(self, shard_map: ShardMap, users: int) -> None:
        """Empty all databases, make this map the placement in force and seed a school by it."""
        for server in self.servers.values():
            server.query(f"TRUNCATE {EMPTIED} RESTART IDENTITY CASCADE")
        put_on_record(shard_map)
        self.give(shard_map)
        with self.app() as app:
            seed(services_of(app).databases, School(users=users, courses=4, password_hash=passwords.UNUSABLE))
        first_user = {shard_map.database_of(user_id): user_id for user_id in range(users, 0, -1)}
        for name, user_id in first_user.items():
            server = self.servers[name]
            server.query("INSERT INTO module_completions (user_id, course_id, module_id) VALUES (%s, 1, 1)", user_id)
            for message in ("first", "it's\ta \\ second"):
                told = "INSERT INTO notifications (user_id, kind, message) VALUES (%s, 'x', %s)"
                server.query(told, user_id, message)
            server.query("INSERT INTO processed_jobs (job_id) VALUES (gen_random_uuid())")

    def give(self, shard_map: ShardMap) -> None:
        """Write the map's file, which the LMS's environment names."""
        self.map_file.touch(mode=0o600)
        self.map_file.write_text(shard_map.as_json())

    def environment(self) -> dict[str, str]:
        """The LMS's environment, with the map of the file."""
        catalogue = next(iter(self.servers.values()))
        given = environment(catalogue, shard_map_file=self.map_file, database_primary_url=None)
        return {name: value for name, value in given.items() if name != "LMS_DATABASE_REPLICA_URLS"}

    @contextmanager
    def app(self) -> Iterator[Flask]:
        """An app of its own, as another process would have it."""
        app = create_app(load_settings(self.environment()))
        app.testing = True
        try:
            yield app
        finally:
            services_of(app).databases.close()

    def process_environment(self) -> dict[str, str]:
        return self.environment() | {"PATH": os.environ["PATH"], "PYTHONPATH": "src", "FLASK_APP": "lms_app.app"}

    def flask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the LMS's commands in this process; a traceback is never right."""
        with self.app() as app:
            done = app.test_cli_runner().invoke(args=arguments)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def flask_process(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same as an operator does, in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "flask", *arguments],
            env=self.process_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def snapshot(self) -> Snapshot:
        """Everything that is the users', in all databases together."""
        found = {name: self._everywhere(sql) for name, sql in SNAPSHOT.items()}
        found["processed_jobs"] = list(set(found["processed_jobs"]))
        return {name: sorted(rows, key=repr) for name, rows in found.items()}

    def _everywhere(self, sql: str) -> list[tuple[object, ...]]:
        return [row for server in self.servers.values() for row in server.query(sql)]

    def users_in(self, name: str, shards: range = range(LOGICAL_SHARDS)) -> list[int]:
        """The users of these logical shards who have rows in a database."""
        rows = self.servers[name].query("SELECT id FROM users UNION SELECT user_id FROM enrollments")
        return sorted(user_id for (user_id,) in rows if logical_shard(user_id) in shards)

    def assert_each_user_lies_where_the_map_says(self, shard_map: ShardMap) -> None:
        for name in self.servers:
            assert {shard_map.database_of(user_id) for user_id in self.users_in(name)} <= {name}
