"""A look at a stack that does not exist leaves nothing running, however it ends."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest

from tests.stack.driver import Driver
from watoto_infra.stack_home import locate

pytestmark = pytest.mark.local


def assert_nothing_runs(stack: Driver) -> None:
    """No process anywhere was started with a file of the stack's home, and its sockets are gone."""
    home = str(stack.home).encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if home in (process / "cmdline").read_bytes():
                found.append(process.name)
        except OSError:
            continue
    assert found == []
    assert not locate_sockets(stack).exists()


def locate_sockets(stack: Driver) -> Path:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("WATOTO_HOME", str(stack.home))
        return locate(stack.stack).sockets


def test_a_preview_ends_the_control_plane_it_started_also_when_that_could_not_start(own: Driver):
    assert own.plan("phase1", "--refresh")["summary"]["create"] > 100
    assert_nothing_runs(own)
    assert own.run("outputs").returncode == 10
    table = json.loads((own.home / own.stack / "run" / "ports.json").read_text())
    with socket.create_server(("127.0.0.1", table["http control-plane"])):
        refused = own.run("preview", "--stage", "phase1")
    assert refused.returncode == 1
    problem, hint = [line for line in refused.stderr.splitlines() if line.startswith(("error: ", "hint: "))]
    assert str(table["http control-plane"]) in problem
    assert hint
    assert_nothing_runs(own)


def test_nobody_to_ask_means_nothing_is_done(own: Driver):
    asked = own.run("up", "--stage", "phase1")
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
    assert own.run("outputs").returncode == 10
    assert_nothing_runs(own)


@pytest.mark.long
def test_while_another_command_still_looks_the_control_plane_stays(own: Driver):
    slow = subprocess.Popen(
        own.command("preview", "--stage", "phase2"), env=own.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    own.plan("phase1")
    _, words = slow.communicate(timeout=120)
    assert slow.returncode == 0, words
    assert_nothing_runs(own)


def test_a_preview_of_a_new_stack_with_shards_moves_nobody(own: Driver):
    assert "rows move" not in own.ok("preview", "--stage", "phase3")
