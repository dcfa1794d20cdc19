"""A whole stack in use: load that is kept and compared, what monitoring has to show, and alerts by a true cause."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.local import monitoring
from tests.servers.conftest import Running
from watoto_infra.servers.alertmanager.alerts import state_at_prometheus
from watoto_infra.settings import load_stage
from watoto_infra.values.addresses import Endpoint

pytestmark = [pytest.mark.local, pytest.mark.long]
GUIDE = ["HighCPUUsage", "DatabaseConnectionPoolExhausted", "SlowResponseTime"]
ELSEWHERE = ["mail sent", "read from a replica", "cache hit", "metric scraped", "rule loaded", "alerts delivered"]
QUIET_SECONDS = 900


def address(running: Running, name: str) -> str:
    return str(running.processes()[name]["address"])


def checks(report: dict[str, Any], result: str) -> list[str]:
    return [check["name"] for check in report["checks"] if check["result"] == result]


def test_smoke_can_be_run_again_and_leaves_nothing(running: Running):
    for _ in range(2):
        report = running.driver.json("smoke", "--json")
        assert (report["passed"], checks(report, "failed"), checks(report, "skipped")) == (True, [], [])
        assert report["left"] == []


def test_the_same_suite_asks_an_lms_at_a_url(running: Running):
    report = running.driver.json("smoke", "--json", "--url", running.url)
    assert report["passed"]
    assert {"answers", "list courses", "course in detail"} <= set(checks(report, "ok"))
    assert set(ELSEWHERE) <= set(checks(report, "skipped"))


def test_load_of_users_is_kept_and_compared_with_another_run(running: Running):
    for load in (["--rate", "50"], ["--users", "20"]):
        done = running.driver.run("load", *load, "--duration", "20s")
        assert done.returncode in {0, 4}, done.stderr
    runs = [run["id"] for run in running.driver.json("load", "--history", "--json")["runs"]]
    assert len(runs) >= 2
    found = running.driver.json("load", "--compare", runs[-2], "--compare", runs[-1], "--json")
    assert {"all, p95 ms", "requests/s"} <= {one["figure"] for one in found["differences"]}


def test_every_panel_has_data_after_smoke_and_load(running: Running):
    url = f"http://{address(running, 'prometheus')}"
    assert list(monitoring.panels_without_data(url, load_stage("phase2").settings)) == []


def test_every_metric_of_a_rule_or_a_dashboard_is_exported_by_a_running_process(running: Running):
    missing = monitoring.metrics_nobody_exports(f"http://{address(running, 'prometheus')}", "phase2")
    assert {name for name in missing if not name.startswith(("watoto_backup_", "watoto_drill_"))} == set()


@pytest.mark.parametrize("name", GUIDE)
def test_the_guide_s_alert_fires_by_a_true_cause_and_is_resolved(running: Running, name: str):
    host, _, port = address(running, "prometheus").partition(":")
    deadline = time.monotonic() + QUIET_SECONDS
    while state_at_prometheus(Endpoint(host, int(port)), name) != "inactive":
        assert time.monotonic() < deadline, f"{name} is on: the machine or the stack is not at rest"
        time.sleep(5)
    done = running.driver.run("drill", "alert", name, "--json", seconds=1900)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["alert"] == name
    assert 0 < found["pending_seconds"] <= found["fired_seconds"]
    assert found["resolved_seconds"] > 0
