"""More and fewer app servers, under load."""

from __future__ import annotations

import time

import pytest

from tests.servers.conftest import Running, result_of

pytestmark = pytest.mark.local


def app_servers(running: Running) -> list[str]:
    return sorted(name for name in running.processes() if name.startswith("app"))


def test_scaling_up_and_back_under_load_fails_no_request_and_previews_show_it(running: Running):
    load = running.load(rate=150, seconds=60)
    time.sleep(5)

    running.driver.ok("scale", "app", "4", "--yes")
    assert app_servers(running) == ["app1", "app2", "app3", "app4"]
    changes = [change["path"] for step in running.driver.plan("phase2")["steps"] for change in step["changes"]]
    assert changes == []  # the stack keeps the number: a preview of its stage has nothing to change
    group = running.driver.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]
    assert group["DesiredCapacity"] == 4

    running.driver.ok("scale", "app", "--reset", "--yes")
    assert app_servers(running) == ["app1", "app2", "app3"]

    result = result_of(load)
    assert result["total"]["failures"] == 0, result


def test_a_number_that_the_stage_does_not_allow_is_refused_and_changes_nothing(running: Running):
    refused = running.driver.run("scale", "app", "99", "--yes")

    assert refused.returncode == 1
    assert "app.desired is 99; allowed: app.min_size (2) to app.max_size (10)" in refused.stderr
    assert app_servers(running) == ["app1", "app2", "app3"]
