"""A process whose shard map is not the placement in force touches no database, and heals by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from lms_app.db.engines import EngineOptions
from lms_app.domain.identity import Role
from lms_app.shards import placement
from lms_app.shards.moving import place, record_first
from lms_app.shards.sharding import logical_shard
from tests.app.conftest import ADMIN, PASSWORD, Caller, services_of
from tests.app.servers.postgres import Server
from tests.app.shard_stacks import Spread

pytestmark = pytest.mark.local
USERS = 60
OPTIONS = EngineOptions()
OF_WEST = next(user_id for user_id in range(2, USERS) if logical_shard(user_id) >= 240)


@pytest.fixture
def spread(three_servers: dict[str, Server], tmp_path: Path) -> Spread:
    """All users in `east`, and a map by which half of them should be in `west`."""
    spread = Spread({name: three_servers[name] for name in ("east", "west")}, tmp_path / "map.json")
    spread.fill(spread.map_of(east=[(0, 479)]), USERS)
    spread.give(spread.map_of(east=[(0, 239)], west=[(240, 479)]))
    return spread


@pytest.fixture
def misplaced(spread: Spread) -> Iterator[Flask]:
    """An app with that map."""
    with spread.app() as app:
        yield app


def in_force(spread: Spread) -> None:
    """Bring the map of the file into force."""
    place(spread.map_of(east=[(0, 479)]), spread.map_of(east=[(0, 239)], west=[(240, 479)]).owners, options=OPTIONS)


def test_nothing_is_answered_or_written_until_the_map_is_in_force_and_then_all_is_without_a_restart(
    spread: Spread, misplaced: Flask
):
    before = spread.snapshot()
    account = {"email": "new@school.example", "password": PASSWORD, "name": "New"}
    signs_in = {"email": "user5@school.example", "password": PASSWORD}
    student, visitor = Caller(misplaced, OF_WEST, Role.STUDENT), Caller(misplaced, None)
    for answer in (
        student.get("/api/enrollments"),
        student.post("/api/enrollments", {"course_id": 1}),
        visitor.post("/api/auth/register", account),
        visitor.post("/api/auth/sign-in", signs_in),
        Caller(misplaced, ADMIN).get("/api/users"),
        Caller(misplaced, ADMIN).post("/api/courses", {"title": "Chemistry"}),
    ):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert answer.mimetype == "application/problem+json"
        assert answer.json["detail"] == "users are being moved between databases"
    ready = visitor.get("/readyz")
    assert ready.status_code == 503
    assert ready.json["parts"] == {
        "placement": "database east: the shard map is not the placement in force: 240 logical shards lie elsewhere"
        " (240 in east, not west); use the map in force, or stop the LMS and run `flask shards place`"
    }
    assert spread.snapshot() == before
    assert spread.servers["east"].query("SELECT 1 FROM accounts WHERE email LIKE 'new@%'") == []

    in_force(spread)
    assert student.get("/api/enrollments").status_code == 200
    assert visitor.post("/api/auth/register", account).status_code == 201


def test_readiness_heals_by_itself(spread: Spread, misplaced: Flask, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lms_app.serving.health.FRESH_S", -1.0)
    visitor = Caller(misplaced, None)
    assert visitor.get("/readyz").status_code == 503
    in_force(spread)
    assert visitor.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "command",
    [
        "relay",
        "worker notification_queue",
        "heartbeat",
        "seed --users 10",
        "create-user a@school.example --role admin --password-file {password}",
        "issue-sessions --existing",
    ],
)
def test_no_process_and_no_command_starts_with_a_map_that_is_not_in_force(
    misplaced: Flask, tmp_path: Path, command: str
):
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    done = misplaced.test_cli_runner().invoke(args=command.format(password=password).split())
    assert done.exit_code == 1
    (line,) = done.output.splitlines()
    assert line.startswith("Error: ")
    assert "the shard map is not the placement in force: 240 logical shards lie elsewhere" in line


def test_without_a_record_a_process_waits_for_the_migration(spread: Spread, misplaced: Flask):
    spread.servers["east"].query("TRUNCATE shard_placement")
    ready = Caller(misplaced, None).get("/readyz")
    assert ready.status_code == 503
    assert ready.json["parts"]["placement"].endswith("which database holds which users: run `flask migrate`")
    spread.servers["east"].query("DROP TABLE shard_placement")
    try:
        assert "run `flask migrate`" in Caller(misplaced, None).get("/readyz").json["parts"]["placement"]
        assert Caller(misplaced, ADMIN).get("/api/users").status_code == 503
    finally:
        spread.servers["east"].query(
            "CREATE TABLE shard_placement (shard smallint PRIMARY KEY, database text NOT NULL, also text);"
            "ALTER TABLE shard_placement OWNER TO watoto_user"
        )
    record_first(spread.map_of(east=[(0, 479)]), OPTIONS)


def test_a_process_that_lived_through_a_move_without_a_connection_does_not_go_on_by_its_old_map(spread: Spread):
    spread.give(spread.map_of(east=[(0, 479)]))
    with spread.app() as app:
        databases = services_of(app).databases
        app.before_request_funcs[None].remove(databases.watch)  # it would connect anew at any time
        student = Caller(app, OF_WEST, Role.STUDENT)
        assert student.get("/api/enrollments").status_code == 200
        databases["east"].dispose()
        in_force(spread)
        assert student.get("/api/enrollments").status_code == 503


def test_the_record_is_read_when_a_connection_is_opened_and_not_for_a_request(
    spread: Spread, misplaced: Flask, monkeypatch: pytest.MonkeyPatch
):
    in_force(spread)
    read: list[psycopg.Connection] = []
    original = placement.read

    def counted(connection: psycopg.Connection) -> placement.Placement | None:
        read.append(connection)
        return original(connection)

    monkeypatch.setattr(placement, "read", counted)
    student = Caller(misplaced, OF_WEST, Role.STUDENT)
    assert student.get("/api/enrollments").status_code == 200
    opened = len(read)
    assert opened >= 1
    for _ in range(20):
        assert student.get("/api/enrollments").status_code == 200
    assert len(read) <= opened + 1, "its watch may open one more"


def test_with_the_catalogue_lost_a_process_that_has_compared_once_goes_on_and_a_new_one_waits(spread: Spread):
    in_force(spread)
    with spread.app() as app, spread.app() as late:
        student = Caller(app, OF_WEST, Role.STUDENT)
        assert student.get("/api/enrollments").status_code == 200
        spread.servers["east"].stop()
        try:
            west = services_of(app).databases["west"]
            west.dispose()
            count = "SELECT count(*) FROM users"
            assert west.read(lambda connection: connection.exec_driver_sql(count).scalar_one()) > 0
            refused = Caller(late, OF_WEST, Role.STUDENT).get("/api/enrollments")
            assert refused.status_code == 503
        finally:
            spread.servers["east"].start()
        assert Caller(late, OF_WEST, Role.STUDENT).get("/api/enrollments").status_code == 200
