"""Moving logical shards between two real databases: everything goes along, and a kill at any moment loses nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from lms_app.app import create_app
from lms_app.db.engines import EngineOptions
from lms_app.db.moving import COPIED_TOO, TABLES, MoveRefusedError, move, with_shards_at
from lms_app.db.sharding import LOGICAL_SHARDS, DatabaseUrls, ShardMap, logical_shard
from lms_app.db.tables import metadata
from lms_app.domain import passwords
from lms_app.domain.identity import Role
from lms_app.domain.seeding import School, seed
from lms_app.settings import load_settings
from tests.app.conftest import ADMIN, Caller, environment, services_of
from tests.app.school import walk
from tests.app.servers.postgres import PostgresServers, Server

USERS = 300
MOVING = range(240, 300)
THEIRS = sorted(user_id for user_id in range(1, USERS + 1) if logical_shard(user_id) in MOVING)
SNAPSHOT = {
    "users": "SELECT * FROM users ORDER BY id",
    "enrollments": "SELECT * FROM enrollments ORDER BY user_id, course_id",
    "module_completions": "SELECT * FROM module_completions ORDER BY user_id, course_id, module_id",
    "notifications": "SELECT user_id, kind, message, read_at, created_at FROM notifications ORDER BY user_id, id",
    "processed_jobs": "SELECT * FROM processed_jobs ORDER BY job_id",
}


class KilledError(Exception):
    """What a kill is for this process."""


class Two:
    """Two databases with half of a school's users each, and the file of their map."""

    def __init__(self, east: Server, west: Server, map_file: Path) -> None:
        self.east, self.west, self.map_file = east, west, map_file
        urls = {name: DatabaseUrls(primary_url=SecretStr(s.url())) for name, s in (("east", east), ("west", west))}
        self.map = ShardMap(catalogue="east", databases=urls, shards={"east": [(0, 239)], "west": [(240, 479)]})
        map_file.touch(mode=0o600)
        map_file.write_text(self.map.as_json())

    def environment(self) -> dict[str, str]:
        given = environment(self.east, shard_map_file=self.map_file, database_primary_url=None)
        return {name: value for name, value in given.items() if name != "LMS_DATABASE_REPLICA_URLS"}

    def move(self, switch: Callable[[ShardMap], None], shard_map: ShardMap | None = None) -> int:
        done = move(shard_map or self.map, MOVING, source="west", target="east", switch=switch, options=EngineOptions())
        return len(done.users)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "flask", "shards", *arguments],
            env=self.environment() | {"PATH": os.environ["PATH"], "PYTHONPATH": "src", "FLASK_APP": "lms_app.app"},
            capture_output=True,
            text=True,
            check=False,
        )

    def snapshot(self) -> dict[str, list[tuple[object, ...]]]:
        """Everything that is the users', in both databases together."""
        found = {name: self.east.query(sql) + self.west.query(sql) for name, sql in SNAPSHOT.items()}
        return {name: sorted(set(rows), key=repr) if name == "processed_jobs" else sorted(rows, key=repr)
                for name, rows in found.items()}  # fmt: skip

    def users_in(self, server: Server) -> list[int]:
        """The moving users among those of one database."""
        return sorted(row[0] for row in server.query("SELECT id FROM users") if logical_shard(row[0]) in MOVING)


@pytest.fixture(scope="module")
def servers(postgres_bin: Path, template: Server) -> Iterator[tuple[Server, Server]]:
    started = PostgresServers(postgres_bin, template=template)
    try:
        yield started.primary("east"), started.primary("west")
    finally:
        started.close()


