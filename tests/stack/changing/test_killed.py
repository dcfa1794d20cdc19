"""``kill -9`` of `watoto` between an answer and our journal: the next run makes it whole, without duplicates."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from tests.stack import forked
from tests.stack.driver import Driver

pytestmark = pytest.mark.local

STAGE = "phase1"

TOLD_APART_BY = {
    "a token at creation": "aws:ec2/vpc:Vpc",
    "its parent": "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "its name": "aws:autoscaling/group:Group",
}
"""How a thing that a killed run made is found again, each with a type that is; none can be there before the last."""


def run_killer(stack: Driver, how: list[str], *arguments: str) -> bool:
    """Run with the killer; False when the run came to its end."""
    given = [*how, "--", *stack.command(*arguments)[2:]]
    done = forked.run("killed command", given, environment=stack.variables, seconds=600)
    assert done.returncode in {-signal.SIGKILL, 0}, done.stderr
    return done.returncode != 0


def kill_at(stack: Driver, resource_type: str, *arguments: str, companion: int | None = None) -> bool:
    """Run until the first operation on a resource of the type; False when an earlier run had done them all."""
    return run_killer(stack, [f"{resource_type},{companion}" if companion else resource_type], *arguments)


def kill_at_every_type(stack: Driver, folder: Path, *arguments: str) -> set[str]:
    """Run again and again until a run comes to its end; each one dies with outcomes of types that no other did."""
    file = folder / f"types-{arguments[0]}"
    file.touch()
    while run_killer(stack, ["--every", str(file)], *arguments):
        pass
    return set(file.read_text().split())


def resource_types(stack: Driver) -> list[str]:
    """Types of the program that something stands behind, in the order in which a plan reaches them."""
    steps = stack.plan(STAGE)["steps"]
    return list(dict.fromkeys(step["type"] for step in steps if step["type"].startswith(("aws:", "random:"))))


def assert_whole(stack: Driver, expected: Counter[str]) -> None:
    stack.ok("up", "--stage", STAGE, "--yes")
    stack.ok("preview", "--stage", STAGE, "--refresh", "--expect-no-changes")
    assert stack.inventory() == expected
    assert stack.json("state", "export")["deployment"].get("pending_operations", []) == []


def test_killed_again_and_again_up_ends_with_just_the_program_and_destroy_with_nothing(own: Driver, whole):
    *first, last = TOLD_APART_BY.values()
    for resource_type in first:
        assert kill_at(own, resource_type, "up", "--stage", STAGE, "--yes")
    emulator = own.process("control-plane")  # dies with the last of them
    assert kill_at(own, last, "up", "--stage", STAGE, "--yes", companion=emulator)
    assert_whole(own, whole)
    for resource_type in ("aws:autoscaling/group:Group", "aws:rds/instance:Instance"):
        assert kill_at(own, resource_type, "destroy", "--yes", "--delete-data")
    emulator = own.process("control-plane")
    done = own.run("destroy", "--yes", "--delete-data")
    assert done.returncode == 0, done.stderr
    assert "stays, as on AWS" in done.stderr  # the key, pending deletion
    assert_gone(own, emulator)


def test_destroy_needs_no_help_where_the_control_plane_was_killed(own: Driver):
    own.ok("up", "--stage", STAGE, "--yes", "--only", "*aws:ec2/vpc:Vpc*")
    emulator = own.process("control-plane")
    os.kill(emulator, signal.SIGKILL)
    own.ok("destroy", "--yes", "--delete-data")
    assert_gone(own, emulator)


def assert_gone(stack: Driver, emulator: int) -> None:
    """No process, no folder and no stack is left."""
    assert not Path(f"/proc/{emulator}").exists()
    assert not (stack.home / stack.stack).exists()
    assert stack.run("outputs").returncode == 10


@pytest.mark.long
def test_killed_at_every_resource_type_up_is_whole_and_destroy_leaves_nothing(own: Driver, whole, tmp_path: Path):
    types = set(resource_types(own))
    assert kill_at_every_type(own, tmp_path, "up", "--stage", STAGE, "--yes") == types
    assert_whole(own, whole)
    emulator = own.process("control-plane")
    assert kill_at_every_type(own, tmp_path, "destroy", "--yes", "--delete-data") == types
    assert_gone(own, emulator)


@pytest.mark.long
def test_killed_at_any_moment_alone_or_with_the_control_plane(own: Driver, whole):
    began, killed = time.monotonic(), 0
    own.ok("up", "--stage", STAGE, "--yes")
    whole_run = time.monotonic() - began
    own.ok("destroy", "--yes", "--delete-data")
    for seed in range(4):
        moments = random.Random(seed)
        for _ in range(5):
            run = subprocess.Popen(
                own.command("up", "--stage", STAGE, "--yes"), env=own.variables, stderr=subprocess.DEVNULL
            )
            with suppress(subprocess.TimeoutExpired):
                run.wait(moments.uniform(0.1, 1) * whole_run)
            run.kill()
            killed += run.wait() == -signal.SIGKILL
        if seed % 2:
            os.kill(own.emulator(), signal.SIGKILL)
        assert_whole(own, whole)
        own.ok("destroy", "--yes", "--delete-data")
    assert killed >= 10


def test_of_two_runs_at_once_the_second_says_who_holds_the_lock(phase1: Driver):
    holding = subprocess.Popen(
        phase1.command("refresh"), env=phase1.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    lock = phase1.home / phase1.stack / "state" / "lock.holder"
    deadline = time.monotonic() + 60
    while not lock.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    holding.send_signal(signal.SIGSTOP)
    try:
        refused = phase1.run("refresh")
    finally:
        holding.send_signal(signal.SIGCONT)
        holding.communicate(timeout=120)
    assert refused.returncode == 11
    assert f"process {holding.pid}" in refused.stderr


MOVE_TO_PODS = {
    "aws:eks/addon:Addon",
    "aws:eks/cluster:Cluster",
    "aws:eks/podIdentityAssociation:PodIdentityAssociation",
    "kubernetes:apps/v1:Deployment",
    "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
    "kubernetes:core/v1:ConfigMap",
    "kubernetes:core/v1:Namespace",
    "kubernetes:core/v1:Secret",
    "kubernetes:core/v1:Service",
    "kubernetes:eks.amazonaws.com/v1:TargetGroupBinding",
}


@pytest.mark.long
def test_killed_at_every_type_of_the_move_to_pods_cluster_and_objects_are_whole(own: Driver, tmp_path: Path):
    own.ok("up", "--stage", "phase2", "--yes")
    assert kill_at_every_type(own, tmp_path, "up", "--stage", "phase3", "--yes") >= MOVE_TO_PODS
    own.ok("up", "--stage", "phase3", "--yes")
    own.ok("preview", "--stage", "phase3", "--refresh", "--expect-no-changes")
    deployment = own.json("state", "export")["deployment"]
    assert deployment.get("pending_operations", []) == []
    kept = {one["id"] for one in deployment["resources"] if one["type"].startswith("kubernetes:apps/")}
    files = (own.home / own.stack / "kubernetes").glob("*/deployment.apps/*.json")
    assert {f"{file.parts[-3]}/{file.stem}" for file in files} == kept
    assert not [one["type"] for one in deployment["resources"] if "autoscaling/group" in one["type"]]
    kill_at_every_type(own, tmp_path, "destroy", "--yes", "--delete-data")
    assert not (own.home / own.stack).exists()
