"""The operator's commands, run as processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import Result

from tests.app.conftest import PASSWORD, Caller, Cluster

pytestmark = pytest.mark.local


class Command:
    """Runs `flask …` against a cluster, in this process."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def __call__(self, *arguments: object) -> Result:
        return self.cluster.app().test_cli_runner().invoke(args=[str(argument) for argument in arguments])

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        """Start it as a process of its own."""
        variables = self.cluster.environment()
        variables |= {"PYTHONPATH": "src", "PATH": os.environ["PATH"]}
        line = [sys.executable, "-m", "flask", "--app", "lms_app.app:create_app", *map(str, arguments)]
        return subprocess.Popen(line, env=variables)


@pytest.fixture
def flask(lone_cluster: Cluster) -> Command:
    return Command(lone_cluster)


def test_a_school_of_ten_thousand_is_seeded_in_seconds_once(flask: Command, lone_cluster: Cluster, tmp_path: Path):
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    done = flask("seed", "--users", 10_000, "--courses", 200, "--password-file", password)
    assert done.exit_code == 0, done.stderr
    seconds = re.search(r"seeded in ([\d.]+) s", done.stderr)
    assert seconds is not None
    assert float(seconds.group(1)) < 20
    assert lone_cluster.primary.query("SELECT count(*) FROM users") == [(10_000,)]
    assert lone_cluster.primary.query("SELECT count(*) FROM courses") == [(200,)]
    assert lone_cluster.primary.query("SELECT count(*) FROM enrollments")[0][0] > 40_000
    again = flask("seed")
    assert again.exit_code == 1
    assert "has accounts" in again.stderr
    assert "Traceback" not in again.stderr
    assert flask("seed", "--if-empty").exit_code == 0
    visitor = Caller(lone_cluster.app(), None)
    signed_in = visitor.post("/api/auth/sign-in", {"email": "user000005@seed.watoto.invalid", "password": PASSWORD})
    assert signed_in.status_code == 200
    assert visitor.post("/api/courses", {"title": "New"}).status_code == 403
    admin = Caller(lone_cluster.app(), 1)
    assert admin.post("/api/courses", {"title": "New"}).json["id"] == 201, "the sequences go on after the seed"


def test_without_a_password_file_nobody_can_sign_in_but_sessions_can_be_issued(flask: Command, lone_cluster: Cluster):
    assert flask("seed", "--users", 100, "--courses", 3).exit_code == 0
    visitor = Caller(lone_cluster.app(), None)
    for password in ("", "!", "password"):
        body = {"email": "user000005@seed.watoto.invalid", "password": password}
        assert visitor.post("/api/auth/sign-in", body).status_code == 401
    tokens = flask("issue-sessions", "--first", 5, "--count", 3).stdout.split()
    assert len(tokens) == 3
    lone_cluster.wait_for_replay()
    found = [visitor.get("/api/users/me", headers={"Authorization": f"Bearer {token}"}).json["id"] for token in tokens]
    assert found == [5, 6, 7]


def test_sessions_are_issued_for_the_active_students_there_are_and_outlive_a_sign_out(
    flask: Command, lone_cluster: Cluster
):
    assert flask("seed", "--users", 100, "--courses", 3).exit_code == 0
    lone_cluster.primary.query("UPDATE accounts SET session_version = 7, revoked_at = now() WHERE user_id = 3")
    tokens = flask("issue-sessions", "--existing", "--count", 1000).stdout.split()
    assert len(tokens) == 97, "100 less the administrator, the teacher and the one who left (51)"
    visitor = Caller(lone_cluster.app(), None)
    found = [visitor.get("/api/users/me", headers={"Authorization": f"Bearer {token}"}).json for token in tokens[:3]]
    assert [(shown["id"], shown["role"]) for shown in found] == [(2, "student"), (3, "student"), (4, "student")]


