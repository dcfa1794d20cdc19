"""Moving logical shards between real databases: everything goes along, and a kill at any moment loses nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from lms_app.db.engines import EngineOptions
from lms_app.db.tables import metadata
from lms_app.db.urls import DatabaseUrls
from lms_app.domain.identity import Role
from lms_app.shards.moving import Moved, MoveRefusedError, in_force, place, record_first, with_shards_at
from lms_app.shards.rows import COPIED_TOO, TABLES
from lms_app.shards.sharding import LOGICAL_SHARDS, ShardMap, logical_shard
from tests.app.conftest import ADMIN, Caller, put_on_record
from tests.app.school import walk
from tests.app.servers.postgres import Server
from tests.app.shard_stacks import KilledError, Spread

USERS = 300
MOVING = range(240, 300)
THEIRS = sorted(user_id for user_id in range(1, USERS + 1) if logical_shard(user_id) in MOVING)
STEPS = ("begun", "copied", "switched", "deleted")
OPTIONS = EngineOptions()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("maps")


@pytest.fixture
def two(three_servers: dict[str, Server], home: Path) -> Spread:
    """Two databases with half of a school's users each."""
    two = Spread({name: three_servers[name] for name in ("east", "west")}, home / "two.json")
    two.fill(two.map_of(east=[(0, 239)], west=[(240, 479)]), USERS)
    return two


def moved(two: Spread) -> ShardMap:
    return two.map_of(east=[(0, 299)], west=[(300, 479)])


def kill_at(step: str, *, nth: int = 1):
    """Give what ends a move right after a step, as a kill would: nothing of this process is left but its end."""
    seen: list[str] = []

    def told(line: str) -> None:
        if line.startswith(step):
            seen.append(line)
            if len(seen) == nth:
                raise KilledError

    return told


@pytest.mark.local
def test_users_move_with_all_that_is_theirs_and_the_lms_finds_them_there(two: Spread):
    before = two.snapshot()
    done = two.flask_process(
        "shards", "move", "240", "299", "--from", "west", "--to", "east", "--map", str(two.map_file)
    )
    assert done.returncode == 0, done.stderr
    assert f"moved {len(THEIRS)} users to east" in done.stderr
    assert two.snapshot() == before
    assert (two.users_in("east", MOVING), two.users_in("west", MOVING)) == (THEIRS, [])
    assert two.map_file.stat().st_mode & 0o777 == 0o600
    assert json.loads(two.map_file.read_text())["shards"] == {"east": [[0, 299]], "west": [[300, 479]]}
    shown = two.flask("shards", "show")
    assert (shown.stdout, shown.stderr) == ("east: 0-299\nwest: 300-479\n", "")
    with two.app() as app:
        student = next(user_id for user_id in THEIRS if user_id % 100)
        assert Caller(app, student, Role.STUDENT).post("/api/enrollments", {"course_id": 1}).status_code in {200, 201}
        active = [user["id"] for user in walk(Caller(app, ADMIN), "/api/users", 50)]
        assert len(active) == len(set(active)) > USERS * 0.9


@pytest.mark.local
def test_a_new_map_is_brought_into_force_by_one_command_which_then_has_nothing_to_do(two: Spread):
    before = two.snapshot()
    wanted = two.map_of(west=[(0, 99)], east=[(100, 479)])
    two.give(wanted)
    refused = two.flask("migrate").stdout
    said = (
        "the shard map is not in force: the shard map is not the placement in force: 340 logical shards lie elsewhere"
    )
    assert refused.startswith(f"{said} (0 in east, not west); use the map in force, or stop the LMS and run")
    done = two.flask("shards", "place", "--map", str(two.map_file))
    there = [user_id for user_id in range(1, USERS + 1) if logical_shard(user_id) < 100 or logical_shard(user_id) > 239]
    assert done.stdout == f"moved {len(there)} users to east, west\n", done.stderr
    assert two.snapshot() == before
    two.assert_each_user_lies_where_the_map_says(wanted)
    assert two.flask("migrate").stdout == "the shard map is in force\n"
    assert two.flask("shards", "place").stdout == "moved 0 users\n"


@pytest.mark.local
def test_it_is_refused_while_the_lms_is_connected_and_changes_nothing(two: Spread):
    before = two.snapshot()
    with two.servers["west"].connect("watoto_user"):
        done = two.flask("shards", "move", "240", "299", "--from", "west", "--to", "east", "--map", str(two.map_file))
    assert done.returncode == 1
    assert "1 connections of the LMS to database 'west' are open; stop the LMS first" in done.stderr
    assert two.snapshot() == before
    assert two.users_in("west", MOVING) == THEIRS
    with two.app() as app:
        assert Caller(app, ADMIN).get("/api/users").status_code == 200


