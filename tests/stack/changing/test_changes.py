"""What previews show, what `up` does, and what happens to a stack behind its program's back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.stack.driver import Driver

pytestmark = pytest.mark.local

PRIMARY = "watoto-primary"


def test_a_change_by_hand_is_named_with_urn_and_property_and_up_mends_it(phase1: Driver):
    database = phase1.aws("rds")
    database.modify_db_instance(DBInstanceIdentifier=PRIMARY, BackupRetentionPeriod=1, ApplyImmediately=True)
    drift = phase1.run("drift", "--json")
    assert drift.returncode == 3
    (step,) = [step for step in json.loads(drift.stdout)["steps"] if step["changes"]]
    assert step["urn"].endswith(f"::{PRIMARY}")
    assert [(change["path"], change["after"]) for change in step["changes"]] == [("backupRetentionPeriod", 1)]
    wanted = step["changes"][0]["before"]
    phase1.ok("up", "--stage", "phase1", "--yes")
    (server,) = database.describe_db_instances(DBInstanceIdentifier=PRIMARY)["DBInstances"]
    assert server["BackupRetentionPeriod"] == wanted
    phase1.ok("drift")


def test_what_was_deleted_by_hand_is_drift_and_comes_back(phase1: Driver):
    phase1.aws("s3").delete_bucket_policy(Bucket="watoto-media")
    assert phase1.run("drift").returncode == 3
    phase1.ok("up", "--stage", "phase1", "--yes")
    assert phase1.aws("s3").get_bucket_policy(Bucket="watoto-media")["Policy"]


def data_bearing(stack: Driver) -> dict[str, str]:
    """Ids of everything that holds data, by URN."""
    resources = stack.json("state", "export")["deployment"]["resources"]
    return {
        resource["urn"]: resource["id"]
        for resource in resources
        if "watoto:data" in (resource.get("inputs", {}).get("tags") or {})
    }


def test_a_stack_moves_between_stages_without_losing_anything_that_holds_data(phase1: Driver):
    before = data_bearing(phase1)
    assert before
    for stage in ("phase2", "phase1"):
        plan = phase1.plan(stage)
        assert not [s["urn"] for s in plan["steps"] if s["data_bearing"] and s["op"] in {"replace", "delete"}]
        shown = {(step["op"], step["urn"]) for step in plan["steps"]}
        done = phase1.json("up", "--stage", stage, "--yes", "--json")
        acted = {(act["op"], act["urn"]) for act in done["operations"] if act["op"] not in {"same", "read", "refresh"}}
        halves = {"create-replacement": "replace", "delete-replaced": "replace"}
        assert {(halves.get(op, op), urn) for op, urn in acted} <= shown
        phase1.ok("preview", "--stage", stage, "--expect-no-changes")
        assert before.items() <= data_bearing(phase1).items()


def test_up_refuses_a_plan_that_is_not_the_one_that_was_approved(phase1: Driver):
    approved = phase1.plan("phase1")["digest"]
    refused = phase1.run("up", "--stage", "phase2", "--yes", "--expect-digest", approved)
    assert refused.returncode == 2
    assert "the plan is not the expected one" in refused.stderr
    phase1.ok("up", "--stage", "phase1", "--yes", "--expect-digest", approved)


def group_names(stack: Driver) -> list[str]:
    groups = stack.aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    return [group["AutoScalingGroupName"] for group in groups]


def secrets(stack: Driver) -> dict[str, str]:
    """What Secrets Manager holds, by name."""
    manager = stack.aws("secretsmanager")
    names = [one["Name"] for one in manager.list_secrets()["SecretList"]]
    return {name: manager.get_secret_value(SecretId=name)["SecretString"] for name in names}


def etag_once_it_answers(stack: Driver, bucket: str, key: str) -> str:
    """Wait for the supervisor to have the control plane back, and for nothing else."""
    s3, deadline = stack.aws("s3"), time.monotonic() + 60
    while True:
        try:
            return str(s3.head_object(Bucket=bucket, Key=key)["ETag"])
        except EndpointConnectionError:
            assert time.monotonic() < deadline, "nobody started the control plane again"
            time.sleep(0.2)


def test_the_control_plane_may_lose_its_memory_and_up_makes_all_again_under_the_same_names(phase1: Driver):
    names, before, passwords = group_names(phase1), data_bearing(phase1), secrets(phase1)
    told = phase1.aws("s3").put_object(Bucket="watoto-media", Key="essay.txt", Body=b"kept")["ETag"]
    shutil.rmtree(phase1.home / phase1.stack / "data" / "control-plane")  # as after an upgrade of moto
    os.kill(phase1.process("control-plane"), signal.SIGKILL)
    assert etag_once_it_answers(phase1, "watoto-media", "essay.txt") == told
    assert secrets(phase1) == {}, "it remembers more than objects: this test shows nothing"
    phase1.ok("status")
    made = {step["type"] for step in phase1.plan("phase1", "--refresh")["steps"] if step["op"] == "create"}
    assert "aws:rds/instance:Instance" in made
    assert not [type_ for type_ in made if type_.startswith("aws:s3/")], "buckets are not made again: they are there"
    phase1.ok("up", "--stage", "phase1", "--yes")
    assert group_names(phase1) == names
    assert set(data_bearing(phase1)) == set(before)
    assert secrets(phase1) == passwords
    assert phase1.aws("s3").get_object(Bucket="watoto-media", Key="essay.txt")["Body"].read() == b"kept"
    phase1.ok("preview", "--stage", "phase1", "--refresh", "--expect-no-changes")
