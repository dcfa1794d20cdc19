"""From one database to two shards with everybody's rows: a filled stack at phase2 goes to phase3 with its servers."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lms_app.domain import passwords
from lms_app.shards.sharding import logical_shard
from tests.servers.conftest import Running
from tests.stack.conftest import end, new_home
from tests.stack.driver import Driver

pytestmark = [pytest.mark.local, pytest.mark.long]
USERS = 10_000
PASSWORD = "correct horse battery"
COUNTED = ("users", "enrollments", "module_completions", "notifications")
REQUESTS = re.compile(r'^http_requests_total\{[^}]*endpoint="([^"]+)"[^}]*\} (\S+)', flags=re.MULTILINE)
MOVED = re.compile(r"moved ([\d,]+) users to shard1, shard2 in [\d.]+ s; the LMS was stopped meanwhile")


@pytest.fixture(scope="module")
def filled() -> Iterator[Running]:
    """A stack at phase2 with a school of 10,000 users, all with one password, for the tests below in their order."""
    with new_home() as home:
        driver = Driver(home, servers=True)
        try:
            driver.ok("up", "--stage", "phase2", "--yes")
            stack = Running(driver, driver.json("outputs", "--json")["url"], 0.0)
            driver.run("load", "--rate", "20", "--duration", "3s", "--json")
            driver.ok("smoke", "--json")
            query(
                stack, "primary", f"UPDATE users SET password_hash = '{passwords.hashed(PASSWORD)}', is_active = true"
            )
            yield stack
        finally:
            end(driver)


def query(stack: Running, server: str, sql: str) -> list[tuple[Any, ...]]:
    """Ask one of the PostgreSQL servers as the LMS's own role, as `watoto env` lets a person do it."""
    variables = stack.driver.variables_of_the_stack()
    host, _, port = stack.processes()[f"postgresql-{server}"]["address"].partition(":")
    with psycopg.connect(
        host=host,
        port=int(port),
        user=variables["PGUSER"],
        dbname=variables["PGDATABASE"],
        passfile=variables["PGPASSFILE"],
        autocommit=True,
    ) as connection:
        cursor = connection.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []


def everybodys(stack: Running, *servers: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of users in some databases; notifications without their numbers, which are each database's own."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for table in COUNTED:
        columns = "user_id, kind, message, read_at, created_at" if table == "notifications" else "*"
        rows = [row for server in servers for row in query(stack, server, f"SELECT {columns} FROM {table}")]
        found[table] = sorted(rows, key=repr)
    return found


def test_everybodys_rows_move_to_the_shards_and_the_lms_goes_on_with_them(filled: Running):
    before = everybodys(filled, "primary")
    assert len(before["users"]) >= USERS

    killed_while_it_moves(filled)
    done = filled.driver.run("up", "--stage", "phase3", "--yes", seconds=900)

    assert done.returncode == 0, done.stderr
    told = MOVED.search(done.stderr)
    assert told is not None, done.stderr
    assert told[1] == f"{len(before['users']):,}"
    assert re.search(r"stopping .*\bapp1\b.* for lms-shards", done.stderr) is None, "the LMS was stopped already"
    filled.wait_until_whole()
    assert everybodys(filled, "shard1-primary", "shard2-primary") == before
    assert {name: len(rows) for name, rows in everybodys(filled, "primary").items()} == dict.fromkeys(COUNTED, 0)
    for shard, half in (("shard1-primary", range(240)), ("shard2-primary", range(240, 480))):
        ids = [user_id for (user_id,) in query(filled, shard, "SELECT id FROM users")]
        assert len(ids) > USERS / 3
        assert all(logical_shard(user_id) in half for user_id in ids)
    some = query(filled, "shard1-primary", "SELECT email FROM users ORDER BY random() LIMIT 20")
    some += query(filled, "shard2-primary", "SELECT email FROM users ORDER BY random() LIMIT 20")
    assert {sign_in(filled, email) for (email,) in some} == {200}


def killed_while_it_moves(stack: Running) -> None:
    """Begin going to phase3 and kill the command once the LMS is stopped and what moves users is under way."""
    command = stack.driver.command("up", "--stage", "phase3", "--yes")
    began = subprocess.Popen(command, env=stack.driver.variables, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while not (movers := moving(stack)):
        assert began.poll() is None, "it ended without moving anybody"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    began.kill()
    began.wait()
    while any(Path(f"/proc/{pid}").exists() for pid in movers):
        assert time.monotonic() < deadline, "it goes on without the command that began it"
        time.sleep(0.1)


def moving(stack: Running) -> list[int]:
    """The processes that move users of this stack."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            ours = str(stack.home) in str((process / "cwd").readlink())
            if ours and b"\0shards\0place" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def sign_in(stack: Running, email: str) -> int:
    """Sign a user in at an app server itself: the gateway lets nobody try passwords as fast as this."""
    body = json.dumps({"email": email, "password": PASSWORD}).encode()
    url = f"http://{stack.processes()['app1']['address']}/api/auth/sign-in"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(answer.status)


def test_the_lms_at_phase3_does_all_that_its_users_need(filled: Running):
    report = filled.driver.json("smoke", "--json")

    assert {check["result"] for check in report["checks"]} == {"ok"}, report


def test_status_names_what_stands_for_the_shards_and_every_app_server_uses_the_cache(filled: Running):
    processes = filled.processes()
    stands_for = {name: process["stands_for"] for name, process in processes.items()}

    for shard in (1, 2):
        assert stands_for[f"postgresql-shard{shard}-primary"] == f"RDS instance watoto-shard-{shard}"
        replica = stands_for[f"postgresql-shard{shard}-replica1"]
        assert replica == f"RDS read replica watoto-shard-{shard}-replica-1"
    assert "one node with all slots" in stands_for["redis-cache"]
    apps = app_servers(filled)
    assert {name: stands_for[name] for name in apps} == {
        **{f"app{number}": f"app server {number} of Deployment watoto-backend" for number in (1, 2, 3)},
        **{f"app-identity{number}": f"app server {number} of Deployment watoto-identity" for number in (1, 2)},
        **{f"app-reports{number}": f"app server {number} of Deployment watoto-reports" for number in (1, 2)},
    }
    for app in apps.values():
        with urllib.request.urlopen(f"http://{app['address']}/readyz", timeout=5) as answer:
            parts = json.load(answer)["parts"]
        assert parts["cache"] == "in use"
        assert {parts[f"database {name}"] for name in ("main", "shard1", "shard2")} == {"readable"}


def app_servers(stack: Running) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in stack.processes().items() if re.fullmatch(r"app(-[a-z]+)?\d+", name)}


def test_what_is_only_a_manifest_here_and_what_nobody_acts_on_is_said(filled: Running):
    states = {
        thing["urn"].rpartition("::")[2]: thing["state"]
        for thing in filled.driver.json("status", "--json")["things"]
        if thing["type"].startswith("kubernetes:")
    }

    assert states["watoto-lms"] == states["watoto-relay"] == "validated manifest"
    assert states["watoto-backend-hpa"] == "there, not acted on locally"


def answered(stack: Running) -> Counter[tuple[str, str]]:
    """How often each kind of app server has answered each route; counters outlive the process, and the stage too."""
    found: Counter[tuple[str, str]] = Counter()
    for name, process in app_servers(stack).items():
        with urllib.request.urlopen(f"http://{process['address']}/metrics", timeout=5) as answer:
            for route, count in REQUESTS.findall(answer.read().decode()):
                found[re.sub(r"\d+", "", name), route] += int(float(count))
    return found


def test_each_bounded_context_is_answered_by_its_own_app_servers_and_no_others(filled: Running):
    before = answered(filled)
    filled.driver.ok("smoke", "--json")
    with suppress(urllib.error.HTTPError):  # whoever refuses a stranger has answered too
        urllib.request.urlopen(f"{filled.url}/api/reports/{uuid.uuid4()}", timeout=5)

    asked = {(kind, route) for kind, route in answered(filled) - before if route.startswith("/api/")}
    expected = {
        route: "app-identity" if route.startswith(("/api/auth", "/api/users")) else "app-reports"
        for _, route in asked
        if route.startswith(("/api/auth", "/api/users", "/api/reports"))
    }
    assert {kind for kind, _ in asked} == {"app", "app-identity", "app-reports"}
    assert asked == {(expected.get(route, "app"), route) for _, route in asked}


def test_another_up_changes_moves_and_restarts_nothing(filled: Running):
    before = {name: process["pid"] for name, process in filled.processes().items()}

    done = filled.driver.run("up", "--stage", "phase3", "--yes", "--json", seconds=600)

    assert set(json.loads(done.stdout)["summary"]) <= {"same"}
    assert "moved" not in done.stderr
    assert {name: process["pid"] for name, process in filled.processes().items()} == before


def test_going_back_to_one_database_is_refused_by_name(filled: Running):
    refused = filled.driver.run("up", "--stage", "phase2", "--yes", seconds=600)

    assert refused.returncode != 0
    assert "watoto-shard-1" in refused.stderr
    filled.wait_until_whole()