@pytest.mark.local
@pytest.mark.parametrize("step", STEPS)
def test_killed_after_any_step_nothing_is_served_until_it_is_run_again_and_has_gone_on(two: Spread, step: str):
    before = two.snapshot()
    with pytest.raises(KilledError):
        place(moved(two), moved(two).owners, options=OPTIONS, told=kill_at(step))
    for shard_map in (two.map_of(east=[(0, 239)], west=[(240, 479)]), moved(two)):
        two.give(shard_map)
        with two.app() as app:
            refused = Caller(app, ADMIN).get("/api/users")
            assert refused.status_code == 503
            assert "Retry-After" in refused.headers
    done = place(moved(two), moved(two).owners, options=OPTIONS)
    assert two.snapshot() == before
    two.assert_each_user_lies_where_the_map_says(moved(two))
    expected = [] if step in {"switched", "deleted"} else THEIRS
    assert sorted(done.users.get("east", [])) == expected
    with two.app() as app:
        assert Caller(app, ADMIN).get("/api/users").status_code == 200


@pytest.mark.local
def test_a_killed_move_can_be_taken_back_as_well(two: Spread):
    before = two.snapshot()
    old = two.map_of(east=[(0, 239)], west=[(240, 479)])
    with pytest.raises(KilledError):
        place(old, moved(two).owners, options=OPTIONS, told=kill_at("copied"))
    assert two.users_in("west", MOVING) == two.users_in("east", MOVING) == THEIRS, "copied, and not in force"
    place(old, old.owners, options=OPTIONS)
    assert two.snapshot() == before
    two.assert_each_user_lies_where_the_map_says(old)


@pytest.mark.local
def test_what_fails_while_it_is_copied_leaves_the_placement_that_was_in_force(two: Spread):
    old = two.map_of(east=[(0, 239)], west=[(240, 479)])
    two.servers["east"].query("ALTER TABLE notifications ADD CONSTRAINT no_third CHECK (message <> 'third') NOT VALID")
    try:
        west = "INSERT INTO notifications (user_id, kind, message) VALUES (%s, 'x', 'third')"
        two.servers["west"].query(west, THEIRS[0])
        with pytest.raises(psycopg.errors.CheckViolation):
            place(moved(two), moved(two).owners, options=OPTIONS)
    finally:
        two.servers["east"].query("ALTER TABLE notifications DROP CONSTRAINT no_third")
    two.assert_each_user_lies_where_the_map_says(old)
    with two.app() as app:
        assert Caller(app, ADMIN).get("/api/users").status_code == 200


@pytest.mark.local
def test_a_process_killed_by_the_system_in_the_middle_is_picked_up_by_the_same_command(two: Spread):
    before = two.snapshot()
    command = ["shards", "move", "240", "299", "--from", "west", "--to", "east", "--map", str(two.map_file)]
    for step in STEPS:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", *command],
            env=two.process_environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(step):
                process.send_signal(signal.SIGKILL)
        process.stderr.close()
        process.wait()
    done = two.flask_process(*command)
    assert done.returncode == 0, done.stderr
    assert two.snapshot() == before
    two.assert_each_user_lies_where_the_map_says(moved(two))
    assert json.loads(two.map_file.read_text())["shards"] == {"east": [[0, 299]], "west": [[300, 479]]}


@pytest.mark.local
def test_two_moves_at_once_are_refused(two: Spread):
    def second(_step: str) -> None:
        with pytest.raises(MoveRefusedError, match="another move is under way"):
            place(moved(two), moved(two).owners, options=OPTIONS)
        raise KilledError

    with pytest.raises(KilledError):
        place(moved(two), moved(two).owners, options=OPTIONS, told=second)


@pytest.mark.local
def test_a_write_that_came_in_meanwhile_by_the_old_map_is_cut_off_and_reaches_no_database(two: Spread):
    failures: list[psycopg.Error] = []

    def write(connection: psycopg.Connection) -> None:
        try:
            connection.execute("SET lock_timeout = 0")
            connection.execute("UPDATE users SET name = 'Lost' WHERE id = %s", [THEIRS[0]])
        except psycopg.Error as error:
            failures.append(error)

    writers: list[threading.Thread] = []

    def told(step: str) -> None:
        if step.startswith("begun"):  # it was admitted by the placement that is still in force
            connection = two.servers["west"].connect("watoto_user")
            writers.append(threading.Thread(target=write, args=(connection,)))
            writers[0].start()

    before = two.snapshot()
    place(moved(two), moved(two).owners, options=OPTIONS, told=told)
    writers[0].join(10)
    assert [error.sqlstate for error in failures] == ["57P01"], "terminated by administrator command"
    assert two.snapshot() == before


class Shuffle:
    """Three databases, filled once; every example of a property goes on where the one before has ended."""

    def __init__(self, spread: Spread) -> None:
        self.spread = spread
        self.base = spread.map_of(east=[(0, 479)])
        spread.fill(self.base, USERS)
        self.before = spread.snapshot()

    def place(self, owners: tuple[str, ...], told=lambda _step: None) -> Moved:
        return place(self.base, owners, options=OPTIONS, told=told)


