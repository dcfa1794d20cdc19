"""What `watoto up` leaves running: a working LMS, nothing open to others, nothing secret to be seen."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from ipaddress import ip_address

import pytest

from tests.local import processes
from tests.servers.conftest import Running, result_of

pytestmark = pytest.mark.local


def test_a_second_up_changes_and_restarts_nothing(running: Running):
    before = {name: process["pid"] for name, process in running.processes().items()}

    result = running.driver.json("up", "--stage", "phase2", "--yes", "--json")

    assert set(result["summary"]) <= {"same"}
    assert {name: process["pid"] for name, process in running.processes().items()} == before


def test_a_short_load_meets_no_error(running: Running):
    result = result_of(running.load(rate=100, seconds=5))

    assert result["total"]["requests"] >= 450
    assert result["total"]["failures"] == 0


def test_every_socket_of_ours_is_loopback_and_no_secret_can_be_seen_by_others(running: Running):
    pids = processes.of_stack(running.home)
    secrets = secrets_of(running)

    sockets = processes.listening(pids)
    named = {process["address"] for process in running.processes().values()}

    assert len(pids) > 30
    assert named <= {f"{host}:{port}" for host, port in sockets}
    assert {host for host, _ in sockets if not ip_address(host).is_loopback} == set()
    assert processes.seen_by_others(pids, secrets) == []
    assert processes.files_with(running.home, secrets)
    assert processes.readable_by_others(running.home, secrets) == []


def secrets_of(running: Running) -> list[str]:
    client = running.driver.aws("secretsmanager")
    texts = [
        client.get_secret_value(SecretId=one["ARN"])["SecretString"] for one in client.list_secrets()["SecretList"]
    ]
    found = []
    for text in texts:
        try:
            values = json.loads(text)
        except ValueError:
            values = {"value": text}
        found += [
            value
            for name, value in values.items()
            if isinstance(value, str) and name not in {"username", "engine", "dbname", "host"} and len(value) >= 16
        ]
    assert len(found) >= 6
    return found


def test_status_names_every_process_what_it_stands_for_and_where_the_rehearsal_differs(running: Running):
    status = running.driver.json("status", "--json")

    stands_for = {process["name"]: process["stands_for"] for process in status["processes"]}
    assert stands_for["postgresql-replica2"] == "RDS read replica watoto-replica-2"
    assert stands_for["nginx"] == "load balancer and gateway"
    assert all(process["since"] and process["pid"] for process in status["processes"])
    assert any(note.startswith("sized for this machine") for note in status["notes"])
    policies = [thing for thing in status["things"] if thing["type"] == "aws:autoscaling/policy:Policy"]
    assert {thing["state"] for thing in policies} <= {"there, not acted on locally"}


def test_an_account_is_made_once_and_signs_in_with_the_password_that_was_printed(running: Running):
    # After the load, which fills an empty LMS with a school only while nobody has an account.
    made = running.driver.json("account", "head@school.example", "--role", "admin", "--json")

    body = json.dumps({"email": made["email"], "password": made["password"]}).encode()
    asked = urllib.request.Request(
        f"{running.url}/api/auth/sign-in", body, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(asked, timeout=20) as answer:
        session = json.load(answer)
    assert (session["user"]["id"], session["user"]["role"]) == (made["id"], "admin")
    assert processes.readable_by_others(running.home, [made["password"]]) == []
    assert processes.files_with(running.home, [made["password"]]) == []

    again = running.driver.run("account", "head@school.example", "--role", "admin")

    assert again.returncode == 1
    assert "has an account already" in again.stderr
    assert again.stdout == ""


def test_the_logs_of_a_process_are_shown_and_an_unknown_one_is_refused_with_the_names(running: Running):
    assert "gunicorn" in running.driver.ok("logs", "app1", "--lines", "200").lower()

    refused = running.driver.run("logs", "app99")

    assert refused.returncode == 2
    assert refused.stderr.startswith("error: there is no process 'app99' in stack local\nhint: one of: control-plane")


def test_env_points_psql_at_the_database_without_a_password_on_the_screen(running: Running):
    variables = running.driver.variables_of_the_stack()

    said = subprocess.run(
        ["psql", "-X", "-A", "-t", "-c", "SELECT count(*) >= 0 FROM courses"],
        env={"PATH": os.environ["PATH"]} | {name: value for name, value in variables.items() if name.startswith("PG")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert said.stdout.strip() == "t", said.stderr
    assert not any(secret in " ".join(variables.values()) for secret in secrets_of(running))


def test_after_up_the_lms_does_all_that_its_users_need(running: Running):
    # Last: a Prometheus that has just been started sends no alert for a while, which the other tests need not wait for.
    report = running.driver.json("smoke", "--json")

    assert {check["result"] for check in report["checks"]} == {"ok"}, report