@pytest.fixture
def two(servers: tuple[Server, Server], tmp_path: Path) -> Two:
    for server in servers:
        names = "accounts, users, courses, enrollments, module_completions, notifications, processed_jobs"
        server.query(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
    two = Two(*servers, tmp_path / "shards.json")
    app = create_app(load_settings(two.environment()))
    seed(services_of(app).databases, School(users=USERS, courses=4, password_hash=passwords.UNUSABLE))
    services_of(app).databases.close()
    for server, user_id in ((two.west, THEIRS[0]), (two.east, 1)):
        server.query("INSERT INTO module_completions (user_id, course_id, module_id) VALUES (%s, 1, 1)", user_id)
        for message in ("first", "it's\ta \\ second"):
            server.query("INSERT INTO notifications (user_id, kind, message) VALUES (%s, 'x', %s)", user_id, message)
        server.query("INSERT INTO processed_jobs (job_id) VALUES (gen_random_uuid())")
    return two


@pytest.mark.local
def test_users_move_with_all_that_is_theirs_and_the_lms_finds_them_there(two: Two):
    before = two.snapshot()
    done = two.command("move", "240", "299", "--from", "west", "--to", "east", "--map", str(two.map_file))
    assert done.returncode == 0, done.stderr
    assert f"{len(THEIRS)} users moved from west to east" in done.stderr
    assert two.snapshot() == before
    assert (two.users_in(two.east), two.users_in(two.west)) == (THEIRS, [])
    assert two.map_file.stat().st_mode & 0o777 == 0o600
    assert json.loads(two.map_file.read_text())["shards"] == {"east": [[0, 299]], "west": [[300, 479]]}
    assert two.command("show").stdout == "east: 0-299\nwest: 300-479\n"
    app = create_app(load_settings(two.environment()))
    app.testing = True
    try:
        student = next(user_id for user_id in THEIRS if user_id % 100)
        assert Caller(app, student, Role.STUDENT).post("/api/enrollments", {"course_id": 1}).status_code in {200, 201}
        active = [user["id"] for user in walk(Caller(app, ADMIN), "/api/users", 50)]
        assert len(active) == len(set(active)) > USERS * 0.9
    finally:
        services_of(app).databases.close()


@pytest.mark.local
def test_it_is_refused_while_the_lms_is_connected(two: Two):
    before = two.snapshot()
    with two.west.connect("watoto_user"):
        done = two.command("move", "240", "299", "--from", "west", "--to", "east", "--map", str(two.map_file))
    assert done.returncode == 1
    assert "1 connections of the LMS to database 'west' are open; stop the LMS first" in done.stderr
    assert "Traceback" not in done.stderr
    assert two.snapshot() == before
    assert two.users_in(two.west) == THEIRS


@pytest.mark.local
def test_killed_before_the_map_is_switched_it_begins_anew(two: Two):
    before = two.snapshot()

    def killed(_map: ShardMap) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        two.move(killed)
    assert two.users_in(two.west) == two.users_in(two.east) == THEIRS, "copied, and still where the map says"
    switched: list[ShardMap] = []
    assert two.move(switched.append) == len(THEIRS)
    assert two.snapshot() == before
    assert (two.users_in(two.east), two.users_in(two.west)) == (THEIRS, [])
    assert {switched[0].owner(shard) for shard in MOVING} == {"east"}


@pytest.mark.local
def test_killed_after_the_map_is_switched_it_only_deletes(two: Two):
    before = two.snapshot()
    switched: list[ShardMap] = []

    def killed(changed: ShardMap) -> None:
        switched.append(changed)
        raise KilledError

    with pytest.raises(KilledError):
        two.move(killed)
    two.east.query("UPDATE users SET name = 'Changed since' WHERE id = %s", THEIRS[0])
    assert two.move(killed, switched[0]) == len(THEIRS)
    assert (two.users_in(two.east), two.users_in(two.west)) == (THEIRS, [])
    assert two.east.query("SELECT name FROM users WHERE id = %s", THEIRS[0]) == [("Changed since",)]
    assert {name: len(rows) for name, rows in two.snapshot().items()} == {n: len(r) for n, r in before.items()}


@pytest.mark.local
def test_two_moves_at_once_are_refused(two: Two):
    def second(_map: ShardMap) -> None:
        with pytest.raises(MoveRefusedError, match="another move is under way"):
            two.move(lambda _map: None)
        raise KilledError

    with pytest.raises(KilledError):
        two.move(second)


NOWHERE = DatabaseUrls(primary_url=SecretStr("postgresql://nowhere.invalid/x"))
MAP = ShardMap(
    catalogue="a", databases={"a": NOWHERE, "b": NOWHERE}, shards={"a": [(0, 99)], "b": [(100, LOGICAL_SHARDS - 1)]}
)


@given(st.integers(0, LOGICAL_SHARDS - 1), st.integers(0, LOGICAL_SHARDS - 1), st.sampled_from("ab"))
def test_a_changed_map_differs_in_the_moved_shards_alone(first: int, last: int, target: str):
    shards = range(first, last + 1)
    changed = with_shards_at(MAP, shards, target)
    assert [changed.owner(n) for n in range(LOGICAL_SHARDS)] == [
        target if n in shards else MAP.owner(n) for n in range(LOGICAL_SHARDS)
    ]
    assert ShardMap.model_validate_json(changed.as_json()) == changed


@pytest.mark.parametrize(
    ("shards", "source", "target", "told"),
    [
        (range(100, 110), "b", "c", "no database 'c'"),
        (range(100, 110), "b", "b", "both where"),
        (range(90, 110), "b", "a", "not all at 'b'"),
        (range(5, 5), "b", "a", "logical shards are 0 to 479"),
    ],
)
def test_a_move_that_makes_no_sense_is_refused_before_anything_is_touched(
    shards: range, source: str, target: str, told: str
):
    with pytest.raises(MoveRefusedError, match=told):
        move(MAP, shards, source=source, target=target, switch=lambda _map: None, options=EngineOptions())


def test_every_table_with_a_users_rows_moves_with_all_its_columns():
    of_users = {table.name for table in metadata.sorted_tables if "user_id" in table.columns} | {"users"}
    assert of_users == {table.name for table in TABLES} | {"accounts", "idempotency_keys"}
    assert set(COPIED_TOO) == {"processed_jobs", "idempotency_keys"}
    for table in TABLES:
        left_out = {"id"} if table.name == "notifications" else set()
        assert set(table.columns) == {column.name for column in metadata.tables[table.name].columns} - left_out