@pytest.fixture(scope="module")
def shuffle(three_servers: dict[str, Server], home: Path) -> Shuffle:
    return Shuffle(Spread(three_servers, home / "three.json"))


@st.composite
def placements(draw: st.DrawFn) -> tuple[str, ...]:
    """Owners of all logical shards: spans of any lengths in three databases."""
    cuts = sorted(draw(st.sets(st.integers(1, LOGICAL_SHARDS - 1), max_size=5)))
    owners: list[str] = []
    for first, end in pairwise([0, *cuts, LOGICAL_SHARDS]):
        owners += [draw(st.sampled_from(["east", "west", "north"]))] * (end - first)
    return tuple(owners)


@pytest.mark.local
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(placements(), st.sampled_from([*STEPS, "never"]), st.integers(1, 3))
def test_from_any_placement_to_any_other_with_a_kill_anywhere_just_what_differs_moves(
    shuffle: Shuffle, wanted: tuple[str, ...], step: str, nth: int
):
    _moved_with_a_kill(shuffle, wanted, step, nth)


@pytest.mark.local
@pytest.mark.long
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(placements(), st.sampled_from([*STEPS, "never"]), st.integers(1, 6))
def test_the_same_many_times(shuffle: Shuffle, wanted: tuple[str, ...], step: str, nth: int):
    _moved_with_a_kill(shuffle, wanted, step, nth)


def _moved_with_a_kill(shuffle: Shuffle, wanted: tuple[str, ...], step: str, nth: int) -> None:
    earlier = in_force(shuffle.base, OPTIONS).owners
    try:
        done = shuffle.place(wanted, kill_at(step, nth=nth))
    except KilledError:
        done = shuffle.place(wanted)
    else:
        differing = [u for u in range(1, USERS + 1) if wanted[logical_shard(u)] != earlier[logical_shard(u)]]
        assert sorted(u for some in done.users.values() for u in some) == differing
    found = in_force(shuffle.base, OPTIONS)
    assert found.owners == wanted
    assert not any(found.also)
    assert shuffle.spread.snapshot() == shuffle.before
    shuffle.spread.assert_each_user_lies_where_the_map_says(shuffle.base.with_owners(wanted))


@pytest.mark.local
def test_users_from_before_there_was_a_record_are_put_on_record_where_they_are(two: Spread):
    spread = two.map_of(east=[(0, 239)], west=[(240, 479)])
    east = two.servers["east"]
    east.query("TRUNCATE shard_placement")
    record_first(spread, OPTIONS)
    assert in_force(spread, OPTIONS).owners == spread.owners
    east.query("TRUNCATE shard_placement")
    record_first(two.map_of(west=[(0, 479)]), OPTIONS)  # not so: a wrong map must not be believed
    found = in_force(spread, OPTIONS).owners
    seen = {logical_shard(user_id) for user_id in range(1, USERS + 1)}
    assert all(found[shard] == spread.owner(shard) for shard in seen)
    place(spread, ("east",) * LOGICAL_SHARDS, options=OPTIONS)
    put_on_record(spread)
    assert set(in_force(spread, OPTIONS).owners) == {"east"}, "who is in one database alone was there by its map"


@pytest.mark.local
def test_a_user_in_two_databases_before_there_was_a_record_is_told_and_nothing_is_recorded(two: Spread):
    two.servers["east"].query("TRUNCATE shard_placement")
    two.servers["east"].query(
        "INSERT INTO enrollments (user_id, course_id) VALUES (%s, 1)", next(u for u in THEIRS if u % 100)
    )
    done = two.flask("migrate")
    assert done.returncode == 1
    assert "Error: both 'east' and 'west' have users of logical shard" in done.stderr
    assert two.flask("shards", "place").stderr.endswith("run `flask migrate`\n")


NOWHERE = DatabaseUrls(primary_url=SecretStr("postgresql://nowhere.invalid/x"))
MAP = ShardMap(
    catalogue="a", databases={"a": NOWHERE, "b": NOWHERE}, shards={"a": [(0, 99)], "b": [(100, LOGICAL_SHARDS - 1)]}
)


@given(placements())
def test_a_map_with_other_owners_has_just_these(owners: tuple[str, ...]):
    databases = dict.fromkeys(("east", "west", "north"), NOWHERE)
    changed = ShardMap(catalogue="east", databases=databases, shards={"east": [(0, 479)]}).with_owners(owners)
    assert changed.owners == owners
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
        with_shards_at(MAP, MAP.owners, shards, source=source, target=target)


def test_every_table_with_a_users_rows_moves_with_all_its_columns():
    of_users = {table.name for table in metadata.sorted_tables if "user_id" in table.columns} | {"users"}
    assert of_users == {table.name for table in TABLES} | {"accounts", "idempotency_keys"}
    assert set(COPIED_TOO) == {"processed_jobs", "idempotency_keys"}
    for table in TABLES:
        left_out = {"id"} if table.name == "notifications" else set()
        assert set(table.columns) == {column.name for column in metadata.tables[table.name].columns} - left_out
