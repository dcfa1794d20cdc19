"""``--target aws``: driven by the official Pulumi CLI; what it needs, and what it is not for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.engine.official import OfficialCli, state_the_version
from tests.program.declared import IMAGE
from tests.program.test_conformance import emulator

ROOT = Path(__file__).parents[2]
STACK = "rehearsal"


def watoto(*arguments: str, checkout: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_CONFIG")}
    done = subprocess.run(
        [sys.executable, str(checkout / "cli.py"), *arguments, "--target", "aws", "--stack", STACK],
        check=False,
        capture_output=True,
        text=True,
        env=inherited | environment,
        timeout=600,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def problem_and_hint(done: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    problem, hint = done.stderr.splitlines()[-2:]
    assert problem.startswith("error: ")
    assert hint.startswith("hint: ")
    return problem, hint


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of our own, so that the settings files of its stacks are too; one stack has its image set."""
    for name in ("cli.py", "Pulumi.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("templates", "src", ".venv"):
        (tmp_path / name).symlink_to((ROOT / name).resolve())
    for name in ("watoto_infra", "stacks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    laid_over = json.dumps({"app": {"image": IMAGE}, "protection": False})
    (tmp_path / "stacks" / f"Pulumi.{STACK}.yaml").write_text(f"config:\n  watoto:overrides: '{laid_over}'\n")
    return tmp_path


def test_without_the_pulumi_cli_one_line_says_so(checkout, tmp_path):
    problem, hint = problem_and_hint(watoto("preview", "--stage", "phase1", checkout=checkout, PATH=str(tmp_path)))
    assert "no `pulumi` on the PATH" in problem
    assert "install" in hint


def test_without_a_passphrase_nothing_begins(checkout, tmp_path):
    (tmp_path / "pulumi").write_text("#!/bin/sh\ntouch $0.was-called\n")
    (tmp_path / "pulumi").chmod(0o755)
    done = watoto("preview", "--stage", "phase1", checkout=checkout, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 12
    assert "PULUMI_CONFIG_PASSPHRASE" in problem_and_hint(done)[1]
    assert not (tmp_path / "pulumi.was-called").exists()


def test_a_stage_that_is_not_ready_for_aws_is_named_before_anything_begins(tmp_path):
    problem, _ = problem_and_hint(watoto("preview", "--stage", "phase1", PATH=str(tmp_path)))
    assert "app.image" in problem


@pytest.mark.parametrize("command", [["status"], ["env"], ["state", "show"], ["state", "unlock"], ["state", "repair"]])
def test_what_is_about_this_machine_says_that_it_is(command):
    done = watoto(*command)
    assert done.returncode == 2
    problem, hint = problem_and_hint(done)
    assert "on this machine" in problem
    assert "pulumi" in hint


def test_an_option_about_local_servers_is_refused():
    done = watoto("up", "--yes", "--control-plane-only")
    assert done.returncode == 2
    assert "has no local servers" in problem_and_hint(done)[0]


@pytest.fixture
def aws(checkout: Path, tmp_path: Path, require_binary: Callable[[str], Path]) -> Iterator[dict[str, str]]:
    """What points the official CLI at an emulator and a backend of its own."""
    for program in ("pulumi", "pulumi-language-python"):
        require_binary(program)
    with emulator() as endpoint:
        variables = {"AWS_STAND_IN": endpoint, "AWS_REGION": "us-east-1"}
        cli = OfficialCli(tmp_path / "official", "unused", "", variables, ("aws", "random"))
        state_the_version(cli.folder / "bin")
        yield cli.variables


@pytest.mark.conformance
@pytest.mark.timeout(1800)
def test_the_same_commands_bring_up_look_at_move_and_destroy_a_stack_through_the_official_cli(checkout, aws, tmp_path):
    settings = checkout / "stacks" / f"Pulumi.{STACK}.yaml"

    def run(*arguments: str, code: int = 0) -> str:
        done = watoto(*arguments, checkout=checkout, **aws)
        assert done.returncode == code, done.stderr
        return done.stdout

    plan = json.loads(run("preview", "--stage", "phase1", "--format", "json"))
    assert plan["summary"]["create"] > 100
    assert "watoto:stage" not in settings.read_text()
    result = json.loads(run("up", "--stage", "phase1", "--yes", "--json"))
    assert result["summary"]["create"] == plan["summary"]["create"]
    assert yaml.safe_load(settings.read_text())["config"]["watoto:stage"] == "phase1"
    assert json.loads(run("outputs", "--json"))["url"].startswith("http")
    run("preview", "--expect-no-changes")
    run("drift")
    assert [run["kind"] for run in json.loads(run("history", "--json"))["runs"]] == ["up"]
    exported = tmp_path / "state.json"
    run("state", "export", "--file", str(exported))
    assert json.loads(exported.read_text())["version"] == 3
    run("destroy", "--yes", code=1)  # nobody said that data may go
    run("destroy", "--yes", "--delete-data")
    run("preview", "--stage", "phase1", "--expect-no-changes", code=3)
