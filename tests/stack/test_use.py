"""A whole stack in use: the smoke suite, load, and what monitoring has to show afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.local import monitoring, processes
from tests.stack.conftest import end, new_home
from tests.stack.driver import Driver
from watoto_infra.dataplane.alerting.reading import state_at_prometheus
from watoto_infra.rendering.endpoints import Endpoint
from watoto_infra.settings import load_stage

pytestmark = [pytest.mark.local, pytest.mark.long]
GUIDE = ["HighCPUUsage", "DatabaseConnectionPoolExhausted", "SlowResponseTime"]
ELSEWHERE = ["mail sent", "read from a replica", "cache hit", "metric scraped", "rule loaded", "alerts delivered"]
QUIET_SECONDS = 900
UNTIL_A_DRILL = {
    "Backups and drills: Age of the last good backup",
    "Backups and drills: Age of the last good drill",
    "Backups and drills: Recovery time of the last drill",
    "Backups and drills: Data lost in the last drill",
}
"""What only a backup or a restore drill can fill."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Driver]:
    with new_home() as home:
        found = Driver(home, stack="use", servers=True)
        found.ok("up", "--stage", "phase2", "--yes")
        yield found
        end(found)


@pytest.fixture(scope="module")
def addresses(stack: Driver) -> dict[str, str]:
    """Addresses of the local processes by their names."""
    found = stack.json("status", "--json")["processes"]
    return {process["name"]: f"http://{process['address']}" for process in found}


def checks(report: dict[str, Any], result: str) -> list[str]:
    return [check["name"] for check in report["checks"] if check["result"] == result]


def test_every_check_passes_on_a_stack_that_has_just_come_up_and_again(stack):
    for _ in range(2):
        report = stack.json("smoke", "--json")
        assert (report["passed"], checks(report, "failed"), checks(report, "skipped")) == (True, [], [])
        assert report["left"] == []


def test_the_same_suite_asks_an_lms_at_a_url(stack, addresses):
    url = stack.json("outputs", "--json")["url"]
    report = stack.json("smoke", "--json", "--url", url)
    assert report["passed"]
    assert {"answers", "list courses", "course in detail"} == set(checks(report, "ok"))
    assert set(ELSEWHERE) <= set(checks(report, "skipped"))


def test_load_at_a_fixed_rate_is_answered_and_its_enrolments_are_rows(stack):
    run = stack.json("load", "--rate", "50", "--duration", "20s", "--json")
    assert run["total"]["requests"] == 1000
    assert run["errors"] == []


def test_load_of_users_is_kept_and_compared_with_another_run(stack):
    done = stack.run("load", "--users", "20", "--duration", "20s")
    assert done.returncode in {0, 4}, done.stderr
    runs = [run["id"] for run in stack.json("load", "--history", "--json")["runs"]]
    assert len(runs) >= 2
    found = stack.json("load", "--compare", runs[0], "--compare", runs[-1], "--json")
    assert {"all, p95 ms", "requests/s"} <= {one["figure"] for one in found["differences"]}


def test_every_panel_has_data_after_smoke_and_load(stack, addresses):
    empty = set(monitoring.panels_without_data(addresses["prometheus"], load_stage("phase2").settings))
    assert empty <= UNTIL_A_DRILL


def test_every_metric_of_a_rule_or_a_dashboard_is_exported_by_a_running_process(stack, addresses):
    missing = monitoring.metrics_nobody_exports(addresses["prometheus"], "phase2")
    assert {name for name in missing if not name.startswith(("watoto_backup_", "watoto_drill_"))} == set()


def test_nothing_listens_beyond_loopback(stack):
    pids = processes.of_stack(stack.home / stack.stack)
    assert len(pids) > 20
    assert processes.listens_beyond_loopback(pids) == set()


@pytest.mark.parametrize("name", GUIDE)
def test_the_guide_s_alert_fires_by_a_true_cause_and_is_resolved(stack, addresses, name):
    host, _, port = addresses["prometheus"].removeprefix("http://").partition(":")
    deadline = time.monotonic() + QUIET_SECONDS
    while state_at_prometheus(Endpoint(host, int(port)), name) != "inactive":
        assert time.monotonic() < deadline, f"{name} is on: the machine or the stack is not at rest"
        time.sleep(5)
    done = stack.run("drill", "alert", name, "--json", seconds=1900)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["alert"] == name
    assert 0 < found["pending_seconds"] <= found["fired_seconds"]
    assert found["resolved_seconds"] > 0