def test_the_first_administrator_is_made_by_a_command_and_signs_in(
    flask: Command, lone_cluster: Cluster, tmp_path: Path
):
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    made = flask("create-user", "head@school.example", "--role", "admin", "--password-file", password)
    assert made.exit_code == 0, made.stderr
    visitor = Caller(lone_cluster.app(), None)
    signed_in = visitor.post("/api/auth/sign-in", {"email": "head@school.example", "password": PASSWORD})
    assert (signed_in.json["user"]["id"], signed_in.json["user"]["role"]) == (int(made.stdout), "admin")
    again = flask("create-user", "head@school.example", "--role", "student", "--password-file", password)
    assert (again.exit_code, "has an account already" in again.stderr) == (1, True)
    password.write_text("short\n")
    weak = flask("create-user", "other@school.example", "--role", "admin", "--password-file", password)
    assert (weak.exit_code, "password: " in weak.stderr, "short" in weak.stderr) == (1, True, False)


def test_slow_queries_are_shown_as_a_table_and_as_json(flask: Command):
    shown = flask("slow-queries", "--limit", 3)
    assert shown.exit_code == 0, shown.stderr
    assert "mean ms" in shown.stdout
    report = json.loads(flask("slow-queries", "--json").stdout)
    assert report["schema_version"] == 1
    assert {"server", "calls", "mean_ms", "total_ms", "rows", "query"} == set(report["queries"][0])


def test_slow_queries_without_the_extension_say_what_to_do(flask: Command, lone_cluster: Cluster):
    lone_cluster.primary.query("DROP EXTENSION pg_stat_statements")
    done = flask("slow-queries")
    assert done.exit_code == 1
    assert "CREATE EXTENSION pg_stat_statements" in done.stderr
    assert "Traceback" not in done.stderr


def test_migrate_on_an_up_to_date_database_does_nothing_and_succeeds(flask: Command):
    done = flask("migrate")
    assert (done.exit_code, "up to date" in done.stderr) == (0, True)


@pytest.mark.parametrize("command", [("migrate",), ("seed",), ("slow-queries",), ("heartbeat", "--once")])
def test_a_database_that_is_down_is_one_line_and_no_traceback(flask: Command, lone_cluster: Cluster, command):
    lone_cluster.primary.stop()
    done = flask(*command)
    assert done.exit_code == 1
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_the_heartbeat_goes_on_through_a_restart_of_the_primary_and_ends_on_sigterm(
    flask: Command, lone_cluster: Cluster
):
    process = flask.start("heartbeat", "--interval", "0.2")

    def beats_after(count: int) -> None:
        deadline = time.monotonic() + 60
        while lone_cluster.primary.query("SELECT count(*) FROM watoto_heartbeat")[0][0] < count:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    try:
        beats_after(3)
        lone_cluster.primary.stop()
        lone_cluster.primary.start()
        beats_after(lone_cluster.primary.query("SELECT count(*)::int FROM watoto_heartbeat")[0][0] + 3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
    finally:
        process.kill()
        process.wait()
    rows = lone_cluster.primary.query("SELECT ts, lsn FROM watoto_heartbeat ORDER BY ts")
    assert [row[1] for row in rows] == sorted(
        (row[1] for row in rows), key=lambda lsn: [int(p, 16) for p in lsn.split("/")]
    )


def test_what_is_too_old_is_tidied_away_by_the_heartbeat(flask: Command, lone_cluster: Cluster):
    lone_cluster.primary.query("INSERT INTO watoto_heartbeat VALUES (now() - interval '8 days', '0/1')")
    lone_cluster.primary.query(
        "INSERT INTO processed_jobs VALUES (gen_random_uuid(), now() - interval '31 days'), (gen_random_uuid(), now())"
    )
    process = flask.start("heartbeat")
    try:
        deadline = time.monotonic() + 20
        while lone_cluster.primary.query("SELECT count(*) FROM processed_jobs") != [(1,)]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert lone_cluster.primary.query("SELECT count(*) FROM watoto_heartbeat WHERE lsn = '0/1'") == [(0,)]
    finally:
        process.terminate()
        process.wait(10)
