"""``kill -9`` of `watoto` between an answer and our journal: the next run makes it whole, without duplicates."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter

import pytest

from tests.stack.conftest import end, new_home
from tests.stack.driver import ROOT, Driver

pytestmark = pytest.mark.local

STAGE = "phase1"

TOLD_APART_BY = {
    "a token at creation": "aws:ec2/vpc:Vpc",
    "its name": "aws:s3/bucket:Bucket",
    "its parent": "aws:s3/bucketPolicy:BucketPolicy",
    "what it joins": "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "its identifier": "aws:rds/instance:Instance",
    "nothing at all": "random:index/randomPassword:RandomPassword",
}


def inventory(stack: Driver) -> Counter[str]:
    """Count everything the emulator holds, by service and model, beside what it always has or only logs."""
    endpoint = stack.ok("env").split("AWS_ENDPOINT_URL=")[1].splitlines()[0]
    with urllib.request.urlopen(f"{endpoint}/moto-api/data.json", timeout=10) as answer:
        data = json.load(answer)
    return Counter(
        {f"{service}/{model}": len(items) for service, models in data.items() for model, items in models.items()}
    )


def kill_at(stack: Driver, resource_type: str, *arguments: str, companion: int | None = None) -> None:
    where = f"{resource_type},{companion}" if companion else resource_type
    command = [sys.executable, "-m", "tests.stack.killer", where, "--", *arguments, "--stack", stack.stack]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=stack.variables, cwd=ROOT, timeout=300
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def resource_types(stack: Driver) -> list[str]:
    """Types of the program that something stands behind, in the order in which a plan reaches them."""
    steps = stack.plan(STAGE)["steps"]
    return list(dict.fromkeys(step["type"] for step in steps if step["type"].startswith(("aws:", "random:"))))


@pytest.fixture(scope="module")
def whole() -> Counter[str]:
    """What the emulator holds after a run that nobody killed."""
    with new_home() as home:
        stack = Driver(home)
        stack.ok("up", "--stage", STAGE, "--yes")
        found = inventory(stack)
        end(stack)
    return found


def assert_whole(stack: Driver, expected: Counter[str]) -> None:
    stack.ok("up", "--stage", STAGE, "--yes")
    stack.ok("preview", "--stage", STAGE, "--refresh", "--expect-no-changes")
    assert inventory(stack) == expected
    assert stack.json("state", "export")["deployment"].get("pending_operations", []) == []


def test_killed_again_and_again_while_it_creates_up_still_ends_with_just_the_program(own: Driver, whole):
    for resource_type in TOLD_APART_BY.values():
        kill_at(own, resource_type, "up", "--stage", STAGE, "--yes")
    assert_whole(own, whole)


def test_a_killed_destroy_is_completed_by_the_next_one(own: Driver):
    own.ok("up", "--stage", STAGE, "--yes")
    for resource_type in ("aws:autoscaling/group:Group", "aws:rds/instance:Instance", "aws:ec2/subnet:Subnet"):
        kill_at(own, resource_type, "destroy", "--yes", "--delete-data")
    own.ok("destroy", "--yes", "--delete-data")
    assert not (own.home / own.stack).exists()


def test_the_control_plane_may_die_with_the_run(own: Driver, whole):
    kill_at(own, "aws:ec2/vpc:Vpc", "up", "--stage", STAGE, "--yes")
    emulator = own.process("control-plane")
    kill_at(own, "aws:rds/instance:Instance", "up", "--stage", STAGE, "--yes", companion=emulator)
    assert_whole(own, whole)


@pytest.mark.long
def test_killed_at_every_resource_type_in_turn(own: Driver, whole):
    for resource_type in resource_types(own):
        kill_at(own, resource_type, "up", "--stage", STAGE, "--yes")
    assert_whole(own, whole)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_killed_at_any_moment(own: Driver, whole, seed: int):
    moments = random.Random(seed)
    for _ in range(3):
        run = subprocess.Popen(
            own.command("up", "--stage", STAGE, "--yes"), env=own.variables, stderr=subprocess.DEVNULL
        )
        time.sleep(moments.uniform(1, 15))
        run.kill()
        run.wait()
    assert_whole(own, whole)


def test_of_two_runs_at_once_the_second_says_who_holds_the_lock(own: Driver):
    own.ok("up", "--stage", STAGE, "--yes")
    holding = subprocess.Popen(
        own.command("refresh"), env=own.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    lock = own.home / own.stack / "state" / "lock.holder"
    deadline = time.monotonic() + 60
    while not lock.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    holding.send_signal(signal.SIGSTOP)
    try:
        refused = own.run("refresh")
    finally:
        holding.send_signal(signal.SIGCONT)
        holding.communicate(timeout=120)
    assert refused.returncode == 11
    assert f"process {holding.pid}" in refused.stderr
