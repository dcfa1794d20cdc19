"""A stack that is stopped, loses its supervisor or its control plane, and comes back with all it had."""

from __future__ import annotations

import os
import shutil
import signal
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.local import processes
from tests.servers.conftest import Running
from watoto_infra.stack_home import locate

pytestmark = pytest.mark.local

BODY = b"a lesson " * 1000


def put(running: Running, key: str) -> str:
    client = running.driver.aws("s3")
    bucket = running.driver.json("outputs", "--json")["buckets"]["media"]["name"]
    return str(client.put_object(Bucket=bucket, Key=key, Body=BODY)["ETag"])


def got(running: Running, key: str) -> tuple[str, bytes]:
    client = running.driver.aws("s3")
    bucket = running.driver.json("outputs", "--json")["buckets"]["media"]["name"]
    found = client.get_object(Bucket=bucket, Key=key)
    return str(found["ETag"]), found["Body"].read()


def outputs_of(running: Running) -> dict[str, Any]:
    outputs: dict[str, Any] = running.driver.json("outputs", "--json")
    return outputs


def courses(running: Running) -> bytes:
    with urllib.request.urlopen(f"{running.url}/api/courses", timeout=10) as answer:
        return bytes(answer.read())


def test_after_stop_nothing_runs_and_after_start_data_objects_and_outputs_are_there_again(running: Running):
    tag, before, outputs = put(running, "kept"), courses(running), outputs_of(running)

    running.driver.ok("stop")
    assert processes.of_stack(running.home) == set()
    assert not running.answers("/healthz")

    running.driver.ok("start")
    running.wait_until_whole()
    assert courses(running) == before
    assert got(running, "kept") == (tag, BODY)
    assert outputs_of(running) == outputs
    running.driver.ok("preview", "--stage", "phase2", "--expect-no-changes")


@pytest.mark.long
def test_when_supervisord_is_killed_start_brings_everything_back(running: Running):
    tag, before = put(running, "kept too"), courses(running)
    os.kill(int((running.home / "run" / "supervisord.pid").read_text()), signal.SIGKILL)

    running.driver.ok("start")

    running.wait_until_whole()
    assert courses(running) == before
    assert got(running, "kept too") == (tag, BODY)


@pytest.mark.long
def test_after_a_reboot_without_a_goodbye_start_brings_everything_back(running: Running, monkeypatch):
    monkeypatch.setenv("WATOTO_HOME", str(running.driver.home))
    tag, before, outputs = put(running, "kept over a reboot"), courses(running), outputs_of(running)
    os.kill(int((running.home / "run" / "supervisord.pid").read_text()), signal.SIGKILL)
    while alive := processes.of_stack(running.home):
        for pid in alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    shutil.rmtree(locate(running.driver.stack).sockets)  # what lies in /run is gone then

    running.driver.ok("start")

    running.wait_until_whole()
    assert courses(running) == before
    assert got(running, "kept over a reboot") == (tag, BODY)
    assert outputs_of(running) == outputs


def test_an_object_whose_put_was_answered_is_there_after_the_control_plane_is_killed(running: Running):
    victim = running.pid("control-plane")
    tag = put(running, "answered")
    os.kill(victim, signal.SIGKILL)

    deadline = time.monotonic() + 60
    while True:
        try:
            assert got(running, "answered") == (tag, BODY)
            break
        except Exception:
            assert time.monotonic() < deadline
            time.sleep(0.5)
    running.driver.ok("up", "--stage", "phase2", "--yes")
    running.wait_until_whole()
    assert got(running, "answered") == (tag, BODY)


@pytest.mark.long
def test_a_killed_primary_comes_back_with_every_row_and_its_replicas_follow_again(running: Running):
    before = courses(running)
    os.kill(running.pid("postgresql-primary"), signal.SIGKILL)

    running.wait_until_whole()

    assert courses(running) == before
    assert Path(running.home / "data" / "postgresql" / "replica1" / "standby.signal").exists()
    smoke = running.driver.json("smoke", "--json")
    assert {check["result"] for check in smoke["checks"]} == {"ok"}, smoke
