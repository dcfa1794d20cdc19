"""Two databases: the same code, each user's rows in one of them, and lists that are right over both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from lms_app.app import create_app
from lms_app.db import heartbeat
from lms_app.domain import passwords
from lms_app.domain.identity import Role
from lms_app.domain.seeding import School, seed
from lms_app.settings import load_settings
from lms_app.shards.sharding import logical_shard
from tests.app.conftest import ADMIN, PASSWORD, Caller, environment, put_on_record, services_of
from tests.app.school import walk
from tests.app.servers.postgres import PostgresServers, Server

pytestmark = pytest.mark.local
USERS = 400


@pytest.fixture(scope="module")
def two(postgres_bin: Path, template: Server) -> Iterator[tuple[Flask, Server, Server]]:
    """An app on a catalogue with half of the users, and a second database with the other half."""
    servers = PostgresServers(postgres_bin, template=template)
    try:
        east, west = servers.primary("east"), servers.primary("west")
        shard_map = {
            "catalogue": "east",
            "databases": {"east": {"primary_url": east.url()}, "west": {"primary_url": west.url()}},
            "shards": {"east": [[0, 239]], "west": [[240, 479]]},
        }
        values = environment(
            east, shard_map=json.dumps(shard_map), database_primary_url=None, database_replica_urls=None
        )
        settings = load_settings(values)
        put_on_record(settings.shards())
        app = create_app(settings)
        app.testing = True
        seed(services_of(app).databases, School(users=USERS, courses=4, password_hash=passwords.UNUSABLE))
        yield app, east, west
        services_of(app).databases.close()
    finally:
        servers.close()


def ids(server: Server, sql: str) -> set[int]:
    return {row[0] for row in server.query(sql)}


def test_every_users_rows_lie_in_the_database_of_their_shard_and_nowhere_else(two):
    _, east, west = two
    for column in ("SELECT id FROM users", "SELECT user_id FROM enrollments"):
        assert all(logical_shard(user_id) < 240 for user_id in ids(east, column))
        assert all(logical_shard(user_id) >= 240 for user_id in ids(west, column))
    everybody = ids(east, "SELECT id FROM users") | ids(west, "SELECT id FROM users")
    assert everybody == set(range(1, USERS + 1))
    assert ids(west, "SELECT id FROM courses") == set()


def test_lists_over_all_shards_are_whole_ordered_and_paged(two):
    app, east, west = two
    admin = Caller(app, ADMIN)
    users = walk(admin, "/api/users", 17)
    active = ids(east, "SELECT id FROM users WHERE is_active") | ids(west, "SELECT id FROM users WHERE is_active")
    assert [user["id"] for user in users] == sorted(active, reverse=True), "newest first"
    sql = "SELECT user_id FROM enrollments WHERE course_id = 1"
    listed = [item["user_id"] for item in walk(admin, "/api/courses/1/enrollments", 13)]
    assert listed == sorted(ids(east, sql) | ids(west, sql))
    assert len(admin.get("/api/courses/1/report?format=json").json) == len(listed)
    told = admin.post("/api/courses/1/announcements", {"message": "Hello"}).json["queued_for"]
    assert told == len(listed)
    queued = "SELECT (payload->>'user_id')::bigint FROM outbox WHERE job_type = 'notification'"
    assert ids(east, queued) == ids(east, sql), "a job lies beside its user's rows"
    assert ids(west, queued) == ids(west, sql)


def test_users_of_both_databases_register_sign_in_and_enrol(two):
    app, east, west = two
    homes = set()
    for n in range(12):
        visitor = Caller(app, None)
        account = {"email": f"new{n}@school.example", "password": PASSWORD, "name": "New"}
        user_id = visitor.post("/api/auth/register", account).json["id"]
        home = east if logical_shard(user_id) < 240 else west
        homes.add(home.data)
        assert visitor.post("/api/auth/sign-in", {k: account[k] for k in ("email", "password")}).status_code == 200
        assert visitor.post("/api/enrollments", {"course_id": 1}).status_code == 201
        assert home.query("SELECT count(*) FROM enrollments WHERE user_id = %s", user_id) == [(1,)]
        assert visitor.post("/api/auth/register", account).status_code == 409, "addresses are unique over all shards"
    assert len(homes) == 2


def test_a_lost_database_takes_down_its_own_users_only(two):
    app, _, west = two
    of_east = next(user_id for user_id in range(2, USERS) if logical_shard(user_id) < 240 and user_id % 100)
    of_west = next(user_id for user_id in range(2, USERS) if logical_shard(user_id) >= 240 and user_id % 100)
    west.stop()
    try:
        assert Caller(app, of_east, Role.STUDENT).post("/api/enrollments", {"course_id": 2}).status_code in {200, 201}
        assert Caller(app, of_west, Role.STUDENT).get("/api/enrollments").status_code == 503
        assert Caller(app, None).get("/api/courses").status_code == 200
    finally:
        west.start()
    assert Caller(app, of_west, Role.STUDENT).get("/api/enrollments").status_code == 200


def test_the_heartbeat_is_written_to_every_database(two):
    app, east, west = two
    for database in services_of(app).databases:
        heartbeat.beat(database)
        assert heartbeat.newest(database) is not None
    for server in (east, west):
        ((lag,),) = server.query("SELECT extract(epoch FROM now() - max(ts))::float FROM watoto_heartbeat")
        assert lag < 5
