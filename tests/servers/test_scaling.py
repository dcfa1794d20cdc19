"""More and fewer app servers, under load."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers.conftest import Running
from tests.servers.steady import steady_load
from tests.stack.driver import ROOT, Driver

pytestmark = pytest.mark.local


def app_servers(running: Running) -> list[str]:
    return sorted(name for name in running.processes() if name.startswith("app"))


@pytest.fixture
def edited(running: Running, tmp_path: Path) -> Driver:
    """The same stack, run from a checkout whose stage file asks for four app servers."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in files.splitlines():
        if not name.startswith(("tests/", "docs/")) and (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    stage = tmp_path / "stacks" / "phase2.yaml"
    text = stage.read_text()
    assert text.count("  desired: 3\n") == 1
    stage.write_text(text.replace("  desired: 3\n", "  desired: 4\n"))
    return replace(running.driver, checkout=tmp_path)


def test_an_edited_number_is_shown_by_preview_and_scales_there_and_back_under_load_without_a_failed_request(
    running: Running, edited: Driver, tmp_path: Path
):
    with steady_load(running.driver, 150, tmp_path) as load:
        changed = [step for step in edited.plan("phase2")["steps"] if step["changes"]]
        assert [(step["urn"].rpartition("::")[2], step["op"]) for step in changed] == [("watoto-backend-asg", "update")]
        changes = [(one["path"], one["before"], one["after"]) for one in changed[0]["changes"]]
        assert changes == [("desiredCapacity", 3, 4)]
        edited.ok("up", "--stage", "phase2", "--yes")
        assert app_servers(running) == ["app1", "app2", "app3", "app4"]
        load.failed()  # a second with four

        running.driver.ok("up", "--stage", "phase2", "--yes")
        assert app_servers(running) == ["app1", "app2", "app3"]
        load.failed()  # and a second with three

        result = load.end()
    assert result["failures"] == 0, result


@pytest.mark.long
def test_scaling_up_and_back_under_load_fails_no_request_and_previews_show_it(running: Running, tmp_path: Path):
    with steady_load(running.driver, 150, tmp_path) as load:
        running.driver.ok("scale", "app", "4", "--yes")
        assert app_servers(running) == ["app1", "app2", "app3", "app4"]
        changes = [change["path"] for step in running.driver.plan("phase2")["steps"] for change in step["changes"]]
        assert changes == []  # the stack keeps the number: a preview of its stage has nothing to change
        group = running.driver.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]
        assert group["DesiredCapacity"] == 4

        running.driver.ok("scale", "app", "--reset", "--yes")
        assert app_servers(running) == ["app1", "app2", "app3"]
        load.failed()  # a second with three

        result = load.end()
    assert result["failures"] == 0, result


def test_a_number_that_the_stage_does_not_allow_is_refused_and_changes_nothing(running: Running):
    refused = running.driver.run("scale", "app", "99", "--yes")

    assert refused.returncode == 1
    assert "app.desired is 99; allowed: app.min_size (2) to app.max_size (10)" in refused.stderr
    assert app_servers(running) == ["app1", "app2", "app3"]
